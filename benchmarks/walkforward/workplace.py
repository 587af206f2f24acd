"""What the walk-forward benchmarks share: a dataset from a file, and the memory of this process."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

SMALL = [
    "RSI_S", "MACD", "CMMA_S", "TREND_S", "MOM_S", "ADX_S", "BOL_POS_20", "ATR_RATIO_10", "AROON_DIFF_S",
]  # fmt: skip


def peak_memory_mb() -> float:
    """Peak resident memory of this process alone (`VmHWM`; Linux counts in `ru_maxrss` what the process that started us held)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def read_file(path: Path, rows: int | None = None) -> pl.DataFrame:
    """An indicator CSV with a header as bars: `timestamp_unix` counts days (only their order matters here), all else float64.

    Leading rows whose indicators are still warming up are left out.
    """
    frame = pl.read_csv(path, infer_schema_length=None)
    names = [n for n in frame.columns if n.casefold() not in {"date", "time", "market", "open", "high", "low", "close", "volume"}]
    frame = frame.select(pl.col(names).cast(pl.Float64, strict=False))
    warm = int(frame.select(pl.any_horizontal(pl.col(SMALL).is_null()).arg_max()).item() or 0)
    first = next((i for i, ok in enumerate(frame.select(pl.all_horizontal(pl.col(SMALL).is_not_null()))[:, 0]) if ok), warm)
    frame = frame.slice(first, rows)
    return frame.with_columns((946_684_800 + 86_400 * pl.int_range(pl.len())).alias("timestamp_unix"))
