"""What else was tried: the runs of a sweep, simulated by the same rules in memory, so that the chosen one can be deflated."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chronos_assets.domain.simulation.engine import Signals, Simulation, ranges_of, simulate
from chronos_assets.domain.simulation.rules import Rules
from chronos_assets.domain.statistics.deflation import deflated_sharpe
from chronos_assets.domain.statistics.returns import bar_returns
from chronos_assets.pipeline.simulation.inputs import SimulationInputs, signals_of
from chronos_assets.storage.runs import list_runs, read_predictions
from chronos_assets.storage.stores import Stores

SWEEP = "sweep"
# Every trial is read and simulated once; a sweep with more counts its newest.
MOST_TRIALS = 300


@dataclass
class SweepTrials:
    """The trials of the sweeps over the dataset that a run belongs to; none where no sweep asked for the run."""

    inputs: SimulationInputs
    stores: Stores

    @cached_property
    def _trials(self) -> list[tuple[int, Signals]]:
        """First bar and signals of each trial, this run's own among them."""
        run = self.inputs.run
        if SWEEP not in (run.requested_by or ""):
            return []
        runs = [
            other.run_id
            for other in list_runs(self.stores.postgres, run.dataset_id)
            if other.status == "completed" and SWEEP in (other.requested_by or "") and other.content_hash == run.content_hash
        ]
        trials = []
        for run_id in runs[:MOST_TRIALS]:
            predictions = read_predictions(self.stores, run_id)
            if predictions.height:
                start = int(predictions["bar_index"].to_numpy().min())
                trials.append((start, signals_of(predictions, start, int(predictions["bar_index"].to_numpy().max()) + 1)))
        return trials

    def deflated(self, simulation: Simulation, rules: Rules) -> dict[str, Any] | None:
        """Deflated Sharpe ratio [LP] of the simulation's per-bar returns among the same rules on every trial; None without a sweep."""
        returns = bar_returns(simulation.equity)
        if len(self._trials) < 2 or returns is None:
            return None
        sharpes = [self._sharpe(start, signals, rules) for start, signals in self._trials]
        result = deflated_sharpe(returns, sharpes)
        return None if result is None else {**asdict(result), "per": "bar"}

    def _sharpe(self, start: int, signals: Signals, rules: Rules) -> float:
        """Sharpe ratio per bar of one trial, 0 without variation. Bars beyond the prices of the chosen run are left out."""
        bars = self.inputs.prices.bars
        end = min(len(bars), start + len(signals.fold))
        if end - start < 2 or not bars.priced[start:end].any():
            return 0.0
        ranges = ranges_of(bars, rules)
        equity = simulate(
            bars.span(start, end), signals.span(0, end - start), rules, atr=ranges[start:end] if rules.needs_atr else None
        ).equity
        returns = bar_returns(equity)
        spread = 0.0 if returns is None else float(np.std(returns, ddof=1))
        return float(returns.mean()) / spread if returns is not None and spread > 0 else 0.0
