"""How far a simulation could be luck, as readers see it: judged anew by what is known now, from numbers that are read once.

The moments of a completed simulation never change. What chance makes of the trials on record changes when a trial does: their state, which
Postgres sums up without reading them, is part of the key.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import polars as pl

from chronos_assets.storage.runs import RunRecord, get_run
from chronos_assets.storage.simulations import SimulationRecord
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.trials import state_of_trials
from chronos_assets.views import documents as doc
from chronos_assets.views.frame_cache import FrameCache
from chronos_assets.views.trades import load_equity

if TYPE_CHECKING:
    from chronos_assets.domain.statistics.deflation import DeflatedSharpe


def read_judgement(stores: Stores, simulation: SimulationRecord, frames: FrameCache) -> doc.Judgement:
    """How far a completed simulation could be luck, by what is known now: trials on record, and its own tests."""
    from chronos_assets.pipeline.simulation.judgement import tests_of_page

    sharpe = _deflated(stores, simulation, frames)
    tests = tests_of_page({simulation.mode: simulation.summary_metrics or {}})
    return doc.Judgement(
        simulation_id=simulation.simulation_id,
        deflated_sharpe=None if sharpe is None else doc.DeflatedSharpe.model_validate(sharpe.as_json()),
        tests=[doc.PageTest.model_validate(test) for test in tests],
    )


def _deflated(stores: Stores, simulation: SimulationRecord, frames: FrameCache) -> DeflatedSharpe | None:
    from chronos_assets.domain.statistics.deflation import Chance, ReturnMoments, deflated
    from chronos_assets.pipeline.simulation.judgement import chance_on_record, moments_of_equity

    key = ("moments", simulation.simulation_id, simulation.completed_at)
    moments = _kept(frames, key, lambda: moments_of_equity(load_equity(stores, simulation, frames)["equity"].to_numpy()))
    if moments is None:
        return None
    run = get_run(stores.postgres, simulation.run_id)
    chance = _kept(frames, ("chance", *_trials_of(stores, run)), lambda: chance_on_record(stores, run))
    assert chance is not None
    return deflated(ReturnMoments(**moments), Chance(**chance))


def _trials_of(stores: Stores, run: RunRecord) -> tuple[str, str, str]:
    from chronos_assets.pipeline.walkforward.trials import lineage_of

    lineage = lineage_of(run.dataset_id)
    return lineage, run.target_column, state_of_trials(stores.postgres, lineage, run.target_column)


def _kept(frames: FrameCache, key: tuple[Any, ...], make: Callable[[], Any]) -> dict[str, Any] | None:
    """The fields of the dataclass that `make` gives, kept as a frame of one row; none if it gives None."""

    def read() -> pl.DataFrame:
        made = make()
        return pl.DataFrame() if made is None else pl.DataFrame([asdict(made)])

    frame = frames.get(key, read)
    return frame.row(0, named=True) if frame.height else None
