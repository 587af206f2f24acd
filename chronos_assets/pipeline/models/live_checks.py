"""What live signals turned out to be: the same as the folds of the plan say of the same bars, and as good as the backtest promised."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from chronos_assets.domain.statistics.proportion import wilson_interval
from chronos_assets.pipeline.models.description import request_digest
from chronos_assets.pipeline.walkforward.request import WalkforwardRequest
from chronos_assets.pipeline.walkforward.trials import signals_of
from chronos_assets.storage.live_signals import read_signals
from chronos_assets.storage.models import ModelRecord, list_models
from chronos_assets.storage.runs import get_run, read_predictions
from chronos_assets.storage.stores import Stores

CONFIDENCE = 0.95
# Fewer live signals say little about a hit rate.
FEW_SIGNALS = 30
_COMPARED = ("prediction", "long_threshold", "short_threshold")


@dataclass(frozen=True)
class Parity:
    """Live signals compared with the folds that cover their bars now, and those that differ (`model_id`, `bar_index`, both values)."""

    compared: int
    differing: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Drift:
    """Hit rate of live signals whose targets are known, with its interval, beside that of the backtest; None without signals."""

    signals: int
    hit_rate: float | None
    low: float | None
    high: float | None
    backtest: float | None

    @property
    def within(self) -> bool | None:
        """Whether the backtest's hit rate lies within the interval; None if there are too few signals to say."""
        if self.signals < FEW_SIGNALS or self.low is None or self.high is None or self.backtest is None:
            return None
        return self.low <= self.backtest <= self.high


def parity(stores: Stores, request: WalkforwardRequest) -> Parity:
    """Compare every live signal with what the completed run of `request` says of the same bar, bit for bit.

    Models of the same request and bars count, and only those whose training rows are the fold's: every target was known.
    """
    models = {one.model_id for one in _models_like(stores, request) if one.description["train"]["unknown_targets"] == 0}
    live = read_signals(stores, dataset=request.record.dataset_id).filter(pl.col("model_id").is_in(sorted(models)))
    folds = read_predictions(stores, request.run_id).select(
        "bar_index", "fold", *(pl.col(name).alias(f"fold_{name}") for name in _COMPARED)
    )
    both = live.join(folds, on="bar_index")
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"fold_{name}")) for name in _COMPARED)
    return Parity(both.height, both.filter(~same).sort("bar_index", "model_id").to_dicts())


def drift(stores: Stores, request: WalkforwardRequest) -> Drift:
    """How often live signals were right, against the run's pooled hit rate.

    Each bar counts once, with the signal of the first model that predicted it; a hit is a return above 0 in the signal's direction.
    The interval is Wilson's (Brown, Cai, DasGupta 2001) for independent signals: overlapping targets make it too narrow.
    """
    models = sorted(_models_like(stores, request), key=lambda one: (one.created_at, one.model_id))
    ids = pl.Series("model_id", [one.model_id for one in models], dtype=pl.String)
    order = ids.to_frame().with_row_index("turn")
    live = read_signals(stores, dataset=request.record.dataset_id).join(order, on="model_id")
    first = live.sort("bar_index", "turn").unique("bar_index", keep="first", maintain_order=True)
    known = read_predictions(stores, request.run_id).select("bar_index", "target_value")
    summary = get_run(stores.postgres, request.run_id).summary_metrics or {}
    returns = signals_of(first.join(known, on="bar_index"), binary=bool(summary.get("binary_target"))).returns
    count, hits = len(returns), int((returns > 0).sum())
    backtest = (summary.get("both") or {}).get("hit_rate")
    if not count:
        return Drift(0, None, None, None, backtest)
    low, high = wilson_interval(hits, count, CONFIDENCE)
    return Drift(count, hits / count, low, high, backtest)


def _models_like(stores: Stores, request: WalkforwardRequest) -> list[ModelRecord]:
    """Models of the same request on the bars of the same revision."""
    digest, tag = request_digest(request), request.record.questdb_tag
    models = list_models(stores.postgres, request.record.dataset_id)
    return [one for one in models if one.description["request"] == digest and one.description["questdb_tag"] == tag]
