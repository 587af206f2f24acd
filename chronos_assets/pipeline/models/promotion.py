"""Promote a model if the manifest's policy says so, and keep the reason."""

from __future__ import annotations

from chronos_assets.domain.profiles.live import LiveProfile
from chronos_assets.domain.promotion import Candidate, Decision, decide
from chronos_assets.pipeline.models.aliases import promote
from chronos_assets.pipeline.models.predict import is_expired
from chronos_assets.storage.datasets import get_dataset
from chronos_assets.storage.models import LIVE, ModelRecord, alias_history, get_model, stacks
from chronos_assets.storage.stores import Stores


def apply_policy(stores: Stores, policy: LiveProfile, model: ModelRecord, *, changed_by: str) -> Decision:
    """Promote `model` as live if `policy` says so; a model that is live stays, whatever the policy says of it."""
    stack = stacks(alias_history(stores.postgres, model.dataset_id, LIVE)).get((model.dataset_id, LIVE), [])
    if stack and stack[-1] == model.model_id:
        return Decision(promote=True, reason="it is live already")
    if _was_live(stores, model):
        chosen = "it was live before, and another model was chosen instead: `chronos model promote` makes it live again"
        return Decision(promote=False, reason=chosen)
    decision = decide(policy, _candidate(model), _live(stores, stack))
    if decision.promote:
        promote(stores, model.model_id, LIVE, reason=decision.reason, changed_by=changed_by)
    return decision


def _was_live(stores: Stores, model: ModelRecord) -> bool:
    """Whether the model was live once: who took it back does not want it promoted again by itself."""
    history = alias_history(stores.postgres, model.dataset_id, LIVE)
    return any(change.model_id == model.model_id for change in history)


def _live(stores: Stores, stack: list[str]) -> Candidate | None:
    if not stack:
        return None
    live = get_model(stores.postgres, stack[-1])
    gone = live.retired_at is not None or is_expired(live, get_dataset(stores.postgres, live.dataset_id))
    return None if gone else _candidate(live)


def _candidate(model: ModelRecord) -> Candidate:
    sides = [model.thresholds[side] is not None for side in ("long", "short")]
    return Candidate(model.description["request"], model.backtest, any(sides), bool(model.fold["learned_nothing"]))
