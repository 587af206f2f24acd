"""Declarations that could read a file which is refused: presets by their signature, and every form of dates that the first rows allow.

Forms that exclude each other (days or months first) are all tried: a proposal is made only if one of them alone reads the file.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from typing import Any

from chronos_assets.domain.moment_patterns import expression
from chronos_assets.domain.presets import PRESETS
from chronos_assets.ingest.declared_moments import UNIX_UNITS
from chronos_assets.ingest.names import clean, fold
from chronos_assets.ingest.proposal_head import Layout

Declaration = dict[str, Any]

_DATE_PARTS = (
    *("%Y.%m.%d", "%Y/%m/%d", "%Y-%m-%d", "%Y%m%d", "%d.%m.%Y", "%m.%d.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y"),
    *("%d.%m.%y", "%m.%d.%y", "%y.%m.%d", "%m/%d/%y", "%d/%m/%y", "%y/%m/%d", "%m-%d-%y", "%d-%m-%y", "%y-%m-%d", "%d%m%Y", "%m%d%Y"),
    *("%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%b %d %Y", "%d-%b-%y", "%Y-%b-%d", "%d%b%Y", "%B %d, %Y", "%d %B %Y"),
)
_TIME_PARTS = (
    *("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%H%M%S", "%H%M", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%I-%p", "%I %p", "%H"),
    *("%H:%M%z", "%H:%M:%S%z", "%H:%M:%S %z"),
)
_JOINTS = (" ", "  ", "T", ",", ", ", "-", ";")
_TIMES = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p")
_DATE_NAMES = frozenset(
    {"date", "datetime", "dateandtime", "datetimeutc", "timestamp", "opentime", "starttime", "time", "ts"}
    | {"datum", "fecha", "data", "unix", "index", "gmttime", "localtime", "utc", "dtyyyymmdd", "dateyyyymmdd"}
)
_TIME_NAMES = frozenset({"time", "timeofday", "hour", "zeit", "uhrzeit", "hora", "heure", "ora", "timehhmmss"})
_LETTERS = re.compile(r"[^a-z]")
_PRICES = ("Open", "High", "Low", "Close", "Volume")
_ENOUGH_ROWS = 3
_UNIX_DIGITS = {"unix_s": (9, 10), "unix_ms": (12, 13), "unix_us": (15, 16), "unix_ns": (18, 19)}


def candidates(layouts: list[Layout], encoding: str) -> Iterator[Declaration]:
    """Declarations to try, the likelier first; `encoding` is added if the file needs it."""
    more = {} if encoding == "utf-8" else {"encoding": encoding}
    for layout in layouts:
        for declared in (*_presets(layout), *_general(layout)):
            yield more | declared


def _presets(layout: Layout) -> Iterator[Declaration]:
    """Presets whose signature the layout has; without a header those whose names are as many as its columns."""
    for name, preset in PRESETS.items():
        header = preset.format.get("header")
        if isinstance(header, list):
            fits = layout.header_line is None and len(header) == len(layout.rows[0]) and preset.format["delimiter"] == layout.delimiter
            if fits and _in_order(layout, header.index("Open"), scaled="price_divisor" in preset.format):
                yield {"preset": name} | ({"skip_lines": layout.skip_lines} if layout.skip_lines else {})
        elif layout.header_line is not None and preset.signature and set(preset.signature) <= set(layout.names):
            line = layout.header_line
            yield {"preset": name} | ({} if line == (header or 1) else {"header": line})


def _in_order(layout: Layout, first: int, *, scaled: bool) -> bool:
    """Whether the four columns from `first` on can be the prices that a preset without a header names; `scaled`: in whole parts."""
    columns = [layout.column(first + i) for i in range(4)]
    if scaled and not all(cell.isdigit() for column in columns for cell in column):
        return False
    return _are_prices(columns, few_will_do=not scaled)


def _general(layout: Layout) -> Iterator[Declaration]:
    """Declarations made of the forms that the cells have."""
    base: Declaration = {}
    if layout.header_line is None:
        base["delimiter"] = layout.delimiter
    elif layout.header_line > 1:
        base["header"] = layout.header_line
    elif layout.skip_lines:
        base["header"] = 1
    if layout.skip_lines:
        base["skip_lines"] = layout.skip_lines
    width = len(layout.rows[0])
    for place in range(min(2, width)) if layout.header_line is None else _date_places(layout):
        for form, has_time in date_forms(layout.column(place)):
            date = {} if form == "yyyymmdd" else {"date": form}
            for names in _named(layout, place, has_time=has_time):
                yield base | date | names


def _date_places(layout: Layout) -> list[int]:
    """Columns that can be the date by their name; if there is none, the one whose cells alone are moments, one after the other."""
    named = [place for place in range(len(layout.names)) if _may_be_date(layout, place)]
    if named:
        return named
    moments = [place for place in range(len(layout.names)) if _are_moments(layout.column(place))]
    return moments if len(moments) == 1 else []


def _are_moments(cells: list[str]) -> bool:
    """Whether cells of any name are dates by their form alone: written with separators, or Unix times that go one way."""
    forms = {form for form, _ in date_forms(cells)}
    if forms & set(UNIX_UNITS):
        numbers = [int(cell) for cell in cells]
        return len(cells) >= _ENOUGH_ROWS and numbers in (sorted(set(numbers)), sorted(set(numbers), reverse=True))
    return bool(forms) and not all(cell.isdigit() for cell in cells)


def _may_be_date(layout: Layout, place: int) -> bool:
    name = fold(clean(layout.names[place]))
    return _LETTERS.sub("", name) in _DATE_NAMES or (place == 0 and (not name or name.startswith("unnamed")))


def date_forms(cells: list[str]) -> list[tuple[str, bool]]:
    """Forms of dates that all cells have, and whether they hold a time of day."""
    if not cells or not all(cells):
        return []
    found: list[tuple[str, bool]] = []
    if _all(cells, "iso"):
        found.append(("iso", len(cells[0]) > len("2024-01-01")))
    elif all(cell.isascii() and cell.isdigit() for cell in cells):
        units = {next((unit for unit, digits in _UNIX_DIGITS.items() if len(cell) in digits), "") for cell in cells}
        if units <= set(UNIX_UNITS):
            return [(units.pop() if len(units) == 1 else "unix", True)]
        if all(len(cell) == len("20240101") for cell in cells):
            found.append(("yyyymmdd", False))
        elif all(len(cell) in {6, 7} for cell in cells):
            found.append(("1yymmdd", False))
    if not found or found[0][0] != "iso":
        found += ((pattern, "%H" in pattern or "%I" in pattern) for pattern in _patterns(cells) if pattern != "%Y%m%d")
    return found


def _patterns(cells: list[str]) -> Iterator[str]:
    """Patterns that all cells have: a form of dates, alone or with a time of day behind it."""
    first, last = cells[0], cells[-1]
    for date in _DATE_PARTS:
        start = _compiled(date).match(first)
        if start is None:
            continue
        if _all(cells, date):
            yield date
        rest = first[start.end() :]
        for joint, time in itertools.product((joint for joint in _JOINTS if rest.startswith(joint)), _TIME_PARTS):
            pattern = date + joint + time
            if _compiled(pattern).fullmatch(first) and _compiled(pattern).fullmatch(last) and _all(cells, pattern):
                yield pattern


@functools.cache
def _compiled(form: str) -> re.Pattern[str]:
    return re.compile(expression(form))


def _all(cells: list[str], form: str) -> bool:
    return all(map(_compiled(form).fullmatch, cells))


def _named(layout: Layout, place: int, *, has_time: bool) -> Iterator[Declaration]:
    """Names of the columns if the one at `place` is the date, and the forms of the Time column if there is one."""
    if layout.header_line is None:
        yield from _headerless(layout, place, has_time=has_time)
        return
    rename: dict[str, str | None] = {}
    if fold(clean(layout.names[place])) != "date":
        rename[layout.names[place]] = "Date"
    # What else could be taken for the key is none: the one that is tried is another.
    rename |= {name: None for at, name in enumerate(layout.names) if at != place and fold(clean(name)) == "date"}
    times = [at for at, name in enumerate(layout.names) if at != place and _LETTERS.sub("", fold(clean(name))) in _TIME_NAMES]
    if has_time or not times:
        yield {"rename": rename} if rename else {}
        return
    at = times[0]
    if fold(clean(layout.names[at])) != "time":
        rename[layout.names[at]] = "Time"
    for form in time_forms(layout.column(at)):
        yield ({"time": form} if form else {}) | ({"rename": dict(rename)} if rename else {})


def time_forms(cells: list[str]) -> list[str | None]:
    """Patterns that all cells of a Time column have; None (the usual rules of HHMM and HHMMSS) if they are numbers."""
    if all(re.fullmatch(r"[0-9]+(\.0*)?", cell) for cell in cells):
        return [None]
    return [form for form in _TIMES if _all(cells, form)]


def _headerless(layout: Layout, place: int, *, has_time: bool) -> Iterator[Declaration]:
    """Names by position: Date, then Time if its cells are times, then prices in their usual order if they can be prices in that order."""
    width = len(layout.rows[0])
    if place != 0:
        return
    after = place + 1
    times: list[str | None] = [None]
    names = ["Date"]
    if not has_time and width > after and (forms := time_forms(layout.column(after))) and _is_time_column(layout.column(after), forms):
        times, names, after = forms, ["Date", "Time"], after + 1
    prices = width - after
    if prices < 4 or not _are_prices([layout.column(after + i) for i in range(4)]):
        return
    names += [*_PRICES[:prices], *(f"column_{i + 1}" for i in range(after + len(_PRICES), width))]
    for form in times:
        yield {"header": names} | ({"time": form} if form else {})


def _is_time_column(cells: list[str], forms: list[str | None]) -> bool:
    return forms != [None] or (len(set(cells)) > 1 and all("." not in cell and int(cell) < 240_000 for cell in cells))


def _are_prices(columns: list[list[str]], *, few_will_do: bool = False) -> bool:
    """Whether four columns can be Open, High, Low and Close: the range holds, and a bar opens nearer to the close before it than it
    would the other way round, which a few rows may leave open."""
    try:
        opens, highs, lows, closes = ([float(cell.replace(",", ".")) for cell in column] for column in columns)
    except ValueError:
        return False
    if any(high < max(o, c) or low > min(o, c) for o, high, low, c in zip(opens, highs, lows, closes, strict=True)):
        return False
    ahead = sum(abs(o - c) for o, c in zip(opens[1:], closes, strict=False))
    back = sum(abs(c - o) for c, o in zip(closes[1:], opens, strict=False))
    return ahead < back or (few_will_do and len(opens) < _ENOUGH_ROWS)
