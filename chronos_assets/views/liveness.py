"""Rows that say `running` while nobody works on them: readers show them as failed. Only writers change the row itself.

A process that works on a run or simulation holds its session lock, which goes with the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chronos_assets.storage.lfs import DIED as LFS_DIED
from chronos_assets.storage.lfs import lock_key as lfs_lock_key
from chronos_assets.storage.listing import RUNS, SIMULATIONS, held_locks, running_ids
from chronos_assets.storage.postgres import Postgres, Row
from chronos_assets.storage.runs import DIED as RUN_DIED
from chronos_assets.storage.runs import lock_key as run_lock_key
from chronos_assets.storage.simulations import DIED as SIMULATION_DIED
from chronos_assets.storage.simulations import lock_key as simulation_lock_key


def dead_runs(postgres: Postgres) -> set[str]:
    """Ids of all runs that say `running` while their lock is free."""
    return _dead(postgres, running_ids(postgres, RUNS), run_lock_key)


def dead_simulations(postgres: Postgres) -> set[str]:
    """The same for simulations."""
    return _dead(postgres, running_ids(postgres, SIMULATIONS), simulation_lock_key)


def with_dead_runs(postgres: Postgres, rows: Sequence[Row], dead: set[str] | None = None) -> list[dict[str, Any]]:
    """Rows of runs; one that is `running` while its lock is free is shown as `failed`, with `error.code` `died`.

    `dead`: their ids, if the caller has looked already.
    """
    return _shown(postgres, rows, "run_id", run_lock_key, note=RUN_DIED, dead=dead)


def with_dead_simulations(postgres: Postgres, rows: Sequence[Row], dead: set[str] | None = None) -> list[dict[str, Any]]:
    """The same for simulations."""
    return _shown(postgres, rows, "simulation_id", simulation_lock_key, note={"error": SIMULATION_DIED}, dead=dead)


def with_dead_selections(postgres: Postgres, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The same for feature selections."""
    return _shown(postgres, rows, "lfs_id", lfs_lock_key, note=LFS_DIED)


def _shown(
    postgres: Postgres,
    rows: Sequence[Row],
    name: str,
    key_of: Callable[[str], str],
    *,
    note: dict[str, Any],
    dead: set[str] | None = None,
) -> list[dict[str, Any]]:
    if dead is None:
        dead = _dead(postgres, [str(row[name]) for row in rows if row["status"] == "running"], key_of)
    return [
        {**row, "status": "failed", "summary_metrics": {**(row["summary_metrics"] or {}), **note}} if str(row[name]) in dead else dict(row)
        for row in rows
    ]


def _dead(postgres: Postgres, running: Sequence[str], key_of: Callable[[str], str]) -> set[str]:
    keys = {one: key_of(one) for one in running}
    held = held_locks(postgres, list(keys.values()))
    return {one for one, key in keys.items() if key not in held}
