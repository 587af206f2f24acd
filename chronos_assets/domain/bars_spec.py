"""What a reader of bars is told: how the file is written, what its columns are, and how much of it may be held at once."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from chronos_assets.domain.moment_patterns import date_problem, has_time, time_problem
from chronos_assets.domain.presets import PRESETS
from chronos_assets.domain.slug import granularity_seconds
from chronos_assets.domain.strict import StrictModel, nearest
from chronos_assets.errors import SlugError

Delimiter = Literal["tab", "semicolon", "comma", "pipe", "blanks"]
TimeFormat = Literal["hhmm", "hhmmss", "none"]
TimeUnit = Literal["hh", "minutes"]
Encoding = Literal["utf-8", "utf-16", "latin-1", "by_mark"]
Suffix = Literal["K", "M", "B", "T", "%"]
Prefix = Literal["$", "€", "£", "¥"]

DELIMITERS: dict[Delimiter, str] = {"tab": "\t", "semicolon": ";", "comma": ",", "pipe": "|", "blanks": " "}
"""Name of a delimiter in manifests -> its character, in the order in which they are tried. `blanks` stands for runs of blanks and tabs."""
SUFFIXES: dict[str, int] = {"K": 3, "M": 6, "B": 9, "T": 12, "%": -2}
"""Suffix of a number -> the power of ten it stands for."""
PREFIXES: tuple[str, ...] = get_args(Prefix)
_MARKS = {"comma": ",", "point": ".", "blank": " ", "apostrophe": "'", "underscore": "_"}
_TIMES: tuple[str, ...] = (*get_args(TimeFormat), *get_args(TimeUnit))


class FormatSpec(StrictModel):
    """`format:` of a manifest: whatever the file itself does not say."""

    preset: str | None = Field(default=None, description="Name of a known layout: values for the keys below, which you can override.")
    delimiter: Delimiter | None = Field(
        default=None, description="comma, tab, semicolon, pipe or blanks; found from the header by default."
    )
    date: str | None = Field(
        default=None,
        description="Form of Date: yyyymmdd (the default), iso, unix_s, unix_ms, unix_us, unix_ns, unix (each cell's unit by its size), "
        "1yymmdd (EasyLanguage), or a strptime pattern such as %Y.%m.%d, with %H:%M if one column holds both.",
    )
    time: str | None = Field(
        default=None,
        description="Form of Time: hhmm, hhmmss or none (daily), found from the whole column by default; hh (hours), minutes (of the day) "
        "or a strptime pattern such as %H:%M:%S, which no column is taken for undeclared.",
    )
    time_format: TimeFormat | None = Field(default=None, description="hhmm, hhmmss or none; the same as `time`.")
    timezone: str = Field(default="UTC", description="Zone of the wall clock in Date and Time.")
    market: str | None = Field(default=None, description="The market to take from a file that holds several.")
    bar_time: Literal["open", "close"] | None = Field(default=None, description="Whether a bar is labelled by its open or its close.")
    header: int | list[str] | None = Field(
        default=None, description="Line of the header, or the names of the columns of a file without one; the first line by default."
    )
    skip_lines: int = Field(default=0, ge=0, le=10_000, description="Lines at the top of the file that are no bars.")
    rename: dict[str, str | None] = Field(
        default_factory=dict, description="Names of columns in the file, and what they are called here; null leaves a column out."
    )
    order: Literal["ascending", "descending"] = Field(default="ascending", description="descending: the newest bar comes first.")
    decimal: Literal[".", ","] = Field(default=".", description="Decimal mark of numbers: `.` or `,`.")
    thousands: Literal[",", ".", " ", "'", "_"] | None = Field(
        default=None, description="Mark between groups of three digits: `,` `.` `'` `_` or a blank."
    )
    null_values: list[str] = Field(default_factory=list, description="Cells that mean a missing number, such as NA or -999.")
    suffixes: list[Suffix] = Field(default_factory=list, description="Suffixes of numbers: K, M, B, T (powers of 1000), % (hundredths).")
    prefixes: list[Prefix] = Field(default_factory=list, description="Currency marks before numbers: $, €, £, ¥; left away.")
    price_divisor: int = Field(default=1, ge=1, le=10**9, description="Open, High, Low and Close are divided by this.")
    encoding: Encoding = Field(
        default="utf-8", description="utf-8, utf-16, latin-1, or by_mark (UTF-16 if the file begins with its byte order mark, else UTF-8)."
    )
    sheet: str | None = Field(default=None, description="The sheet to take from an Excel workbook that holds several.")

    @model_validator(mode="before")
    @classmethod
    def _filled_by_preset(cls, data: Any) -> Any:
        """A preset's values below those that are given; its renamings beside those that are given."""
        if not isinstance(data, Mapping) or not isinstance(name := data.get("preset"), str):
            return data
        if name not in PRESETS:
            close = nearest(name, PRESETS)
            raise ValueError(
                f"there is no preset {name!r}; known are {', '.join(PRESETS)}" + (f". Did you mean {close!r}?" if close else "")
            )
        own = PRESETS[name].format
        renamed, known = data.get("rename", {}), own.get("rename", {})
        if isinstance(renamed, str):
            renamed = cls._rename_by_text(renamed)
        return {**own, **data, "rename": {**known, **renamed} if isinstance(renamed, Mapping) else renamed}

    @field_validator("delimiter", mode="before")
    @classmethod
    def _by_character(cls, value: object) -> object:
        names = {"\\t": "tab", "blank": "blanks", "space": "blanks"} | {mark: str(name) for name, mark in DELIMITERS.items()}
        return names.get(value, value) if isinstance(value, str) else value

    @field_validator("rename", mode="before")
    @classmethod
    def _rename_by_text(cls, value: object) -> object:
        """`Last:Close;Vol:Volume;Note:`, as an option of the command line writes it; nothing behind the colon leaves the column out."""
        if not isinstance(value, str):
            return value
        pairs = [pair.rpartition(":") for pair in value.split(";")]
        if not all(colon for _, colon, _ in pairs):
            raise ValueError(f"{value!r} is not THEIRS:OURS (several of them separated by ;)")
        return {theirs.strip(): ours.strip() or None for theirs, _, ours in pairs}

    @field_validator("rename")
    @classmethod
    def _names(cls, value: dict[str, str | None]) -> dict[str, str | None]:
        blank = next((theirs for theirs, ours in value.items() if ours is not None and not ours.strip()), None)
        if blank is not None:
            raise ValueError(f"{blank!r} is renamed to nothing; write null to leave the column out")
        return value

    @field_validator("header", mode="before")
    @classmethod
    def _header_by_text(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return int(value) if value.isascii() and value.isdigit() else [name.strip() for name in value.split(";")]

    @field_validator("header")
    @classmethod
    def _header_rule(cls, value: int | list[str] | None) -> int | list[str] | None:
        if isinstance(value, int) and not 1 <= value <= 10_000:
            raise ValueError("a header's line is 1 to 10000; write a list of names for a file without one")
        if isinstance(value, list) and not value:
            raise ValueError("the list of names is empty")
        return value

    @field_validator("skip_lines", "price_divisor", mode="before")
    @classmethod
    def _number_by_text(cls, value: object) -> object:
        return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value

    @field_validator("decimal", "thousands", mode="before")
    @classmethod
    def _mark_by_word(cls, value: object) -> object:
        return _MARKS.get(value, value) if isinstance(value, str) else value

    @field_validator("null_values", "suffixes", "prefixes", mode="before")
    @classmethod
    def _list_by_text(cls, value: object) -> object:
        """`NA;-999`, as an option of the command line writes it; numbers as YAML reads them become text."""
        items = value.split(";") if isinstance(value, str) else value
        if not isinstance(items, list):
            return items
        return [str(item) if isinstance(item, (int, float)) and not isinstance(item, bool) else item for item in items]

    @field_validator("date")
    @classmethod
    def _date_form(cls, value: str | None) -> str | None:
        if value is not None and (problem := date_problem(value)) is not None:
            raise ValueError(problem)
        return value

    @field_validator("time")
    @classmethod
    def _time_form(cls, value: str | None) -> str | None:
        if value is None or value in _TIMES:
            return value
        if "%" not in value:
            raise ValueError(f"{value!r} is not a form of times; write one of {', '.join(_TIMES)}, or a pattern such as %H:%M:%S")
        if (problem := time_problem(value)) is not None:
            raise ValueError(problem)
        return value

    @model_validator(mode="after")
    def _in_agreement(self) -> FormatSpec:
        if self.time is not None and self.time_format is not None and self.time != self.time_format:
            raise ValueError(f"time is {self.time}, but time_format is {self.time_format}; write one of the two")
        if self.date is not None and has_time(self.date) and self.time not in {None, "none"}:
            raise ValueError(f"date {self.date} has the time of day in it, so time {self.time} has nothing to read; leave one of them out")
        if self.thousands == self.decimal:
            raise ValueError(f"thousands and decimal are both {self.decimal!r}")
        if isinstance(self.header, int) and self.preset is None and 0 < self.skip_lines < self.header - 1:
            raise ValueError(
                f"the header is line {self.header}, but skip_lines is {self.skip_lines}; leave skip_lines out, or count all lines"
            )
        return self

    @property
    def declared_time(self) -> TimeFormat | None:
        """How Time is declared to be read by the rules of HHMM and HHMMSS; hours and minutes are turned into HHMM first."""
        if self.time is None:
            return self.time_format
        return None if self.time_pattern else next((form for form in get_args(TimeFormat) if form == self.time), "hhmm")

    @property
    def time_unit(self) -> TimeUnit | None:
        """`hh` or `minutes` if Time is declared to be in that unit."""
        return next((unit for unit in get_args(TimeUnit) if unit == self.time), None)

    @property
    def time_pattern(self) -> str | None:
        """The strptime pattern that Time is declared to have."""
        return self.time if self.time is not None and "%" in self.time else None

    @property
    def date_form(self) -> str:
        """The form of Date; `yyyymmdd` if none is declared."""
        return self.date or "yyyymmdd"

    @property
    def optional_names(self) -> frozenset[str]:
        """Columns that only the preset renames: a file may lack them."""
        return frozenset() if self.preset is None else frozenset(PRESETS[self.preset].format.get("rename", {}))

    def written(self) -> dict[str, Any]:
        """The keys that say more than a default or the preset does, as a manifest writes them."""
        base = FormatSpec() if self.preset is None else FormatSpec(preset=self.preset)
        found: dict[str, Any] = {} if self.preset is None else {"preset": self.preset}
        for key in type(self).model_fields:
            value, usual = getattr(self, key), getattr(base, key)
            if key == "rename":
                value = {theirs: ours for theirs, ours in value.items() if theirs not in usual or usual[theirs] != ours}
                usual = {}
            if key != "preset" and value != usual:
                found[key] = value
        return found

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
