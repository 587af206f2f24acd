"""Checks of bars: the Arrow file is sound, and QuestDB holds exactly what the file says. The second one is the gate of publication."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from dagster import AssetCheckExecutionContext, AssetCheckResult, MetadataValue, ResourceParam

from chronos_assets.orchestration.failures import user_facing_errors
from chronos_assets.orchestration.preview import dataset_check, dataset_checks
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.orchestration.verdicts import Verdict, report_all
from chronos_assets.storage.atomic_write import replacing

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from chronos_assets.domain.audit_report import AuditReport
    from chronos_assets.ingest.report import BarsReport
    from chronos_assets.pipeline.export.normalize import NormalizedBars

MOSTLY_NULL = 0.5

BARS_CHECKS = {
    "bars_are_sound": ("Types, keys and order of the Arrow file hold (a pandera schema), and its content is what its report says.", True),
    "columns_are_useful": ("No column is constant or mostly empty.", False),
    "values_are_possible": ("No price is impossible, no cell holds a mark of a missing value, no date is far from all others.", False),
    "bars_are_causal": ("No feature seems to know later bars, and no target looks further ahead than declared.", False),
    "no_unexpected_gaps": ("Bars are missing only where sessions or weekends explain it.", False),
}


@dataset_checks("normalized_bars", BARS_CHECKS, name="normalized_bars_checks")
def bars_checks(context: AssetCheckExecutionContext, workplace: ResourceParam[Workplace]) -> Iterator[AssetCheckResult]:
    """Check the Arrow file of this partition."""
    with user_facing_errors(context):
        loaded = workplace.manifest(context.partition_key)
        bars = workplace.normalized(loaded)
        inspect = f"chronos inspect {loaded.source_path}"
        verdicts = {
            "bars_are_sound": _sound(bars, context.partition_key),
            "columns_are_useful": _useful(bars.report, inspect),
            "values_are_possible": _possible(bars.report, inspect),
            "bars_are_causal": _causal(bars.report, inspect),
            "no_unexpected_gaps": _gaps(bars.report, inspect),
        }
        selected = {key.name for key in context.selected_asset_check_keys}
        yield from report_all(context, "normalized_bars", {name: v for name, v in verdicts.items() if name in selected})


@dataset_check(
    asset="indicator_bars",
    blocking=True,
    description="Every row, numeric column and tag is read back from QuestDB and equals the Arrow file; else nothing is published.",
)
def post_export_diff(context: AssetCheckExecutionContext, workplace: ResourceParam[Workplace]) -> Iterator[AssetCheckResult]:
    """Audit the last attempt of this content (or the published bars, if nothing is to be published)."""
    from chronos_assets.pipeline.export.dataset import audit_bars

    with user_facing_errors(context):
        loaded, stores = workplace.manifest(context.partition_key), workplace.stores
        bars = workplace.normalized(loaded)
        report = audit_bars(bars, loaded, stores, progress=workplace.progress(context))
        yield from report_all(context, "indicator_bars", {"post_export_diff": _diff(report, context.partition_key)})


def _diff(report: "AuditReport", slug: str) -> Verdict:
    metadata: dict[str, object] = {
        "rows_verified": report.rows_compared,
        "cells_verified": report.cells_compared,
        "cells_differing": report.cells_differing,
        "rows_missing": report.rows_missing,
        "rows_stale": report.rows_stale,
        "audit_seconds": round(report.seconds, 3),
    }
    if report.artifact:
        metadata["failure_cases"] = (MetadataValue.url if "://" in report.artifact else MetadataValue.path)(report.artifact)
    return Verdict(
        passed=report.passed,
        message=report.summary if report.passed else f"QuestDB differs from the file of {slug}: {report.summary}{report.first_failure}",
        rows=[{name: row.get(name) for name in ("bar", "kind", "column", "expected", "found")} for row in report.examples],
        meaning="QuestDB differs from the file. So the dataset is not published and nothing below it runs. Readers keep "
        "what was published before. The next run writes all rows under a new tag (`chronos run "
        f"{slug} --force` if the damage is in published bars).",
        command=f"validate_dataset {slug}",
        metadata=metadata,
    )


def _sound(bars: "NormalizedBars", slug: str) -> Verdict:
    from chronos_assets.ingest.schema import check_normalized

    verdict = check_normalized(bars.path, bars.report)
    metadata: dict[str, object] = {"failing": verdict.failures}
    if verdict.cases:
        metadata["failure_cases"] = MetadataValue.path(_keep_cases(verdict.cases, bars.path.with_suffix(".failures.parquet")))
    return Verdict(
        passed=verdict.passed,
        message=f"{bars.report.rows:,} bars x {len(bars.report.columns)} columns are sound"
        if verdict.passed
        else f"the Arrow file of {slug} is not sound: {verdict.headline}",
        rows=[{"failure": line} for line in verdict.lines],
        meaning="The file was damaged after it was written. Delete it: it is made again from the indicator file.",
        command=f"rm {bars.path}",
        metadata=metadata,
    )


def _keep_cases(cases: "list[pl.DataFrame]", path: "Path") -> "Path":
    """All failure cases of pandera, as one Parquet file beside the bars."""
    import polars as pl

    with replacing(path) as file:
        pl.concat(cases, how="vertical_relaxed").write_parquet(file)
    return path


def _useful(report: "BarsReport", inspect: str) -> Verdict:
    rows = [
        {"column": c.name, "role": c.role, "nulls": c.nulls, "constant": c.constant}
        for c in report.columns
        if c.constant or c.nulls > MOSTLY_NULL * report.rows
    ]
    names = ", ".join(str(row["column"]) for row in rows[:5])
    return Verdict(
        passed=not rows,
        message=f"{len(rows)} columns are constant or mostly empty: {names}" if rows else "every column varies and is mostly there",
        rows=rows,
        meaning="Such a column teaches a model nothing; take it out with `columns: {exclude: [...]}` in the manifest.",
        command=inspect,
        metadata={"columns": len(rows)},
        warn_only=True,
    )


def _possible(report: "BarsReport", inspect: str) -> Verdict:
    from chronos_assets.ingest.doubts import VALUE_DOUBTS

    return _doubts(
        report,
        VALUE_DOUBTS,
        good="no price, value or date looks impossible",
        meaning="The bars are stored as the file has them, are trained on and traded on. Mend the file, or leave the columns out.",
        command=inspect,
    )


def _causal(report: "BarsReport", inspect: str) -> Verdict:
    from chronos_assets.ingest.doubts import CAUSAL_DOUBTS

    return _doubts(
        report,
        CAUSAL_DOUBTS,
        good="no feature seems to know later bars, and no target looks further than declared",
        meaning="What knows the future cannot be had in trading. Exclude such features (`columns: {exclude: [...]}`), and declare in "
        "`target_horizon` how far targets look.",
        command=inspect,
    )


def _doubts(report: "BarsReport", codes: Collection[str], *, good: str, meaning: str, command: str) -> Verdict:
    """The warnings of a report with one of `codes`, as a check that warns."""
    rows = [{"warning": w.code, "found": w.message} for w in report.warnings if w.code in codes]
    return Verdict(
        passed=not rows,
        message=f"{rows[0]['found']}"[:400] if rows else good,
        rows=rows,
        meaning=meaning,
        command=command,
        metadata={"warnings": len(rows)},
        warn_only=True,
    )


def _gaps(report: "BarsReport", inspect: str) -> Verdict:
    rows = [{"after": g.after, "before": g.before, "missing bars": g.missing_bars} for g in report.longest_gaps]
    count = report.unexpected_gaps
    return Verdict(
        passed=not count,
        message=f"{count} gaps that no session explains" if count else f"{report.gaps} gaps, each explained by sessions or weekends",
        rows=rows,
        meaning="Bars are missing in the file. Indicators that look back count bars, not time, across a gap.",
        command=inspect,
        metadata={"gaps": report.gaps, "unexpected_gaps": count, "missing_bars": report.missing_bars},
        warn_only=True,
    )
