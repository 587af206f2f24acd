"""Keyset pages: the documents of a page, how many there are in all, and the cursor where the next one begins.

A cursor says in which order the page was asked for and where it ended. It carries a checksum, so that one that was cut or edited is refused
and not taken for another place.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from chronos_assets.errors import UsageError
from chronos_assets.storage.listing import After

T = TypeVar("T")
_CHECK_BYTES = 4


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list; `cursor` is None on the last one."""

    items: list[T]
    total: int
    cursor: str | None = None


def cursor_of(sort: str, after: After | None) -> str | None:
    """The cursor of a page that begins behind `after` in the order of `sort`."""
    if after is None:
        return None
    value = after.value.isoformat() if isinstance(after.value, datetime) else after.value
    text = json.dumps([sort, value, after.id], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_checksum(text) + text).rstrip(b"=").decode()


def after_of(cursor: str | None, sort: str) -> After | None:
    """Where the page of `cursor` begins; raises `UsageError` if it is not one of this order."""
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found: Any = json.loads(raw[_CHECK_BYTES:]) if raw[:_CHECK_BYTES] == _checksum(raw[_CHECK_BYTES:]) else None
    except (ValueError, UnicodeError, binascii.Error):
        found = None
    if found is None or found[0] != sort:
        raise UsageError(
            "the cursor is not one of this list in this order",
            code="cursor_invalid",
            hint="Leave it out for the first page; the next one's is in the header X-Next-Cursor.",
        )
    return After(found[1], found[2])


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(b"cursor" + text).digest()[:_CHECK_BYTES]
