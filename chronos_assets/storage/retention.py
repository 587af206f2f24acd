"""The registry as the retention policy sees it: what every run is to its dataset, which files are in use, and old attempts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chronos_assets.domain.retention import KeptRun
from chronos_assets.storage.fold_artifacts import FoldFiles, place_of_pack
from chronos_assets.storage.models import kept_runs
from chronos_assets.storage.postgres import Postgres, Row
from chronos_assets.storage.queries import query


@dataclass(frozen=True)
class StandingRun:
    """A run with its dataset, as far as the policy looks at it.

    `whole`: every planned fold is stored; `rows`: how many predictions its stored folds have;
    `simulated`: it has a completed simulation.
    """

    dataset_id: str
    run: KeptRun
    whole: bool
    rows: int
    simulated: bool


@dataclass(frozen=True)
class RunArtifact:
    """What a fold of a run left, how many folds of the run use it, and whether no other run does."""

    run_id: str
    files: FoldFiles
    folds: int
    own: bool


def retention_runs(postgres: Postgres, slug: str | None = None) -> list[StandingRun]:
    """All runs of a dataset, or of all datasets, by dataset and age."""
    promoted = kept_runs(postgres, slug)
    with postgres.connection() as connection:
        rows = connection.execute(query("retention_runs"), {"dataset_id": slug}).fetchall()
    return [
        StandingRun(
            row["dataset_id"],
            KeptRun(
                row["run_id"],
                completed=row["completed"],
                on_registered_content=row["on_registered_content"],
                profiles={name: datetime.fromisoformat(moment) for name, moment in row["profiles"].items()},
                pinned=row["pinned"],
                swept=row["swept"],
                promoted=row["run_id"] in promoted,
                baseline=row["baseline"],
            ),
            whole=row["folds_present"] == row["folds_planned"],
            rows=row["rows"],
            simulated=row["simulated"],
        )
        for row in rows
    ]


def prune_attempts(postgres: Postgres, slug: str, *, newest: int) -> int:
    """Delete records of attempts that neither a tag nor the registry depends on, but the newest; returns how many went."""
    with postgres.connection() as connection:
        return connection.execute(query("attempts_prune"), {"dataset_id": slug, "newest": newest}).rowcount


def fold_keys_in_use(postgres: Postgres, keys: Sequence[str]) -> set[str]:
    """Those of `keys` whose fold has its model and cases in files of an older program."""
    with postgres.connection() as connection:
        return {row["fold_key"] for row in connection.execute(query("fold_keys_in_use"), {"keys": list(keys)}).fetchall()}


def packs_in_use(postgres: Postgres, packs: Sequence[str]) -> set[str]:
    """Those of `packs` that a stored fold needs."""
    with postgres.connection() as connection:
        return {row["pack"] for row in connection.execute(query("packs_in_use"), {"packs": list(packs)}).fetchall()}


def packs_of(postgres: Postgres, slug: str | None) -> set[str]:
    """The packs that folds of a dataset need, or those of all datasets."""
    with postgres.connection() as connection:
        return {row["pack"] for row in connection.execute(query("packs_of_dataset"), {"dataset_id": slug}).fetchall()}


def pack_members(postgres: Postgres, packs: Sequence[str]) -> dict[str, list[FoldFiles]]:
    """The folds that need each of `packs`, each fold once; a pack that nobody needs is left out."""
    with postgres.connection() as connection:
        rows = connection.execute(query("pack_members"), {"packs": list(packs)}).fetchall()
    found: dict[str, list[FoldFiles]] = {}
    for row in rows:
        found.setdefault(row["pack"], []).append(FoldFiles(**row))
    return found


def replace_pack(postgres: Postgres, replaced: Sequence[FoldFiles], new: str) -> None:
    """Let all rows of folds be read from pack `new`, which holds them, in place of the packs they are in; one transaction."""
    by_pack: dict[str | None, list[str | None]] = {}
    for files in replaced:
        by_pack.setdefault(files.pack, []).append(files.fold_key)
    with postgres.connection() as connection, connection.transaction():
        for old, keys in by_pack.items():
            connection.execute(query("pack_replace"), {"old": old, "new": new, "keys": keys, "artifact": place_of_pack(new)})


def simulations_in_use(postgres: Postgres, ids: Sequence[str]) -> set[str]:
    """Those of `ids` that are simulations."""
    with postgres.connection() as connection:
        return {row["simulation_id"] for row in connection.execute(query("simulations_in_use"), {"ids": list(ids)}).fetchall()}


def price_files_in_use(postgres: Postgres) -> set[str]:
    """Hashes (`sha256:...`) of the prices that simulations were made with."""
    with postgres.connection() as connection:
        return {row["content_hash"] for row in connection.execute(query("price_files_in_use")).fetchall()}


def run_artifacts(postgres: Postgres, run_ids: Sequence[str]) -> list[RunArtifact]:
    """Artifacts of runs, each once per run."""
    return artifacts_and_simulations(postgres, run_ids)[0]


def artifacts_and_simulations(postgres: Postgres, run_ids: Sequence[str]) -> tuple[list[RunArtifact], list[tuple[str, str]]]:
    """`run_artifacts`, and `(run_id, simulation_id)` of the simulations that stand on runs; by one trip."""
    binds = {"run_ids": list(run_ids)}
    files, simulations = postgres.ask((query("run_artifacts"), binds), (query("run_simulations"), binds))
    artifacts = [RunArtifact(row["run_id"], _files_from(row), row["folds"], row["own"]) for row in files]
    return artifacts, [(row["run_id"], row["simulation_id"]) for row in simulations]


def fold_files_of_dataset(postgres: Postgres, slug: str) -> list[FoldFiles]:
    """What the folds left that only runs of this dataset have, each with its key and pack."""
    with postgres.connection() as connection:
        return [_files_from(row) for row in connection.execute(query("dataset_fold_files"), {"slug": slug}).fetchall()]


def _files_from(row: Row) -> FoldFiles:
    return FoldFiles(**{name: row[name] for name in FoldFiles.__dataclass_fields__ if name in row})
