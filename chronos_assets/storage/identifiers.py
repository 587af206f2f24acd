"""Names and literals on their way into SQL: every one goes through here, or is bound by the driver.

Identifiers cannot be bound in either database, and QuestDB's HTTP interface binds nothing at all. So identifiers are checked
against a whitelist and quoted, and text for QuestDB is quoted by one function.
"""

from __future__ import annotations

import re

from chronos_assets.errors import StoreError

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)


def is_identifier(name: str) -> bool:
    """Whether `name` is of the kind that may stand in SQL."""
    return isinstance(name, str) and _IDENTIFIER.fullmatch(name) is not None


def quote_identifier(name: str) -> str:
    """`name` in double quotes; raises `StoreError` if it is not a plain identifier."""
    if not is_identifier(name):
        raise StoreError(
            f"{str(name)[:80]!r} cannot be the name of a column or table",
            code="identifier_invalid",
            expected="a letter or '_', then letters, digits or '_', at most 63 characters",
        )
    return f'"{name}"'


def quote_literal(text: str) -> str:
    """`text` as a string literal for QuestDB's HTTP interface; raises `StoreError` for control characters."""
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise StoreError("a text with control characters cannot be sent to QuestDB", code="literal_invalid", found=repr(text)[:80])
    return "'" + text.replace("'", "''") + "'"
