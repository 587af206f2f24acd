"""What a user is told of a Time column that mixes two formats, or holds another unit."""

from __future__ import annotations

import numpy as np

from chronos_assets.domain.bars_spec import TimeFormat
from chronos_assets.errors import BarsError
from chronos_assets.ingest.time_units import Unit
from chronos_assets.ingest.times import ONE_FORMAT_HINT, seconds_of_day


def written_otherwise(value: int, row: int, chosen: TimeFormat, name: str) -> BarsError:
    """The refusal of a cell that is in the other format than `chosen`, in which the rest of the column is."""
    other: TimeFormat = "hhmm" if chosen == "hhmmss" else "hhmmss"
    here, there = (_clock(int(seconds_of_day(np.array([value]), form)[0][0])) for form in (chosen, other))
    return BarsError(
        f"Time mixes HHMM and HHMMSS: as {chosen.upper()}, like the rest, this bar is at {here}, away from the others; "
        f"as {other.upper()} it is at {there}, among them",
        code="time_mixed",
        expected=chosen.upper(),
        found=value,
        hint=f"{ONE_FORMAT_HINT} {there} is {value * 100 if chosen == 'hhmmss' else value // 100} as {chosen.upper()}.",
        file=name,
        row=row,
        column="Time",
    )


def unit_refused(unit: Unit, value: int, row: int | None, name: str) -> BarsError:
    """The refusal of a column that is in another unit; `value` is its largest so far."""
    return BarsError(
        unit.message,
        code=unit.code,
        expected="HHMM (0 to 2359) or HHMMSS (0 to 235959)",
        found=f"values up to {value}",
        hint=unit.hint,
        file=name,
        row=row,
        column="Time",
    )


def _clock(second_of_day: int) -> str:
    """`04:00:00` of seconds of the day."""
    return f"{second_of_day // 3600:02d}:{second_of_day // 60 % 60:02d}:{second_of_day % 60:02d}"
