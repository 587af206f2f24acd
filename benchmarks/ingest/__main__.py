"""Reading a file of bars against bare Polars, in the same run: seconds, CPU seconds and peak RSS, each measured in a process of its own.

    python benchmarks/ingest [--rows 10000,100000,1000000] [--repeat 5] [--big-gb 2] [--folder DIR]

`polars` is `polars.read_csv(file)` and `write_ipc` of what it gives: no checksum, no rule, no report, no fsync. `ours` is
`normalize`: SHA-256 of the file, every rule, content hash, report, Arrow file synced and renamed. Each process imports, reads once to
warm up, then takes the best of `--repeat`. `--big-gb` adds a file of that size that is read once by `normalize` alone, for its peak RSS.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

BYTES_PER_ROW = 1_004


def measure(who: str, source: Path, repeat: int) -> dict[str, float]:
    """Best wall and CPU seconds of `repeat` readings, and peak RSS, of this process."""
    destination = source.with_suffix(f".{who}.arrow")
    if who == "polars":
        import polars as pl

        def read() -> None:
            pl.read_csv(source).write_ipc(destination)
    else:
        from chronos_assets.domain.bars import BarsSpec, normalize

        def read() -> None:
            normalize(source, BarsSpec(), destination)

    if repeat > 1:
        read()
    walls, cpus = [], []
    for _ in range(repeat):
        cpu, began = time.process_time(), time.perf_counter()
        read()
        walls.append(time.perf_counter() - began)
        cpus.append(time.process_time() - cpu)
    destination.unlink()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": min(walls), "cpu_seconds": min(cpus), "peak_rss_mib": peak}


def child(who: str, source: Path, repeat: int) -> dict[str, float]:
    """The same, in a process of its own."""
    command = [sys.executable, __file__, "--child", who, str(source), str(repeat)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def main() -> int:
    """Print one line per size."""
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(measure(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))))
        return 0
    from table import write_table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--big-gb", type=float, default=0.0)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    print("     rows      MB  polars s    ours s  ratio  CPU ratio  polars MiB  ours MiB")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for rows in (int(text) for text in options.rows.split(",") if text):
            source = write_table(Path(folder) / f"{rows}.csv", rows)
            bare, ours = (child(who, source, options.repeat) for who in ("polars", "ours"))
            ratio, cpu_ratio = (ours[what] / bare[what] for what in ("seconds", "cpu_seconds"))
            peaks = f"{bare['peak_rss_mib']:11.0f} {ours['peak_rss_mib']:9.0f}"
            megabytes = source.stat().st_size / 1e6
            print(
                f"{rows:9d} {megabytes:7.0f} {bare['seconds']:9.3f} {ours['seconds']:9.3f} {ratio:6.2f} {cpu_ratio:10.2f} {peaks}",
                flush=True,
            )
            source.unlink()
        if options.big_gb:
            source = write_table(Path(folder) / "big.csv", int(options.big_gb * 1e9 / BYTES_PER_ROW))
            ours = child("ours", source, 1)
            print(f"one file of {source.stat().st_size / 1e9:.2f} GB: {ours['seconds']:.1f} s, peak RSS {ours['peak_rss_mib']:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
