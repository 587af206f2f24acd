"""What a run of one dataset came to: one document for `--json`, read from the stores by the ids that the run recorded."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from chronos_assets.orchestration.execute import RunOutcome

if TYPE_CHECKING:
    from chronos_assets.storage.runs import FoldRecord
    from chronos_assets.storage.stores import Stores

LIVE = "live_models"  # a plan that is closed has no live fold, and the asset is not materialized then
ASSETS_THAT_WRITE = ("indicator_bars", "walkforward_predictions", "trading_simulations")


def summary_of(outcome: RunOutcome, stores: Stores) -> dict[str, Any]:
    """The document of one run; parts that the run did not reach are left out."""
    facts = outcome.facts
    document: dict[str, Any] = {
        "dataset": outcome.slug,
        "status": "done" if outcome.succeeded else "failed",
        "unchanged": outcome.succeeded
        and all(facts.get(name, {}).get("unchanged", False) for name in ASSETS_THAT_WRITE)
        and facts.get(LIVE, {}).get("unchanged", True),
        "dagster_run_id": outcome.run_id,
        "seconds": round(sum(step.seconds for step in outcome.steps), 3),
        "steps": [{"step": s.name, "seconds": round(s.seconds, 3), "succeeded": s.succeeded} for s in outcome.steps],
        "checks": [{"asset": a, "check": c, "passed": p, "severity": s.lower()} for a, c, p, s in outcome.checks],
    }
    if not outcome.succeeded:
        document["error"] = {"step": outcome.failed_step, "message": outcome.message, "exit_code": outcome.exit_code}
    if "indicator_bars" in facts:
        document["rows"] = _rows(facts)
    document["walkforward"] = [
        _walkforward(profile, run_id, facts, stores) for profile, run_id in _ids(facts, "walkforward_predictions", "run_ids")
    ]
    document["simulations"] = [_simulation(name, one, stores) for name, one in _ids(facts, "trading_simulations", "simulation_ids")]
    if LIVE in facts:
        document["live"] = _live(facts[LIVE], stores)
    return document


def _live(facts: dict[str, Any], stores: Stores) -> dict[str, Any]:
    """The live model, what became of it, and the signal of the newest bar with the model's age and backtest."""
    from chronos_assets.pipeline.models.predict import predict_live
    from chronos_assets.storage.models import get_model
    from chronos_assets.views.models import predictions_document

    model = get_model(stores.postgres, facts["model_id"])
    found = predict_live(model.dataset_id, stores, model_id=model.model_id)
    said = predictions_document(found, stores.postgres)
    kept = {name: getattr(said, name) for name in ("model", "age_days", "newest", "warnings")}
    return kept | {"promoted": facts["promoted"], "reason": facts["reason"], "backtest": model.backtest}


def _ids(facts: dict[str, dict[str, Any]], asset: str, key: str) -> list[tuple[str, str]]:
    found = facts.get(asset, {}).get(key) or {}
    return list(found.items())


def _rows(facts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    bars, audit = facts["indicator_bars"], facts.get("indicator_bars:post_export_diff", {})
    return {
        "total": bars.get("dagster/row_count"),
        "written": bars.get("rows_written"),
        "verified": audit.get("rows_verified"),
        "cells_verified": audit.get("cells_verified"),
        "transport": bars.get("transport"),
        "tag": bars.get("questdb_tag"),
    }


def _walkforward(profile: str, run_id: str, facts: dict[str, dict[str, Any]], stores: Stores) -> dict[str, Any]:
    from chronos_assets.storage.runs import get_folds, get_run

    run, folds = get_run(stores.postgres, run_id), get_folds(stores.postgres, run_id)
    metrics = run.summary_metrics or {}
    baseline = metrics.get("baseline")
    counts = facts["walkforward_predictions"]
    return {
        "profile": profile,
        "run_id": run_id,
        "target": run.target_column,
        "folds_planned": metrics.get("folds_planned", len(folds)),
        "folds_trained": counts.get("folds_trained"),
        "folds_reused": counts.get("folds_reused"),
        "thresholds": {side: _threshold(folds, side) for side in ("long", "short")},
        "threshold_cases": metrics.get("threshold_cases"),
        "folds_learned_nothing": metrics.get("folds_learned_nothing"),
        **_sides(metrics),
        "baseline": None if baseline is None else {"learner": baseline["learner"], "run_id": baseline["run_id"], **_sides(baseline)},
    }


def _threshold(folds: list[FoldRecord], side: str) -> dict[str, Any]:
    values = [fold.thresholds[side] for fold in folds if fold.thresholds.get(side) is not None]
    return {
        "median": statistics.median(values) if values else None,
        "latest": folds[-1].thresholds.get(side) if folds else None,
        "folds_off": len(folds) - len(values),
    }


def _sides(metrics: dict[str, Any]) -> dict[str, Any]:
    return {side: _side(metrics.get(side) or {}) for side in ("long", "short", "both")}


def _side(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: metrics.get(name) for name in ("n_signals", "hit_rate", "profit_factor", "no_losses", "signal_sum")}


def _simulation(name: str, simulation_id: str, stores: Stores) -> dict[str, Any]:
    from chronos_assets.storage.simulations import get_simulation

    record = get_simulation(stores.postgres, simulation_id)
    metrics = record.summary_metrics or {}
    return {
        "name": name,
        "mode": record.mode,
        "simulation_id": simulation_id,
        "trades": metrics.get("trade_count"),
        "win_rate": metrics.get("win_rate"),
        "profit_factor": metrics.get("profit_factor_trade"),
        "return_pct": metrics.get("total_return_pct"),
        "buy_and_hold_pct": (metrics.get("buy_and_hold") or {}).get("total_return_pct"),
        "max_drawdown_pct": metrics.get("max_drawdown_pct"),
    }
