"""Old walk-forward runs: what they take in space, and how they go.

Folds' files are shared by runs that have the same fold, so a run gives back only what no other run uses. QuestDB has no row delete: the
predictions of a retired run stay in its table, found by nobody.
"""

from __future__ import annotations

from dataclasses import dataclass

from chronos_assets.errors import ConflictError
from chronos_assets.storage.fold_artifacts import FoldArtifacts
from chronos_assets.storage.runs import (
    count_predictions,
    delete_run,
    files_lock,
    get_folds,
    get_run,
    own_artifacts,
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
    """Measure a run."""
    get_run(stores.postgres, run_id)
    artifacts = FoldArtifacts(stores.artifacts)
    folds = get_folds(stores.postgres, run_id)
    return RunSpace(
        run_id=run_id,
        folds=len(folds),
        prediction_rows=count_predictions(stores, run_id),
        artifact_bytes=sum(artifacts.size(fold.artifact) for fold in folds if fold.artifact),
        own_artifact_bytes=sum(artifacts.size(name) for name in own_artifacts(stores.postgres, run_id)),
        simulations=simulations_of(stores.postgres, run_id),
    )


def retire_run(stores: Stores, run_id: str) -> RunSpace:
    """Delete a run's rows in Postgres and the files that only it uses; returns what it took.

    Raises `ConflictError` where a process works on the run, or simulations stand on it.
    """
    get_run(stores.postgres, run_id)
    with run_lock(stores.postgres, run_id):
        space = run_space(stores, run_id)
        if space.simulations:
            raise ConflictError(
                f"{len(space.simulations)} simulations stand on run {run_id}",
                code="run_in_use",
                found=", ".join(space.simulations[:5]),
                hint="A run that was simulated is kept: its trades would lead nowhere.",
            )
        with files_lock(stores.postgres):
            own = own_artifacts(stores.postgres, run_id)
            delete_run(stores.postgres, run_id)
            artifacts = FoldArtifacts(stores.artifacts)
            for name in own:
                artifacts.remove(name)
    return space
