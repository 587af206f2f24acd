"""From a trade back to where it came from: its fold, the fold's model, the bars, the checksum of the file.

Every step is read from what is stored, and one is made again: the model predicts the deciding bar from the bar's stored features, and the
trace says whether that is the prediction the trade was decided on.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from chronos_assets.errors import NotPublishedError, UsageError
from chronos_assets.pipeline.simulation.prices import price_columns
from chronos_assets.pipeline.walkforward.data import as_float32
from chronos_assets.pipeline.walkforward.request import learner_of
from chronos_assets.storage.datasets import DatasetColumn, DatasetRecord, get_dataset, read_range
from chronos_assets.storage.fold_artifacts import FoldArtifacts, label
from chronos_assets.storage.runs import FoldRecord, RunRecord, get_folds, get_run, read_predictions
from chronos_assets.storage.simulations import SimulationRecord, get_simulation, read_trades
from chronos_assets.storage.stores import Stores

# As many digits as QuestDB's LONG holds whatever they are.
MOST_DIGITS = 18


def parse_trade(text: str) -> tuple[str, int]:
    """`SIMULATION_ID/TRADE_NO` in parts; raises `UsageError`."""
    simulation_id, slash, number = text.partition("/")
    # Digits of other scripts are no trade number, and int() refuses thousands of digits.
    if not slash or not (number.isascii() and number.isdigit() and len(number) <= MOST_DIGITS) or int(number) < 1:
        raise UsageError(
            f"{text[:80]!r} does not name a trade",
            code="trade_name",
            expected="SIMULATION_ID/TRADE_NO, trades counted from 1",
            hint="`chronos simulate RUN_ID --json` lists simulations and how many trades each has.",
        )
    return simulation_id, int(number)


def trace_trade(text: str, stores: Stores) -> dict[str, Any]:
    """The whole way of one trade as JSON-ready values.

    Raises `NotPublishedError` for a simulation or trade that does not exist.
    """
    simulation_id, number = parse_trade(text)
    simulation = get_simulation(stores.postgres, simulation_id)
    trade = _trade(stores, simulation, number)
    run = get_run(stores.postgres, simulation.run_id)
    current = get_dataset(stores.postgres, run.dataset_id)
    record = replace(current, questdb_tag=run.questdb_tag or current.questdb_tag)
    fold = next((f for f in get_folds(stores.postgres, run.run_id) if f.fold_number == trade["fold"]), None)
    predictions = read_predictions(stores, run.run_id, [trade["fold"]])
    decision = _prediction(predictions, trade["decision_timestamp_unix"])
    features = _features(stores, record, run, trade["decision_timestamp_unix"])
    return {
        "trade": f"{simulation.simulation_id}/{number}",
        **_times({k: v for k, v in trade.items() if k != "trade_no"}),
        "simulation": {
            "simulation_id": simulation.simulation_id,
            "mode": simulation.mode,
            "status": simulation.status,
            "prices": simulation.config.get("prices"),
            "code_version": simulation.config.get("code_version"),
        },
        "fold": None if fold is None else _fold(fold),
        "model": None if fold is None else _model(stores, run, fold, features, decision),
        "bars": {
            "decision": decision | {"features": features, "percentiles": _percentiles(stores, record, run, fold, features)},
            "entry": _bar(stores, record, trade["entry_timestamp_unix"]),
            "exit": _bar(stores, record, trade["exit_timestamp_unix"])
            | {"features": _features(stores, record, run, trade["exit_timestamp_unix"])},
            "table": f"indicator_bars, dataset = {record.questdb_tag}",
        },
        "run": {
            "run_id": run.run_id,
            "target": run.target_column,
            "device": run.device,
            "code_version": run.code_version,
            "content_hash": run.content_hash,
        },
        "file": {"dataset": run.dataset_id, "checksum": run.dataset_checksum, "published_now": current.checksum},
    }


def _trade(stores: Stores, simulation: SimulationRecord, number: int) -> dict[str, Any]:
    trades = read_trades(stores, simulation.simulation_id)
    found = trades.filter(pl.col("trade_no") == number).to_dicts()
    if simulation.status != "completed" or not found:
        raise NotPublishedError(
            f"simulation {simulation.simulation_id} has no trade {number}",
            code="trade_unknown",
            found=f"{trades.height} trades, status {simulation.status}",
        )
    return found[0]


def _fold(fold: FoldRecord) -> dict[str, Any]:
    names = ("fold_number", "train_start_idx", "train_end_idx", "test_start_idx", "test_end_idx", "samples_train", "samples_test")
    edges = ("train_start_ts", "train_end_ts", "test_start_ts", "test_end_ts")
    stamps = {name: None if (at := getattr(fold, name)) is None else at.isoformat() for name in edges}
    return {name: getattr(fold, name) for name in names} | stamps | {"thresholds": fold.thresholds, "best_iteration": fold.best_iteration}


def _model(stores: Stores, run: RunRecord, fold: FoldRecord, features: dict[str, float | None], decision: dict[str, Any]) -> dict[str, Any]:
    artifacts = FoldArtifacts(stores.artifacts)
    state = artifacts.state(fold.files)
    about = {
        "learner": learner_of(run),
        "versions": fold.versions,
        "fold_key": fold.fold_key,
        "artifact": label(fold.files),
        "state": state,
        "present": state != "missing",
        "sha256": fold.artifact_sha256,
    }
    if state != "whole":
        return about | {"predicts": None, "reproduces_prediction": None}
    from chronos_assets.learning.models import load_model  # learners are heavy

    model = load_model(artifacts.model(fold.files), learner_of(run))
    row = as_float32([[np.nan if (value := features[name]) is None else value for name in model.feature_names]])
    again = float(model.predict(row)[0])
    return about | {"predicts": again, "reproduces_prediction": again == decision["prediction"]}


def _prediction(predictions: pl.DataFrame, seconds: int) -> dict[str, Any]:
    rows = predictions.filter(pl.col("timestamp_unix") == seconds).to_dicts()
    if not rows:
        raise NotPublishedError("the prediction that decided the trade is not stored", code="prediction_missing", found=_iso(seconds))
    return _times(rows[0])


def _features(stores: Stores, record: DatasetRecord, run: RunRecord, seconds: int) -> dict[str, float | None]:
    columns = [record.column(name) for name in run.feature_columns]
    return _row(stores, record, columns, seconds)


def _percentiles(
    stores: Stores, record: DatasetRecord, run: RunRecord, fold: FoldRecord | None, features: dict[str, float | None]
) -> dict[str, float | None]:
    """Percent of the values in the fold's training window that are at most the deciding bar's; None if either is missing."""
    if fold is None or fold.train_start_ts is None or fold.train_end_ts is None:
        return dict.fromkeys(features)
    columns = [record.column(name) for name in run.feature_columns]
    first, behind = int(fold.train_start_ts.timestamp()), int(fold.train_end_ts.timestamp())
    window = read_range(stores.questdb, record.questdb_tag, columns, first=first, last=behind - 1)
    found: dict[str, float | None] = {}
    for name, value in features.items():
        known = window[name].fill_nan(None).drop_nulls()
        found[name] = None if value is None or not len(known) else 100.0 * float((known <= value).sum()) / len(known)
    return found


def _bar(stores: Stores, record: DatasetRecord, seconds: int) -> dict[str, Any]:
    columns = [c for c in record.columns if c.role == "price"]
    return (
        {"timestamp_unix": seconds, "time": _iso(seconds), **_row(stores, record, columns, seconds)}
        if price_columns(record)
        else {
            "timestamp_unix": seconds,
            "time": _iso(seconds),
        }
    )


def _row(stores: Stores, record: DatasetRecord, columns: list[DatasetColumn], seconds: int) -> dict[str, Any]:
    rows = read_range(stores.questdb, record.questdb_tag, columns, first=seconds, last=seconds).to_dicts()
    return {c.name: rows[0][c.name] if rows else None for c in columns}


def _times(row: dict[str, Any]) -> dict[str, Any]:
    """`row` with a readable time beside each of its unix seconds."""
    shown = {
        name.removesuffix("_timestamp_unix").removesuffix("timestamp_unix") or "": value for name, value in row.items() if "_unix" in name
    }
    return row | {(f"{name}_time" if name else "time"): _iso(value) for name, value in shown.items()}


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(int(seconds), tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
