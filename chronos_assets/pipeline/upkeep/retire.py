"""Old walk-forward runs: what they take in space, and how they go.

Folds' files are shared by runs that have the same fold, so a run gives back only what no other run uses. Which files those are follows
from the folds' keys; no path is taken from a table. QuestDB has no row delete: the
predictions of a retired run stay in its table, found by nobody.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from chronos_assets.errors import ConflictError
from chronos_assets.pipeline.walkforward.trials import keep_trial_of_old_run
from chronos_assets.storage.fold_artifacts import FoldArtifacts
from chronos_assets.storage.runs import (
    RunArtifact,
    count_predictions,
    delete_run,
    files_lock,
    get_run,
    run_artifacts,
    run_lock,
    simulations_of,
)
from chronos_assets.storage.stores import Stores


@dataclass(frozen=True)
class RunSpace:
    """What a run takes: its files, those of them that no other run uses, and its rows in both stores."""

    run_id: str
    folds: int
    prediction_rows: int
    artifact_bytes: int
    own_artifact_bytes: int
    simulations: list[str]


def run_space(stores: Stores, run_id: str) -> RunSpace:
    """Measure a run; raises `NotPublishedError` if there is none."""
    get_run(stores.postgres, run_id)
    return run_spaces(stores, [run_id])[run_id]


def run_spaces(stores: Stores, run_ids: Sequence[str]) -> dict[str, RunSpace]:
    """Measure runs, each file once."""
    artifacts, predictions = FoldArtifacts(stores.artifacts), count_predictions(stores, run_ids) if run_ids else {}
    size = functools.cache(artifacts.size)
    used: dict[str, list[RunArtifact]] = {run_id: [] for run_id in run_ids}
    for row in run_artifacts(stores.postgres, run_ids):
        used[row.run_id].append(row)
    simulations = simulations_of(stores.postgres, run_ids)
    return {
        run_id: RunSpace(
            run_id=run_id,
            folds=sum(row.folds for row in rows),
            prediction_rows=predictions.get(run_id, 0),
            artifact_bytes=sum(size(row.fold_key) for row in rows),
            own_artifact_bytes=sum(size(row.fold_key) for row in rows if row.own),
            simulations=[simulation for owner, simulation in simulations if owner == run_id],
        )
        for run_id, rows in used.items()
    }


def retire_run(stores: Stores, run_id: str) -> RunSpace:
    """Delete a run's rows in Postgres and the files that only it uses; returns what it took. That it was tried stays on record.

    Raises `ConflictError` if a process works on the run, or simulations stand on it.
    """
    run = get_run(stores.postgres, run_id)
    with run_lock(stores.postgres, run_id):
        space = run_space(stores, run_id)
        if space.simulations:
            raise ConflictError(
                f"{len(space.simulations)} simulations depend on run {run_id}",
                code="run_in_use",
                found=", ".join(space.simulations[:5]),
                hint="A run that was simulated is kept: its trades would lead nowhere.",
            )
        keep_trial_of_old_run(stores, run)
        with files_lock(stores.postgres):
            own = [row.fold_key for row in run_artifacts(stores.postgres, [run_id]) if row.own]
            delete_run(stores.postgres, run_id)
            artifacts = FoldArtifacts(stores.artifacts)
            for key in own:
                artifacts.remove(key)
            artifacts.remove_abandoned()
    return space
