"""What a reader of bars is told: how the file is written, what its columns are, and how much of it may be held at once."""

from __future__ import annotations

import zoneinfo
from typing import Literal, get_args

from pydantic import Field, field_validator, model_validator

from chronos_assets.domain.slug import granularity_seconds
from chronos_assets.domain.strict import StrictModel
from chronos_assets.errors import SlugError

Delimiter = Literal["comma", "tab", "semicolon", "pipe", "blanks"]
TimeFormat = Literal["hhmm", "hhmmss", "none"]
TimeUnit = Literal["hh", "minutes"]

DELIMITERS: dict[str, str] = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|", "blanks": " "}
"""Name of a delimiter in manifests -> its character; `blanks` stands for runs of blanks and tabs."""


class FormatSpec(StrictModel):
    """`format:` of a manifest: whatever the file itself does not say."""

    delimiter: Delimiter | None = Field(
        default=None, description="comma, tab, semicolon, pipe or blanks; found from the header by default."
    )
    time_format: TimeFormat | None = Field(
        default=None, description="hhmm, hhmmss or none (daily); found from the whole column by default."
    )
    time: TimeFormat | TimeUnit | None = Field(
        default=None, description="The same, and hh (hours) or minutes (of the day), which no column is taken for undeclared."
    )
    timezone: str = Field(default="UTC", description="Zone of the wall clock in Date and Time.")
    market: str | None = Field(default=None, description="The market to take from a file that holds several.")
    bar_time: Literal["open", "close"] | None = Field(default=None, description="Whether a bar is labelled by its open or its close.")
    rename: dict[str, str] = Field(default_factory=dict, description="Names of columns in the file, and what they are called here.")

    @field_validator("delimiter", mode="before")
    @classmethod
    def _by_character(cls, value: object) -> object:
        names = {character: name for name, character in DELIMITERS.items()} | {"\\t": "tab", "blank": "blanks", "space": "blanks"}
        return names.get(value, value) if isinstance(value, str) else value

    @field_validator("rename", mode="before")
    @classmethod
    def _rename_by_text(cls, value: object) -> object:
        """`Last:Close;Vol:Volume`, as an option of the command line writes it."""
        if not isinstance(value, str):
            return value
        pairs = [pair.partition(":") for pair in value.split(";")]
        if not all(theirs.strip() and ours.strip() for theirs, _, ours in pairs):
            raise ValueError(f"{value!r} is not THEIRS:OURS (several of them separated by ;)")
        return {theirs.strip(): ours.strip() for theirs, _, ours in pairs}

    @model_validator(mode="after")
    def _one_time(self) -> FormatSpec:
        if self.time is not None and self.time_format is not None and self.time != self.time_format:
            raise ValueError(f"time is {self.time}, but time_format is {self.time_format}; write one of the two")
        return self

    @property
    def declared_time(self) -> TimeFormat | None:
        """How Time is declared to be read; hours and minutes are turned into HHMM first."""
        if self.time is None:
            return self.time_format
        return next((form for form in get_args(TimeFormat) if form == self.time), "hhmm")

    @property
    def time_unit(self) -> TimeUnit | None:
        """`hh` or `minutes` if Time is declared to be in that unit."""
        return next((unit for unit in get_args(TimeUnit) if unit == self.time), None)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value!r} is not a time zone; write an IANA name such as America/New_York") from None
        return value


class ColumnsSpec(StrictModel):
    """`columns:` of a manifest. Patterns are globs in any case, matched against whole names."""

    targets: list[str] = Field(default_factory=list, description="Targets besides TGT* and target*.")
    prices: list[str] | None = Field(default=None, description="Price columns; Open, High, Low, Close and Volume by default.")
    exclude: list[str] = Field(default_factory=list, description="Columns that are left out, whatever they hold.")


class BarsSpec(StrictModel):
    """All that `normalize` is told about a file. The defaults read any well-formed TSSB file."""

    granularity: str | None = Field(default=None, description="Interval of a bar; found from the spacing of the bars by default.")
    format: FormatSpec = FormatSpec()
    columns: ColumnsSpec = ColumnsSpec()
    target_horizon: dict[str, int] = Field(default_factory=dict, description="Per target, or `default`: bars a target looks ahead.")
    block_bytes: int = Field(default=16 << 20, ge=1, description="Bytes of text taken at once.")
    max_columns: int = Field(default=2_000, ge=1, description="More columns are refused.")
    max_line_bytes: int = Field(default=4 << 20, ge=1, description="A longer line is refused.")
    max_expanded_bytes: int = Field(default=64 << 30, ge=1, description="A compressed file that grows beyond it is refused.")
    max_expansion_ratio: float = Field(default=200.0, gt=1, description="A compressed file that grows by more (beyond 16 MiB) is refused.")

    @field_validator("granularity")
    @classmethod
    def _interval(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                granularity_seconds(value)
            except SlugError as error:
                raise ValueError(str(error)) from None
        return value

    @property
    def interval_seconds(self) -> int | None:
        """Seconds of the declared granularity."""
        return None if self.granularity is None else granularity_seconds(self.granularity)
