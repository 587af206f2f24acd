"""Reading a file of bars against bare Polars, in the same run: seconds, CPU seconds and peak RSS, each measured in a process of its own.

    python -m benchmarks.ingest [--rows 10000,100000,1000000] [--repeat 15] [--big-gb 2] [--folder DIR]

`polars` is `polars.read_csv(file)` and `write_ipc` of what it gives: no checksum, no rule, no report, no fsync. `ours` is
`normalize`: SHA-256 of the file, every rule, content hash, report, Arrow file synced and renamed. Both processes import, read twice to
warm up, then take turns, the first of each pair by lot: a shared machine is rarely as fast a second later, but it is for both. Seconds
are medians, a ratio is the median over the pairs, and `best` compares the best reading of each. `--big-gb` adds a file of that size that
is read once by `normalize` alone, for its peak RSS.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.figures import Figure, add_json, at_most, note, report
from benchmarks.ingest.table import write_table

BYTES_PER_ROW = 1_004
_WARM_UP = 2
# Rows of the file from which on a bound holds, and the bound.
BOUNDS = ((1_000_000, 1.0), (0, 1.10))


def read_in_turns(who: str, source: Path) -> None:
    """A process of one of the two: for each line that comes in it reads once and prints `seconds CPU-seconds peak-RSS-MiB`."""
    destination = source.with_suffix(f".{who}.arrow")
    if who == "polars":
        import polars as pl

        def read() -> None:
            pl.read_csv(source).write_ipc(destination)
    else:
        from chronos_assets.ingest import BarsSpec, normalize

        def read() -> None:
            normalize(source, BarsSpec(), destination)

    for _ in sys.stdin:
        cpu, began = time.process_time(), time.perf_counter()
        read()
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
        os.sync()  # what the one left to be written is not charged to the other
        print(seconds, cpu_seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
    destination.unlink(missing_ok=True)


class Reader:
    """Such a process, and the readings that were taken."""

    def __init__(self, who: str, source: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.ingest", "--child", who, str(source)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.readings: list[tuple[float, float, float]] = []

    def take(self) -> None:
        """One reading."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        seconds, cpu_seconds, peak = (float(text) for text in self._process.stdout.readline().split())
        self.readings.append((seconds, cpu_seconds, peak))

    def close(self) -> None:
        """No more of them."""
        self._process.communicate()
        assert self._process.returncode == 0


def compare(source: Path, repeat: int) -> tuple[Reader, Reader]:
    """Readings of bare Polars and of `normalize`, in turns."""
    bare, ours = Reader("polars", source), Reader("ours", source)
    order, lot = [bare, ours], random.Random(1)
    for turn in range(_WARM_UP + repeat):
        for reader in order:
            reader.take()
            if turn < _WARM_UP:
                reader.readings.clear()
        lot.shuffle(order)
    for reader in order:
        reader.close()
    return bare, ours


def figures(options: argparse.Namespace) -> Iterator[Figure]:
    """A figure for each size; all that was measured is told beside them."""
    note(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    note("     rows      MB  polars s    ours s  ratio   best  CPU ratio  polars MiB  ours MiB")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for rows in (int(text) for text in options.rows.split(",") if text):
            source = write_table(Path(folder) / f"{rows}.csv", rows)
            bare, ours = (reader.readings for reader in compare(source, options.repeat))
            seconds = [f"{median(reading[0] for reading in readings):9.3f}" for readings in (bare, ours)]
            ratio, cpu_ratio = (median(b[i] / a[i] for a, b in zip(bare, ours, strict=True)) for i in (0, 1))
            best = min(ours)[0] / min(bare)[0]
            peaks = f"{bare[-1][2]:11.0f} {ours[-1][2]:9.0f}"
            megabytes = source.stat().st_size / 1e6
            note(f"{rows:9d} {megabytes:7.0f} {' '.join(seconds)} {ratio:6.2f} {best:6.2f} {cpu_ratio:10.2f} {peaks}")
            source.unlink()
            bound = next(bound for least, bound in BOUNDS if rows >= least)
            yield at_most(f"CSV to Arrow / bare Polars read and write, {rows:,} rows x 80", ratio, bound, "")
        if options.big_gb:
            source = write_table(Path(folder) / "big.csv", int(options.big_gb * 1e9 / BYTES_PER_ROW))
            big = Reader("ours", source)
            big.take()
            big.close()
            (taken, _, peak) = big.readings[0]
            note(f"one file of {source.stat().st_size / 1e9:.2f} GB: {taken:.1f} s, peak RSS {peak:.0f} MiB")


def main() -> None:
    """Print one line per size."""
    if sys.argv[1:2] == ["--child"]:
        read_in_turns(sys.argv[2], Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--big-gb", type=float, default=0.0)
    parser.add_argument("--folder", type=Path)
    add_json(parser)
    options = parser.parse_args()
    report(figures(options), as_json=options.json)


if __name__ == "__main__":
    main()
