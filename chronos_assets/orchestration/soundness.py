"""The pandera schema of normalized bars: what every Arrow file of ours must hold, asked of the file as it lies there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chronos_assets.pipeline.normalize import NormalizedBars

SHOWN = 10


def failures_of(bars: NormalizedBars) -> list[dict[str, Any]]:
    """At most ten failures of the schema, as rows of rule, column, bar and value; empty where the file is sound."""
    import pandera.polars as pa
    import polars as pl

    frame = pl.read_ipc(bars.path)
    try:
        _schema(bars).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as found:
        cases = found.failure_cases.head(SHOWN).to_dicts()
        return [{"rule": c["check"], "column": c["column"], "row": c["index"], "found": c["failure_case"]} for c in cases]
    return []


def _schema(bars: NormalizedBars) -> Any:
    import pandera.polars as pa
    import polars as pl

    finite = pa.Check(lambda data: data.lazyframe.select(pl.col(data.key).is_finite()), name="finite")
    keys = {
        "timestamp_unix": pa.Column(pl.Int64, pa.Check(_increasing, name="strictly_increasing"), unique=True),
        "date_i": pa.Column(pl.Int64, pa.Check.ge(0)),
        "time_i": pa.Column(pl.Int64, pa.Check.in_range(0, 235959)),
    }
    values = {c.name: pa.Column(pl.Float64, finite, nullable=True) for c in bars.report.columns}
    rows = pa.Check(lambda data: data.lazyframe.select(pl.len() == bars.report.rows), name="row_count")
    return pa.DataFrameSchema({**keys, **values}, checks=[rows], strict=True)


def _increasing(data: Any) -> Any:
    import polars as pl

    return data.lazyframe.select((pl.col(data.key).diff().fill_null(1) > 0).alias(data.key))
