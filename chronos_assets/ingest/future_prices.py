"""Features that know prices of later bars: the next Close or Open, the next return, a centred mean, also beneath as much noise.

An honest feature of bar t is made of bars up to t, so what it adds to the prices known by then cannot move with the steps that the
market makes afterwards. That addition is taken in two ways: what the prices of bar t and the bars before it leave unexplained of the
feature, and what the feature's own last two values leave unexplained besides. The first shows a feature that holds the next steps
beside much else, the second a slow one whose newest part is a later step, as a centred mean is. Both are correlated with the steps
that come next, one by one and summed over some bars. A target stands for the steps in a file without prices.

Real predictors correlate with the next step by some hundredths, half signal and half noise by 0.7: the bound of 0.3 lies between. It
rises to six standard errors in short files, of which a sum over k bars has sqrt(k) times as large a one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from chronos_assets.ingest.steps import Floats, PriceSteps, ahead, orthonormal, price_steps, unexplained, without_outliers

_MOST_BARS_AHEAD = 60
_GAPS_AHEAD = 3
_SUMS = (2, 3, 5, 10, 20)
_AVERAGES = (5, 10, 20, 50)
_SUSPECT = 0.3
_SUSPECT_BY_TARGET = 0.5
_SIGMAS = 6.0
_MIN_ROWS = 100
_EXPLAINED = 1e-9
_SCREEN_BARS = 640
_SCREEN_BOUND = 0.2
_SCREEN_SIGMAS = 4.0
_OUTLIER = 1_000.0


def features_ahead(
    names: Sequence[str], values: Floats, *, features: Sequence[str], prices: Mapping[str, str], targets: Sequence[str]
) -> dict[str, str]:
    """Features that know what comes after their bar, each with how it shows.

    `values` is float64 [bars, names], contiguous bars, NaN where missing. `prices` says which columns are `open` and `close`, `targets`
    are those whose neighbours are not nearly equal.
    """
    place = {name: i for i, name in enumerate(names)}
    steps = price_steps({field: place[name] for field, name in prices.items()}, values)
    x = without_outliers(values[:, [place[name] for name in features]], _OUTLIER)
    found: dict[str, str] = {}
    if steps is not None:
        found |= _named(features, _look(x, _Ahead.of_prices(steps, len(values))))
    if targets:
        by_target = _look(x, _Ahead.of_targets({name: without_outliers(values[:, place[name]], _OUTLIER) for name in targets}))
        found = _named(features, by_target) | found
    return found


class _Ahead:
    """What comes later, float64 [bars, columns], a name and a bound in standard errors for each; and what is known at the bar."""

    def __init__(
        self, later: Floats, words: list[str], errors: Sequence[float], *, bound: float, known: Floats | None, sigmas: float = _SIGMAS
    ) -> None:
        self.later, self.words, self.errors = later, words, np.array(errors)
        self.bound, self.known, self.sigmas = bound, known, sigmas

    def screen(self) -> _Ahead:
        """The last bars, with lower bounds."""
        known = None if self.known is None else self.known[-_SCREEN_BARS:]
        errors = self.errors.tolist()
        return _Ahead(self.later[-_SCREEN_BARS:], self.words, errors, bound=_SCREEN_BOUND, known=known, sigmas=_SCREEN_SIGMAS)

    @classmethod
    def of_prices(cls, steps: PriceSteps, bars: int) -> _Ahead:
        """Steps of the next bars, and their sums."""
        most = max(1, min(_MOST_BARS_AHEAD, bars // 10))
        later = [ahead(steps.whole, bar) for bar in range(1, most + 1)]
        words, errors = [_step_words(bar) for bar in range(1, most + 1)], [1.0] * most
        if steps.gap is not None:
            for bar in range(1, min(_GAPS_AHEAD, most) + 1):
                for step, what in ((steps.gap, "open"), (steps.body, "close")):
                    later.append(ahead(step, bar))
                    words.append(f"the step to the {what} {_bar_words(bar)}")
                    errors.append(1.0)
        total = np.cumsum(steps.whole)
        for bar in (bar for bar in _SUMS if bar <= most):
            later.append(ahead(total, bar) - total)
            words.append(f"the return of the next {bar} bars")
            errors.append(bar**0.5)
        known = steps.known([count for count in _AVERAGES if count <= bars // 10])
        return cls(np.stack(later, axis=1), words, errors, bound=_SUSPECT, known=known)

    @classmethod
    def of_targets(cls, targets: Mapping[str, Floats]) -> _Ahead:
        """Targets of the same bar."""
        words = [f"target {name}" for name in targets]
        return cls(np.stack(list(targets.values()), axis=1), words, [1.0] * len(words), bound=_SUSPECT_BY_TARGET, known=None)


def _step_words(bar: int) -> str:
    return "the return of the next bar" if bar == 1 else f"the return {_bar_words(bar)}"


def _bar_words(bar: int) -> str:
    return "of the next bar" if bar == 1 else f"of {bar} bars later"


def _named(features: Sequence[str], found: Mapping[int, str]) -> dict[str, str]:
    return {features[i]: words for i, words in found.items()}


def _look(x: Floats, later: _Ahead) -> dict[int, str]:
    """Columns of `x` that move with what comes later, each with the strongest case. Most columns are acquitted by the last bars alone."""
    if len(x) <= _SCREEN_BARS:
        return _judged(x, later)
    doubtful = sorted(_judged(x[-_SCREEN_BARS:], later.screen()))
    found = _judged(x[:, doubtful], later) if doubtful else {}
    return {doubtful[i]: words for i, words in found.items()}


def _judged(x: Floats, later: _Ahead) -> dict[int, str]:
    """The same, judged by all rows: complete columns at once, others one by one."""
    there = np.asarray(np.isfinite(later.later).all(axis=1))
    if later.known is not None:
        there &= np.isfinite(later.known).all(axis=1)
    there[:2] = False
    if there.sum() < _MIN_ROWS:
        return {}
    lags = (behind_all(x, 1), behind_all(x, 2))
    whole = np.isfinite(x) & np.isfinite(lags[0]) & np.isfinite(lags[1])
    complete = np.flatnonzero(whole[there].all(axis=0))
    found = _suspects(complete, there, x, lags, later)
    for column in np.setdiff1d(np.arange(x.shape[1]), complete):
        rows = there & whole[:, column]
        if rows.sum() >= _MIN_ROWS:
            found |= _suspects(np.array([column]), rows, x, lags, later)
    return found


def behind_all(x: Floats, bars: int) -> Floats:
    """Every column as it was `bars` earlier."""
    return np.concatenate([np.full((min(bars, len(x)), x.shape[1]), np.nan), x[: max(0, len(x) - bars)]])


def _suspects(
    columns: npt.NDArray[np.int64], rows: npt.NDArray[np.bool_], x: Floats, lags: tuple[Floats, Floats], later: _Ahead
) -> dict[int, str]:
    """The suspects among `columns`, judged by `rows`."""
    if not columns.size:
        return {}
    basis = orthonormal(np.empty((int(rows.sum()), 0)) if later.known is None else later.known[rows])
    take = np.ix_(rows, columns)
    scale = np.abs(x[take]).max(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    now, one, two = (unexplained(values[take] / scale, basis) for values in (x, *lags))
    now = unexplained(now, basis)  # once more, so that rounding leaves nothing of the level behind
    steps = later.later[rows]
    steps = steps - steps.mean(axis=0)
    size = np.sqrt((steps * steps).sum(axis=0))
    steps = steps / np.where(size > 0, size, 1.0)
    bounds = np.maximum(later.bound, later.sigmas * later.errors / np.sqrt(rows.sum()))
    spread = np.sqrt(((x[take] / scale - (x[take] / scale).mean(axis=0)) ** 2).sum(axis=0))
    correlations = np.stack([_correlations(part, steps, spread) for part in (now, _innovations(now, one, two))])
    over = np.abs(correlations).max(axis=0) / bounds
    best = over.argmax(axis=1)
    return {
        int(columns[i]): f"correlation {_strongest(correlations[:, i, best[i]]):.2f} with {later.words[best[i]]}"
        for i in np.flatnonzero(over.max(axis=1) >= 1.0)
    }


def _strongest(values: Floats) -> float:
    return float(values[np.abs(values).argmax()])


def _correlations(part: Floats, steps: Floats, spread: Floats) -> Floats:
    """Correlations [columns, steps]; 0 if nothing but rounding is left of a column."""
    size = np.sqrt((part * part).sum(axis=0))
    left = size > _EXPLAINED * spread
    return np.where(left[:, None], (part.T @ steps) / np.where(left, size, 1.0)[:, None], 0.0)


def _innovations(now: Floats, one: Floats, two: Floats) -> Floats:
    """What the last two values leave unexplained of each column (all taken beyond the prices): two regressors, solved in closed form."""
    a, b, c = (one * one).sum(axis=0), (one * two).sum(axis=0), (two * two).sum(axis=0)
    p, q = (one * now).sum(axis=0), (two * now).sum(axis=0)
    determinant = a * c - b * b
    both = determinant > 1e-12 * a * c
    safe = np.where(both, determinant, 1.0)
    first = np.where(both, (p * c - q * b) / safe, np.where(a > 0, p / np.where(a > 0, a, 1.0), 0.0))
    second = np.where(both, (q * a - p * b) / safe, 0.0)
    return np.asarray(now - one * first - two * second)
