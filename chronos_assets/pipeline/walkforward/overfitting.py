"""How much the best run of a sweep owes to the choice: computed from stored runs, by the sweep and by its later readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from chronos_assets.domain.statistics.signal_significance import BLOCK_HORIZONS
from chronos_assets.domain.statistics.significance import probability_of_overfitting, superior_ability
from chronos_assets.domain.statistics.trials import Signals
from chronos_assets.domain.targets import Floats
from chronos_assets.pipeline.walkforward.trials import signals_of
from chronos_assets.storage.runs import RunRecord, read_predictions
from chronos_assets.storage.stores import Stores

# Rows, and cells of rows x runs, over which the runs of a sweep are compared; more bars are summed up into fewer rows.
MOST_ROWS, MOST_CELLS = 2_000, 2_000_000


@dataclass(frozen=True)
class Overfitting:
    """How much of a sweep's best owes to the choice: over `bars` that all `runs` predicted.

    `probability`: of backtest overfitting (CSCV); `spa_p_value`: Hansen's, that the best beats doing nothing by luck only.
    """

    probability: float | None
    spa_p_value: float | None
    runs: int
    bars: int


@dataclass(frozen=True)
class RunSignals:
    """A run of the sweep: its target, signals, horizon, and the rows it predicted."""

    target: str
    signals: Signals
    horizon: int
    start: int
    end: int


def read_signals(run: RunRecord, stores: Stores) -> RunSignals:
    """The signals of a completed run, from its stored predictions."""
    predictions = read_predictions(stores, run.run_id)
    rows = predictions["bar_index"].to_numpy()
    signals = signals_of(predictions, binary=bool((run.summary_metrics or {}).get("binary_target")))
    return RunSignals(run.target_column, signals, int(run.walk_config["horizon"]), int(rows.min()), int(rows.max()) + 1)


def overfitting(made: Mapping[str, RunSignals]) -> Overfitting | None:
    """Probability of overfitting and Hansen's p-value over the bars that all runs predicted; None for fewer than two runs."""
    runs = list(made.values())
    if len(runs) < 2:
        return None
    start, end = max(run.start for run in runs), min(run.end for run in runs)
    if end <= start:
        return Overfitting(None, None, len(runs), 0)
    width = max(1, -(-(end - start) // MOST_ROWS), -(-(end - start) * len(runs) // MOST_CELLS))
    returns = np.column_stack([_summed(run.signals, start, end, width) for run in runs])
    block = max(1, -(-BLOCK_HORIZONS * max(run.horizon for run in runs) // width))
    return Overfitting(probability_of_overfitting(returns), superior_ability(returns, block_rows=block), len(runs), end - start)


def _summed(signals: Signals, start: int, end: int, width: int) -> Floats:
    """Signal returns summed over every `width` bars of `[start, end)`, 0 without signals."""
    inside = (signals.rows >= start) & (signals.rows < end)
    rows = -(-(end - start) // width)
    return np.asarray(
        np.bincount((signals.rows[inside] - start) // width, weights=signals.returns[inside], minlength=rows), dtype=np.float64
    )
