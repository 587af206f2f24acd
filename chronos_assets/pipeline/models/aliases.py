"""Names that stand for models: `live` is the one that is traded. Promoting and rolling back add to a history that nothing rewrites."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass

from chronos_assets.errors import NotPublishedError, RefusedError, UsageError
from chronos_assets.storage.datasets import get_dataset
from chronos_assets.storage.model_artifacts import ModelArtifacts
from chronos_assets.storage.models import LIVE, AliasChange, ModelRecord, alias_history, change_alias, get_model, stacks
from chronos_assets.storage.postgres import Connection
from chronos_assets.storage.stores import Stores

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}", re.ASCII)
LOCK_SECONDS = 10.0


@dataclass(frozen=True)
class Renamed:
    """What a name stands for now, what it stood for before (None: for nothing), and the change; None if there was nothing to change."""

    model: ModelRecord
    before: str | None
    change: AliasChange | None


def promote(stores: Stores, model_id: str, name: str = LIVE, *, reason: str | None = None, changed_by: str = "chronos") -> Renamed:
    """Let `name` stand for a model from now on; a model that it stands for already stays.

    Raises `RefusedError` for a model whose run was retired, `FileError` if its file is not what was stored.
    """
    require_name(name)
    model = get_model(stores.postgres, model_id)
    require_kept(model)
    ModelArtifacts(stores.artifacts).load(model.model_id, model.sha256)
    with _alone(stores, model.dataset_id):
        stack = _stack(stores, model.dataset_id, name)
        before = stack[-1] if stack else None
        if before == model.model_id:
            return Renamed(model, before, None)
        change = change_alias(stores.postgres, model, name, action="promote", reason=reason, changed_by=changed_by)
    return Renamed(model, before, change)


def rollback(stores: Stores, slug: str, name: str = LIVE, *, reason: str | None = None, changed_by: str = "chronos") -> Renamed:
    """Let `name` stand for the model that it stood for before.

    Raises `NotPublishedError` if there is none, `RefusedError` if that one's run was retired.
    """
    require_name(name)
    get_dataset(stores.postgres, slug)
    with _alone(stores, slug):
        stack = _stack(stores, slug, name)
        if len(stack) < 2:
            raise NotPublishedError(
                f"there is no model before this one to go back to: {name} of {slug} was promoted {len(stack)} times",
                code="nothing_to_roll_back",
                hint=f"`chronos model list {slug}` shows what could be promoted.",
                slug=slug,
            )
        model = get_model(stores.postgres, stack[-2])
        require_kept(model)
        ModelArtifacts(stores.artifacts).load(model.model_id, model.sha256)
        change = change_alias(stores.postgres, model, name, action="rollback", reason=reason, changed_by=changed_by)
    return Renamed(model, stack[-1], change)


def model_named(stores: Stores, slug: str, name: str = LIVE) -> ModelRecord:
    """The model that a name of a dataset stands for; raises `NotPublishedError`."""
    require_name(name)
    get_dataset(stores.postgres, slug)
    stack = _stack(stores, slug, name)
    if not stack:
        raise NotPublishedError(
            f"no model of {slug} is promoted as {name}",
            code="alias_unknown",
            hint=f"`chronos model train {slug}` makes a model, `chronos model promote MODEL_ID --as {name}` promotes it.",
            slug=slug,
        )
    return get_model(stores.postgres, stack[-1])


def require_name(name: str) -> None:
    """Raise `UsageError` for a text that cannot be the name of a model."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:40]!r} cannot be the name of a model",
            code="alias_invalid",
            expected="a small letter, then small letters, digits, '_' or '-', at most 32 characters, for example live",
        )


def require_kept(model: ModelRecord) -> None:
    """Raise `RefusedError` for a model that went with its run."""
    if model.retired_at is not None:
        raise RefusedError(
            f"model {model.model_id} went when its run was retired",
            code="model_retired",
            found=f"retired {model.retired_at:%Y-%m-%d %H:%M}",
            hint=f"`chronos model train {model.dataset_id}` makes one of the newest bars.",
            slug=model.dataset_id,
        )


def _stack(stores: Stores, slug: str, name: str) -> list[str]:
    return stacks(alias_history(stores.postgres, slug, name)).get((slug, name), [])


def _alone(stores: Stores, slug: str) -> AbstractContextManager[Connection]:
    """Two changes of a dataset's names one after the other: each is decided by what the other left."""
    return stores.postgres.session_lock(f"model names:{slug}", wait_seconds=LOCK_SECONDS, what=f"the names of {slug}'s models")
