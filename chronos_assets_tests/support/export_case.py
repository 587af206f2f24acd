"""Small datasets for tests of the export: a TSSB-style file with its manifest, normalized, and ways to damage what QuestDB holds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from chronos_assets.pipeline.export.dataset import ExportOptions, export_dataset
from chronos_assets.pipeline.export.normalize import NormalizedBars, normalize_dataset
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.export.types import ExportResult
from chronos_assets.storage.bars_file import BarsFile
from chronos_assets.storage.manifest_files import LoadedManifest, load_manifest
from chronos_assets.storage.questdb_tables import INDICATOR_BARS
from chronos_assets.storage.stores import Stores

FEATURES = ("MACD", "RSI", "ATR")


@dataclass
class ExportCase:
    """One dataset on disk. Change `values` (or use the methods) and `save` to write another version of its file."""

    folder: Path
    slug: str
    days: list[date]
    values: dict[str, list[float | None]]
    stores: Stores
    extra: dict[str, Any] = field(default_factory=dict)

    def save(self) -> LoadedManifest:
        """Write file and manifest; returns the manifest as loaded."""
        path = self.folder / f"{self.slug}.csv"
        lines = [",".join(["Date", *self.values])]
        for row, day in enumerate(self.days):
            lines.append(",".join([f"{day:%Y%m%d}", *("" if v[row] is None else repr(v[row]) for v in self.values.values())]))
        path.write_text("\n".join(lines) + "\n")
        keys = {
            "dataset": self.slug,
            "source_file": path.name,
            "granularity": "1d",
            "checksum": f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}",
            **self.extra,
        }
        manifest = self.folder / f"{self.slug}.yaml"
        manifest.write_text("".join(f"{k}: {v}\n" for k, v in keys.items()))
        return load_manifest(manifest)

    def normalized(self) -> tuple[NormalizedBars, LoadedManifest]:
        loaded = self.save()
        return normalize_dataset(loaded, self.stores.settings), loaded

    def export(self, **options: Any) -> ExportResult:
        return export_dataset(self.save(), self.stores, self.stores.settings, options=ExportOptions(**options))

    def append(self, rows: int, *, seed: int = 2) -> None:
        """Append bars; the targets of the last two stay unknown, those before fill."""
        more = make_values(rows, seed)
        for name, new in more.items():
            self.values[name] += new
        self.days += [self.days[-1] + timedelta(days=n + 1) for n in range(rows)]
        for row in range(len(self.days) - rows - 2, len(self.days) - 2):
            if self.values["TGT_RET"][row] is None:
                self.values["TGT_RET"][row] = 0.001 * row

    def stamp(self, row: int) -> datetime:
        day = self.days[row]
        return datetime(day.year, day.month, day.day, tzinfo=UTC)

    def rows_as_sent(self, tag: str) -> pl.DataFrame:
        """The rows as the export sends them."""
        normalized, loaded = self.normalized()
        source = Source.of(loaded, normalized)
        with BarsFile(source.path) as bars:
            return pl.concat(list(source.rows_for(tag, bars.frames(100_000))))

    def put(self, rows: pl.DataFrame) -> None:
        """Put rows into QuestDB behind the export's back."""
        self.stores.questdb.write(rows, table=INDICATOR_BARS.name, symbols=INDICATOR_BARS.symbols)
        self.stores.questdb.wait_applied(INDICATOR_BARS.name)

    def stored(self, tag: str) -> pl.DataFrame:
        """What QuestDB holds under `tag`: the numbers, in order."""
        names = ", ".join(["timestamp_unix", *self.values])
        return self.stores.questdb.read(f"SELECT {names} FROM indicator_bars WHERE dataset = '{tag}' ORDER BY timestamp")

    def holds_the_file(self, tag: str) -> bool:
        """True if the tag holds exactly the bars of the file, once."""
        sent = self.rows_as_sent(tag).select("timestamp_unix", *self.values)
        return self.stored(tag).equals(sent)


def make_values(rows: int, seed: int) -> dict[str, list[float | None]]:
    """Columns of a small file: prices, three features (one with a warm-up), a target that is unknown for the last two bars."""
    random = np.random.default_rng(seed)
    close = 100 + np.cumsum(random.normal(0, 1, rows))
    values: dict[str, list[float | None]] = {"Close": close.tolist()}
    for name in FEATURES:
        values[name] = random.normal(0, 1, rows).tolist()
    values["TGT_RET"] = [*random.normal(0, 0.01, rows).tolist()[2:], None, None][-rows:]
    return values


def make_case(stores: Stores, folder: Path, slug: str, *, rows: int = 40, start: date = date(2001, 12, 20), **extra: Any) -> ExportCase:
    """A case with `rows` daily bars from `start` on; `extra` are further keys of the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    days = [start + timedelta(days=n) for n in range(rows)]
    values = make_values(rows, seed=1)
    values["MACD"][:3] = [None, None, None]
    return ExportCase(folder, slug, days, values, stores, extra)
