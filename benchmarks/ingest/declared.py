"""Reading declared forms against the same bars as YYYYMMDD and HHMM, in the same process and in turns.

    python benchmarks/ingest/declared.py [--rows 1000000] [--repeat 11]

A file of prices only, where key cells weigh most. Prints per form the median ratio of wall and CPU seconds to the plain file, and peak
RSS of the whole run. Wanted: at most 1.15 for `iso`.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[2]))

from chronos_assets.ingest import BarsSpec, FormatSpec, normalize

_WARM_UP = 2


def files(folder: Path, rows: int) -> dict[str, tuple[Path, FormatSpec]]:
    """The same one-minute bars in each form."""
    seconds = pl.Series(1_500_000_000 // 60 * 60 + 60 * np.arange(rows))
    moment = pl.from_epoch(seconds)
    random_ = np.random.default_rng(1)
    prices = pl.DataFrame({name: np.round(random_.uniform(90, 110, rows), 5) for name in ("Open", "High", "Low", "Close")})
    prices = prices.with_columns(Volume=pl.Series(random_.integers(1, 9_999, rows)))
    forms = {
        "plain": ({"Date": moment.dt.strftime("%Y%m%d"), "Time": moment.dt.strftime("%H%M")}, {}),
        "iso": ({"Date": moment.dt.strftime("%Y-%m-%d %H:%M:%S")}, {"date": "iso"}),
        "iso with offset": ({"Date": moment.dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")}, {"date": "iso"}),
        "pattern": ({"Date": moment.dt.strftime("%d/%m/%Y %H:%M")}, {"date": "%d/%m/%Y %H:%M"}),
        "pattern, two columns": (
            {"Date": moment.dt.strftime("%Y.%m.%d"), "Time": moment.dt.strftime("%H:%M:%S")},
            {"date": "%Y.%m.%d", "time": "%H:%M:%S"},
        ),
        "unpadded pattern": ({"Date": moment.dt.strftime("%Y/%-m/%-d %H:%M")}, {"date": "%Y/%m/%d %H:%M"}),
        "unix_ms": ({"Date": seconds * 1_000}, {"date": "unix_ms"}),
        "decimal comma": ({"Date": moment.dt.strftime("%Y%m%d"), "Time": moment.dt.strftime("%H%M")}, {"decimal": ","}),
        "newest first": ({"Date": moment.dt.strftime("%Y-%m-%d %H:%M:%S")}, {"date": "iso", "order": "descending"}),
    }
    found = {}
    for name, (keys, form) in forms.items():
        path = folder / f"{name.replace(' ', '_')}.csv"
        table = pl.DataFrame(keys).hstack(prices)
        if name == "newest first":
            table = table.reverse()
        table.write_csv(path, separator=";" if name == "decimal comma" else ",", decimal_comma=name == "decimal comma")
        found[name] = (path, FormatSpec.model_validate(form))
    return found


def main() -> int:
    """Print one line per form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=11)
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {options.rows} rows")
    with tempfile.TemporaryDirectory() as folder:
        made = files(Path(folder), options.rows)
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in made}
        for turn in range(_WARM_UP + options.repeat):
            for name, (path, form) in made.items():
                cpu, wall = time.process_time(), time.perf_counter()
                report = normalize(path, BarsSpec(format=form), Path(folder) / "out.arrow")
                assert report.rows == options.rows
                if turn >= _WARM_UP:
                    taken[name].append((time.perf_counter() - wall, time.process_time() - cpu))
        for name, readings in taken.items():
            ratios = [[ours[i] / plain[i] for ours, plain in zip(readings, taken["plain"], strict=True)] for i in (0, 1)]
            print(f"{name:22} {median(r[0] for r in readings):6.2f} s  ratio {median(ratios[0]):5.2f}  CPU ratio {median(ratios[1]):5.2f}")
    print(f"peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
