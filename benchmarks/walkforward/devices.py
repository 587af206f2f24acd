"""CPU against cuda by fold size: `python -m benchmarks.walkforward.devices [--workers 4] [--write FILE]`; needs a GPU.

For each size the same folds are trained on the CPU (one thread each, as many at once as there are workers) and on the GPU (several at
once). Prints seconds per fold, and the table for device `auto`; with
--write also as the file that CHRONOS_DEVICE_TABLE names.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from chronos_assets.domain.fold_layout import Layout
from chronos_assets.domain.folds import plan_folds
from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.learning.devices import count_cuda_devices
from chronos_assets.learning.executors.threads import ThreadExecutor
from chronos_assets.learning.learners.xgboost import XGBoost
from chronos_assets.learning.selectors.all_features import AllFeatures
from chronos_assets.learning.training import FoldData, FoldResult, FoldSpec, Recipe

SIZES = [(650, 9), (2_000, 100), (10_000, 80), (50_000, 80), (200_000, 100)]


def seconds_per_fold(rows: int, features: int, device: str, at_once: int, folds: int) -> float:
    rng = np.random.default_rng(1)
    data = FoldData(rng.normal(size=(rows + 15 * folds + 4, features)).astype(np.float32), rng.normal(size=rows + 15 * folds + 4))
    recipe = Recipe(
        learner=XGBoost(rounds=200, early_stopping=0, eta=0.05, objective="reg:squarederror"),
        selector=AllFeatures(),
        thresholds=ThresholdProfile(),
        feature_names=tuple(f"f{number}" for number in range(features)),
        binary=False,
        device=device,
    )
    plan = plan_folds(Layout("rolling", rows, 15, 15, 4), len(data.targets))
    specs = [FoldSpec(fold, fold.split(0.8), "", recipe) for fold in plan]
    started = time.perf_counter()
    results = list(ThreadExecutor(at_once).map(data, specs))
    assert all(isinstance(result, FoldResult) for result in results), results
    return (time.perf_counter() - started) / len(specs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--per-gpu", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--folds", type=int, default=16)
    parser.add_argument("--write", type=Path, help="file that the table is written to")
    given = parser.parse_args()
    if not count_cuda_devices():
        print("no GPU can be used here; nothing was measured", file=sys.stderr)
        return 1
    table = []
    for rows, features in SIZES:
        seconds_per_fold(rows, features, "cuda", 1, 1)  # the first use of a GPU loads its kernels
        cpu = seconds_per_fold(rows, features, "cpu", given.workers, given.folds)
        cuda = {n: seconds_per_fold(rows, features, "cuda", n, given.folds) for n in given.per_gpu}
        print(json.dumps({"rows": rows, "features": features, "cpu": cpu, "cuda_by_folds_at_once": cuda}), flush=True)
        if min(cuda.values()) < cpu:
            table.append((features, int(rows * 0.8)))
    document = json.dumps({"auto_table": table})
    print(document)
    if given.write is not None:
        given.write.write_text(document + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
