"""Documents about what `validate_dataset` found."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from chronos_assets.views.documents.base import Document, Json


class Check(Document):
    """One question of a validation. `passed` null: it could not be asked, and `found` says why."""

    name: str
    passed: bool | None
    expected: Any = None
    found: Any = None


class Validation(Document):
    """What `validate_dataset` found: every question about a dataset or run, and the worst of what differs."""

    kind: str
    subject: str
    passed: bool
    verdict: Literal["agrees", "partly", "differs"] = Field(description="`partly`: what was asked agrees, something could not be asked.")
    checks: list[Check]
    findings: list[Json]
    audit: Json | None
    seconds: float
