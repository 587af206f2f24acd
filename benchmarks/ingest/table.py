"""Writes the file that is measured: minute bars, 80 number columns as an indicator program prints them, from a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

_CHUNK_ROWS = 20_000


def write_table(path: Path, rows: int, columns: int = 80, seed: int = 1) -> Path:
    """`rows` minute bars with `columns` number columns (the last two targets) as CSV at `path`; returns it."""
    names = [f"IND_{i}" for i in range(columns - 2)] + ["TGT_1", "TGT_2"]
    random = np.random.default_rng(seed)
    start = np.datetime64("2010-01-04T00:00", "ms")
    with path.open("wb") as file:
        file.write((",".join(["Date", "Time", *names]) + "\n").encode())
        for begin in range(0, rows, _CHUNK_ROWS):
            count = min(_CHUNK_ROWS, rows - begin)
            moments = pl.DataFrame({"t": start + np.arange(begin, begin + count) * np.timedelta64(60_000, "ms")})
            keys = moments.select(
                pl.col("t").dt.strftime("%Y%m%d").cast(pl.Int64).alias("Date"),
                (pl.col("t").dt.hour().cast(pl.Int64) * 100 + pl.col("t").dt.minute()).alias("Time"),
            )
            values = pl.DataFrame((random.standard_normal((count, columns)) * 50).round(8), schema=names)
            keys.hstack(values).write_csv(file, include_header=False, float_precision=8)
    return path
