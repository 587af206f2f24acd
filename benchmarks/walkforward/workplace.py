"""What the walk-forward benchmarks share: a dataset from a file, and the memory of this process."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from chronos_assets.pipeline.demo import build_demo

SMALL = [
    "RSI_S", "MACD", "CMMA_S", "TREND_S", "MOM_S", "ADX_S", "BOL_POS_20", "ATR_RATIO_10", "AROON_DIFF_S",
]  # fmt: skip


def peak_memory_mb() -> float:
    """Peak resident memory of this process alone (`VmHWM`; Linux counts in `ru_maxrss` what the process that started us held)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def demo_file(folder: Path) -> Path:
    """The demo's indicators of real daily bars, written into `folder`."""
    build_demo(folder)
    return next(folder.glob("*.csv"))


def read_file(path: Path, rows: int | None = None) -> pl.DataFrame:
    """An indicator CSV with a header as bars: `timestamp_unix` counts days (only their order matters here), all else float64.

    Leading rows whose indicators are still warming up are left out. Targets have names that begin with `target`.
    """
    frame = pl.read_csv(path, infer_schema_length=None)
    frame = frame.rename({n: f"target_{n[4:]}" for n in frame.columns if n.startswith("TGT_")})
    names = [n for n in frame.columns if n.casefold() not in {"date", "time", "market", "open", "high", "low", "close", "volume"}]
    frame = frame.select(pl.col(names).cast(pl.Float64, strict=False))
    warm = SMALL if set(SMALL) <= set(frame.columns) else [n for n in frame.columns if not n.casefold().startswith("target")]
    known = frame.select(pl.all_horizontal(pl.col(warm).is_not_null()).arg_max()).item()
    frame = frame.slice(known, rows)
    return frame.with_columns((946_684_800 + 86_400 * pl.int_range(pl.len())).alias("timestamp_unix"))
