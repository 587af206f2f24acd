"""What runs are to their datasets: which profiles asked for them, which is the current one, and what a list shows beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chronos_assets.storage.postgres import Postgres, Row, lock_number
from chronos_assets.storage.queries import query
from chronos_assets.storage.runs import lock_key


@dataclass(frozen=True)
class RunStanding:
    """What a run is to its dataset: the profiles that asked for it, those whose current run it is, and the run that replaced it."""

    profiles: tuple[str, ...] = ()
    current_of: tuple[str, ...] = ()
    superseded_by: str | None = None
    """The current run of its first profile, if that is another one."""


def run_standings(postgres: Postgres, run_ids: Sequence[str]) -> dict[str, RunStanding]:
    """What each run is to its dataset, by one query; a run that no profile asked for is left out."""
    return _standings(postgres.ask((query("run_profiles"), {"run_ids": list(run_ids)}))[0])


def beside_runs(
    postgres: Postgres, run_ids: Sequence[str], running: Sequence[str]
) -> tuple[dict[str, int], dict[str, RunStanding], set[str]]:
    """Stored folds of runs (one that has none is left out), `run_standings`, and those of `running` whose lock is free; by one trip."""
    binds = {"run_ids": list(run_ids)}
    locks = {lock_number(lock_key(run_id)): run_id for run_id in running}
    folds, profiles, held = postgres.ask(
        (query("folds_present"), binds), (query("run_profiles"), binds), (query("locks_held"), {"keys": list(locks)})
    )
    dead = set(running) - {locks[row["key"]] for row in held}
    return {row["run_id"]: row["folds"] for row in folds}, _standings(profiles), dead


def _standings(rows: Sequence[Row]) -> dict[str, RunStanding]:
    by_run: dict[str, list[Row]] = {}
    for row in rows:
        by_run.setdefault(row["run_id"], []).append(row)
    return {run_id: _standing(run_id, found) for run_id, found in by_run.items()}


def _standing(run_id: str, rows: Sequence[Row]) -> RunStanding:
    current = tuple(row["profile"] for row in rows if row["current_run_id"] == run_id)
    others = [row["current_run_id"] for row in rows if row["current_run_id"] is not None]
    return RunStanding(tuple(row["profile"] for row in rows), current, others[0] if others and not current else None)
