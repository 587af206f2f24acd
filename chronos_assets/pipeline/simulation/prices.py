"""The prices of a run's bars: from the dataset's own columns, or from a second file matched by exact time.

A second file is read by the same reader as any indicator file. Its labels are brought to the dataset's convention first: by declaration
where both sides say `bar_time`, else by the closes that stand in both. Closes present in both must agree.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.simulation.prices import Floats, PriceBars, price_bars
from chronos_assets.domain.slug import granularity_seconds
from chronos_assets.errors import RefusedError
from chronos_assets.ingest import BarsSpec, FormatSpec, normalize
from chronos_assets.ingest.price_checks import fault_masks, price_faults, price_fields
from chronos_assets.storage.datasets import DatasetColumn, DatasetRecord

FIELDS = ("open", "high", "low", "close")
# Closes of two files of the same bars differ by how they were printed, not by more.
CLOSES_AGREE_WITHIN = 1e-6
SHOWN = 5


@dataclass(frozen=True)
class PriceFile:
    """A second file with prices: how it is written, and how the dataset labels its bars (None: not declared)."""

    path: Path
    format: FormatSpec = field(default_factory=FormatSpec)
    dataset_bar_time: str | None = None


@dataclass(frozen=True)
class RunPrices:
    """Prices of every bar of a dataset up to the last one asked for, where they came from, and what there is to say about them."""

    bars: PriceBars
    source: dict[str, Any]
    warnings: list[dict[str, str]]
    doubts: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    """Bars whose prices look impossible, by the code of the warning."""


def price_columns(record: DatasetRecord) -> dict[str, DatasetColumn]:
    """The dataset's price columns by field (`open`, `high`, `low`, `close`): the name in any case, else the only one that holds it."""
    found = price_fields(record.names("price"))
    return {name: record.column(found[name]) for name in FIELDS if name in found}


def require_prices(record: DatasetRecord, file: PriceFile | None) -> None:
    """Raise `RefusedError` that names the manifest keys if a dataset has no prices to trade on."""
    missing = [name for name in FIELDS if name not in price_columns(record)]
    if file is None and missing:
        raise RefusedError(
            f"dataset {record.dataset_id} has no prices to trade on: {', '.join(missing)} missing",
            code="prices_missing",
            expected="columns for open, high, low and close",
            found=", ".join(record.names("price")) or "no price column",
            hint="Set `ohlcv_file` in the manifest to a file with Date, Time, Open, High, Low, Close, or name columns in `columns.prices`.",
            slug=record.dataset_id,
        )


def prices_from_columns(record: DatasetRecord, table: pl.DataFrame) -> RunPrices:
    """Prices from the dataset's own columns; `table` holds `timestamp_unix` and the price columns under their dataset names."""
    columns = price_columns(record)
    arrays = {name: _floats(table[columns[name].name]) for name in FIELDS}
    times = table["timestamp_unix"].to_numpy()
    bars = price_bars(times, *arrays.values())
    volume = price_fields(record.names("price")).get("volume")
    if volume in table.columns:
        arrays["volume"] = _floats(table[volume])
    source = {"source": "columns", "columns": {name: columns[name].name for name in FIELDS}, "checksum": record.checksum}
    return RunPrices(bars, source | {"content_hash": prices_hash(bars)}, _warnings(bars, arrays), fault_masks(arrays))


def prices_kept(table: pl.DataFrame, kept: pl.DataFrame, source: dict[str, Any]) -> RunPrices:
    """Prices that were kept from an earlier simulation, on the bars of `table` (`timestamp_unix`)."""
    bars = table.select("timestamp_unix").join(kept, on="timestamp_unix", how="left", maintain_order="left")
    arrays = [_floats(bars[name]) for name in FIELDS]
    return RunPrices(price_bars(bars["timestamp_unix"].to_numpy(), *arrays), source, [])


def prices_from_file(record: DatasetRecord, table: pl.DataFrame, file: PriceFile) -> RunPrices:
    """Prices from a second file, matched to the bars of `table` by exact time."""
    prices, report = _read_file(file)
    times = table["timestamp_unix"].to_numpy()
    close = price_columns(record).get("close")
    known = _floats(table[close.name]) if close is not None and close.name in table.columns else None
    step = granularity_seconds(record.granularity)
    declared = _declared_shift(file, step, dates_only=report["time_format"] == "none")
    shift, said = (declared, []) if declared is not None else _found_shift(prices, times, known, step)
    matched = _match(prices, times, shift)
    if not np.isfinite(matched[3]).any():
        raise RefusedError(
            "no bar of the price file has the time of a bar of the dataset",
            code="prices_unmatched",
            expected=f"bars between {_iso(times[0])} and {_iso(times[-1])}",
            found=f"{prices.height} bars between {_iso(prices['timestamp_unix'][0])} and {_iso(prices['timestamp_unix'][-1])}",
            hint="Check the time zone and `bar_time` of both files.",
            file=file.path.name,
        )
    if known is not None:
        _require_agreement(times, matched[3], known, file)
    bars = price_bars(times, matched[0], matched[1], matched[2], matched[3])
    source = {"source": "ohlcv_file", "file": file.path.name, "checksum": report["checksum"], "shift_seconds": shift}
    arrays = dict(zip(FIELDS, matched, strict=True))
    return RunPrices(bars, source | {"content_hash": prices_hash(bars)}, said + _warnings(bars, arrays), fault_masks(arrays))


def prices_hash(bars: PriceBars) -> str:
    """SHA-256 over times and the four prices, every missing one the same."""
    digest = hashlib.sha256(bars.times.astype("<i8").tobytes())
    for column in (bars.opens, bars.highs, bars.lows, bars.closes):
        digest.update(np.where(np.isnan(column), np.nan, column).astype("<f8").tobytes())
    return f"sha256:{digest.hexdigest()}"


def _read_file(file: PriceFile) -> tuple[pl.DataFrame, dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="chronos-prices-") as folder:
        arrow = Path(folder) / "prices.arrow"
        report = normalize(file.path, BarsSpec(format=file.format), arrow)
        names = {column.name.casefold(): column.name for column in report.columns}
        missing = [name for name in FIELDS if name not in names]
        if missing:
            raise RefusedError(
                f"the price file lacks {', '.join(missing)}",
                code="prices_missing",
                expected="columns Open, High, Low, Close",
                found=", ".join(column.name for column in report.columns[:20]),
                file=file.path.name,
            )
        wanted = [pl.col(names[name]).alias(name) for name in FIELDS]
        frame = pl.read_ipc(arrow.read_bytes()).select("timestamp_unix", *wanted)
    return frame, {"checksum": report.checksum, "time_format": report.time_format}


def _declared_shift(file: PriceFile, step: int, *, dates_only: bool) -> int | None:
    """Seconds to add to the file's labels where both sides say how they label, else None."""
    own, dataset = file.format.bar_time, file.dataset_bar_time
    if own is None or dataset is None:
        return None
    # A bar that carries nothing but its date is labelled by it, whichever end the others are labelled by.
    if own == dataset or dates_only:
        return 0
    return step if dataset == "close" else -step


def _found_shift(prices: pl.DataFrame, times: npt.NDArray[np.int64], known: Floats | None, step: int) -> tuple[int, list[dict[str, str]]]:
    """Seconds to add to the file's labels so that all closes agree, and what to say about it."""
    if known is None:
        return 0, [
            _say("price_labels_assumed", "no close is in both files: we assume that the price file labels its bars as the dataset does")
        ]
    for shift in (0, step, -step):
        closes = _match(prices, times, shift)[3]
        if _both(closes, known).any() and not _differs(closes, known).any():
            said = f"the price file labels its bars differently: its times were moved by {shift} s, so that all closes agree"
            return shift, [_say("prices_shifted", said)] if shift else []
    return 0, []


def _match(prices: pl.DataFrame, times: npt.NDArray[np.int64], shift: int) -> list[Floats]:
    """The four prices at exactly `times`, NaN if the file has no such bar."""
    stamps = prices["timestamp_unix"].to_numpy() + shift
    place = np.minimum(np.searchsorted(stamps, times), len(stamps) - 1)
    found = stamps[place] == times
    return [np.where(found, _floats(prices[name])[place], np.nan) for name in FIELDS]


def _both(left: Floats, right: Floats) -> npt.NDArray[np.bool_]:
    return np.isfinite(left) & np.isfinite(right)


def _differs(left: Floats, right: Floats) -> npt.NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return _both(left, right) & (np.abs(left - right) > CLOSES_AGREE_WITHIN * np.abs(right))


def _require_agreement(times: npt.NDArray[np.int64], closes: Floats, known: Floats, file: PriceFile) -> None:
    wrong = np.flatnonzero(_differs(closes, known))
    if wrong.size:
        first = int(wrong[0])
        raise RefusedError(
            f"{wrong.size} of {int(_both(closes, known).sum())} closes in the price file differ from those of the dataset",
            code="closes_disagree",
            expected=f"{known[first]:.10g} at {_iso(times[first])}",
            found=f"{closes[first]:.10g}",
            hint="Give the file of the same bars, or say how it labels them: `ohlcv_format: {bar_time: open}` in the simulation profile.",
            file=file.path.name,
        )


def _warnings(bars: PriceBars, columns: Mapping[str, Floats]) -> list[dict[str, str]]:
    """What there is to say about the prices, as they were before those that cannot be traded on were taken out."""
    said = [_say(fault.code, fault.sentence(_iso(int(bars.times[fault.first])))) for fault in price_faults(columns)]
    if bars.incomplete:
        said.append(
            _say("prices_incomplete", f"{bars.incomplete} bars lack some of their four prices and are traded as bars without prices")
        )
    return said


def missing_bars(bars: PriceBars) -> list[dict[str, str]]:
    """What to say about bars of a simulation that have no prices."""
    without: Sequence[int] = bars.times[~bars.priced].tolist()
    if not without:
        return []
    shown = ", ".join(_iso(t) for t in without[:SHOWN]) + (", ..." if len(without) > SHOWN else "")
    return [_say("prices_missing_bars", f"{len(without)} of {len(bars)} bars have no prices: nothing is filled there ({shown})")]


def _floats(series: pl.Series) -> Floats:
    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _say(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message}


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(int(seconds), tz=UTC).strftime("%Y-%m-%d %H:%M")
