"""What an export is about: one normalized file and what the registry will say of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from chronos_assets.pipeline.export.normalize import NormalizedBars
from chronos_assets.storage.audits import AuditRecord, Publication
from chronos_assets.storage.datasets import KEY_COLUMNS, DatasetColumn, DatasetRecord
from chronos_assets.storage.manifest_files import LoadedManifest
from chronos_assets.storage.questdb_tables import TIMESTAMP

# Cells in one piece of a file: some 16 MB, whatever the number of columns.
CELLS_PER_PIECE = 2_000_000


@dataclass(frozen=True)
class Source:
    """A normalized file under its slug.

    At first each column goes by a QuestDB name of its own (`own_columns`: name -> QuestDB name); `placed_as` gives a copy with the
    columns of the table that it is really kept in.
    """

    slug: str
    symbol: str
    granularity: str
    source: str
    checksum: str
    content_hash: str
    rows: int
    first_bar: datetime
    last_bar: datetime
    columns: tuple[DatasetColumn, ...]
    path: Path
    own_columns: Mapping[str, str]

    @classmethod
    def of(cls, loaded: LoadedManifest, normalized: NormalizedBars) -> Source:
        """Put together what the manifest and the report of its file say."""
        manifest, report = loaded.manifest, normalized.report
        columns = tuple(
            DatasetColumn(c.name, c.role, c.questdb_column or c.name) for c in report.columns if c.role in {"feature", "target", "price"}
        )
        return cls(
            slug=manifest.dataset,
            symbol=manifest.slug.symbol,
            granularity=manifest.granularity,
            source=manifest.source,
            checksum=report.checksum,
            content_hash=report.content_hash,
            rows=report.rows,
            first_bar=datetime.fromtimestamp(report.first_bar_unix, UTC),
            last_bar=datetime.fromtimestamp(report.last_bar_unix, UTC),
            columns=columns,
            path=normalized.path,
            own_columns={c.name: c.questdb_column for c in columns},
        )

    @property
    def publication(self) -> Publication:
        """What the registry row says besides the audit."""
        return Publication(self.symbol, self.granularity, self.source, self.columns)

    @property
    def tags(self) -> dict[str, str]:
        """The tags of every row besides `dataset`."""
        return {"source": self.source, "granularity": self.granularity}

    @property
    def piece_rows(self) -> int:
        """Rows of one piece, so that memory stays flat whatever the file's size."""
        return max(500, CELLS_PER_PIECE // (len(self.columns) + len(KEY_COLUMNS)))

    @property
    def placement(self) -> dict[str, str]:
        """Name -> QuestDB column of the columns that are not kept under a name of their own."""
        return {c.name: c.questdb_column for c in self.columns if c.questdb_column != self.own_columns[c.name]}

    def placed(self, columns: Mapping[str, str]) -> Source:
        """This file with the QuestDB columns that `columns` gives to some of its names."""
        return replace(self, columns=tuple(replace(c, questdb_column=columns.get(c.name, self.own_columns[c.name])) for c in self.columns))

    def placed_as(self, known: DatasetRecord | AuditRecord) -> Source:
        """This file in the QuestDB columns that a registry row or an attempt says."""
        return self.placed(known.placement)

    def is_published_as(self, record: DatasetRecord) -> bool:
        """True if `record` says of this file all that publishing it would say."""
        told = (record.checksum, record.content_hash, record.row_count, record.columns, record.source, record.granularity)
        return told == (self.checksum, self.content_hash, self.rows, self.placed_as(record).columns, self.source, self.granularity)

    def rows_for(self, tag: str, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Frames of the file as rows of `indicator_bars` under `tag`."""
        words = [pl.lit(value).alias(name) for name, value in {"dataset": tag, **self.tags}.items()]
        keys = [pl.col(name) for name in KEY_COLUMNS]
        numbers = [pl.col(c.name).alias(c.questdb_column) for c in self.columns]
        stamp = (pl.col("timestamp_unix") * 1_000_000_000).cast(pl.Datetime("ns", "UTC")).alias(TIMESTAMP)
        for frame in frames:
            yield frame.select(*words, *keys, *numbers, stamp)
