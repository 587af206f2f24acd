"""Where the prices of a run's bars may come from: the dataset's own columns, a second file, or what an earlier simulation kept.

`price_source` chooses: the first entry of `SOURCES` that the manifest and the profile ask for. A second file is read by the same reader as
any indicator file and matched by exact time. Its labels are brought to the dataset's convention first: by declaration if both sides say
`bar_time`, else by the closes that are in both. Closes in both must agree.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.simulation.prices import Floats, price_bars
from chronos_assets.domain.slug import granularity_seconds
from chronos_assets.errors import BarsError, RefusedError
from chronos_assets.ingest import BarsSpec, FormatSpec, normalize
from chronos_assets.ingest.price_checks import fault_masks, price_fields
from chronos_assets.pipeline.simulation.prices import FIELDS, RunPrices, floats, iso, price_columns, price_warnings, prices_hash, say
from chronos_assets.storage.datasets import DatasetRecord
from chronos_assets.storage.manifest_files import LoadedManifest

# Closes of two files of the same bars differ by how they were printed, not by more.
CLOSES_AGREE_WITHIN = 1e-6


class PriceSource(Protocol):
    """Gives the prices of a dataset's bars. `in_dataset`: they are columns of the dataset, so that nobody has to keep a copy."""

    in_dataset: bool

    def require(self, record: DatasetRecord) -> None:
        """Raise `RefusedError` if the source cannot serve this dataset: asked before anything is read."""

    def read(self, record: DatasetRecord, table: pl.DataFrame) -> RunPrices:
        """Prices of the bars in `table`, which holds `timestamp_unix` and the dataset's price columns under their names."""


@dataclass(frozen=True)
class ColumnPrices:
    """The dataset's own columns."""

    in_dataset = True

    def require(self, record: DatasetRecord) -> None:
        """Raise `RefusedError` that names the manifest keys if a dataset has no prices to trade on."""
        missing = [name for name in FIELDS if name not in price_columns(record)]
        if missing:
            raise RefusedError(
                f"dataset {record.dataset_id} has no prices to trade on: {', '.join(missing)} missing",
                code="prices_missing",
                expected="columns for open, high, low and close",
                found=", ".join(record.names("price")) or "no price column",
                hint="Set `ohlcv_file` in the manifest to a file with Date, Time, Open, High, Low, Close, "
                "or name columns in `columns.prices`.",
                slug=record.dataset_id,
            )

    def read(self, record: DatasetRecord, table: pl.DataFrame) -> RunPrices:
        """Prices as the columns hold them."""
        columns = price_columns(record)
        arrays = {name: floats(table[columns[name].name]) for name in FIELDS}
        times = table["timestamp_unix"].to_numpy()
        bars = price_bars(times, *arrays.values())
        volume = price_fields(record.names("price")).get("volume")
        if volume in table.columns:
            arrays["volume"] = floats(table[volume])
        source = {"source": "columns", "columns": {name: columns[name].name for name in FIELDS}, "checksum": record.checksum}
        return RunPrices(bars, source | {"content_hash": prices_hash(bars)}, price_warnings(bars, arrays), fault_masks(arrays))


@dataclass(frozen=True)
class KeptPrices:
    """Prices that an earlier simulation kept (`price_artifacts`), and the source that it named."""

    frame: pl.DataFrame
    source: dict[str, Any]
    in_dataset = False

    def require(self, record: DatasetRecord) -> None:
        """Nothing: they were used before."""

    def read(self, record: DatasetRecord, table: pl.DataFrame) -> RunPrices:
        """Prices that were kept from an earlier simulation, on the bars of `table` (`timestamp_unix`)."""
        bars = table.select("timestamp_unix").join(self.frame, on="timestamp_unix", how="left", maintain_order="left")
        arrays = [floats(bars[name]) for name in FIELDS]
        return RunPrices(price_bars(bars["timestamp_unix"].to_numpy(), *arrays), self.source, [])


@dataclass(frozen=True)
class FilePrices:
    """A second file with prices: how it is written, and how the dataset labels its bars (None: not declared)."""

    path: Path
    format: FormatSpec = field(default_factory=FormatSpec)
    dataset_bar_time: str | None = None
    in_dataset = False

    def require(self, record: DatasetRecord) -> None:
        """Nothing: the file says for itself what it lacks."""

    def read(self, record: DatasetRecord, table: pl.DataFrame) -> RunPrices:
        """Prices from a second file, matched to the bars of `table` by exact time."""
        prices, report = _read_file(self.path, self.format)
        times = table["timestamp_unix"].to_numpy()
        close = price_columns(record).get("close")
        known = floats(table[close.name]) if close is not None and close.name in table.columns else None
        step = granularity_seconds(record.granularity)
        declared = self._declared_shift(step, dates_only=report["time_format"] == "none")
        shift, said = (declared, []) if declared is not None else _found_shift(prices, times, known, step)
        matched = _match(prices, times, shift)
        if not np.isfinite(matched[3]).any():
            raise RefusedError(
                "no bar of the price file has the time of a bar of the dataset",
                code="prices_unmatched",
                expected=f"bars between {iso(times[0])} and {iso(times[-1])}",
                found=f"{prices.height} bars between {iso(prices['timestamp_unix'][0])} and {iso(prices['timestamp_unix'][-1])}",
                hint="Check the time zone and `bar_time` of both files.",
                file=self.path.name,
            )
        if known is not None:
            _require_agreement(times, matched[3], known, self.path.name)
        bars = price_bars(times, matched[0], matched[1], matched[2], matched[3])
        source = {"source": "ohlcv_file", "file": self.path.name, "checksum": report["checksum"], "shift_seconds": shift}
        arrays = dict(zip(FIELDS, matched, strict=True))
        return RunPrices(bars, source | {"content_hash": prices_hash(bars)}, said + price_warnings(bars, arrays), fault_masks(arrays))

    def _declared_shift(self, step: int, *, dates_only: bool) -> int | None:
        """Seconds to add to the file's labels if both sides say how they label, else None."""
        own, dataset = self.format.bar_time, self.dataset_bar_time
        if own is None or dataset is None:
            return None
        # A bar that carries nothing but its date is labelled by it, whichever end the others are labelled by.
        if own == dataset or dates_only:
            return 0
        return step if dataset == "close" else -step


def _read_file(path: Path, form: FormatSpec) -> tuple[pl.DataFrame, dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="chronos-prices-") as folder:
        arrow = Path(folder) / "prices.arrow"
        try:
            report = normalize(path, BarsSpec(format=form), arrow)
        except BarsError as error:
            error.hint = (
                f"{error.hint} `chronos inspect` proposes how to declare it: write that into `ohlcv_format` of the profile.".strip()
            )
            raise
        names = {column.name.casefold(): column.name for column in report.columns}
        missing = [name for name in FIELDS if name not in names]
        if missing:
            raise RefusedError(
                f"the price file lacks {', '.join(missing)}",
                code="prices_missing",
                expected="columns Open, High, Low, Close",
                found=", ".join(column.name for column in report.columns[:20]),
                file=path.name,
            )
        wanted = [pl.col(names[name]).alias(name) for name in FIELDS]
        frame = pl.read_ipc(arrow.read_bytes()).select("timestamp_unix", *wanted)
    return frame, {"checksum": report.checksum, "time_format": report.time_format}


def _found_shift(prices: pl.DataFrame, times: npt.NDArray[np.int64], known: Floats | None, step: int) -> tuple[int, list[dict[str, str]]]:
    """Seconds to add to the file's labels so that all closes agree, and what to say about it."""
    if known is None:
        return 0, [
            say("price_labels_assumed", "no close is in both files: we assume that the price file labels its bars as the dataset does")
        ]
    for shift in (0, step, -step):
        closes = _match(prices, times, shift)[3]
        if _both(closes, known).any() and not _differs(closes, known).any():
            said = f"the price file labels its bars differently: its times were moved by {shift} s, so that all closes agree"
            return shift, [say("prices_shifted", said)] if shift else []
    return 0, []


def _match(prices: pl.DataFrame, times: npt.NDArray[np.int64], shift: int) -> list[Floats]:
    """The four prices at exactly `times`, NaN if the file has no such bar."""
    stamps = prices["timestamp_unix"].to_numpy() + shift
    place = np.minimum(np.searchsorted(stamps, times), len(stamps) - 1)
    found = stamps[place] == times
    return [np.where(found, floats(prices[name])[place], np.nan) for name in FIELDS]


def _both(left: Floats, right: Floats) -> npt.NDArray[np.bool_]:
    return np.isfinite(left) & np.isfinite(right)


def _differs(left: Floats, right: Floats) -> npt.NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        return _both(left, right) & (np.abs(left - right) > CLOSES_AGREE_WITHIN * np.abs(right))


def _require_agreement(times: npt.NDArray[np.int64], closes: Floats, known: Floats, name: str) -> None:
    wrong = np.flatnonzero(_differs(closes, known))
    if wrong.size:
        first = int(wrong[0])
        raise RefusedError(
            f"{wrong.size} of {int(_both(closes, known).sum())} closes in the price file differ from those of the dataset",
            code="closes_disagree",
            expected=f"{known[first]:.10g} at {iso(times[first])}",
            found=f"{closes[first]:.10g}",
            hint="Give the file of the same bars, or say how it labels them: `ohlcv_format: {bar_time: open}` in the simulation profile.",
            file=name,
        )


def _from_file(loaded: LoadedManifest | None, profile: SimulationProfile) -> PriceSource | None:
    """The manifest's `ohlcv_file`, written as the profile says, else as the dataset's file; its labels are then found from the closes."""
    if loaded is None or loaded.ohlcv_path is None:
        return None
    dataset = loaded.manifest.format
    own = profile.ohlcv_format or FormatSpec(timezone=dataset.timezone, rename={} if dataset.preset else dataset.rename)
    return FilePrices(loaded.ohlcv_path, own, dataset.bar_time)


SOURCES: tuple[Callable[[LoadedManifest | None, SimulationProfile], PriceSource | None], ...] = (
    _from_file,
    lambda _loaded, _profile: ColumnPrices(),
)


def price_source(loaded: LoadedManifest | None, profile: SimulationProfile) -> PriceSource:
    """The source that the manifest (None: there is none) and the profile ask for."""
    return next(source for ask in SOURCES if (source := ask(loaded, profile)) is not None)
