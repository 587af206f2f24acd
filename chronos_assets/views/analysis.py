"""What lies behind the totals of a simulation: drawdowns, rolling Sharpe ratio, trades, costs, and what came of its predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.simulation.excursions import Excursions, excursions
from chronos_assets.domain.statistics.deciles import outcome_by_decile
from chronos_assets.domain.statistics.equity_path import rolling_sharpe, rolling_window, worst_drawdowns
from chronos_assets.domain.statistics.returns import bars_per_year
from chronos_assets.errors import ChronosError, ServiceUnavailableError
from chronos_assets.storage.runs import read_predictions
from chronos_assets.storage.simulations import SimulationRecord
from chronos_assets.storage.stores import Stores
from chronos_assets.views import documents as doc
from chronos_assets.views.folds import histogram
from chronos_assets.views.frame_cache import FrameCache
from chronos_assets.views.trades import load_equity, load_trades

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SimulationAnalysis:
    """The document, and the series that charts need: the rolling Sharpe ratio at `times`, and each trade's excursions, if known."""

    document: doc.Analysis
    times: npt.NDArray[np.int64]
    rolling: Floats
    window_bars: int
    excursions: Excursions | None


def analyse(stores: Stores, simulation: SimulationRecord, frames: FrameCache) -> SimulationAnalysis:
    """Everything behind the totals of a completed simulation; what needs prices that are gone is left out, and `notes` says so."""
    from chronos_assets.pipeline.simulation.sensitivity import CostSensitivity, cost_sensitivity, stored_inputs

    equity, trades = load_equity(stores, simulation, frames), load_trades(stores, simulation, frames)
    times, values = equity["timestamp_unix"].to_numpy(), equity["equity"].to_numpy()
    per_year, capital = bars_per_year(times), float(simulation.config["capital"])
    window = rolling_window(len(times), per_year)
    found, costs, notes = None, CostSensitivity([], assumed=False), []
    try:
        inputs = stored_inputs(simulation, stores)
        found = excursions(trades, inputs.bars)
        costs = cost_sensitivity(simulation, inputs, stores)
        predictions = inputs.predictions
    except ServiceUnavailableError:
        raise
    except ChronosError as error:
        notes.append(doc.Warn(code=error.code, message=str(error)))
        predictions = read_predictions(stores, simulation.run_id)
    document = doc.Analysis(
        simulation_id=simulation.simulation_id,
        drawdowns=[doc.Drawdown.model_validate(one) for one in worst_drawdowns(values, times, capital)],
        trade_returns=histogram(trades["return_pct"].to_numpy()),
        excursions=[] if found is None else _excursions(trades, found),
        costs=[doc.CostCase.model_validate(one) for one in costs.cases],
        costs_assumed=costs.assumed,
        deciles=[doc.Decile.model_validate(one) for one in _deciles(predictions)],
        notes=notes,
    )
    return SimulationAnalysis(document, times, rolling_sharpe(values, window, per_year), window, found)


def _deciles(predictions: pl.DataFrame) -> list[object]:
    sizes, outcomes = (predictions[name].fill_null(np.nan).to_numpy() for name in ("prediction", "target_value"))
    return list(outcome_by_decile(sizes, outcomes))


def _excursions(trades: pl.DataFrame, found: Excursions) -> list[doc.Excursion]:
    won = trades["pnl"].to_numpy() > 0
    groups = (("won", won), ("lost", ~won))
    return [
        doc.Excursion(
            outcome=name,
            trades=int(chosen.sum()),
            adverse_median_pct=float(np.median(found.adverse[chosen])),
            adverse_worst_pct=float(found.adverse[chosen].min()),
            favourable_median_pct=float(np.median(found.favourable[chosen])),
            favourable_best_pct=float(found.favourable[chosen].max()),
        )
        for name, chosen in groups
        if chosen.any()
    ]
