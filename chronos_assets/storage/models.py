"""Models of live folds in Postgres: one row each, and the names that point to them with their full history.

No row of `model_aliases` is ever updated: a change adds one, and the history is a stack. `promote` puts a model on top of a name's
stack, `rollback` takes the top one off; the model on top is the one that the name stands for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from chronos_assets.domain.strict import nearest
from chronos_assets.errors import NotPublishedError
from chronos_assets.storage.model_artifacts import ModelArtifacts
from chronos_assets.storage.postgres import Connection, Postgres, Row, lock_number
from chronos_assets.storage.queries import query
from chronos_assets.storage.runs import FILES, hint_prefix
from chronos_assets.storage.stores import Stores

LIVE = "live"
# The model on top of a name, and the one that a rollback restores: their files and runs are kept.
KEPT_OF_A_NAME = 2
_JSON = ("fold", "thresholds", "simulation_ids", "description", "backtest")


@dataclass(frozen=True)
class ModelRecord:
    """One row of `models`. `run_id` is None once the run is retired; `description` still has it."""

    model_id: str
    dataset_id: str
    run_id: str | None
    profile: str | None
    fold: dict[str, Any]
    thresholds: dict[str, Any]
    train_start_ts: datetime
    train_end_ts: datetime
    valid_from_ts: datetime
    valid_until_ts: datetime
    sha256: str
    bytes: int
    simulation_ids: list[str]
    description: dict[str, Any]
    backtest: dict[str, Any]
    status: str
    requested_by: str | None
    created_at: datetime
    retired_at: datetime | None = None


@dataclass(frozen=True)
class AliasChange:
    """One row of `model_aliases`."""

    change_id: int
    dataset_id: str
    name: str
    model_id: str
    action: Literal["promote", "rollback"]
    reason: str | None
    changed_by: str | None
    changed_at: datetime


def store_model(stores: Stores, lock: Connection, row: Mapping[str, Any], content: bytes) -> None:
    """Write a model's file and then its row, on the connection that holds the lock of the run; or renew what later work adds to them.

    `row` has the columns of `model_store` but those of the file. Files of folds and models are not removed meanwhile (`files_lock`).
    """
    values = {name: Jsonb(value) if name in _JSON else value for name, value in row.items()}
    with stores.postgres.wrapped(), lock.transaction():
        lock.execute(query("lock_shared_until_commit"), {"key": lock_number(FILES)})
        sha256 = ModelArtifacts(stores.artifacts).save(row["model_id"], content)
        lock.execute(query("model_store"), values | {"sha256": sha256, "bytes": len(content)})


def renew_backtest(lock: Connection, model_id: str, simulation_ids: Sequence[str], backtest: Mapping[str, Any]) -> None:
    """Take in the simulations that were made of a model's run since it was trained."""
    binds = {"model_id": model_id, "simulation_ids": Jsonb(list(simulation_ids)), "backtest": Jsonb(dict(backtest))}
    lock.execute(query("model_backtest"), binds)


def find_model(postgres: Postgres, model_id: str) -> ModelRecord | None:
    """The model, or None. A text that is no UUID is no model."""
    try:
        UUID(model_id)
    except ValueError:
        return None
    with postgres.connection() as connection:
        row = connection.execute(query("model_get"), {"model_id": model_id}).fetchone()
    return None if row is None else _record(row)


def get_model(postgres: Postgres, model_id: str) -> ModelRecord:
    """The model; raises `NotPublishedError` with the nearest known id."""
    record = find_model(postgres, model_id)
    if record is None:
        with postgres.connection() as connection:
            near = connection.execute(query("models_near"), {"prefix": hint_prefix(model_id)}).fetchall()
        close = nearest(model_id, [row["id"] for row in near])
        raise NotPublishedError(
            f"there is no model {model_id}",
            code="model_unknown",
            hint=(f"Did you mean {close}? " if close else "") + "`chronos model list` shows them.",
        )
    return record


def find_model_of_fold(postgres: Postgres, run_id: str, fold_key: str) -> ModelRecord | None:
    """The model that continues a run with the fold of this key, or None."""
    with postgres.connection() as connection:
        row = connection.execute(query("model_of_fold"), {"run_id": run_id, "fold_key": fold_key}).fetchone()
    return None if row is None else _record(row)


def list_models(postgres: Postgres, slug: str | None = None) -> list[ModelRecord]:
    """Models of a dataset, or of all, newest first."""
    with postgres.connection() as connection:
        return [_record(row) for row in connection.execute(query("model_list"), {"dataset_id": slug}).fetchall()]


def change_alias(
    postgres: Postgres, model: ModelRecord, name: str, *, action: Literal["promote", "rollback"], reason: str | None, changed_by: str
) -> AliasChange:
    """Add a change to the history of a name; `model` is what it stands for from now on."""
    binds = {"dataset_id": model.dataset_id, "name": name, "model_id": model.model_id}
    with postgres.connection() as connection:
        row = connection.execute(query("alias_change"), binds | {"action": action, "reason": reason, "changed_by": changed_by}).fetchone()
    assert row is not None
    return _change(row)


def alias_history(postgres: Postgres, slug: str | None = None, name: str | None = None) -> list[AliasChange]:
    """Changes in the order in which they were made, of one dataset and name or of all."""
    with postgres.connection() as connection:
        return [_change(row) for row in connection.execute(query("alias_history"), {"dataset_id": slug, "name": name}).fetchall()]


def stacks(changes: Iterable[AliasChange]) -> dict[tuple[str, str], list[str]]:
    """`(dataset_id, name)` -> the models promoted and not taken back, the one that holds last."""
    found: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        stack = found.setdefault((change.dataset_id, change.name), [])
        if change.action == "promote":
            stack.append(change.model_id)
        elif stack:
            stack.pop()
    return found


def names_of(postgres: Postgres, slug: str | None = None) -> dict[str, list[str]]:
    """`model_id` -> the names that stand for it now."""
    found: dict[str, list[str]] = {}
    for (_, name), stack in stacks(alias_history(postgres, slug)).items():
        if stack:
            found.setdefault(stack[-1], []).append(name)
    return found


def models_in_use(postgres: Postgres, ids: Sequence[str]) -> set[str]:
    """Those of `ids` that are models whose file has to be there."""
    with postgres.connection() as connection:
        return {row["model_id"] for row in connection.execute(query("models_in_use"), {"ids": list(ids)}).fetchall()}


def kept_models(postgres: Postgres, slug: str | None = None) -> set[str]:
    """Models that a name stands for, and those that a rollback restores."""
    return {model_id for stack in stacks(alias_history(postgres, slug)).values() for model_id in stack[-KEPT_OF_A_NAME:]}


def kept_runs(postgres: Postgres, slug: str | None = None) -> set[str]:
    """Runs that `kept_models` rest on: their backtest."""
    kept = kept_models(postgres, slug)
    return {model.run_id for model in list_models(postgres, slug) if model.model_id in kept and model.run_id is not None}


def models_of_run(postgres: Postgres, run_id: str) -> list[str]:
    """Ids of the models that continue a run."""
    with postgres.connection() as connection:
        return [row["model_id"] for row in connection.execute(query("models_of_run"), {"run_id": run_id}).fetchall()]


@dataclass(frozen=True)
class UnnamedModel:
    """A model whose run is retired and for which no name ever stood; `newest`: when the newest model of its dataset was trained."""

    model_id: str
    dataset_id: str
    created_at: datetime
    newest: datetime


def unnamed_models(postgres: Postgres, slug: str | None = None) -> list[UnnamedModel]:
    """The models of a dataset, or of all, that a retention policy may let go."""
    with postgres.connection() as connection:
        return [UnnamedModel(**row) for row in connection.execute(query("models_unnamed"), {"dataset_id": slug}).fetchall()]


def delete_models(postgres: Postgres, ids: Sequence[str]) -> int:
    """Delete the rows of unnamed models; their signals are dead then, and go with a compaction. Returns how many."""
    with postgres.connection() as connection:
        return connection.execute(query("models_delete"), {"ids": list(ids)}).rowcount


def _record(row: Row) -> ModelRecord:
    kept = {name: value for name, value in row.items() if name in ModelRecord.__dataclass_fields__}
    run_id = None if row["run_id"] is None else str(row["run_id"])
    return ModelRecord(**(kept | {"model_id": str(row["model_id"]), "run_id": run_id}))


def _change(row: Row) -> AliasChange:
    return AliasChange(**(dict(row) | {"model_id": str(row["model_id"])}))
