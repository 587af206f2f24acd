"""A dataset for the Dagster benchmarks."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml


def write_dataset(exports: Path, slug: str, *, rows: int, features: int, profile: dict[str, Any], seed: int = 1) -> Path:
    """Hourly bars with a weak signal, and their manifest."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, features))
    close = 100 * np.exp(np.cumsum(rng.normal(scale=0.003, size=rows)))
    times = pl.Series(pl.datetime_range(pl.datetime(2020, 1, 1), pl.datetime(2029, 1, 1), "1h", eager=True)[:rows])
    frame = pl.DataFrame(
        {"Date": times.dt.strftime("%Y%m%d"), "Time": times.dt.strftime("%H%M")}
        | {name: close * factor for name, factor in {"Open": 0.999, "High": 1.01, "Low": 0.99, "Close": 1.0}.items()}
        | {f"FEAT_{i}": matrix[:, i] for i in range(features)}
        | {"TGT_A": 0.2 * matrix[:, 0] + rng.normal(size=rows)}
    )
    exports.mkdir(parents=True, exist_ok=True)
    source = exports / f"{slug}.csv"
    source.write_bytes(frame.write_csv().encode())
    document = {
        "dataset": slug,
        "source_file": source.name,
        "granularity": "1h",
        "checksum": f"sha256:{hashlib.sha256(source.read_bytes()).hexdigest()}",
        "target_horizon": {"default": 1},
        "walkforward": {"default": profile},
        "simulation": {"default": {"modes": ["long", "short", "dual"], "statistics": {"bootstraps": 0, "permutations": 0}}},
    }
    manifest = exports / f"{slug}.yaml"
    manifest.write_text(yaml.safe_dump(document))
    return manifest
