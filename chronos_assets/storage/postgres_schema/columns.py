"""Kinds of columns that the tables share, and the metadata that holds all of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import TIMESTAMP, BigInteger, Column, MetaData, Text, text
from sqlalchemy.dialects.postgresql import JSONB

METADATA = MetaData()
NOW = text("now()")
STATUS = "status IN ('queued', 'running', 'completed', 'failed', 'cancelled')"


def utc(name: str, *, null: bool = True, default: Any = None) -> Column[Any]:
    """A time with its zone; Postgres keeps UTC."""
    return Column(name, TIMESTAMP(timezone=True), nullable=null, server_default=default)


def text_column(name: str, *, null: bool = True) -> Column[Any]:
    """Text of any length."""
    return Column(name, Text, nullable=null)


def count_column(name: str, *, null: bool = False, default: str | None = None) -> Column[Any]:
    """A whole number, 64 bits."""
    return Column(name, BigInteger, nullable=null, server_default=None if default is None else text(default))


def json_column(name: str, *, null: bool = False, default: str | None = None) -> Column[Any]:
    """A JSON document; `default` is its text."""
    return Column(name, JSONB, nullable=null, server_default=None if default is None else text(f"'{default}'::jsonb"))
