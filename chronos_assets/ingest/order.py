"""Why a bar is not later than the one before it, and what to do about it.

"Sort the rows" and "remove one of the two" are right only if nothing else explains the order: two formats in the Time column, a local clock
that was put back, several bars a day in a file that is declared daily, rows of two markets.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from chronos_assets.errors import BarsError
from chronos_assets.ingest.clock_changes import skips, zones_that_repeat
from chronos_assets.ingest.moments import iso
from chronos_assets.ingest.names import fold
from chronos_assets.ingest.spacing import Disorder

_SHOWN = 4


class Surroundings(NamedTuple):
    """What is known of the two bars: wall clock seconds of the later row, its zone, whether bars are daily, and the two rows as read.

    `earlier` and `later` are rows of one frame, one row each; None if the earlier one came in another batch.
    """

    wall: int
    timezone: str
    is_daily: bool
    earlier: pl.DataFrame | None
    later: pl.DataFrame
    names: dict[str, str]
    """Label in the frame -> name in the file."""


def order_refused(disorder: Disorder, around: Surroundings, name: str) -> BarsError:
    """The refusal of a bar that is not later than the one before it."""
    same = disorder.step == 0
    return BarsError(
        f"rows {disorder.earlier_row} and {disorder.row} are the same bar"
        if same
        else f"row {disorder.row} is earlier than row {disorder.earlier_row}",
        code="duplicate_timestamp" if same else "not_increasing",
        found=f"{iso(disorder.moment)} after {iso(disorder.moment - disorder.step)}",
        hint=_hint(disorder, around),
        file=name,
        row=disorder.row,
        earlier_row=disorder.earlier_row,
    )


def _hint(disorder: Disorder, around: Surroundings) -> str:
    if not around.is_daily and (clock := _clock_hint(around, disorder.step)) is not None:
        return clock
    if disorder.step < 0:
        return "Sort the rows by Date and Time, the oldest first, or declare format: {order: descending} (--format order=descending)."
    differing = _differing(around)
    if around.is_daily:
        if any(fold(name) == "time" for name in differing):
            return "Daily bars have one row per Date, and these two have other Times: correct the granularity (and the slug)."
        return f"Daily bars have one row per Date. {_which(differing)}"
    return _which(differing)


def _which(differing: list[str]) -> str:
    if not differing:
        return "Remove one of the two."
    shown = ", ".join(differing[:_SHOWN]) + (", ..." if len(differing) > _SHOWN else "")
    return (
        f"The two rows differ in {shown}. If they are of two markets or contracts, write those in a column called Market; "
        "else find out which row is right, and remove the other."
    )


def _differing(around: Surroundings) -> list[str]:
    """Columns of the file in which the two rows differ."""
    if around.earlier is None:
        return []
    pairs = zip(around.earlier.row(0), around.later.row(0), around.later.columns, strict=True)
    return [around.names.get(label, label) for before, after, label in pairs if before != after]


def _clock_hint(around: Surroundings, step: int) -> str | None:
    """What to do if the clock of the file was put back or forward between the two bars."""
    if step <= -86_400:
        return None
    if around.timezone not in {"UTC", "Etc/UTC", "Z"}:
        if not skips(around.timezone, around.wall):
            return None
        return (
            f"The clock of {around.timezone} skips an hour here, and the file does not: its clock is another one. Correct format.timezone "
            "(UTC, if the file is in UTC)."
        )
    exact, dated = zones_that_repeat(around.wall)
    if exact:
        return (
            f"The clock of {_one_of(exact)} shows this hour twice: Date and Time are probably local. Declare the zone of the exchange, "
            f"format: {{timezone: {exact[0]}}} (--format timezone={exact[0]})."
        )
    if dated and step > -7_200:
        return (
            f"On this date the clock of {_one_of(dated)} is put back: Date and Time probably follow it at another hour. "
            "Export the file in UTC, or declare its zone in format.timezone."
        )
    return None


def _one_of(zones: list[str]) -> str:
    return zones[0] if len(zones) == 1 else f"{', '.join(zones[:-1])} or {zones[-1]}"
