"""The steps of a market from bar to bar, ahead of each bar and behind it: what is known at a bar and what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_CLIP = 30.0
_MIN_PRICES = 60
_LAGS = 5
_AROUND = 11
_ALONE = 15.0


class PriceSteps:
    """Steps in logarithms, float64 [bars]: `body` from the open of a bar to its close, `gap` from the close before to the open.

    With one of Open and Close missing, `body` is the step from bar to bar of the other and `gap` is None; a missing close is taken to be
    the next open, for it is known by then and often is the same. A damaged price shall not decide: one that is missing, not above zero or
    far from both the prices before and those after it makes steps of 0 on both sides, and a step is cut at 30 times the usual one.
    """

    def __init__(self, opens: Floats | None, closes: Floats | None) -> None:
        """Prices as `usable_prices` gives them: NaN if one cannot be used."""
        if closes is None:
            assert opens is not None
            closes, opens = ahead(opens, 1), None
        close = np.log(closes)
        self.level = _filled(close)
        before = behind(close, 1)
        self.gap: Floats | None = None
        if opens is None:
            self.body = _steps(close - before)
        else:
            first = np.where(np.isfinite(opens), np.log(opens), before)
            self.gap, self.body = _steps(first - before), _steps(close - first)

    @property
    def whole(self) -> Floats:
        """Steps from bar to bar."""
        return self.body if self.gap is None else self.gap + self.body

    def known(self, averages: Sequence[int]) -> Floats:
        """What prices say at a bar, float64 [bars, columns]: level, steps of the last bars, averages; NaN before there are enough."""
        price = np.exp(self.level)
        columns = [self.level, price]
        for step in (self.body, self.gap):
            if step is not None:
                columns += [behind(step, lag) for lag in range(_LAGS + 1)]
        total = np.concatenate([[0.0], np.cumsum(price)])
        for bars in averages:
            columns.append(np.concatenate([np.full(bars - 1, np.nan), (total[bars:] - total[:-bars]) / bars]))
        return np.stack(columns, axis=1)


def price_steps(names: Mapping[str, int], values: Floats) -> PriceSteps | None:
    """Steps from the columns `open` and `close` of `values`, if `names` says which those are; None if neither is usable."""
    found = {field: usable_prices(values[:, names[field]]) for field in ("open", "close") if field in names}
    found = {field: column for field, column in found.items() if np.isfinite(column).sum() >= max(_MIN_PRICES, len(values) // 2)}
    return PriceSteps(found.get("open"), found.get("close")) if found else None


def ahead(values: Floats, bars: int) -> Floats:
    """The value that comes `bars` later, NaN beyond the end."""
    return np.concatenate([values[bars:], np.full(min(bars, len(values)), np.nan)])


def behind(values: Floats, bars: int) -> Floats:
    """The value that came `bars` earlier, NaN before the beginning."""
    return np.concatenate([np.full(min(bars, len(values)), np.nan), values[: max(0, len(values) - bars)]])


def orthonormal(columns: Floats) -> Floats:
    """An orthonormal basis of a constant and the columns [rows, columns]."""
    moved = columns - columns.mean(axis=0)
    size = np.sqrt((moved * moved).sum(axis=0))
    basis, _ = np.linalg.qr(moved[:, size > 0] / size[size > 0])
    return np.concatenate([np.full((len(columns), 1), len(columns) ** -0.5), basis], axis=1)


def unexplained(values: Floats, basis: Floats) -> Floats:
    """What an orthonormal basis does not explain of each column."""
    return values - basis @ (basis.T @ values)


def without_outliers(values: Floats, spread: float) -> Floats:
    """The values [rows] or [rows, columns], NaN if one is further from the median than `spread` times the usual distance.

    Both are those of every fourth row.
    """
    some = values[::4]
    if not len(some):
        return values
    with np.errstate(invalid="ignore", over="ignore"):
        middle = _medians(some)
        usual = _medians(np.abs(some - middle))
        return np.where((usual > 0) & (np.abs(values - middle) > spread * usual), np.nan, values)


def _medians(values: Floats) -> Floats:
    """`np.nanmedian` of the values [rows] or of each column [rows, columns], at a tenth of its cost; NaN if there is no number."""
    ordered = np.sort(values, axis=0)  # NaN comes last
    count = np.count_nonzero(~np.isnan(values), axis=0)
    low, high = (np.take_along_axis(ordered, np.expand_dims(at, 0), axis=0)[0] for at in (np.maximum(count - 1, 0) // 2, count // 2))
    return np.asarray((low + high) / 2)


def usable_prices(prices: Floats) -> Floats:
    """The prices, NaN if one is not above zero or alone far away: by more than 15 usual steps from the median of the 11 around it."""
    with np.errstate(invalid="ignore"):
        positive = np.isfinite(prices) & (prices > 0)
    usable = np.where(positive, prices, np.nan)
    level = np.log(prices[positive])
    if len(level) < _AROUND:
        return usable
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(level, _AROUND // 2, mode="edge"), _AROUND)
    moved = np.abs(np.diff(level))
    moved = moved[moved > 0]
    usual = float(np.median(moved)) if moved.size else 0.0
    alone = np.abs(level - np.partition(windows, _AROUND // 2, axis=1)[:, _AROUND // 2]) > _ALONE * usual
    usable[np.flatnonzero(positive)[alone]] = np.nan
    return usable


def _filled(level: Floats) -> Floats:
    """A missing value as that before it (those before the first as the first)."""
    known = np.isfinite(level)
    last = np.maximum.accumulate(np.where(known, np.arange(len(level)), -1))
    return level[np.where(last < 0, int(known.argmax()), last)]


def _steps(steps: Floats) -> Floats:
    """Steps of 0 if they are unknown, and of at most 30 times the usual one."""
    known = np.where(np.isfinite(steps), steps, 0.0)
    moved = np.abs(known[known != 0])
    usual = float(np.median(moved)) if moved.size else 0.0
    return np.clip(known, -_CLIP * usual, _CLIP * usual)
