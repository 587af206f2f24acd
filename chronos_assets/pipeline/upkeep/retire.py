"""Old walk-forward runs: what they take in space, and how they go.

What folds left is shared by runs that have the same fold, so a run gives back only what no other run uses: its packs that no fold of
another run needs, and files of older programs. Packs that others still need in part are written again by a prune (`packs`). No path is
taken from a table. QuestDB has no row delete: the rows of a retired run and its simulations stay in their tables, found by nobody, until
the tables are compacted (`compaction`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from chronos_assets.errors import ConflictError
from chronos_assets.pipeline.upkeep.packs import remove_unneeded
from chronos_assets.pipeline.walkforward.trials import keep_trial_of_old_run
from chronos_assets.storage.artifacts.store import ArtifactStore
from chronos_assets.storage.fold_artifacts import FoldArtifacts, FoldFiles
from chronos_assets.storage.model_artifacts import ModelArtifacts
from chronos_assets.storage.models import kept_runs, models_in_use, models_of_run
from chronos_assets.storage.retention import RunArtifact, artifacts_and_simulations, fold_keys_in_use, run_artifacts, simulations_in_use
from chronos_assets.storage.runs import (
    RunRecord,
    count_predictions,
    delete_run,
    files_lock,
    get_run,
    run_lock,
)
from chronos_assets.storage.simulations import simulation_lock
from chronos_assets.storage.stores import Stores

REPORTS = "reports"
KEYS_PER_QUERY = 5_000
_OF_SIMULATION = re.compile(r"-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.html$")


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
    predictions = count_predictions(stores, run_ids) if run_ids else {}
    size = FoldArtifacts(stores.artifacts).size
    used: dict[str, list[RunArtifact]] = {run_id: [] for run_id in run_ids}
    artifacts, simulations = artifacts_and_simulations(stores.postgres, run_ids)
    for row in artifacts:
        used[row.run_id].append(row)
    return {
        run_id: RunSpace(
            run_id=run_id,
            folds=sum(row.folds for row in rows),
            prediction_rows=predictions.get(run_id, 0),
            artifact_bytes=sum(size(row.files) for row in rows),
            own_artifact_bytes=sum(size(row.files) for row in rows if row.own),
            simulations=[simulation for owner, simulation in simulations if owner == run_id],
        )
        for run_id, rows in used.items()
    }


def retire_run(stores: Stores, run_id: str) -> RunSpace:
    """Delete a run with its simulations and reports, and the files that only it uses; returns what it took. Its trial stays on record.

    A process that is killed on the way leaves the run whole or gone; files that it did not come to are found by `remove_orphans`.
    The files of its models go too. Raises `ConflictError` if the run is pinned or a promoted model rests on it, or a process works on
    it or on one of its simulations.
    """
    run = get_run(stores.postgres, run_id)
    if run.pinned_at is not None:
        raise ConflictError(f"run {run_id} is pinned", code="run_pinned", hint=f"`chronos runs unpin {run_id}` leaves it to be retired.")
    with run_lock(stores.postgres, run_id), ExitStack() as locks:
        _refuse_promoted(stores, run)
        space = run_space(stores, run_id)
        for simulation_id in space.simulations:
            locks.enter_context(simulation_lock(stores.postgres, simulation_id))
        keep_trial_of_old_run(stores, run)
        with files_lock(stores.postgres):
            folds = run_artifacts(stores.postgres, [run_id])
            models = models_of_run(stores.postgres, run_id)
            delete_run(stores.postgres, run_id)
            for model_id in models:
                ModelArtifacts(stores.artifacts).remove(model_id)
            remove_folds(stores, [row.files for row in folds if row.own])
            FoldArtifacts(stores.artifacts).remove_abandoned()
        for name in reports_of(stores.artifacts, space.simulations):
            stores.artifacts.delete(name)
    return space


def _refuse_promoted(stores: Stores, run: RunRecord) -> None:
    if run.run_id in kept_runs(stores.postgres, run.dataset_id):
        raise ConflictError(
            f"a promoted model rests on run {run.run_id}, or a rollback would restore one that does",
            code="run_of_promoted_model",
            hint=f"`chronos model list {run.dataset_id}` shows the models; promote two others first.",
        )


def remove_folds(stores: Stores, folds: Sequence[FoldFiles]) -> None:
    """Remove what folds left whose rows have gone, as far as no other fold needs it; call it under `files_lock`."""
    artifacts = FoldArtifacts(stores.artifacts)
    for key in {one.fold_key for one in folds if one.pack is None}:
        artifacts.remove_single(key)
    remove_unneeded(stores, sorted({one.pack for one in folds if one.pack is not None}))


def reports_of(artifacts: ArtifactStore, simulation_ids: Collection[str]) -> list[str]:
    """The tear sheets of simulations that are kept as artifacts."""
    if not simulation_ids:
        return []
    wanted = set(simulation_ids)
    return [entry.name for entry in artifacts.list(REPORTS) if (found := _OF_SIMULATION.search(entry.name)) and found[1] in wanted]


def remove_orphans(stores: Stores) -> int:
    """Remove files of folds, models and reports that no row names: a process was killed while it retired their run. Returns bytes."""
    artifacts, freed = FoldArtifacts(stores.artifacts), 0
    with files_lock(stores.postgres):
        freed += remove_unneeded(stores)
        keys = artifacts.single_keys()
        for start in range(0, len(keys), KEYS_PER_QUERY):
            part = keys[start : start + KEYS_PER_QUERY]
            for key in sorted(set(part) - fold_keys_in_use(stores.postgres, part)):
                freed += artifacts.remove_single(key)
        artifacts.remove_abandoned()
        freed += _orphaned_models(stores)
    named = {found[1]: entry for entry in stores.artifacts.list(REPORTS) if (found := _OF_SIMULATION.search(entry.name))}
    for simulation_id in sorted(set(named) - simulations_in_use(stores.postgres, list(named))):
        freed += stores.artifacts.delete(named[simulation_id].name)
    return freed


def _orphaned_models(stores: Stores) -> int:
    """Remove files of models that no row needs; call it under `files_lock`. Returns bytes."""
    artifacts = ModelArtifacts(stores.artifacts)
    ids = artifacts.ids()
    freed = sum(artifacts.remove(model_id) for model_id in sorted(set(ids) - models_in_use(stores.postgres, ids)))
    artifacts.remove_abandoned()
    return freed
