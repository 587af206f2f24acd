"""Many datasets with names of their own: how wide the table grows, and what an export costs then.

    uv run python -m benchmarks.export.width                            # 50 datasets x 100 names, 2,500 daily bars (11 years)
    uv run python -m benchmarks.export.width --budget 100000            # the same with no budget: a column for every name

Starts servers of its own in a temporary home. Server CPU is that of QuestDB alone, from an export's start until all rows are applied.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import psutil

from chronos_assets.pipeline.export.dataset import export_dataset
from chronos_assets.services.status import disk_usage
from chronos_assets.storage.manifest_files import LoadedManifest, load_manifest
from chronos_assets.storage.questdb_room import process_use
from chronos_assets.storage.questdb_tables import INDICATOR_BARS
from chronos_assets.storage.stores import Stores
from chronos_assets.testing import temporary_stores

FIRST_DAY = date(2014, 1, 1)


def make_dataset(folder: Path, number: int, rows: int, columns: int) -> LoadedManifest:
    """A daily file whose indicator names no other dataset has, and its manifest."""
    random = np.random.default_rng(number)
    slug = f"wide{number}_1d_v1"
    days = [FIRST_DAY + timedelta(days=n * 11 * 365 // rows) for n in range(rows)]
    values = {f"D{number}_IND_{n}": random.normal(size=rows).round(6) for n in range(columns - 1)}
    frame = pl.DataFrame({"Date": [f"{day:%Y%m%d}" for day in days], **values, "TGT": random.normal(size=rows).round(6)})
    frame.write_csv(folder / f"{slug}.csv")
    path = folder / f"{slug}.yaml"
    path.write_text(f"dataset: {slug}\nsource_file: {slug}.csv\ngranularity: 1d\n")
    return load_manifest(path)


def exported(stores: Stores, folder: Path, datasets: int, rows: int, columns: int) -> Iterator[tuple[int, float]]:
    """Number of each dataset and the server's CPU seconds of its export."""
    server = psutil.Process(stores.questdb.pid)
    for number in range(1, datasets + 1):
        loaded = make_dataset(folder, number, rows, columns)
        before = server.cpu_times()
        result = export_dataset(loaded, stores, stores.settings)
        stores.questdb.wait_applied(INDICATOR_BARS.name)
        after = server.cpu_times()
        assert result.published
        yield number, after.user + after.system - before.user - before.system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", type=int, default=50)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--rows", type=int, default=2500)
    parser.add_argument("--budget", type=int, default=1000)
    asked = parser.parse_args()
    print("dataset  columns   files      disk  server CPU      RSS  open files  maps")
    with temporary_stores(durable=True, column_budget=asked.budget) as stores:
        folder = stores.settings.exports_dir
        folder.mkdir(exist_ok=True)
        data = stores.settings.home / "questdb"
        for number, seconds in exported(stores, folder, asked.datasets, asked.rows, asked.columns):
            if number in {1, 2, 5} or number % 10 == 0 or number == asked.datasets:
                there = len(stores.questdb.columns(INDICATOR_BARS.name)) - len(INDICATOR_BARS.types)
                files = sum(len(names) for _, _, names in os.walk(data))
                memory = psutil.Process(stores.questdb.pid).memory_info().rss / 2**20
                use = "  ".join(f"{one.used:>10,}" for one in process_use(stores.questdb.pid))
                print(
                    f"{number:>7}  {there:>7}  {files:>6}  {disk_usage(data) / 2**20:>5.0f} MB  {seconds:>8.1f} s  {memory:>4.0f} MB  {use}"
                )


if __name__ == "__main__":
    main()
