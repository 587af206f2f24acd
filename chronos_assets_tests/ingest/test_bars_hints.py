"""Every hint is followed by machine: it leads to the bars that were meant, to another refusal, or to a choice that needs a person."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from chronos_assets.domain.strict import parse_strict
from chronos_assets.errors import BarsError, UsageError
from chronos_assets.ingest import BarsSpec
from chronos_assets_tests.support.bars_case import read

PERSON = ("find out which row is right", "Hours go to 23", "in one format", "(0 to 2359")


@dataclass(frozen=True)
class Case:
    """Lines of a file, what is declared of it, and the moments (UTC) of the bars that its writer meant."""

    lines: list[str]
    meant: list[dt.datetime]
    declared: dict[str, Any] = field(default_factory=dict)
    zone: str = "UTC"

    def read(self, folder: Path) -> list[int] | BarsError:
        """Moments of the bars (UTC seconds), or the refusal."""
        spec = parse_strict(BarsSpec, self.declared, error=UsageError, what="the call")
        try:
            read(folder, ("\n".join(self.lines) + "\n").encode(), spec)
        except BarsError as error:
            return error
        stamps: list[int] = pl.read_ipc((folder / "out" / "bars.arrow").read_bytes())["timestamp_unix"].to_list()
        return stamps

    def declaring(self, **keys: Any) -> Case:
        return replace(self, declared={**self.declared, "format": {**self.declared.get("format", {}), **keys}})


def replaced(case: Case, row: int, cell: str) -> Case:
    """The file with another Time in a row."""
    date, _, *rest = case.lines[row - 1].split(",")
    return replace(case, lines=[*case.lines[: row - 1], ",".join([date, cell, *rest]), *case.lines[row:]])


def in_order(lines: list[str]) -> list[str]:
    return [lines[0], *sorted(lines[1:], key=lambda line: [float(text) for text in line.split(",")[:2]])]


def interval_found(error: BarsError) -> str | None:
    """The interval that the refusal says the bars have; None leaves it to be found."""
    named = re.search(r"steps of (\S+)", str(error.found))
    return named[1] if named else None


# what a hint says -> the files that come of it
STEPS: list[tuple[str, Callable[[Case, BarsError, re.Match[str]], list[Case]]]] = [
    # It asks for the zone of the exchange, so it must name that.
    (r"format: \{timezone: ", lambda case, error, _: [case.declaring(timezone=case.zone)] if case.zone in error.hint else []),
    (r"Correct format\.timezone", lambda case, *_: [case.declaring(timezone="UTC")]),
    (r"format: \{time: (\w+)\}", lambda case, _, found: [case.declaring(time=found[1])]),
    (r"\d\d:\d\d:\d\d is (\d+) as", lambda case, error, found: [replaced(case, error.where["row"], found[1])]),
    (r"declare it: format\.time_format", lambda case, *_: [case.declaring(time_format=form) for form in ("hhmm", "hhmmss")]),
    (r"Correct format\.time_format", lambda case, *_: [case.declaring(time_format=None)]),
    (r"Sort the rows", lambda case, *_: [replace(case, lines=in_order(case.lines))]),
    (r"Remove one of", lambda case, error, _: [replace(case, lines=[x for i, x in enumerate(case.lines, 1) if i != error.where["row"]])]),
    (r"orrect the granularity", lambda case, error, _: [replace(case, declared={**case.declared, "granularity": interval_found(error)})]),
    (r"call the column Market", lambda case, *_: [replace(case, lines=[case.lines[0].replace("Symbol", "Market"), *case.lines[1:]])]),
    (r"format: \{market: (\S+?)\}", lambda case, _, found: [case.declaring(market=found[1])]),
    (r"Leave out the bars before (\d+)", lambda case, _, found: [replace(case, lines=[x for x in case.lines if not "1" <= x < found[1]])]),
    (r"Line (\d+) names", lambda case, _, found: [replace(case, lines=case.lines[int(found[1]) - 1 :])]),
]


def followed(case: Case, error: BarsError) -> list[Case]:
    """The files that come of the hint of `error`: one for each thing that it allows; none if it needs a person."""
    for pattern, step in STEPS:
        if found := re.search(pattern, error.hint):
            cases = step(case, error, found)
            assert cases, f"{pattern}: {error.hint}"
            return cases
    assert any(words in error.hint for words in PERSON), f"a hint that nothing here follows: {error.hint!r}"
    return []


def bars(minutes: int, count: int, start: str = "2024-01-01T00:00") -> list[dt.datetime]:
    return [dt.datetime.fromisoformat(start).replace(tzinfo=dt.UTC) + dt.timedelta(minutes=minutes * i) for i in range(count)]


def lines(moments: list[dt.datetime], form: Callable[[int], str], zone: str = "UTC", header: str = "Date,Time,RSI") -> list[str]:
    walls = [moment.astimezone(zoneinfo.ZoneInfo(zone)) for moment in moments]
    return [header, *(f"{w:%Y%m%d},{int(w.strftime(form(i)))},{i % 7 + i / 1000}" for i, w in enumerate(walls))]


def hhmm(_: int) -> str:
    return "%H%M"


def either(i: int) -> str:
    return "%H%M" if i % 5 == 2 else "%H%M%S"


def swapped(rows: list[str], a: int, b: int) -> list[str]:
    rows[a], rows[b] = rows[b], rows[a]
    return rows


def two_markets(count: int) -> tuple[list[str], list[dt.datetime]]:
    moments = bars(60, count)
    rows = [f"{m:%Y%m%d},{int(f'{m:%H%M}')},{name},{i}" for i, m in enumerate(moments) for name in ("AAA", "BBB")]
    return ["Date,Time,Symbol,RSI", *rows], moments


FOUR_HOURS, HALF_HOURS, AUTUMN = bars(240, 200), bars(30, 300), bars(60, 72, "2024-11-02T00:00")
MORNING = bars(60, 7, "2024-05-01T01:00")
MINUTES_UTC = bars(60, 72, "2024-03-09T00:00")
CASES: dict[str, Case] = {
    "a mixture": Case(lines(FOUR_HOURS, either), FOUR_HOURS),
    "a mixture, tail": Case(lines(FOUR_HOURS, lambda i: "%H%M" if i > 190 else "%H%M%S"), FOUR_HOURS),
    "a mixture, mostly HHMM": Case(lines(FOUR_HOURS, lambda i: "%H%M%S" if i > 190 else "%H%M"), FOUR_HOURS),
    "a mixture out of order": Case(swapped(lines(FOUR_HOURS, either), 50, 120), FOUR_HOURS),
    "a mixture, newest first": Case([lines(FOUR_HOURS, either)[0], *lines(FOUR_HOURS, either)[:0:-1]], FOUR_HOURS),
    "a mixture with a row twice": Case([*lines(FOUR_HOURS, either)[:34], *lines(FOUR_HOURS, either)[33:]], FOUR_HOURS),
    "a mixture of half hours": Case(lines(HALF_HOURS, either), HALF_HOURS),
    "two rows swapped": Case(swapped(lines(FOUR_HOURS, hhmm), 50, 120), FOUR_HOURS),
    "a row twice": Case([*lines(FOUR_HOURS, hhmm)[:34], *lines(FOUR_HOURS, hhmm)[33:]], FOUR_HOURS),
    "New York's clock": Case(lines(AUTUMN, hhmm, "America/New_York"), AUTUMN, zone="America/New_York"),
    "New York's clock in half hours": Case(
        lines(bars(30, 144, "2024-11-02T00:00"), hhmm, "America/New_York"), bars(30, 144, "2024-11-02T00:00"), zone="America/New_York"
    ),
    "Berlin's clock": Case(
        lines(bars(60, 72, "2024-10-26T00:00"), hhmm, "Europe/Berlin"), bars(60, 72, "2024-10-26T00:00"), zone="Europe/Berlin"
    ),
    "UTC declared as New York": Case(lines(MINUTES_UTC, hhmm), MINUTES_UTC, {"format": {"timezone": "America/New_York"}}),
    "hours": Case([lines(AUTUMN, hhmm)[0], *(f"{m:%Y%m%d},{m.hour},1" for m in AUTUMN)], AUTUMN),
    "minutes": Case([lines(AUTUMN, hhmm)[0], *(f"{m:%Y%m%d},{m.hour * 60},1" for m in AUTUMN)], AUTUMN),
    "one morning that can be read both ways": Case(lines(MORNING, hhmm), MORNING, {"granularity": "1h"}),
    "another granularity": Case(lines(FOUR_HOURS, hhmm), FOUR_HOURS, {"granularity": "1h"}),
    "HHMM declared as HHMMSS": Case(lines(FOUR_HOURS, hhmm), FOUR_HOURS, {"granularity": "4h", "format": {"time_format": "hhmmss"}}),
    "4h bars declared daily": Case(lines(FOUR_HOURS, hhmm), FOUR_HOURS, {"granularity": "1d"}),
    "two symbols": Case(*two_markets(50)),
    "two symbols, the column left out": Case(*two_markets(50), {"columns": {"exclude": ["Symbol"]}}),
    "two markets": Case([line.replace("Symbol", "Market") for line in two_markets(50)[0]], two_markets(50)[1]),
    "newest first": Case([lines(FOUR_HOURS, hhmm)[0], *lines(FOUR_HOURS, hhmm)[:0:-1]], FOUR_HOURS),
    "before 1970": Case(lines(bars(240, 400, "1969-12-01T00:00"), hhmm), bars(240, 400, "1969-12-01T00:00")[186:]),
    "numbered bars": Case([lines(AUTUMN, hhmm)[0], *(f"{m:%Y%m%d},{m.hour},1" for m in AUTUMN if m.hour < 7)], []),
    "lines above the header": Case(["made by a program", "on a day", *lines(FOUR_HOURS, hhmm)], FOUR_HOURS),
}


@pytest.mark.parametrize("name", CASES)
def test_a_hint_that_is_followed_leads_to_the_bars_that_were_meant(name: str, tmp_path: Path) -> None:
    """Apply the hint, read again, until the file is taken or only a person can go on: never other bars."""
    waiting, steps = [CASES[name]], 0
    meant = [int(moment.timestamp()) for moment in CASES[name].meant]
    while waiting:
        case, steps = waiting.pop(), steps + 1
        assert steps < 300, "the hints lead round in a circle"
        answer = case.read(tmp_path)
        if isinstance(answer, BarsError):
            waiting += followed(case, answer)
        else:
            assert answer == meant
