"""The backtest that belongs to a model: what its run and the simulations of that run came to, with how far it could be luck."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from chronos_assets.pipeline.models.description import iso
from chronos_assets.pipeline.simulation.judgement import deflated_sharpes, tests_of_page
from chronos_assets.pipeline.walkforward.summary import SIDES
from chronos_assets.pipeline.walkforward.trials import all_trials
from chronos_assets.storage.runs import RunRecord, get_folds, get_run
from chronos_assets.storage.simulations import SimulationRecord, list_simulations
from chronos_assets.storage.stores import Stores

# Of a run's summary, what its signals came to, and what their number rests on.
_OF_RUN = (*SIDES, "binary_target", "folds_without_long", "folds_without_short", "folds_learned_nothing", "threshold_cases", "bars_scored")


def backtest_of(stores: Stores, run_id: str) -> dict[str, Any]:
    """The backtest of a completed run as of now, JSON-ready: it counts the trials on record, which later runs add to.

    `p_value` of each simulation stands beside `holm`, adjusted for the number of tests; `trials` is how many runs were ever made on the
    dataset's lineage and target.
    """
    run = get_run(stores.postgres, run_id)
    folds = get_folds(stores.postgres, run_id)
    made = [simulation for simulation in list_simulations(stores.postgres, run_id) if simulation.status == "completed"]
    chances = deflated_sharpes(stores, run_id, [simulation.simulation_id for simulation in made])
    tests = tests_of_page({simulation.simulation_id: simulation.summary_metrics or {} for simulation in made})
    return {
        "as_of": iso(datetime.now(UTC)),
        "run": _of_run(run)
        | {
            "folds": len(folds),
            "first_test_bar": None if not folds or folds[0].test_start_ts is None else iso(folds[0].test_start_ts),
            "end_of_tests": None if not folds or folds[-1].test_end_ts is None else iso(folds[-1].test_end_ts),
        },
        "trials": len(all_trials(stores, run.dataset_id, run.target_column)),
        "simulations": [
            _of_simulation(simulation)
            | {"deflated_sharpe": None if (chance := chances[simulation.simulation_id]) is None else chance.as_json()}
            | {
                "tests": {
                    t.test: {"p_value": t.p_value, "holm": t.holm, "tests": t.tests} for t in tests if t.name == simulation.simulation_id
                }
            }
            for simulation in made
        ],
    }


def _of_run(run: RunRecord) -> dict[str, Any]:
    summary = run.summary_metrics or {}
    return {"run_id": run.run_id, "target": run.target_column} | {name: summary[name] for name in _OF_RUN if name in summary}


def _of_simulation(simulation: SimulationRecord) -> dict[str, Any]:
    """The summary as it is stored, with costs; the list of checks is left out, for it passed."""
    summary = {name: value for name, value in (simulation.summary_metrics or {}).items() if name != "checks"}
    return {
        "simulation_id": simulation.simulation_id,
        "mode": simulation.mode,
        "costs": simulation.config.get("costs"),
        "capital": simulation.config.get("capital"),
        "summary": summary,
    }
