"""How far a target looks ahead, as far as its file shows: a lower bound from two kinds of evidence (DEFINITIONS, Horizon).

Empty cells: a target of bar t that needs a price of bar t + h is unknown for the last h bars of the file. They count only if no gap
inside the column is as long, for a target that is missing here and there may be missing at the end by chance.

Correlation with returns over 1 to 60 bars, of what the prices of bar t leave unexplained of the target. Alone: the target that nearly
is the return over h bars. Together: the target is regressed on the steps of all those bars at once, so that the memory of a market
(returns that follow from returns) is not taken for that of the target; the last step whose coefficient differs from 0 by six standard
errors (White's, as MacKinnon and White's HC3: they allow for calm and wild times) and that moves the target noticeably is one that it
knows. A target that has nothing to do with the prices of the file shows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.ingest.steps import Floats, PriceSteps, ahead, behind, orthonormal, price_steps, unexplained, without_outliers

MOST_BARS = 60
_MIN_ROWS_PER_STEP = 6
_MIN_ROWS = 30
_APART_BARS = 5
_SIGMAS = 6.0
_NOTICEABLE = 0.02
_SLOW = 0.2  # variance of the moves over that of the values: an autocorrelation of 0.9
_NEARLY = 0.9
_OUTLIER = 50.0


@dataclass(frozen=True)
class HorizonShown:
    """What a file shows of a target: `empty_bars` at its end, and the last bar ahead that it moves with (`moves_with`; 0: none)."""

    empty_bars: int = 0
    moves_with: int = 0

    @property
    def bars(self) -> int:
        """The lower bound: at least 1."""
        return max(1, self.empty_bars, self.moves_with)

    @property
    def reason(self) -> str:
        """Why the bound is what it is."""
        said = []
        if self.empty_bars:
            said.append(f"the last {self.empty_bars} bars have no value" if self.empty_bars > 1 else "the last bar has no value")
        if self.moves_with:
            bars = "the next bar" if self.moves_with == 1 else f"up to {self.moves_with} bars later"
            said.append(f"it moves with prices of {bars}")
        return " and ".join(said) or "nothing in the file says how far it looks"


class EmptyEnd:
    """Counts the empty cells at the end of a column, and the longest run of empty cells between two numbers, as it streams by."""

    def __init__(self) -> None:
        self._begun = False
        self._empty = 0
        self._longest_inside = 0

    def add(self, values: pl.Series) -> None:
        """Take the next cells."""
        if not values.null_count():
            if len(values):
                self._number_came()
            return
        numbers = values.is_not_null().arg_true().to_numpy()
        if len(numbers):
            self._empty += int(numbers[0])
            self._number_came()
            self._longest_inside = max(self._longest_inside, int(np.diff(numbers).max(initial=1)) - 1)
            self._empty = len(values) - 1 - int(numbers[-1])
        else:
            self._empty += len(values)

    def _number_came(self) -> None:
        """The empty cells before it are inside the column, unless no number came before them."""
        if self._begun:
            self._longest_inside = max(self._longest_inside, self._empty)
        self._begun, self._empty = True, 0

    @property
    def bars(self) -> int:
        """Empty cells at the end that nothing inside the column explains."""
        return self._empty if self._begun and self._empty > self._longest_inside else 0


def horizons_shown(names: Sequence[str], values: Floats, *, prices: Mapping[str, str], empty: Mapping[str, int]) -> dict[str, HorizonShown]:
    """The horizon of each target of `empty` (target -> empty bars at the end), from contiguous bars: float64 [bars, names]."""
    place = {name: i for i, name in enumerate(names)}
    steps = price_steps({field: place[name] for field, name in prices.items()}, values)
    shown, designs = {}, _Designs(steps) if steps is not None else None
    for target, bars in empty.items():
        moves_with = 0 if designs is None else designs.last_step(without_outliers(values[:, place[target]], _OUTLIER))
        shown[target] = HorizonShown(bars, moves_with)
    return shown


class _Designs:
    """What targets are held against. The factorizations are shared by targets with numbers in the same bars: as a rule, all of them."""

    def __init__(self, steps: PriceSteps) -> None:
        self._steps = steps
        self._known = steps.known(())
        self._lead = int(np.isfinite(self._known).all(axis=1).argmax()) + 1
        bars = len(self._known)
        self._most_returns = min(MOST_BARS, bars // 4)
        self._returns, self._return_bars = _returns(steps, self._most_returns)
        self._units: dict[bytes, Floats] = {}
        self._most_steps = min(MOST_BARS, bars // (_MIN_ROWS_PER_STEP * (1 if steps.gap is None else 2) + 1))
        self._bases: dict[bytes, Floats] = {}
        self._made: dict[bytes, _Design] = {}

    def last_step(self, target: Floats) -> int:
        """The last bar ahead that the target moves with; 0 if there is none or there are too few bars."""
        nearest = self._nearest_return(target)
        # Neighbours that are nearly equal would pass for many cases where they are few: what is new at each bar is looked at instead.
        moves = target - behind(target, 1)
        known = np.isfinite(moves)
        slow = known.any() and moves[known].var() < _SLOW * target[known].var()
        return max(nearest, self._last_regressor(moves if slow else target))

    def _rows(self, target: Floats, most: int) -> npt.NDArray[np.bool_]:
        """Rows with a number that have `most` bars behind them."""
        rows = np.isfinite(target)
        rows[: self._lead] = False
        rows[max(0, len(rows) - most) :] = False
        return rows

    def _basis(self, rows: npt.NDArray[np.bool_]) -> Floats:
        key = rows.tobytes()
        if key not in self._bases:
            self._bases = {**dict(list(self._bases.items())[-1:]), key: orthonormal(self._known[rows])}
        return self._bases[key]

    def _nearest_return(self, target: Floats) -> int:
        """Bars of the return that the target nearly is; 0 if it is none. Of two as near, the shorter one."""
        rows = self._rows(target, self._most_returns)
        if rows.sum() < _MIN_ROWS:
            return 0
        bars = self._return_bars
        y = unexplained(target[rows], self._basis(rows))
        near = np.abs(self._unit_returns(rows).T @ y) / max(float(np.sqrt((y * y).sum())), 1e-300)
        best = float(near.max(initial=0.0))
        if best < _NEARLY:
            return 0
        # Returns over h - 1 bars and over h resemble each other by 1 - 1 / (2 h): half of that decides which one the target is.
        return int(bars[near >= best - 0.25 / bars[near.argmax()]].min())

    def _unit_returns(self, rows: npt.NDArray[np.bool_]) -> Floats:
        """The returns of some rows, moved to mean 0 and scaled to length 1."""
        key = rows.tobytes()
        if key not in self._units:
            x = self._returns[rows]
            x = x - x.mean(axis=0)
            size = np.sqrt((x * x).sum(axis=0))
            self._units = {key: x / np.where(size > 0, size, 1.0)}
        return self._units[key]

    def _last_regressor(self, target: Floats) -> int:
        rows = self._rows(target, self._most_steps)
        if self._most_steps < 2 or rows.sum() < _MIN_ROWS:
            return 0
        key = rows.tobytes()
        if key not in self._made:
            self._made = {key: self._design(rows)}
        return self._made[key].last_bar(target[rows])

    def _design(self, rows: npt.NDArray[np.bool_]) -> _Design:
        columns, owner = [], []
        for bar in range(1, self._most_steps + 1):
            apart = self._steps.gap is not None and bar <= _APART_BARS
            for step in (self._steps.gap, self._steps.body) if apart else (self._steps.whole,):
                assert step is not None
                columns.append(ahead(step, bar))
                owner.append(bar)
        basis = self._basis(rows)
        x = unexplained(np.stack(columns, axis=1)[rows], basis)
        size = np.sqrt((x * x).sum(axis=0))
        kept = size > 1e-9 * size.max(initial=0.0)
        x = x[:, kept]
        inverse = np.asarray(np.linalg.pinv(x.T @ x, rcond=1e-9, hermitian=True), dtype=np.float64)
        leverage = ((x @ inverse) * x).sum(axis=1) + (basis * basis).sum(axis=1)
        return _Design(basis, x, inverse, np.maximum(1.0 - leverage, 1e-3), np.array(owner)[kept])


@dataclass(frozen=True)
class _Design:
    """Regressors of some rows beyond what is known at the bar: `inverse` of their products, `slack` 1 - leverage, `bars` ahead of each."""

    basis: Floats
    x: Floats
    inverse: Floats
    slack: Floats
    bars: npt.NDArray[np.int64]

    def last_bar(self, target: Floats) -> int:
        """The last bar ahead whose step `target` (the same rows) moves with; 0 if there is none."""
        y = unexplained(target, self.basis)
        size = float(np.sqrt((y * y).mean()))
        if size <= 1e-12 * float(np.abs(target).max(initial=0.0)):
            return 0
        coefficients = self.inverse @ (self.x.T @ y)
        left = (y - self.x @ coefficients) / self.slack
        # A residual of nothing but rounding counts as a millionth of the target.
        weights = np.maximum(left * left, (1e-6 * size) ** 2)
        errors = np.sqrt(np.diag(self.inverse @ ((self.x * weights[:, None]).T @ self.x) @ self.inverse))
        effect = np.abs(coefficients) * np.sqrt((self.x * self.x).mean(axis=0))
        shows = (np.abs(coefficients) > _SIGMAS * errors) & (effect > _NOTICEABLE * size)
        return int(self.bars[shows].max(initial=0))


def _returns(steps: PriceSteps, most: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Returns from the close, and from the next open to the opens and closes, of bars 1 to `most`; the last bar that each needs."""
    close = steps.level
    columns, bars = [ahead(close, bar) - close for bar in range(1, most + 1)], list(range(1, most + 1))
    if steps.gap is not None:
        opens = close - steps.body
        entry = ahead(opens, 1)
        columns += [ahead(opens, bar) - entry for bar in range(2, most + 1)]
        columns += [ahead(close, bar) - entry for bar in range(1, most + 1)]
        bars += [*range(2, most + 1), *range(1, most + 1)]
    return np.stack(columns, axis=1) if columns else np.empty((len(close), 0)), np.array(bars, dtype=np.int64)
