"""Moments in UTC seconds, as people write them."""

from __future__ import annotations

import datetime as dt


def iso(timestamp: int) -> str:
    """`2024-05-01T14:00:00Z` of UTC seconds."""
    return dt.datetime.fromtimestamp(timestamp, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
