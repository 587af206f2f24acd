"""Rows out of order: whoever does what the refusal says gets the right bars or another refusal, never other bars."""

from __future__ import annotations

import datetime as dt
import random
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from chronos_assets.domain.bars_spec import TimeFormat
from chronos_assets.errors import BarsError
from chronos_assets.ingest import BarsSpec, FormatSpec
from chronos_assets_tests.support.bars_case import read, table

HEADER = "Date,Time,RSI"
Moments = list[dt.datetime]


def sparse(minutes: int, days: int) -> Moments:
    """Bars of a market that trades in a third of its minutes: 00:10 to 00:20 every day, and never at full hours before 11:00."""
    lot, start = random.Random(minutes), dt.datetime(2024, 1, 1)
    found = [start + dt.timedelta(minutes=minutes * i) for i in range(days * 1_440 // minutes)]
    early = [m for m in found if m.hour or m.minute in {10, 20}]
    return [m for m in early if not m.hour or ((m.minute or m.hour > 10) and lot.random() < 0.35)]


TENS, ONES = sparse(10, 9), sparse(1, 3)


def firsts(moments: Moments) -> list[int]:
    """The first bar of each date."""
    return [i for i, m in enumerate(moments) if i == 0 or m.date() != moments[i - 1].date()]


def at_hour(moments: Moments, hour: int) -> list[int]:
    return [i for i, m in enumerate(moments) if (m.hour, m.minute) == (hour, 0)]


LATE = [
    *ONES[: firsts(ONES)[2]],
    *(m for m in ONES[firsts(ONES)[2] :] if m.hour < 13),
    dt.datetime(2024, 1, 3, 13),
    dt.datetime(2024, 1, 3, 14),
]
# what is mixed -> bars, the format of most, and the rows that are in the other one
LONE: dict[str, tuple[Moments, TimeFormat, list[int]]] = {
    "first bar": (TENS, "hhmm", [0]),
    "first bar of three days": (TENS, "hhmm", firsts(TENS)[2:5]),
    "two bars of one day": (TENS, "hhmm", [firsts(TENS)[4], firsts(TENS)[4] + 1]),
    "first bar of minutes": (ONES, "hhmm", [0]),
    "last bars": (LATE, "hhmmss", [len(LATE) - 2, len(LATE) - 1]),
    "full hours": (ONES, "hhmmss", [*at_hour(ONES, 12), *at_hour(ONES, 15), *at_hour(ONES, 20)]),
}
ORDERS: dict[str, Callable[[list[str]], list[str]]] = {
    "oldest first": lambda lines: lines,
    "newest first": lambda lines: lines[::-1],
    "halves swapped": lambda lines: lines[len(lines) // 2 :] + lines[: len(lines) // 2],
}


def lines_of(moments: Moments, main: TimeFormat, other: list[int], end: str = "") -> list[str]:
    def cell(i: int, m: dt.datetime) -> int:
        return int(m.strftime("%H%M" if (main == "hhmm") != (i in other) else "%H%M%S"))

    return [f"{m:%Y%m%d},{cell(i, m)}{end},{i}" for i, m in enumerate(moments)]


def stamps(folder: Path) -> list[int]:
    return pl.read_ipc(folder / "out" / "bars.arrow")["timestamp_unix"].to_list()


def unix(moments: Moments) -> list[int]:
    return [int(m.replace(tzinfo=dt.UTC).timestamp()) for m in moments]


def follow(folder: Path, lines: list[str], spec: BarsSpec, truth: dict[str, int]) -> list[str]:
    """Do what each refusal says until the file is taken; the codes of the refusals. `truth`: seconds of the day at which each RSI began."""
    codes: list[str] = []
    while (error := refusal(folder, lines, spec)) is not None:
        codes.append(error.code)
        assert len(codes) < 20, codes
        if error.code == "not_increasing":
            lines = sorted(lines, key=lambda line: [float(part) for part in line.split(",")[:2]])
            spec = spec.model_copy(update={"format": spec.format.model_copy(update={"order": "ascending"})})
            continue
        assert error.code in {"time_mixed", "time_or_order"}, str(error)
        row = int(error.where["row"]) - 2
        date, _, rsi = lines[row].split(",")
        (there, value), *_ = re.findall(r"(\d\d:\d\d:\d\d),? (?:write|is) (\d+)", error.hint)
        hours, minutes, seconds = map(int, there.split(":"))
        assert truth[rsi] == hours * 3_600 + minutes * 60 + seconds, error.hint  # the row named is one that is written otherwise
        lines = [*lines[:row], f"{date},{value},{rsi}", *lines[row + 1 :]]
    return codes


def refusal(folder: Path, lines: list[str], spec: BarsSpec) -> BarsError | None:
    try:
        read(folder, table(lines, HEADER), spec)
    except BarsError as error:
        return error
    return None


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("case", LONE)
def test_no_hint_sorts_a_mixture_away(case: str, order: str, tmp_path: Path) -> None:
    """A lone bar in the other format, at the head, the tail, on several days, as float, declared or not: hints lead to its true time."""
    moments, main, other = LONE[case]
    truth = {str(i): m.hour * 3_600 + m.minute * 60 for i, m in enumerate(moments)}
    interval = "10m" if moments is TENS else "1m"
    declared: list[tuple[str, BarsSpec]] = [
        ("", BarsSpec()),
        (".0", BarsSpec(granularity=interval)),
        ("", BarsSpec(format=FormatSpec(time_format=main), block_bytes=2_000)),
    ]
    if order == "newest first":
        declared.append(("", BarsSpec(granularity=interval, format=FormatSpec(time_format=main, order="descending"))))
    for end, spec in declared:
        codes = follow(tmp_path, ORDERS[order](lines_of(moments, main, other, end)), spec, truth)
        assert stamps(tmp_path) == unix(moments), (codes, spec)
        assert {"time_mixed", "time_or_order"} & {*codes}


def swapped(lines: list[str]) -> list[str]:
    i = len(lines) // 2
    return [*lines[:i], lines[i + 1], lines[i], *lines[i + 2 :]]


@pytest.mark.parametrize("form", ["hhmm", "hhmmss"])
@pytest.mark.parametrize("change", [swapped, ORDERS["newest first"], ORDERS["halves swapped"]])
@pytest.mark.parametrize(
    "moments", [TENS, ONES, [dt.datetime(2024, 1, 1) + dt.timedelta(hours=4 * i) for i in range(240)]], ids=["10m", "1m", "4h"]
)
def test_honest_rows_are_to_be_sorted(moments: Moments, change: Callable[[list[str]], list[str]], form: TimeFormat, tmp_path: Path) -> None:
    """Two rows that changed places, the newest first, two halves: sorting is what the refusal says, and then every bar is right."""
    assert follow(tmp_path, change(lines_of(moments, form, [])), BarsSpec(), {}) == ["not_increasing"]
    assert stamps(tmp_path) == unix(moments)


def test_a_bar_that_stands_twice_is_a_duplicate(tmp_path: Path) -> None:
    """Hours of the day that come twice are not taken for the other format: 00:05:00 is on no grid of hours."""
    hours = [dt.datetime(2024, 1, 1) + dt.timedelta(hours=i) for i in range(100)]
    lines = lines_of(hours, "hhmm", [])
    with pytest.raises(BarsError) as caught:
        read(tmp_path, table([*lines[:30], lines[29], *lines[30:]], HEADER))
    assert (caught.value.code, caught.value.hint) == ("duplicate_timestamp", "Remove one of the two.")
    twice = [
        *TENS[:1],
        *(m for m in TENS[1:] if m > dt.datetime(2024, 1, 1, 10)),
    ]
    lines = lines_of([twice[0], dt.datetime(2024, 1, 1, 10), *twice[1:]], "hhmm", [0])
    with pytest.raises(BarsError, match="row 3 is not later than row 2, unless Time mixes") as caught:
        read(tmp_path, table(lines, HEADER))
    assert caught.value.code == "time_or_order"
