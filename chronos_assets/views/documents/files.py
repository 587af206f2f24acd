"""Documents about files of bars and manifests: what a file holds, and what was written into a manifest."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from chronos_assets.views.documents.base import Document, Json, Warn


class FileColumn(Document):
    """One column of a file. `name` is its name in the dataset, `source_name` as it stands in the file."""

    name: str
    role: Literal["feature", "target", "price", "key", "excluded"]
    nulls: int = Field(description="Cells without a number: empty, NaN or not finite.")
    nan: int
    non_finite: int
    questdb_column: str | None
    source_name: str | None
    position: int
    constant: bool
    horizon: int | None
    horizon_shown: int | None
    horizon_reason: str | None


class FileGap(Document):
    """Bars that are missing between two that are there."""

    after: str
    before: str
    missing_bars: int


class FileReading(Document):
    """A declaration that reads a refused file, and the first and last bars as they come out."""

    format: Json
    rows: int
    granularity: str | None
    first_bars: list[Json]
    last_bars: list[Json]
    cannot_know: list[str]


class NearestReading(Document):
    """The declaration that comes nearest, and why it does not read the file."""

    format: Json
    refusal: str


class Proposal(Document):
    """What to declare for a refused file. `only`: one reading is possible; else `decides` says what tells the readings apart."""

    only: bool
    readings: list[FileReading]
    decides: str | None
    nearest: NearestReading | None


class Inspection(Document):
    """What `chronos inspect` found. A file that is refused has `error`, and null or nothing elsewhere."""

    accepted: bool
    rows: int | None
    columns: list[FileColumn]
    granularity: str | None
    first_bar: str | None
    last_bar: str | None
    first_bar_unix: int | None = None
    last_bar_unix: int | None = None
    content_hash: str | None = None
    checksum: str | None = None
    file_kind: str | None = None
    delimiter: str | None = None
    time_format: str | None = None
    timezone: str | None = None
    bar_time: str | None = None
    market: str | None = None
    gaps: int | None = None
    missing_bars: int | None = None
    unexpected_gaps: int | None = None
    longest_gaps: list[FileGap] = Field(default_factory=list)
    clock: dict[str, int] = Field(default_factory=dict)
    other_market_rows: int | None = None
    blank_lines: int | None = None
    warnings: list[Warn]
    error: Json | None
    proposal: Proposal | None = Field(None, description="Of a refused file: what to declare so that it is read.")


class FileReport(Document):
    """What was found in a file that was taken. `columns` holds features, targets and prices."""

    rows: int
    columns: list[FileColumn]
    keys: list[FileColumn]
    excluded: list[FileColumn]
    granularity: str | None
    first_bar: str
    last_bar: str
    first_bar_unix: int
    last_bar_unix: int
    content_hash: str
    checksum: str
    file_kind: str
    delimiter: str | None
    time_format: str
    timezone: str
    bar_time: str | None
    market: str | None
    gaps: int
    missing_bars: int
    unexpected_gaps: int
    longest_gaps: list[FileGap]
    clock: dict[str, int]
    other_market_rows: int
    blank_lines: int
    warnings: list[Warn]


class NewManifest(Document):
    """A manifest that was written, and what its file holds."""

    dataset: str
    manifest: str
    copied_to: str | None
    report: FileReport
    taken_by: str | None = Field(None, description="The Dagster UI whose sensor takes the manifest, if `chronos dev` is on.")


class RefreshedManifest(Document):
    """What changed in a file since its manifest was written; `change` is null if the old file is not at hand."""

    dataset: str
    manifest: str
    unchanged: bool
    written: bool
    old_checksum: str
    checksum: str
    rows: int
    change: Json | None


class Preset(Document):
    """A known layout of files: the keys of `format` that it stands for, and what such a file does not say."""

    about: str
    format: Json
    cannot_know: list[str]


class Presets(Document):
    """Layouts by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Preset] = Field(init=False)


class WrittenIndicators(Document):
    """A file of indicators and targets that was computed from prices, and its manifest if one was written."""

    output: str
    rows: int
    bars_read: int
    indicators: list[str]
    left_out: list[str]
    target_horizon: dict[str, int]
    dataset: str | None
    manifest: str | None
