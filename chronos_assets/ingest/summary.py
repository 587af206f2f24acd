"""Puts the report together: counts from the columns, the keys and the spacing, and the warnings that matter."""

from __future__ import annotations

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.ingest.horizon import HorizonShown, horizons_shown
from chronos_assets.ingest.keys import Keys
from chronos_assets.ingest.moments import iso
from chronos_assets.ingest.names import Column
from chronos_assets.ingest.opening import OpenedFile
from chronos_assets.ingest.report import BarsReport, ReportColumn
from chronos_assets.ingest.stats import Stats
from chronos_assets.ingest.warnings import collect_warnings


def horizon_of(target: str, horizons: dict[str, int]) -> tuple[int, bool]:
    """Bars that `target` looks ahead, and whether that is an assumption (nothing declared)."""
    by_fold = {name.casefold(): value for name, value in horizons.items()}
    found = by_fold.get(target.casefold(), by_fold.get("default"))
    return (1, True) if found is None else (found, False)


def summarize(file: OpenedFile, spec: BarsSpec, keys: Keys, stats: Stats, *, blank_lines: int) -> BarsReport:
    """The report of a file that has been read to its end, its content hash left open; raises if the granularity contradicts the bars."""
    granularity = spec.granularity
    if granularity is None:
        granularity = keys.spacing.granularity()
    else:
        keys.spacing.refuse_contradiction(granularity, keys.granularity_hint())
    gaps, missing, unexpected, longest = keys.spacing.gaps(granularity) if granularity else (0, 0, 0, [])
    shown = horizons_shown(
        stats.tail.names,
        stats.tail.values(),
        prices=stats.prices,
        empty={name: end.bars for name, end in stats.empty_ends.items()},
    )
    first, last = keys.spacing.first, keys.spacing.last
    assert first is not None
    assert last is not None
    report = BarsReport(
        rows=stats.rows,
        columns=[_column(column, spec, stats, shown.get(column.name)) for column in file.columns if column.is_data],
        keys=[
            ReportColumn(name=c.name, role="key", source_name=c.source_name, position=c.position) for c in file.columns if c.role == "key"
        ],
        excluded=[
            ReportColumn(name=c.name, role="excluded", source_name=c.source_name, position=c.position)
            for c in file.columns
            if c.role == "excluded" and c.name
        ],
        granularity=granularity,
        first_bar=iso(first),
        last_bar=iso(last),
        first_bar_unix=first,
        last_bar_unix=last,
        content_hash="",
        checksum=file.checksum(),
        file_kind=file.kind,
        delimiter=file.dialect.delimiter if file.dialect else None,
        time_format=keys.time_format,
        timezone=spec.format.timezone,
        bar_time=spec.format.bar_time,
        market=spec.format.market or keys.market,
        gaps=gaps,
        missing_bars=missing,
        unexpected_gaps=unexpected,
        longest_gaps=longest,
        clock={"repeated_hour": keys.zone.repeated, "missing_hour": keys.zone.moved},
        other_market_rows=keys.other_market_rows,
        blank_lines=blank_lines,
    )
    return report.model_copy(update={"warnings": collect_warnings(report, spec, keys, stats)})


def _column(column: Column, spec: BarsSpec, stats: Stats, shown: HorizonShown | None) -> ReportColumn:
    found = stats.columns[column.name]
    return ReportColumn(
        name=column.name,
        role=column.role,
        nulls=found.nulls,
        nan=found.nan,
        non_finite=found.non_finite,
        questdb_column=column.questdb_column,
        source_name=column.source_name,
        position=column.position,
        constant=found.constant,
        horizon=horizon_of(column.name, spec.target_horizon)[0] if column.role == "target" else None,
        horizon_shown=shown.bars if shown else None,
        horizon_reason=shown.reason if shown else None,
    )
