"""Prices that no market makes, counted bar by bar as they stream by: told, never mended.

Per bar: High below Low, Open or Close outside them, a price of zero or below, a volume below zero. Against its neighbours: a jump of more
than 20 times the usual range that is taken back within five bars, and a feed that repeats one bar ten times or more. The usual range is
the median of log(High / Low) or of the steps between closes, whichever is larger. In wild times (a crash) a jump must also exceed five
times the range of the bars just before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
RowOf = Callable[[int], int]

FIELDS = ("open", "high", "low", "close", "volume")
PRICES = FIELDS[:4]
_CHUNK_BARS = 8_192
_JUMP_RANGES = 20.0
_WILD_RANGES = 5.0
_TAKEN_BACK = 0.25
_LOOK_BARS = 5
_FROZEN_BARS = 10
_PRINTED = 1e-9
_MIN_STEPS = 20

KINDS = {
    "price_high_below_low": "High is below Low in {bars}",
    "price_outside_range": "Open or Close is outside High and Low in {bars}",
    "price_zero": "a price is zero in {bars}",
    "price_negative": "a price is below zero in {bars}",
    "price_jump": f"a price jumps by more than {_JUMP_RANGES:g} times the usual range and back in {{bars}}",
    "price_frozen": f"prices repeat the bar before, {_FROZEN_BARS} times or more in a row, in {{bars}}",
    "volume_negative": "Volume is below zero in {bars}",
}


@dataclass(frozen=True)
class PriceFault:
    """One kind of fault: its code (a key of `KINDS`), how many bars have it, and the row of the first of them."""

    code: str
    bars: int
    first: int

    def sentence(self, where: str) -> str:
        """The fault in words; `where` names the first bar (`row 52`)."""
        return f"{KINDS[self.code].format(bars=f'{self.bars} bar' + 's' * (self.bars != 1))}, first in {where}"


def price_fields(names: Iterable[str]) -> dict[str, str]:
    """Columns by field (`open`, `high`, `low`, `close`, `volume`): the name in any case, else the only one that holds it."""
    known = list(names)
    found = {}
    for field in FIELDS:
        exact = [name for name in known if name.casefold() == field] or [name for name in known if field in name.casefold()]
        if len(exact) == 1:
            found[field] = exact[0]
    return found


def price_faults(columns: Mapping[str, Floats]) -> list[PriceFault]:
    """The faults of prices that are at hand: float64 [bars] by field, NaN where missing. Rows are positions, counted from 0."""
    checks = PriceChecks()
    checks.add(columns, lambda index: index)
    return checks.finish()


def fault_masks(columns: Mapping[str, Floats]) -> dict[str, Mask]:
    """Which bars of prices that are at hand have a fault, by kind; frozen feeds are left out: each of their bars may be right."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return _faults(columns, _usual_range(columns))


class PriceChecks:
    """Counts faults of bars that come in pieces; holds at most some 8,192 bars and one piece."""

    def __init__(self) -> None:
        self._waiting: list[Mapping[str, Floats]] = []
        self._waiting_bars = 0
        self._begin = 0  # bars before the first one that is held
        self._judged = 0  # held bars that were judged already, and are there for their neighbours' sake
        self._rows: list[tuple[int, RowOf]] = []  # first bar of each piece that is held, and the rows of its bars
        self._usual_range = 0.0
        self._counts: dict[str, int] = {}
        self._first: dict[str, int] = {}
        self._repeats, self._repeats_row = 0, 0  # bars in a row that repeat the one before, up to here, and the row of the first

    def add(self, columns: Mapping[str, Floats], row_of: RowOf) -> None:
        """Take the next bars: float64 [bars] by field, the same fields each time; bar `i` of them comes from row `row_of(i)`."""
        bars = len(next(iter(columns.values()), ()))
        if bars:
            self._rows.append((self._begin + self._waiting_bars, row_of))
            self._waiting.append(columns)
            self._waiting_bars += bars
        if self._waiting_bars >= _CHUNK_BARS:
            self._judge(final=False)

    def finish(self) -> list[PriceFault]:
        """All faults, in the order of `KINDS`."""
        if self._waiting:
            self._judge(final=True)
        return [PriceFault(code, self._counts[code], self._first[code]) for code in KINDS if code in self._counts]

    def _judge(self, *, final: bool) -> None:
        held = {field: np.concatenate([part[field] for part in self._waiting]) for field in self._waiting[0]}
        count = self._waiting_bars
        stop = count if final else count - _LOOK_BARS
        with np.errstate(invalid="ignore", divide="ignore"):
            self._usual_range = _usual_range(held) or self._usual_range
            for code, mask in _faults(held, self._usual_range).items():
                self._count(code, mask[self._judged : stop])
            self._count_frozen(_repeats(held)[self._judged : stop])
        keep = max(0, stop - _LOOK_BARS)
        self._waiting = [{field: values[keep:].copy() for field, values in held.items()}]
        self._begin += keep
        self._waiting_bars, self._judged = count - keep, stop - keep
        held_from = max(i for i, (start, _) in enumerate(self._rows) if start <= self._begin)
        self._rows = self._rows[held_from:]

    def _row(self, judged: int) -> int:
        """The row of the bar at this place behind those that were judged before."""
        bar = self._begin + self._judged + judged
        start, row_of = next(piece for piece in reversed(self._rows) if piece[0] <= bar)
        return row_of(bar - start)

    def _count(self, code: str, mask: Mask) -> None:
        found = int(np.count_nonzero(mask))
        if found:
            self._counts[code] = self._counts.get(code, 0) + found
            if code not in self._first:
                self._first[code] = self._row(int(mask.argmax()))

    def _count_frozen(self, same: Mask) -> None:
        """Add the bars of runs of ten repeats or more; the first run may have begun in an earlier piece."""
        code, edges = "price_frozen", np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
        if not len(same):
            return
        if not same[0]:
            self._repeats = 0
        for start, stop in edges.reshape(-1, 2).tolist():
            before = self._repeats if start == 0 else 0
            length = before + stop - start
            row = self._repeats_row if before else self._row(start)
            if length >= _FROZEN_BARS:
                self._counts[code] = self._counts.get(code, 0) + length - (before if before >= _FROZEN_BARS else 0)
                self._first.setdefault(code, row)
            self._repeats, self._repeats_row = (length, row) if stop == len(same) else (0, 0)


def _faults(bars: Mapping[str, Floats], usual_range: float) -> dict[str, Mask]:
    """Which bars have a fault, by kind; the usual range is that of log(High / Low)."""
    prices = [bars[field] for field in PRICES if field in bars]
    found = {}
    if "high" in bars and "low" in bars:
        high, low = bars["high"], bars["low"]
        found["price_high_below_low"] = high < low
        inner = [bars[field] for field in ("open", "close") if field in bars]
        outside = [(value > high + _PRINTED * np.abs(high)) | (value < low - _PRINTED * np.abs(low)) for value in inner]
        if outside:
            found["price_outside_range"] = np.logical_or.reduce(outside)
    if prices:
        found["price_zero"] = np.logical_or.reduce([price == 0 for price in prices])
        found["price_negative"] = np.logical_or.reduce([price < 0 for price in prices])
        found["price_jump"] = _jumps(bars, usual_range)
    if "volume" in bars:
        found["volume_negative"] = bars["volume"] < 0
    return found


def _jumps(bars: Mapping[str, Floats], usual_range: float) -> Mask:
    """Bars with a price far from the closes before, where a close soon is near those again."""
    anchor = bars[_anchor(bars)]
    jumps = np.zeros(len(anchor), dtype=bool)
    if not usual_range > 0:
        return jumps
    level = _log(anchor)
    before = _median_before(level)
    padded = np.concatenate([level, np.full(_LOOK_BARS, np.nan)])
    distance = [np.abs(padded[ahead : ahead + len(level)] - before) for ahead in range(_LOOK_BARS + 1)]
    later = np.fmin.reduce(distance[1:])
    wide = np.fmax(_JUMP_RANGES * usual_range, _WILD_RANGES * _median_before(_ranges(bars)))
    for field in PRICES:
        if field in bars:
            far = np.abs(_log(bars[field]) - before)
            back = later if bars[field] is anchor else np.fmin(later, distance[0])
            jumps |= (far > wide) & (back < _TAKEN_BACK * far)
    return jumps


def _ranges(bars: Mapping[str, Floats]) -> Floats:
    """log(High / Low) of each bar, NaN if it is not above 0 or unknown."""
    if "high" not in bars or "low" not in bars:
        return np.full(len(bars[_anchor(bars)]), np.nan)
    spans = _log(bars["high"]) - _log(bars["low"])
    return np.asarray(np.where(spans > 0, spans, np.nan))


def _anchor(bars: Mapping[str, Floats]) -> str:
    """The price that says where the market is: the close, if there is one."""
    return next(field for field in ("close", "open", "high", "low") if field in bars)


def _log(prices: Floats) -> Floats:
    return np.log(np.where(prices > 0, prices, np.nan))


def _median_before(level: Floats) -> Floats:
    """Median of the five values before each, of those that are there."""
    padded = np.concatenate([np.full(_LOOK_BARS, np.nan), level])
    windows = np.sort(np.lib.stride_tricks.sliding_window_view(padded, _LOOK_BARS)[: len(level)], axis=1)
    known = _LOOK_BARS - np.isnan(windows).sum(axis=1)
    middle = np.take_along_axis(windows, (np.maximum(known - 1, 0) // 2)[:, None], axis=1)[:, 0]
    return np.asarray(np.where(known > 0, middle, np.nan))


def _usual_range(bars: Mapping[str, Floats]) -> float:
    """Median of log(High / Low) or of the steps between closes, the larger one; 0 if too few bars moved."""
    if not any(field in bars for field in PRICES):
        return 0.0
    usual = 0.0
    for spans in (_ranges(bars), np.abs(np.diff(_log(bars[_anchor(bars)])))):
        moved = spans[spans > 0]
        usual = max(usual, float(np.median(moved))) if len(moved) >= _MIN_STEPS else usual
    return usual


def _repeats(bars: Mapping[str, Floats]) -> Mask:
    """Bars whose prices are all those of the bar before."""
    prices = [bars[field] for field in PRICES if field in bars]
    same = np.zeros(len(next(iter(bars.values()))), dtype=bool)
    if prices:
        same[1:] = np.logical_and.reduce([price[1:] == price[:-1] for price in prices])
    return same
