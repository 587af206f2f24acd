"""What was found in a file of bars: plain values, JSON-able, the same for the command line, Dagster and the registry."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

DataRole = Literal["feature", "target", "price"]


class ReportWarning(BaseModel):
    """One thing that a user should know: a stable code and a sentence."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str


class ReportColumn(BaseModel):
    """One column of the file. `name` is its name in the dataset, `source_name` as it stands in the file."""

    model_config = ConfigDict(frozen=True)

    name: str
    role: Literal["feature", "target", "price", "key", "excluded"]
    nulls: int = Field(default=0, description="Cells without a number: empty, NaN or not finite.")
    nan: int = Field(default=0, description="Of these, cells that hold NaN.")
    non_finite: int = Field(default=0, description="Of these, infinite cells, also numbers too large for a double.")
    questdb_column: str | None = None
    source_name: str | None = None
    position: int = 0
    constant: bool = False
    horizon: int | None = Field(default=None, description="Targets: bars looked ahead, as declared; 1 if nothing is declared.")
    horizon_shown: int | None = Field(default=None, description="Targets: bars looked ahead at least, as the file shows.")
    horizon_reason: str | None = Field(default=None, description="Targets: how the file shows it.")


class Gap(BaseModel):
    """Bars that are missing between two that are there."""

    model_config = ConfigDict(frozen=True)

    after: str
    before: str
    missing_bars: int


class BarsReport(BaseModel):
    """Report of one normalized file. `columns` holds features, targets and prices in the order of the file."""

    model_config = ConfigDict(frozen=True)

    rows: int
    columns: list[ReportColumn]
    keys: list[ReportColumn]
    excluded: list[ReportColumn]
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
    gaps: int = Field(description="Places where bars are missing against the granularity.")
    missing_bars: int
    unexpected_gaps: int = Field(default=0, description="Of the gaps, those that no session end or weekend explains.")
    longest_gaps: list[Gap] = Field(default_factory=list)
    clock: dict[str, int] = Field(default_factory=dict, description="Bars in a repeated hour and bars moved out of a missing one.")
    other_market_rows: int = 0
    blank_lines: int = 0
    warnings: list[ReportWarning] = Field(default_factory=list)

    def by_role(self, role: DataRole) -> list[str]:
        """Names of the columns that play `role`."""
        return [column.name for column in self.columns if column.role == role]

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return self.model_dump(mode="json")
