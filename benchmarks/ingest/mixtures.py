"""Time columns, honest ones and mixtures of HHMM and HHMMSS: a mixture is never taken for other bars, an honest column never refused.

    python -m benchmarks.ingest.mixtures [--count 2000] [--seed 1]

Each file is a market (round the clock, sessions, half days, holidays, a local clock, outages, sparse trading, ticks) written without
padding in one format, and half of them with some rows in the other one: the head, the tail, one day, one bar, single rows, sorted or
not; as whole numbers or floats; with granularity, time format or nothing declared. Prints how the answers fall; ends with status 1 if
an honest file was refused or read wrongly, or a mixture was taken for bars that it is not.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import sys
import tempfile
import zoneinfo
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from chronos_assets.errors import BarsError
from chronos_assets.ingest import BarsSpec, FormatSpec, normalize

DAY = 1_440
_FEWEST = 20
_FEW = 4
_INTERVALS = (1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720)


@dataclass(frozen=True)
class Case:
    """A file, what is declared of it, and the bars that its writer meant (wall clock, as if UTC)."""

    kind: str
    content: bytes
    spec: BarsSpec
    meant: list[int]


def make(seed: int) -> Case:
    """File `seed`: honest if it is even, a mixture if it is odd."""
    lot = random.Random(seed)
    # Ticks follow no grid, and their seconds cannot be written as HHMM: no mixtures of them.
    market, moments, interval = _market(lot, [kind for kind in _MARKETS if kind != "ticks" or seed % 2 == 0])
    has_seconds = any(moment.second for moment in moments)
    main = "hhmmss" if has_seconds or lot.random() < 0.6 else "hhmm"
    forms = [main] * len(moments)
    kind = f"honest, {market}"
    if seed % 2:
        name, other = lot.choice(list(_PATCHES)), "hhmm" if main == "hhmmss" else "hhmmss"
        rows = [i for i in _PATCHES[name](moments, lot) if not moments[i].second]
        for i in rows:
            forms[i] = other
        kind = f"{name} of {market}"
    cells = [
        (f"{moment:%Y%m%d}", int(moment.strftime("%H%M" if form == "hhmm" else "%H%M%S")))
        for moment, form in zip(moments, forms, strict=True)
    ]
    order = list(range(len(cells)))
    if seed % 2 and interval is not None and len({*forms}) > 1 and forms.count(main) < len(forms) - _FEW and lot.random() < 0.15:
        order.sort(key=lambda i: cells[i])
        kind += ", sorted"
    end = ".0" if lot.random() < 0.2 else ""
    lines = ["Date,Time,RSI", *(f"{cells[i][0]},{cells[i][1]}{end},{i % 7 + i / 1000:.3f}" for i in order)]
    meant = sorted(int(moment.replace(tzinfo=dt.UTC).timestamp()) for moment in moments)
    return Case(kind, ("\n".join(lines) + "\n").encode(), _declared(lot, interval, main, kind), meant)


def _declared(lot: random.Random, interval: int | None, main: str, kind: str) -> BarsSpec:
    """Nothing, the interval, the format, or both. An honest column that can be read both ways is declared."""
    declare = lot.choice(["nothing", "granularity", "time_format", "both"])
    if kind.startswith("honest") and declare in {"nothing", "granularity"} and lot.random() < 0.5:
        declare = "both"
    with_interval = declare in {"granularity", "both"} and interval is not None
    return BarsSpec(
        granularity=f"{interval}m" if with_interval else None,
        format=FormatSpec(time_format=main if declare in {"time_format", "both"} else None),  # type: ignore[arg-type]
        block_bytes=lot.choice([2_000, 1 << 24]),
    )


def _market(lot: random.Random, kinds: list[str]) -> tuple[str, list[dt.datetime], int | None]:
    """A kind of market, its bars in the wall clock, and their interval in minutes (None for seconds and ticks)."""
    kind = lot.choice(kinds)
    while True:
        start = dt.datetime(lot.randint(2001, 2025), lot.randint(1, 12), lot.randint(1, 28))
        interval = {"odd open": 60}.get(kind) or lot.choice(_INTERVALS)
        if kind == "local clock":
            interval = max(interval, 60)
        moments = _MARKETS[kind](lot, start, interval)
        first = lot.choice([0, 0, lot.randrange(max(1, min(len(moments) // 4, 50)))])
        if len(moments) - first >= _FEWEST and _is_intraday(moments):
            return kind, moments[first : first + 6_000], None if kind in {"seconds", "ticks"} else interval


def _is_intraday(moments: list[dt.datetime]) -> bool:
    """Whether the days have several bars each; one bar a day is a daily file, whose Time is dropped."""
    return len(moments) >= 2 * len({moment.date() for moment in moments})


def _every(start: dt.datetime, minutes: int, days: int) -> list[dt.datetime]:
    return [start + dt.timedelta(minutes=minutes * i) for i in range(days * DAY // minutes)]


def _days(lot: random.Random, interval: int) -> int:
    """Days of a file: some hundreds to thousands of bars, three days at least."""
    return max(3, min(lot.choice([3, 5, 20, 90]), 4_000 * interval // DAY))


def _round_the_clock(lot: random.Random, start: dt.datetime, interval: int) -> list[dt.datetime]:
    phase = lot.choice([0, 0, 0, lot.randrange(interval)])
    return _every(start + dt.timedelta(minutes=phase), interval, _days(lot, interval))


def _with_outages(lot: random.Random, start: dt.datetime, interval: int) -> list[dt.datetime]:
    moments = _every(start, interval, _days(lot, interval))
    for _ in range(lot.randint(1, 5)):
        at = lot.randrange(len(moments))
        del moments[at : at + lot.randint(1, max(1, 600 // interval))]
    return moments


def _sparse(lot: random.Random, start: dt.datetime, interval: int) -> list[dt.datetime]:
    share = lot.choice([0.4, 0.7, 0.9])
    return [moment for moment in _every(start, interval, _days(lot, interval)) if lot.random() < share]


def _sessions(lot: random.Random, start: dt.datetime, interval: int) -> list[dt.datetime]:
    opens, hours = lot.choice([(570, 6.5), (540, 8.5), (555, 6.25), (600, 6), (60, 23), (480, 14), (5, 23.5), (300, 12), (930, 8)])
    moments: list[dt.datetime] = []
    for day in range(_days(lot, interval) * 2):
        date = start + dt.timedelta(days=day)
        if date.weekday() >= 5 or lot.random() < 0.03:
            continue
        length = hours * 60 / 2 if lot.random() < 0.03 else hours * 60
        first = date + dt.timedelta(minutes=opens)
        bars = [first + dt.timedelta(minutes=interval * i) for i in range(max(2, int(length // interval)))]
        moments += [bar for bar in bars if bar.date() == first.date()]
    return moments


def _odd_open(lot: random.Random, start: dt.datetime, interval: int) -> list[dt.datetime]:
    """Hourly bars of a session that opens at half past: 9:30, 10:00, 11:00, ..."""
    days = [start + dt.timedelta(days=day) for day in range(lot.choice([5, 30, 120]))]
    return [day + dt.timedelta(minutes=m) for day in days if day.weekday() < 5 for m in (570, *range(600, 960, 60))]


def _week(lot: random.Random, start: dt.datetime, interval: int) -> list[dt.datetime]:
    """Sunday 22:00 to Friday 22:00, with a break of an hour each night."""
    moments = _every(start, interval, max(8, _days(lot, interval)))
    return [
        m
        for m in moments
        if not (m.weekday() == 5 or (m.weekday() == 4 and m.hour >= 22) or (m.weekday() == 6 and m.hour < 22) or m.hour == 21)
    ]


def _local_clock(lot: random.Random, start: dt.datetime, interval: int) -> list[dt.datetime]:
    """Bars on the UTC grid in the clock of an exchange, over a change of the clock; the hour shown twice is left out."""
    zone = zoneinfo.ZoneInfo(lot.choice(["Europe/Berlin", "America/New_York", "Australia/Sydney"]))
    change = dt.datetime(start.year, lot.choice([3, 10]), 20)
    utc = _every(change, interval, 25)
    walls: list[dt.datetime] = []
    for moment in utc:
        wall = moment.replace(tzinfo=dt.UTC).astimezone(zone).replace(tzinfo=None)
        if not walls or wall > walls[-1]:
            walls.append(wall)
    return walls


def _seconds(lot: random.Random, start: dt.datetime, interval: int) -> list[dt.datetime]:
    step = lot.choice([1, 5, 10, 15, 30, 45])
    first = start + dt.timedelta(minutes=lot.choice([0, 0, 9, 570, 1_380]))
    return [first + dt.timedelta(seconds=step * i) for i in range(lot.randint(900, 5_000))]


def _ticks(lot: random.Random, start: dt.datetime, interval: int) -> list[dt.datetime]:
    moments, now = [], start + dt.timedelta(seconds=lot.randrange(80_000))
    for _ in range(lot.randint(200, 3_000)):
        now += dt.timedelta(seconds=1 + int(lot.expovariate(1 / 300)))
        moments.append(now)
    return moments


_MARKETS = {
    "round the clock": _round_the_clock,
    "with outages": _with_outages,
    "sparse": _sparse,
    "sessions": _sessions,
    "odd open": _odd_open,
    "week": _week,
    "local clock": _local_clock,
    "seconds": _seconds,
    "ticks": _ticks,
}


def _day(moments: list[dt.datetime], lot: random.Random) -> list[int]:
    date = lot.choice(moments).date()
    return [i for i, moment in enumerate(moments) if moment.date() == date]


_PATCHES = {
    "head": lambda moments, lot: range(lot.randint(1, max(1, len(moments) // 3))),
    "first bar": lambda _moments, _lot: [0],
    "tail": lambda moments, lot: range(len(moments) - lot.randint(1, max(1, len(moments) // 3)), len(moments)),
    "last bar": lambda moments, _lot: [len(moments) - 1],
    "last night": lambda moments, _lot: [i for i, m in enumerate(moments) if m.date() == moments[-1].date()],
    "one day": _day,
    "one bar": lambda moments, lot: [lot.randrange(len(moments))],
    "two bars": lambda moments, lot: lot.sample(range(len(moments)), 2),
    "single rows": lambda moments, lot: [i for i in range(len(moments)) if lot.random() < 0.1],
    "every other row": lambda moments, lot: [i for i in range(len(moments)) if lot.random() < 0.5],
}


def answer(case: Case, folder: Path) -> str:
    """`as meant`, `other bars`, or the code of the refusal; a hint to sort the rows is followed."""
    found = _read(case.content, case, folder)
    if found == "not_increasing":
        header, *lines = case.content.decode().splitlines()
        lines.sort(key=lambda line: [float(cell) for cell in line.split(",")[:2]])
        found = _read(("\n".join([header, *lines]) + "\n").encode(), case, folder)
        return found if found == "other bars" else f"{found} once sorted"
    return found


def _read(content: bytes, case: Case, folder: Path) -> str:
    source = folder / "case.csv"
    source.write_bytes(content)
    try:
        normalize(source, case.spec, folder / "bars.arrow")
    except BarsError as error:
        return error.code
    found = pl.read_ipc((folder / "bars.arrow").read_bytes())["timestamp_unix"].to_list()
    return "as meant" if found == case.meant else "other bars"


def is_wrong(case: Case, found: str) -> bool:
    """Whether an answer is one that must not be."""
    if case.kind.startswith("honest"):
        return found not in {"as meant", "time_ambiguous"}
    return found == "other bars"


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    honest: Counter[str] = Counter()
    mixed: Counter[str] = Counter()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for i in range(options.count):
            case = make(options.seed * 1_000_000 + i)
            found = answer(case, Path(folder))
            (honest if case.kind.startswith("honest") else mixed)[found] += 1
            if is_wrong(case, found):
                wrong += 1
                print(f"wrong: file {options.seed * 1_000_000 + i}, {case.kind}: {found}")
    for name, counts in (("honest", honest), ("mixtures", mixed)):
        print(f"{name}: " + ", ".join(f"{count} {code}" for code, count in counts.most_common()))
    print(f"{wrong} of {options.count} answers are wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
