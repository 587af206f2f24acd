"""Walk-forward against the two loops people write.

    python -m benchmarks.walkforward.speed [--bars FILE.csv] [--case small|large] [--busy]

(a) a plain loop of `XGBRegressor.fit` with default threads; (b) a thread-parallel loop of `xgb.train`, one thread per fold, that keeps
nothing; (ours) the whole use case: bars from QuestDB, keys, training, importance, files, both stores, summary. All on the same folds,
parameters and machine, interleaved. Then growth by 1 %: the same run on a dataset that has grown, most folds copied. Without a file, the
bars are those of the demo.

The stores' cost is the time that the run's thread spends inside calls to QuestDB, Postgres and artifacts (`store_clock`). While it stores,
folds go on training, so a run is never faster by the whole of it; `ours_over_bare` has everything in, and is the number to read.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import secrets
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import xgboost as xgb

from benchmarks.figures import Figure, add_json, at_most, note, report
from benchmarks.walkforward.store_clock import store_clock
from benchmarks.walkforward.workplace import SMALL, demo_file, peak_memory_mb, read_file
from chronos_assets.domain.folds import Fold, plan_folds, resolve_layout
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.learning.executors.threads import ThreadExecutor
from chronos_assets.pipeline.walkforward.data import feature_matrix
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.storage.fold_artifacts import FoldArtifacts
from chronos_assets.storage.stores import Stores
from chronos_assets.testing import temporary_stores
from chronos_assets_tests.support.walkforward_data import publish

MODEL = {"eta": 0.01, "max_depth": 4, "rounds": 2000, "early_stopping": 50, "min_child_weight": 10.0, "seed": 7}
MOST_PACKS = 16
CASES: dict[str, dict[str, Any]] = {
    "small": {"train_size": 650, "test_size": 15, "gap": 4, "features": SMALL, "folds": 500},
    "large": {"train_size": 10_000, "test_size": 50, "gap": 4, "features": "all", "folds": 50},
}


def parameters(workers: int) -> dict[str, Any]:
    names = {"subsample": 0.8, "colsample_bytree": 0.7, "reg_lambda": 2.0, "tree_method": "hist", "verbosity": 0, "nthread": workers}
    return {k: v for k, v in MODEL.items() if k not in {"rounds", "early_stopping"}} | names | {"objective": "reg:squarederror"}


def plain_loop(x: np.ndarray, y: np.ndarray, folds: list[Fold]) -> list[np.ndarray]:
    """(a) One fold after the other, XGBoost's default threads."""
    found = []
    for fold in folds:
        s = fold.split(0.8)
        options = {k: v for k, v in parameters(1).items() if k not in {"nthread", "seed"}}
        model = xgb.XGBRegressor(**options, random_state=7, n_estimators=2000, early_stopping_rounds=50)
        model.fit(
            x[s.fit_start : s.fit_end],
            y[s.fit_start : s.fit_end],
            eval_set=[(x[s.val_start : s.val_end], y[s.val_start : s.val_end])],
            verbose=False,
        )
        found.append(model.predict(x[fold.test_start : fold.test_end]))
    return found


def bare_threads(x: np.ndarray, y: np.ndarray, folds: list[Fold], workers: int) -> list[np.ndarray]:
    """(b) Folds on threads, one XGBoost thread each, nothing kept but predictions."""

    def one(fold: Fold) -> np.ndarray:
        s = fold.split(0.8)
        fit = xgb.DMatrix(x[s.fit_start : s.fit_end], label=y[s.fit_start : s.fit_end], nthread=1)
        val = xgb.DMatrix(x[s.val_start : s.val_end], label=y[s.val_start : s.val_end], nthread=1)
        booster = xgb.train(parameters(1), fit, 2000, evals=[(val, "v")], early_stopping_rounds=50, verbose_eval=False)
        return booster.predict(xgb.DMatrix(x[fold.test_start : fold.test_end], nthread=1), iteration_range=(0, booster.best_iteration + 1))

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, folds))


@dataclass
class Clock:
    """Seconds by the wall and by the processor (all threads of this process), for each name."""

    wall: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def time(self, name: str, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work(*arguments, **options)
        self.wall[name].append(time.perf_counter() - wall)
        self.cpu[name].append(time.process_time() - cpu)
        return result


def spin() -> None:
    while True:
        pass


@contextlib.contextmanager
def neighbour(*, busy: bool) -> Iterator[None]:
    """One other process that wants a core all the time."""
    process = multiprocessing.get_context("fork").Process(target=spin, daemon=True) if busy else None
    if process is not None:
        process.start()
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.join()


def bars_of(path: Path, case: dict[str, Any], target: str) -> pl.DataFrame:
    """Enough bars for the case; a file that is too short is appended to itself with a little noise, and that is said."""
    wanted = case["train_size"] + case["gap"] + case["test_size"] * case["folds"]
    frame = read_file(path)
    copies = -(-wanted // frame.height)
    if copies > 1:
        note(f"the file has {frame.height} bars, {wanted} are needed: repeated {copies} times with noise of 1 % of each column's spread")
        rng = np.random.default_rng(1)
        values = pl.exclude("timestamp_unix")
        parts = [frame.with_columns(values + pl.Series(rng.normal(size=frame.height)) * values.std() * 0.01) for _ in range(copies)]
        frame = pl.concat(parts).with_columns((946_684_800 + 86_400 * pl.int_range(pl.len())).alias("timestamp_unix"))
    names = [n for n in frame.columns if not n.casefold().startswith("target") or n == target]
    return frame.head(wanted).select(names)


def measure(stores: Stores, given: argparse.Namespace) -> dict[str, Any]:
    case, target, workers = CASES[given.case], given.target, given.workers
    bars = bars_of(given.bars, case, target)
    known = [n for n in bars.columns if n not in {target, "timestamp_unix"}]
    features = known
    if case["features"] != "all":
        features = case["features"] if set(case["features"]) <= set(known) else known[: len(case["features"])]
    options = {k: case[k] for k in ("train_size", "test_size", "gap")}
    profile = WalkforwardProfile.model_validate(options | {"target": target, "features": list(features), "model": MODEL})
    folds = list(plan_folds(resolve_layout(profile, rows=bars.height, horizon=1), bars.height))
    x, y = feature_matrix(bars, tuple(features)), bars[target].fill_null(0.0).to_numpy()
    bars = bars.with_columns(pl.Series(target, y))
    more = bars.tail(max(case["test_size"], bars.height // 100)).with_columns(pl.col(features) * 1.01)
    grown = pl.concat([bars, more]).with_columns((946_684_800 + 86_400 * pl.int_range(pl.len())).alias("timestamp_unix"))
    clock, executor = Clock(), ThreadExecutor(workers)
    stored: dict[str, list[dict[str, float]]] = {"ours": [], "growth": []}
    packs: list[int] = []
    for _ in range(given.repeats):
        slug = f"b{secrets.token_hex(4)}_1d_v1"
        publish(stores, slug, bars)
        clock.time("bare", bare_threads, x, y, folds, workers)
        before = len(FoldArtifacts(stores.artifacts).packs())
        for name, frame in (("ours", None), ("growth", grown)):
            if frame is not None:
                publish(stores, slug, frame)
            with store_clock() as in_stores:
                result = clock.time(name, run_walkforward, slug, profile, stores, executor=executor)
            stored[name].append(in_stores.seconds)
            packs += [len(FoldArtifacts(stores.artifacts).packs()) - before] if name == "ours" else []
            note(f"{name}: {result.folds_trained} trained, {result.folds_copied} copied, stores {in_stores.total:.2f} s")
        if given.plain:
            clock.time("plain", plain_loop, x, y, folds)
    wall, cpu = ({k: statistics.median(v) for k, v in times.items()} for times in (clock.wall, clock.cpu))
    store = {k: statistics.median(sum(kinds.values()) for kinds in v) for k, v in stored.items()}
    return {
        "case": given.case,
        "shape": {"folds": len(folds), "features": len(features), "bars": bars.height, "workers": workers},
        "wall_seconds": clock.wall,
        "cpu_seconds": clock.cpu,
        "store_seconds": stored,
        "wall": {
            "ours_over_bare": wall["ours"] / wall["bare"],
            "ours_less_stores_over_bare": (wall["ours"] - store["ours"]) / wall["bare"],
            "plain_over_ours": wall["plain"] / wall["ours"] if "plain" in wall else None,
            "growth_over_ours": wall["growth"] / wall["ours"],
            "growth_less_stores_over_ours": (wall["growth"] - store["growth"]) / wall["ours"],
        },
        "cpu": {"ours_over_bare": cpu["ours"] / cpu["bare"], "growth_over_ours": cpu["growth"] / cpu["ours"]},
        "packs": packs,
        "peak_rss_mb": peak_memory_mb(),
        "load_average": os.getloadavg(),
    }


def figures(stores: Stores, given: argparse.Namespace) -> Iterator[Figure]:
    """The ratios that have a bound; all that was measured is told beside them."""
    result = measure(stores, given)
    note(json.dumps(result | {"busy": given.busy}, indent=2))
    shape, wall, cpu = result["shape"], result["wall"], result["cpu"]
    run = f"{shape['folds']} folds of {CASES[given.case]['train_size']} x {shape['features']} with stores / bare thread-parallel xgb.train"
    yield at_most(f"{run}, wall", wall["ours_over_bare"], 1.05, "")
    yield at_most(f"{run}, CPU", cpu["ours_over_bare"], 1.08, "")
    yield at_most(f"artifacts that {shape['folds']} folds make", statistics.median(result["packs"]), MOST_PACKS, "objects")
    yield at_most("growth by 1 % / full run, with stores", 100 * wall["growth_over_ours"], 3.0, "%")
    yield at_most("growth by 1 % / full run, beside the stores", 100 * wall["growth_less_stores_over_ours"], 1.5, "%")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=Path, help="indicator CSV; features are those that workplace.py names, else its first nine")
    parser.add_argument("--target", help="by default target_logret, or else the first target of the file")
    parser.add_argument("--case", choices=sorted(CASES), default="small")
    parser.add_argument("--folds", type=int, help="fewer folds than the case has")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--busy", action="store_true", help="beside one busy process")
    parser.add_argument("--plain", action="store_true", help="the loop (a), too: needs scikit-learn (`sync --group bench`), slow if --busy")
    add_json(parser)
    given = parser.parse_args()
    if given.folds:
        CASES[given.case]["folds"] = given.folds
    with tempfile.TemporaryDirectory(prefix="chronos-speed-") as folder:
        given.bars = given.bars or demo_file(Path(folder))
        known = [n for n in read_file(given.bars).columns if n.casefold().startswith("target")]
        given.target = given.target or ("target_logret" if "target_logret" in known else known[0])
        with temporary_stores(durable=True) as stores, neighbour(busy=given.busy):
            report(figures(stores, given), as_json=given.json)


if __name__ == "__main__":
    main()
