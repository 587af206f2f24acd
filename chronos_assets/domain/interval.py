"""Intervals of bars in calendar months, whose length in seconds depends on the month."""

from __future__ import annotations

import datetime as dt
import re

from chronos_assets.domain.slug import granularity_seconds


def months_of(granularity: str) -> int | None:
    """Months of an interval such as `3mo`; None for one that is not in months."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})mo", granularity, re.ASCII)
    return int(match[1]) if match else None


def seconds_to_next_bar(granularity: str, timestamp: int) -> int:
    """Seconds from the bar at `timestamp` (UTC seconds) to the next one."""
    months = months_of(granularity)
    return granularity_seconds(granularity) if months is None else month_after(timestamp, months) - timestamp


def month_after(timestamp: int, months: int) -> int:
    """UTC seconds of the bar that follows the one at `timestamp` by so many months; the last day of a month is followed by the last."""
    start = dt.datetime.fromtimestamp(timestamp, dt.UTC)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    is_last = (start + dt.timedelta(days=1)).day == 1
    for day in range(31 if is_last else start.day, 27, -1):
        try:
            return int(start.replace(year=year, month=month + 1, day=day).timestamp())
        except ValueError:
            continue
    return int(start.replace(year=year, month=month + 1).timestamp())
