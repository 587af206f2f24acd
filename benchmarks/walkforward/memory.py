"""Memory of a walk-forward by the number of its folds: `python -m benchmarks.walkforward.memory [--folds 100 500 2000]`.

The same bars for all, so that only the number of folds differs; each run in a process of its own, whose peak (`VmHWM`) is told.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from typing import Any

from benchmarks.walkforward.workplace import peak_memory_mb
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.learning.executors.threads import ThreadExecutor
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.services import connect
from chronos_assets.settings import Settings
from chronos_assets.storage.stores import open_stores
from chronos_assets.testing import temporary_stores
from chronos_assets_tests.support.walkforward_data import make_bars, publish

SLUG = "memory_1d_v1"
MODEL = {"eta": 0.01, "max_depth": 4, "rounds": 60, "early_stopping": 50, "min_child_weight": 10.0, "seed": 7}
WINDOWS = {"train_size": 650, "test_size": 15, "gap": 4}


def one_run(settings: Settings, folds: int) -> dict[str, Any]:
    """A run of `folds` folds in this process; its peak before and after."""
    stores = open_stores(connect(settings), settings)
    profile = WalkforwardProfile.model_validate(WINDOWS | {"target": "target_a", "model": MODEL, "end_fold": folds})
    result = run_walkforward(SLUG, profile, stores, horizon=3, horizon_assumed=False, executor=ThreadExecutor(2))
    return {"folds": folds, "trained": result.folds_trained, "copied": result.folds_copied, "peak_rss_mb": round(peak_memory_mb(), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, nargs="+", default=[100, 500, 2000])
    given = parser.parse_args()
    rows = []
    with temporary_stores(durable=True) as stores:
        publish(stores, SLUG, make_bars(654 + 15 * max(given.folds), features=9))
        for folds in given.folds:
            with stores.postgres.connection() as connection:  # nothing to copy from: every fold is trained
                connection.execute("DELETE FROM walkforward_folds")
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                rows.append(pool.apply(one_run, (stores.settings, folds)))
            print(json.dumps(rows[-1]), flush=True)


if __name__ == "__main__":
    main()
