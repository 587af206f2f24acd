"""`chronos indicators` against the bare Polars expressions, and perturbations of the future.

    python benchmarks/ingest/indicators.py [--file PRICES.csv] [--bars 1000000] [--repeat 5] [--perturbations 10000]

`bare` reads the file by `polars.read_csv`, computes the same expressions at once and writes them by `write_csv`; `ours` is
`write_indicators`: every rule of reading, blocks, an atomic file. Each in a process of its own: seconds (imports apart) and peak RSS.
`--file` (with Date, Time, Open, High, Low, Close, Volume) is measured too. Then `--perturbations` times the bars after a row are changed,
and every indicator at and before that row is compared to the last bit.
"""

from __future__ import annotations

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[2]))

from chronos_assets.domain.indicators import SETS, TARGETS

_TARGETS = ["return-1", "return-5", "atr-1", "atr-5"]
_FIELDS = ("Open", "High", "Low", "Close", "Volume")


def walk(seed: int, count: int) -> pl.DataFrame:
    """One-minute bars of a random walk."""
    random_ = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random_.normal(0, 0.0005, count)))
    opened = close * np.exp(random_.normal(0, 0.0002, count))
    high, low = np.maximum(opened, close) * 1.0003, np.minimum(opened, close) * 0.9997
    moment = pl.from_epoch(pl.Series(1_600_000_000 + 60 * np.arange(count)))
    keys = {"Date": moment.dt.strftime("%Y%m%d"), "Time": moment.dt.strftime("%H%M")}
    volume = np.floor(np.exp(random_.normal(5, 1, count)))
    return pl.DataFrame({**keys, "Open": opened, "High": high, "Low": low, "Close": close, "Volume": volume})


def once(who: str, source: Path, of_set: str) -> None:
    """One run in this process: prints seconds and peak RSS in MiB."""
    from chronos_assets.domain.bars_spec import BarsSpec
    from chronos_assets.pipeline.indicators import write_indicators

    destination = source.with_suffix(f".{who}.out.csv")
    began = time.perf_counter()
    if who == "bare":
        frame = pl.read_csv(source, schema_overrides=dict.fromkeys(_FIELDS, pl.Float64))
        new = {item.name: item.expression for item in SETS[of_set]} | {TARGETS[name].name: TARGETS[name].expression for name in _TARGETS}
        dates = frame.with_columns(Date=pl.col("Date").cast(pl.String).str.to_date("%Y%m%d"))
        frame.with_columns(dates.select(**new)).write_csv(destination)
    else:
        write_indicators(source, BarsSpec(), destination, of_set=of_set, targets=_TARGETS, force=True)
    print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def compare(source: Path, repeat: int) -> None:
    """Both in turns, for each set."""
    for of_set in SETS:
        seconds: dict[str, list[float]] = {"bare": [], "ours": []}
        peak: dict[str, float] = {}
        for _ in range(repeat):
            for who, taken_so_far in seconds.items():
                command = [sys.executable, __file__, "--child", who, str(source), of_set]
                taken, mib = map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
                taken_so_far.append(taken)
                peak[who] = mib
        ratio = median(ours / bare for ours, bare in zip(seconds["ours"], seconds["bare"], strict=True))
        told = "  ".join(f"{who} {median(values):6.2f} s {peak[who]:6.0f} MiB" for who, values in seconds.items())
        print(f"{source.name:20} {of_set:10} {told}  ratio {ratio:.2f}")


def perturb(count: int) -> int:
    """How many indicators differ at or before a row after the bars behind it were changed."""
    random_, differing = random.Random(1), 0
    everything = {f"{name} {item.name}": item.expression for name, chosen in SETS.items() for item in chosen}
    frame, before = pl.DataFrame(), pl.DataFrame()
    for number in range(count):
        if number % 50 == 0:
            frame = walk(number, 500).with_columns(Date=pl.col("Date").str.to_date("%Y%m%d"))
            before = frame.select(**everything)
        row, factor = random_.randrange(499), random_.choice([1e-6, 0.3, 0.999, 1.001, 2.0, 1e6])
        later = pl.int_range(pl.len()) > row
        bent = frame.with_columns(pl.when(later).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name) for name in _FIELDS)
        differing += not bent.select(**everything).head(row + 1).equals(before.head(row + 1))
    return differing


def main() -> int:
    """Print the comparison and the count of differences."""
    if sys.argv[1:2] == ["--child"]:
        once(sys.argv[2], Path(sys.argv[3]), sys.argv[4])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--bars", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--perturbations", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.file is not None:
            prices = Path(folder) / options.file.name
            pl.read_csv(options.file).select("Date", "Time", *_FIELDS).write_csv(prices)
            compare(prices, options.repeat)
        if options.bars:
            source = Path(folder) / "one_minute.csv"
            walk(0, options.bars).write_csv(source)
            compare(source, options.repeat)
    differing = perturb(options.perturbations)
    print(f"{options.perturbations} perturbations of the future: {differing} differences")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
