"""What a user is told of a Time column that mixes two formats, or holds another unit."""

from __future__ import annotations

import numpy as np

from chronos_assets.domain.bars_spec import TimeFormat
from chronos_assets.errors import BarsError
from chronos_assets.ingest.day_runs import OtherOrder
from chronos_assets.ingest.time_units import Unit
from chronos_assets.ingest.times import ONE_FORMAT_HINT, seconds_of_day


def written_otherwise(value: int, row: int, chosen: TimeFormat, name: str) -> BarsError:
    """The refusal of a cell that is in the other format than `chosen`, in which the rest of the column is."""
    other, here, there = _both_clocks(value, chosen)
    return BarsError(
        f"Time mixes HHMM and HHMMSS: as {chosen.upper()}, like the rest, this bar is at {here}, away from the others; "
        f"as {other.upper()} it is at {there}, among them",
        code="time_mixed",
        expected=chosen.upper(),
        found=value,
        hint=f"{ONE_FORMAT_HINT} {there} is {_written(value, chosen)} as {chosen.upper()}.",
        file=name,
        row=row,
        column="Time",
    )


def order_or_format(found: OtherOrder, chosen: TimeFormat, name: str) -> BarsError:
    """The refusal of rows that are out of order, or in order if a cell is in the other format than `chosen`."""
    other, here, there = _both_clocks(found.value, chosen)
    return BarsError(
        f"row {found.later_row} is not later than row {found.earlier_row}, unless Time mixes HHMM and HHMMSS: "
        f"row {found.row} is at {here} as {chosen.upper()}, like the rest, and at {there} as {other.upper()}, in order",
        code="time_or_order",
        expected=f"rows in order, and Time as {chosen.upper()}",
        found=found.value,
        hint="Do not sort the rows before you know when this bar began. "
        f"If at {there}, write {_written(found.value, chosen)}; if at {here}, move the row to its place.",
        file=name,
        row=found.row,
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


def _both_clocks(value: int, chosen: TimeFormat) -> tuple[TimeFormat, str, str]:
    """The other format, and the time of day of a cell in the chosen one and in the other one."""
    other: TimeFormat = "hhmm" if chosen == "hhmmss" else "hhmmss"
    here, there = (_clock(int(seconds_of_day(np.array([value]), form)[0][0])) for form in (chosen, other))
    return other, here, there


def _written(value: int, chosen: TimeFormat) -> int:
    """How a cell of the other format is written in the chosen one."""
    return value * 100 if chosen == "hhmmss" else value // 100


def _clock(second_of_day: int) -> str:
    """`04:00:00` of seconds of the day."""
    return f"{second_of_day // 3600:02d}:{second_of_day // 60 % 60:02d}:{second_of_day % 60:02d}"
