"""The verdict of an audit: two pandera schemas over what the comparison found, and a report of bounded size.

pandera validates eager frames with `lazy=True`, so that every failing rule is in the report and not only the first.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import polars as pl

from chronos_assets.domain.audit import Audit

SHOWN = 10
# Rows of pandera's own report that are kept in the record.
FAILURE_CASES = 25


@dataclass(frozen=True)
class ColumnDifference:
    """A column whose values differ: in how many bars, and the worst of them."""

    column: str
    differing: int
    compared: int
    worst_absolute: float | None
    worst_relative: float | None
    worst_bar: str | None


@dataclass(frozen=True)
class AuditReport:
    """The verdict and its reasons. `failure_cases` is pandera's report; `examples` are failing rows and cells."""

    passed: bool
    mode: Literal["full", "sample"]
    rows_expected: int
    rows_found: int
    rows_compared: int
    columns_compared: int
    cells_compared: int
    rows_missing: int
    rows_stale: int
    rows_duplicate: int
    rows_wrong_tags: int
    cells_differing: int
    columns: list[ColumnDifference] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)
    failure_cases: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    artifact: str | None = None
    cells_foreign: int = 0

    def as_dict(self) -> dict[str, Any]:
        """JSON form: no NaN, no infinity."""
        return asdict(self)

    @property
    def first_failure(self) -> str:
        """The first failing row or cell, in brackets and after a space; empty if there is none."""
        if not self.examples:
            return ""
        row = self.examples[0]
        return f" (bar {row.get('bar')}, {row.get('column') or row.get('kind')}: expected {row.get('expected')}, found {row.get('found')})"

    @property
    def summary(self) -> str:
        """One line for people."""
        if self.passed:
            return f"{self.rows_compared:,} rows x {self.columns_compared} columns agree"
        reasons = [
            f"{count:,} {what}"
            for count, what in (
                (self.rows_missing, "rows missing"),
                (self.rows_stale, "stale rows"),
                (self.rows_duplicate, "rows twice"),
                (self.rows_wrong_tags, "rows with wrong tags"),
                (self.cells_differing, "cells differ"),
                (self.cells_foreign, "values where the file has no column"),
            )
            if count
        ]
        where = f" in {', '.join(c.column for c in self.columns[:5])}" if self.columns else ""
        return (", ".join(reasons) or "the comparison is incomplete") + where


def judge(audit: Audit, *, mode: Literal["full", "sample"] = "full", seconds: float = 0.0) -> AuditReport:
    """Validate what the audit found with pandera and put the report together."""
    cells = audit.cells()
    failure_cases = _failures(audit.rules(), cells)
    rows = audit.rows
    columns = [
        ColumnDifference(name, t.differing, t.compared, _finite(t.worst_absolute), _finite(t.worst_relative), _bar(t.worst_at))
        for name, t in audit.columns.items()
        if t.differing
    ] + [ColumnDifference(name, values, 0, None, None, None) for name, values in audit.foreign.items()]
    return AuditReport(
        passed=not failure_cases,
        mode=mode,
        rows_expected=rows.expected,
        rows_found=rows.found,
        rows_compared=rows.compared,
        columns_compared=len(audit.columns),
        cells_compared=sum(t.compared for t in audit.columns.values()),
        rows_missing=rows.missing,
        rows_stale=rows.stale,
        rows_duplicate=rows.duplicate,
        rows_wrong_tags=rows.wrong_tags,
        cells_differing=sum(t.differing for t in audit.columns.values()),
        columns=sorted(columns, key=lambda c: -c.differing)[: SHOWN * 2],
        examples=[_example(row) for row in _spread(cells).to_dicts()],
        failure_cases=failure_cases[:FAILURE_CASES],
        seconds=round(seconds, 3),
        cells_foreign=sum(audit.foreign.values()),
    )


def _failures(rules: pl.DataFrame, cells: pl.DataFrame) -> list[dict[str, Any]]:
    """pandera's failure cases over the rules and over the differences."""
    import pandera.polars as pa

    rule_schema = pa.DataFrameSchema(
        {
            "failing": pa.Column(pl.Int64, pa.Check.eq(0, error="nothing_fails")),
            "unseen": pa.Column(pl.Int64, pa.Check.eq(0, error="everything_was_looked_at")),
        },
        name="export_audit_rules",
    )
    cell_schema = pa.DataFrameSchema(
        {"kind": pa.Column(pl.String, pa.Check.isin(["agrees"], error="rows_and_cells_agree"))}, name="export_audit_differences"
    )
    ready = rules.with_columns(unseen=pl.col("due") - pl.col("looked_at"))
    failures = []
    for schema, frame, subject in ((rule_schema, ready, ("rule", "subject")), (cell_schema, cells, ("timestamp_unix", "column"))):
        try:
            schema.validate(frame, lazy=True)
        except pa.errors.SchemaErrors as found:
            failures += [_failure(row, frame, subject) for row in found.failure_cases.head(FAILURE_CASES).to_dicts()]
    return failures


def _failure(row: dict[str, Any], frame: pl.DataFrame, subject: tuple[str, ...]) -> dict[str, Any]:
    index = row.get("index")
    about = {name: frame[name][index] for name in subject} if isinstance(index, int) else {}
    return {"check": row["check"], "column": row["column"], "found": str(row["failure_case"]), **about}


def _spread(cells: pl.DataFrame) -> pl.DataFrame:
    """Failures of every kind and column, the first of each before the second of any, as many as are shown; in the order of `cells`."""
    if cells.height <= SHOWN:
        return cells
    chosen = cells.with_row_index("row").with_columns(turn=pl.int_range(pl.len()).over("kind", "column")).sort("turn", "row").head(SHOWN)
    return chosen.sort("row").drop("row", "turn")


def _example(row: dict[str, Any]) -> dict[str, Any]:
    return {"bar": _bar(row.pop("timestamp_unix"))} | {
        k: _finite(v) if isinstance(v, float) else v for k, v in row.items() if v not in {None, ""}
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _bar(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
