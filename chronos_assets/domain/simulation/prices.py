"""The bars that a simulation trades on: checked once, NaN if a bar has no usable prices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chronos_assets.errors import RefusedError

Floats = npt.NDArray[np.float64]
_FEW_BELOW_ZERO = 0.01


@dataclass(frozen=True)
class PriceBars:
    """Bars in time order: `times` int64 UTC seconds, the rest float64 [bars]. A bar without prices is NaN in all four."""

    times: npt.NDArray[np.int64]
    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    incomplete: int  # bars that had some of the four prices, not all (0 and less are none): treated as bars without prices

    @property
    def priced(self) -> npt.NDArray[np.bool_]:
        """Which bars have prices."""
        return ~np.isnan(self.opens)

    def span(self, start: int, end: int) -> PriceBars:
        """The bars `[start, end)`, counted afresh."""
        window = slice(start, end)
        return price_bars(self.times[window], self.opens[window], self.highs[window], self.lows[window], self.closes[window])

    def __len__(self) -> int:
        return len(self.times)


def price_bars(times: npt.NDArray[np.int64], opens: Floats, highs: Floats, lows: Floats, closes: Floats) -> PriceBars:
    """Check four price columns (float64 [bars], NaN where missing); raises `RefusedError` if more than one bar in 100 is below zero.

    Percent levels, fractions of a value traded and percentages of return have no meaning below zero, so a market that trades there is
    refused. A few such bars are mistakes: their prices count as missing, and so does a price of exactly zero, which is how many files
    write "unknown".
    """
    table = np.stack([np.asarray(column, dtype=np.float64) for column in (opens, highs, lows, closes)])
    finite = np.isfinite(table) & (table > 0.0)
    complete = finite.all(axis=0)
    wrong = np.flatnonzero((table < 0.0).any(axis=0))
    if wrong.size > _FEW_BELOW_ZERO * np.isfinite(table).any(axis=0).sum():
        bar = int(wrong[0])
        raise RefusedError(
            f"{wrong.size} bars have a price below zero; the first is bar {bar}",
            code="price_negative",
            expected="prices above zero",
            found=", ".join(str(value) for value in table[:, bar]),
            hint="Give the dataset prices that were not adjusted below zero (manifest keys `columns` or `ohlcv_file`).",
            bar_time=int(times[bar]),
        )
    table = np.where(complete, table, np.nan)
    some = finite.any(axis=0) & ~complete
    four = [np.ascontiguousarray(row) for row in table]
    stamps = np.ascontiguousarray(times, dtype=np.int64)
    return PriceBars(stamps, four[0], four[1], four[2], four[3], incomplete=int(some.sum()))
