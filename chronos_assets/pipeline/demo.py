"""The demonstration dataset: daily S&P 500 bars with indicators of the field, written the way a trader would bring them.

The bars are those that the PyPI package `arch` carries. Twenty causal indicators (each uses its own bar and earlier ones only) and
two targets are computed here, so that the demonstration starts where a user starts: with an indicator file and a manifest. Nothing
else in the product depends on this module.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import polars as pl

from chronos_assets.domain.indicators import DEMO, TARGETS
from chronos_assets.errors import ChronosError
from chronos_assets.storage.atomic_write import write_file

SLUG = "sp500_1d_v1"
WARM_UP_BARS = 250

_MANIFEST = """\
# Daily S&P 500 bars, 1999 to 2018, with 20 indicators and 2 targets. Written by `chronos demo`; yours to change.
dataset: {slug}
source_file: {file}
granularity: 1d
checksum: sha256:{checksum}
columns: {{targets: ["TGT_*"]}}
# Largest h such that the target of bar t uses a price of bar t+h: from the next open to the one 1 or 5 bars after it.
target_horizon: {{TGT_RET_1: 2, TGT_RET_5: 6}}
walkforward:
  default:
    target: TGT_RET_1
    features: all
    window: rolling
    train_size: 1000
    test_size: 21
    step: 21
    gap: 1
    model:
      {{eta: 0.03, max_depth: 3, min_child_weight: 20, subsample: 0.8, colsample_bytree: 0.6, lambda: 2.0,
       rounds: 500, early_stopping: 50, seed: 7}}
    thresholds: {{method: optimal, min_fraction: 0.1, data: validation}}
simulation:
  default:
    walkforward: default
    modes: [long, short, dual]
    costs: {{commission_fraction: 0.0001, slippage_fraction: 0.0001}}
"""


def build_demo(exports_dir: Path) -> Path:
    """Write `sp500_1d_v1.csv` and its manifest below `exports_dir`; returns the manifest's path.

    The same bytes every time. Files that are already there are left alone, so a manifest that was edited keeps its edits;
    an indicator file that is missing is written again.
    """
    exports_dir.mkdir(parents=True, exist_ok=True)
    source, manifest = exports_dir / f"{SLUG}.csv", exports_dir / f"{SLUG}.yaml"
    if source.exists() and manifest.exists():
        return manifest
    text = indicator_file(read_sp500())
    if not source.exists():
        write_file(source, text)
    if not manifest.exists():
        checksum = hashlib.sha256(source.read_bytes()).hexdigest()
        write_file(manifest, _MANIFEST.format(slug=SLUG, file=source.name, checksum=checksum).encode())
    return manifest


def read_sp500() -> pl.DataFrame:
    """The daily bars inside `arch`: Date (date), Open, High, Low, Close, Volume (float64).

    Read from the package's own file, because importing `arch` takes seconds and nothing else of it is needed here.
    """
    spec = importlib.util.find_spec("arch")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for folder in folders:
        path = Path(folder) / "data" / "sp500" / "sp500.csv.gz"
        if path.is_file():
            prices = pl.read_csv(path, infer_schema=False)
            return prices.select(
                pl.col("Date").str.to_date("%-m/%-d/%Y"), pl.col("Open", "High", "Low", "Close", "Volume").cast(pl.Float64)
            )
    raise ChronosError("the package arch carries no S&P 500 bars", code="demo_data_missing", hint="Install arch 8 and run again.")


def indicator_file(prices: pl.DataFrame) -> bytes:
    """A TSSB-style CSV of `prices` with its indicators and targets: no Time column (daily bars), the warm-up left out as TSSB does."""
    frame = prices.with_columns(**{"Date": pl.col("Date").dt.strftime("%Y%m%d").cast(pl.Int64)}, **indicators(), **targets())
    return frame.slice(WARM_UP_BARS).write_csv(float_precision=8).encode()


def indicators() -> dict[str, pl.Expr]:
    """Twenty causal indicators by name, as expressions over Date, Open, High, Low, Close, Volume."""
    return {indicator.name: indicator.expression for indicator in DEMO}


def targets() -> dict[str, pl.Expr]:
    """Percent log returns from the next open to the open 1 or 5 bars after it: what a decision at this close can earn."""
    return {TARGETS[name].name: TARGETS[name].expression for name in ("return-1", "return-5")}
