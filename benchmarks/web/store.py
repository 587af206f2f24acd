"""A store as large as years of work leave it, made by real inserts: many runs, one with many folds, one long simulation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
from psycopg.types.json import Jsonb

from chronos_assets.domain.statistics.returns import return_metrics
from chronos_assets.storage.lfs import LfsFeature, begin_lfs, end_lfs, lfs_lock, write_features
from chronos_assets.storage.lfs_artifacts import LfsArtifacts
from chronos_assets.storage.questdb_tables import INDICATOR_BARS, WALKFORWARD_PREDICTIONS
from chronos_assets.storage.simulations import begin_simulation, complete_simulation, write_trades_and_equity
from chronos_assets.storage.stores import Stores

SLUG, MINUTE = "large_1m_v1", 60
START = int(datetime(2019, 1, 1, tzinfo=UTC).timestamp())
SELECTION = "00000000-0000-0000-0000-0000000000f3"
BIG_RUN, BIG_SIMULATION = "00000000-0000-0000-0000-0000000000f1", "00000000-0000-0000-0000-0000000000f2"
FEATURES = [f"FEATURE_{n}" for n in range(40)]
SIDE = {"n_signals": 40, "hit_rate": 0.55, "signal_sum": 1.5, "mean": 0.01, "median": 0.01, "std": 0.02, "profit_factor": 1.2}
METRICS = {"long": SIDE, "short": SIDE, "both": SIDE, "notes": []}
THRESHOLDS = {"long": 0.05, "short": -0.05, "method": "optimal", "data": "validation", "n_cases": 130}
RUNS = """
INSERT INTO walkforward_runs (run_id, dataset_id, target_column, feature_columns, hyperparameters, walk_config, status, requested_by,
    started_at, completed_at, duration_ms, summary_metrics, created_at, questdb_tag)
SELECT gen_random_uuid(), %(slug)s, 'TGT_' || n %% 5, %(features)s, '{"eta": 0.01, "max_depth": 4, "rounds": 2000, "seed": 7}',
    '{"window": "rolling", "train": 650, "test": 24, "step": 24, "gap": 4, "initial_offset": 0, "start_fold": 0, "end_fold": null,
      "folds_planned": 30, "horizon": 1}', 'completed', 'bench',
    now() - n * interval '1 minute', now() - n * interval '1 minute', (1000 * random())::bigint,
    jsonb_set(jsonb_set(%(summary)s, '{both,profit_factor}', to_jsonb(random() * 2)), '{both,signal_sum}', to_jsonb(random())),
    now() - n * interval '1 minute', %(slug)s
FROM generate_series(1, %(count)s) n
"""
FOLDS = """
INSERT INTO walkforward_folds (run_id, fold_number, train_start_idx, train_end_idx, test_start_idx, test_end_idx, samples_train,
    samples_test, best_iteration, best_score, thresholds, metrics, fold_key)
SELECT run_id, n, n * 24, n * 24 + 650, n * 24 + 654, n * 24 + 678, 519, 24, 40, 0.01, %(thresholds)s, %(metrics)s, md5(run_id::text || n)
FROM walkforward_runs, generate_series(0, %(last)s) n WHERE %(run_id)s::uuid IS NULL OR run_id = %(run_id)s::uuid
"""
# Every run is a trial: its signal returns in 512 buckets.
TRIALS = """
INSERT INTO walkforward_trials (
    run_id, dataset_id, lineage, target_column, content_hash, request, signals, effective_signals, sharpe, series, created_at
)
SELECT r.run_id, r.dataset_id, regexp_replace(r.dataset_id, '_v[0-9]+$', ''), r.target_column, 'x', '{}', 1200, 1000, random() / 10 - 0.05,
    jsonb_build_object('width_seconds', 65536, 'first', 24000, 'sums',
        (SELECT jsonb_agg(random() - 0.5) FROM generate_series(1, 512) n WHERE n > 0 * length(r.target_column))),
    r.created_at
FROM walkforward_runs r
"""
SIMULATIONS = """
INSERT INTO simulation_runs (simulation_id, run_id, dataset_id, mode, config, status, started_at, completed_at, summary_metrics, created_at)
SELECT gen_random_uuid(), run_id, dataset_id, 'dual', '{"capital": 100000.0}', 'completed', created_at, created_at,
    %(summary)s || jsonb_build_object('sharpe', random(), 'total_return_pct', random() * 100, 'max_drawdown_pct', random() * 50,
        'trade_count', (random() * 1000)::int), created_at
FROM walkforward_runs
"""


@dataclass(frozen=True)
class Size:
    """How large the store is made."""

    runs: int = 10_000
    folds: int = 30
    big_folds: int = 500
    bars: int = 1_000_000
    trades: int = 100_000


def fill(stores: Stores, size: Size) -> None:
    """Make all of it."""
    _bars(stores, size.bars)
    fill_registry(stores, size)
    _simulation(stores, size)


def fill_registry(stores: Stores, size: Size) -> None:
    """Make what Postgres holds of it: the dataset, runs, folds and simulations."""
    _dataset(stores, size.bars)
    importance = {name: {"gain": 1.0, "splits": 20, "shap": 0.01} for name in FEATURES}
    summary = Jsonb({**METRICS, "folds_present": size.folds, "bars_predicted": 4000, "feature_importance": importance})
    folds = {"thresholds": Jsonb(THRESHOLDS), "metrics": Jsonb(METRICS)}
    with stores.postgres.connection() as connection:
        connection.execute(RUNS, {"slug": SLUG, "features": json.dumps(FEATURES), "summary": summary, "count": size.runs})
        connection.execute(FOLDS, {**folds, "last": size.folds - 1, "run_id": None})
        connection.execute(SIMULATIONS, {"summary": Jsonb({"buy_and_hold": {"total_return_pct": 5.0}, "bases": {"sharpe": "x" * 2000}})})
        connection.execute(
            "INSERT INTO walkforward_runs SELECT %s, dataset_id, target_column, feature_columns, hyperparameters,"
            " walk_config || '{\"folds_planned\": 500}', status, requested_by, started_at, completed_at, duration_ms, summary_metrics,"
            " now(), dataset_checksum, questdb_tag, content_hash, code_version, device FROM walkforward_runs LIMIT 1",
            (BIG_RUN,),
        )
        connection.execute(FOLDS, {**folds, "last": size.big_folds - 1, "run_id": BIG_RUN})
        connection.execute(TRIALS)
        connection.execute("ANALYZE")


def fill_predictions(stores: Stores, size: Size, bars: int) -> None:
    """Write `bars` predictions of every fold of every run but the big one, as a run writes them."""
    with stores.postgres.connection() as connection:
        rows = connection.execute("SELECT run_id::text AS id FROM walkforward_runs WHERE run_id <> %s", (BIG_RUN,)).fetchall()
    steps = pl.DataFrame({"bar_index": np.arange(size.folds * bars)}).with_columns(
        fold=(pl.col("bar_index") // bars).cast(pl.String),
        timestamp=START + MINUTE * pl.col("bar_index"),
        dataset=pl.lit(SLUG),
        target=pl.lit("TGT_1"),
        prediction=pl.lit(0.1),
        target_value=pl.lit(0.2),
    )
    table = WALKFORWARD_PREDICTIONS
    for start in range(0, len(rows), 500):
        some = pl.DataFrame({"run_id": [row["id"] for row in rows[start : start + 500]]}).join(steps, how="cross")
        stores.questdb.write(some, table=table.name, symbols=table.symbols, batch_rows=20_000, senders=2)
    stores.questdb.wait_applied(table.name, 1_800)


def fill_selection(stores: Stores, features: int = 200, cases: int = 5_000) -> str:
    """A completed Local Feature Selection of many features, each case with three of them; gives its id."""
    rng, names = np.random.default_rng(3), [f"FEATURE_{n}" for n in range(features)]
    chosen = rng.integers(0, features, (cases, 3))
    files = LfsArtifacts(stores.artifacts, SELECTION, features)
    rows = {"row": np.arange(cases), "timestamp_unix": START + MINUTE * np.arange(cases), "class": rng.integers(0, 3, cases)}
    files.save_sets(pl.DataFrame(rows).with_columns(selected=pl.Series(np.sort(chosen, axis=1).tolist(), dtype=pl.List(pl.Int64))))
    files.finish({r: rng.integers(0, cases // 20, features) for r in range(99)})
    config = {"start_row": 0, "end_row": cases, "permutation": "cyclic", "permutations": 99, "bins": 3}
    request = {"lfs_id": SELECTION, "dataset_id": SLUG, "target_column": "TGT_0", "feature_columns": names, "config": config}
    absent = dict.fromkeys(("dataset_checksum", "questdb_tag", "content_hash", "code_version", "device", "dagster_run_id"))
    progress, summary = {"permutations_done": 99, "permutations": 99}, {"cases": cases, "left_out": 0, "mean_kept": 3.0, "classes": []}
    counts = np.bincount(chosen.ravel(), minlength=features)
    with lfs_lock(stores.postgres, SELECTION) as lock:
        begin_lfs(lock, {**request, **absent, "requested_by": "bench"})
        shares = [LfsFeature(name, n, int(counts[n]), 100 * counts[n] / cases, 0.5, 0.9) for n, name in enumerate(names)]
        write_features(lock, SELECTION, shares)
        end_lfs(lock, SELECTION, "completed", seconds=1.0, summary=summary, progress=progress)
    return SELECTION


def _bars(stores: Stores, bars: int) -> None:
    times = START + MINUTE * np.arange(bars)
    close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(scale=1e-4, size=bars)))
    stores.questdb.ensure_columns(INDICATOR_BARS.name, ["Close"])
    frame = pl.DataFrame({"timestamp": times, "timestamp_unix": times, "Close": close}).with_columns(
        dataset=pl.lit(SLUG), source=pl.lit("bench"), granularity=pl.lit("1m"), date_i=0, time_i=0
    )
    stores.questdb.write(frame, table=INDICATOR_BARS.name, symbols=INDICATOR_BARS.symbols, batch_rows=20_000)
    stores.questdb.wait_applied(INDICATOR_BARS.name)


def _dataset(stores: Stores, bars: int) -> None:
    columns = [{"name": "Close", "role": "price", "questdb_column": "Close"}]
    columns += [{"name": name, "role": "feature", "questdb_column": name} for name in FEATURES]
    with stores.postgres.connection() as connection:
        connection.execute(
            "INSERT INTO indicator_datasets (dataset_id, symbol, granularity, source, questdb_tag, row_count, first_bar_ts, last_bar_ts,"
            " checksum, content_hash, columns)"
            " VALUES (%s, 'large', '1m', 'bench', %s, %s, to_timestamp(%s), to_timestamp(%s), 'x', 'x', %s)",
            (SLUG, SLUG, bars, START, START + MINUTE * (bars - 1), Jsonb(columns)),
        )


def _simulation(stores: Stores, size: Size) -> None:
    rng = np.random.default_rng(2)
    times = START + MINUTE * np.arange(size.bars)
    equity = 100_000 * np.exp(np.cumsum(rng.normal(scale=1e-4, size=size.bars)))
    drawdown = 100 * (1 - equity / np.maximum.accumulate(equity))
    entry = np.sort(rng.choice(size.bars - 10, size.trades, replace=False))
    pnl = rng.normal(scale=50, size=size.trades)
    trades = pl.DataFrame(
        {
            "side": np.where(rng.random(size.trades) < 0.5, "long", "short"),
            "fold": entry * size.big_folds // size.bars,
            "exit_reason": rng.choice(["opposite_threshold", "stop_loss", "time"], size.trades),
            "trade_no": np.arange(1, size.trades + 1),
            "decision_timestamp_unix": times[entry],
            "entry_timestamp_unix": times[entry + 1],
            "exit_timestamp_unix": times[entry + 5],
            **{name: rng.normal(100, 1, size.trades) for name in ("entry_price", "exit_price", "position_size")},
            "pnl": pnl,
            "return_pct": pnl / 1000,
            "cumul_return_pct": np.cumsum(pnl) / 1000,
            **{name: rng.normal(size=size.trades) for name in ("entry_signal", "exit_signal")},
        }
    )
    marks = pl.DataFrame({"timestamp_unix": times, "equity": equity, "drawdown_pct": drawdown, "position": rng.normal(size=size.bars)})
    prices = {"source": "columns", "columns": {"close": "Close"}, "content_hash": "sha256:" + "0" * 64}
    config = {"capital": 100_000.0, "prices": prices}
    begin_simulation(stores.postgres, BIG_SIMULATION, run_id=BIG_RUN, dataset_id=SLUG, mode="dual", config=config)
    write_trades_and_equity(stores, BIG_SIMULATION, run_id=BIG_RUN, mode="dual", trades=trades, equity=marks)
    summary = {"trade_count": size.trades, "bars": size.bars, "capital": 100_000.0, **return_metrics(equity, times, 100_000.0).as_json()}
    summary["buy_and_hold"] = return_metrics(equity, times, 100_000.0).as_json()
    complete_simulation(stores.postgres, BIG_SIMULATION, summary=summary, buckets=[])
