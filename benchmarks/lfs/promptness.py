"""How soon a selection tells of itself, and how soon a cancel takes effect.

    .venv/bin/python -m benchmarks.lfs.promptness [--rows 5000] [--features 500]

On the largest problem that the defaults allow (5,000 cases, 500 features), with 3 and with 100 features per case. Times in seconds: from
the call until the first progress is told and until its row is written; and from the cancel, asked for in the first and in the second pass,
until the call is over and the row says `cancelled`. Exit status 1 if one of them is above 2 s.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import polars as pl

from chronos_assets.domain.profiles.lfs import LfsParameters, LfsProfile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.errors import RunCancelledError
from chronos_assets.learning.selectors.lfs import select
from chronos_assets.pipeline.selection.request import plan_lfs
from chronos_assets.pipeline.selection.run import run_request
from chronos_assets.storage.lfs import ask_to_cancel, get_lfs
from chronos_assets.storage.stores import Stores
from chronos_assets.testing import temporary_stores
from chronos_assets_tests.support.walkforward_data import publish

SLUG, LIMIT_SECONDS = "prompt_1d_v1", 2.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--features", type=int, default=500)
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    z = rng.normal(size=(60, 3))
    select(z, np.arange(60) % 2, LfsParameters())  # compiled, or loaded from its cache
    late = False
    with temporary_stores() as stores:
        columns = {f"feat_{v}": rng.normal(size=given.rows) for v in range(given.features)} | {"target_a": rng.normal(size=given.rows)}
        publish(stores, SLUG, pl.DataFrame({"timestamp_unix": 946_684_800 + 86_400 * np.arange(given.rows)} | columns))
        for kept in (3, 100):
            for passes_before in (0, 1):
                told, written, cancelled = measure(stores, given.rows, kept, passes_before)
                late = late or max(told, written, cancelled) > LIMIT_SECONDS
                print(
                    f"{given.rows:,} x {given.features}, K {kept}, cancelled in pass {passes_before + 1}: first progress told after "
                    f"{told:.2f} s, written after {written:.2f} s, cancel took effect after {cancelled:.2f} s",
                    flush=True,
                )
    return int(late)


def measure(stores: Stores, rows: int, kept: int, passes_before: int) -> tuple[float, float, float]:
    profile = LfsProfile(target="target_a", max_kept=kept, end_row="all", permutations=0, seed=passes_before)
    request = plan_lfs(SLUG, profile, stores, horizon_of=lambda _: (1, False), walkforward=WalkforwardProfile())
    told, asked = [], []

    def progress(stage: str, done: int, total: int | None, detail: str = "") -> None:
        told.append(time.perf_counter())
        if stage == "cases" and done > passes_before * rows and not asked:
            ask_to_cancel(stores.postgres, request.lfs_id)
            asked.append(time.perf_counter())

    began, wall = time.perf_counter(), time.time()
    try:
        run_request(request, stores, requested_by="benchmark", progress=progress)
    except RunCancelledError:
        over = time.perf_counter()
    record = get_lfs(stores.postgres, request.lfs_id)
    assert record.status == "cancelled"
    assert record.started_at is not None
    return told[0] - began, record.started_at.timestamp() - wall, over - asked[0]


if __name__ == "__main__":
    sys.exit(main())
