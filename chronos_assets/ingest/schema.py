"""What a normalized dataset is, as pandera schemas, and a check of an Arrow file against them and against its report.

Eager frames are validated in slices, with all failures collected (`lazy=True`): on lazy frames pandera looks at types only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from chronos_assets.domain.content import ContentHasher
from chronos_assets.ingest.names import ARROW_KEYS
from chronos_assets.ingest.report import BarsReport
from chronos_assets.ingest.sink import map_bars

_SLICE_CELLS = 8_000_000
_MAX_LINES = 20
_LAST_TIMESTAMP = 7_258_118_400  # 2200-01-01


@dataclass
class NormalizedVerdict:
    """Outcome of a check: `lines` say what failed, one sentence each (at most 20); empty if all is well."""

    rows: int = 0
    lines: list[str] = field(default_factory=list)
    failures: int = 0
    cases: list[pl.DataFrame] = field(default_factory=list)
    """All failure cases of pandera: column, check, failure_case, bar."""

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return self.failures == 0

    @property
    def headline(self) -> str:
        """The verdict in one line."""
        if self.passed:
            return f"{self.rows} normalized bars are in order"
        return f"{self.failures} failures in {self.rows} normalized bars; the first: {self.lines[0]}"

    def fail(self, line: str, count: int = 1) -> None:
        """Note a failure."""
        self.failures += count
        if len(self.lines) < _MAX_LINES:
            self.lines.append(line)


def bars_schema(columns: list[str]) -> Any:
    """The pandera schema of normalized bars with these data columns: names, order, types, ranges, no NaN, increasing time."""
    import pandera.polars as pa

    def increasing(data: Any) -> Any:
        return data.lazyframe.select((pl.col(data.key).diff().fill_null(1) > 0).alias(data.key))

    def finite(data: Any) -> Any:
        return data.lazyframe.select(pl.col(data.key).is_finite().fill_null(value=True))

    keys = {
        "date_i": pa.Column(pl.Int64, pa.Check.in_range(19_700_101, 21_991_231)),
        "time_i": pa.Column(pl.Int64, pa.Check.in_range(0, 235_959)),
        "timestamp_unix": pa.Column(
            pl.Int64,
            [pa.Check.in_range(-86_400, _LAST_TIMESTAMP), pa.Check(increasing, error="timestamps must be strictly increasing")],
        ),
    }
    numbers = {name: pa.Column(pl.Float64, pa.Check(finite, error="NaN or infinity"), nullable=True) for name in columns}
    return pa.DataFrameSchema({**keys, **numbers}, strict=True, ordered=True)


def check_normalized(path: Path, report: BarsReport) -> NormalizedVerdict:
    """Whether the Arrow file at `path` is a normalized dataset and holds what `report` says (rows, nulls, first and last bar, content)."""
    verdict = NormalizedVerdict()
    try:
        bars = map_bars(path)
    except (OSError, ValueError) as error:
        verdict.fail(f"the Arrow file cannot be read: {error}")
        return verdict
    names = [column.name for column in report.columns]
    hasher, nulls = ContentHasher(), Counter[str]()
    last: int | None = None
    for frame in _slices(bars, verdict, names):
        first = int(frame["timestamp_unix"][0])
        if last is not None and first <= last:
            verdict.fail(f"timestamp_unix {first} follows {last}")
        last = int(frame["timestamp_unix"][-1])
        nulls.update({name: frame[name].null_count() for name in names})
        hasher.update(frame)
    if verdict.passed:
        _compare(verdict, report, bars, nulls, hasher.hexdigest())
    return verdict


def _slices(bars: pl.DataFrame, verdict: NormalizedVerdict, names: list[str]) -> Iterator[pl.DataFrame]:
    """Slices of the bars that fit the schema; those that do not are told to `verdict`."""
    from pandera.errors import SchemaErrors

    schema = bars_schema(names)
    verdict.rows = bars.height
    if not bars.height:
        verdict.fail("there are no bars")
    rows = max(1, _SLICE_CELLS // bars.width)
    for start in range(0, bars.height, rows):
        frame = bars.slice(start, rows).rechunk()
        try:
            schema.validate(frame, lazy=True)
        except SchemaErrors as failed:
            _tell(verdict, failed.failure_cases, start)
            if set(frame.columns) != {*ARROW_KEYS, *names}:
                return
        else:
            yield frame


def _tell(verdict: NormalizedVerdict, cases: pl.DataFrame, start: int) -> None:
    """Keep pandera's failure cases, and put them into sentences, one per column and check."""
    index = pl.col("index") if "index" in cases.columns else pl.lit(None)
    kept = cases.select("column", pl.col("check").cast(pl.String), pl.col("failure_case").cast(pl.String))
    verdict.cases.append(kept.with_columns(cases.select((index.cast(pl.Int64) + start).alias("bar")).to_series()))
    groups = cases.group_by("column", "check", maintain_order=True).agg(
        pl.len().alias("count"),
        pl.col("failure_case").first(),
        pl.col("index").first() if "index" in cases.columns else pl.lit(None).alias("index"),
    )
    for case in groups.iter_rows(named=True):
        row = "" if case["index"] is None else f", first in bar {start + int(case['index'])}"
        verdict.fail(f"{case['column'] or 'columns'}: {case['check']}; {case['count']} cases{row}: {case['failure_case']}", case["count"])


def _compare(verdict: NormalizedVerdict, report: BarsReport, bars: pl.DataFrame, nulls: Counter[str], content_hash: str) -> None:
    """The file against its report."""
    found = [("rows", report.rows, bars.height), ("content hash", report.content_hash, content_hash)]
    found += [
        ("first bar", report.first_bar_unix, int(bars["timestamp_unix"][0])),
        ("last bar", report.last_bar_unix, int(bars["timestamp_unix"][-1])),
    ]
    found += [(f"nulls of {column.name}", column.nulls, nulls[column.name]) for column in report.columns]
    for what, expected, there in found:
        if expected != there:
            verdict.fail(f"{what}: the report says {expected}, the file holds {there}")


__all__ = ["NormalizedVerdict", "bars_schema", "check_normalized"]
