"""A small dataset as a user brings it: an indicator file and its manifest, quick to train and to simulate."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

PROFILE: dict[str, Any] = {
    "target": "TGT_A",
    "train_size": 120,
    "test_size": 30,
    "model": {"rounds": 20, "early_stopping": 5, "eta": 0.1, "min_child_weight": 1.0, "max_depth": 2},
    "thresholds": {"method": "percentile", "long_percentile": 80.0, "short_percentile": 20.0},
}
SIMULATION: dict[str, Any] = {"modes": ["dual"], "statistics": {"bootstraps": 0, "permutations": 0}}


def bars(rows: int, seed: int = 1) -> pl.DataFrame:
    """Daily bars with prices, three features and two targets; the first rows are the same whatever the number of rows."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(5_000, 5))[:rows]
    close = 100 * np.exp(np.cumsum(0.01 * noise[:, 0]))
    days = pl.date_range(pl.date(2010, 1, 1), pl.date(2023, 9, 9), eager=True)[:rows]
    return pl.DataFrame(
        {
            "Date": days.dt.strftime("%Y%m%d"),
            "Open": close * 0.999,
            "High": close * 1.01,
            "Low": close * 0.99,
            "Close": close,
            "FEAT_A": noise[:, 1],
            "FEAT_B": noise[:, 2],
            "FEAT_C": noise[:, 3],
            "TGT_A": 0.5 * noise[:, 1] + noise[:, 4],
            "TGT_B": noise[:, 4],
        }
    )


def write_dataset(exports: Path, slug: str, *, rows: int = 300, change: Callable[[dict[str, Any]], None] | None = None) -> Path:
    """Write file and manifest (`change` may alter the manifest before it is written); returns the manifest's path."""
    exports.mkdir(parents=True, exist_ok=True)
    source = exports / f"{slug}.csv"
    source.write_bytes(bars(rows).write_csv().encode())
    document: dict[str, Any] = {
        "dataset": slug,
        "source_file": source.name,
        "granularity": "1d",
        "checksum": checksum(source),
        "target_horizon": {"default": 1},
        "walkforward": {"default": PROFILE},
        "simulation": {"default": SIMULATION},
    }
    if change is not None:
        change(document)
    manifest = exports / f"{slug}.yaml"
    manifest.write_text(yaml.safe_dump(document))
    return manifest


def rewrite(manifest: Path, **keys: Any) -> None:
    """Change keys of a manifest that is there."""
    document = yaml.safe_load(manifest.read_text()) | keys
    manifest.write_text(yaml.safe_dump(document))


def checksum(path: Path) -> str:
    """A file's checksum as a manifest writes it."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
