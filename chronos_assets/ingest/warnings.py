"""The warnings of a report: each has a stable code, names what it is about, and says why it matters."""

from __future__ import annotations

from collections.abc import Iterator

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.ingest.clock_changes import zones_that_explain
from chronos_assets.ingest.doubts import future_doubts, list_shown, value_doubts
from chronos_assets.ingest.keys import Keys
from chronos_assets.ingest.moments import iso
from chronos_assets.ingest.report import BarsReport, ReportWarning
from chronos_assets.ingest.stats import Stats


def collect_warnings(report: BarsReport, spec: BarsSpec, keys: Keys, stats: Stats) -> list[ReportWarning]:
    """All warnings, the gravest first."""
    return [
        *future_doubts(report, stats),
        *value_doubts(report, stats, keys.spacing.usual()),
        *_columns(report, stats),
        *_targets(report, spec),
        *_keys(report, keys),
        *_clock(report, keys),
        *_spacing(report),
    ]


def _columns(report: BarsReport, stats: Stats) -> Iterator[ReportWarning]:
    by_role = [("target", "target_non_finite"), ("feature", "non_finite"), ("price", "non_finite")]
    for role, code in by_role:
        found = [c for c in report.columns if c.role == role and c.non_finite]
        if found:
            each = [f"{c.name} ({c.non_finite}, first in row {stats.columns[c.name].first_non_finite_row})" for c in found]
            yield ReportWarning(code=code, message=f"infinite numbers became null in {role} {list_shown(each)}")
    for role in ("target", "feature", "price"):
        empty = [c.name for c in report.columns if c.role == role and c.nulls == report.rows]
        constant = [c.name for c in report.columns if c.role == role and c.constant and report.rows - c.nulls > 1]
        if empty:
            yield ReportWarning(code=f"{role}_all_null", message=f"{role} without any number: {list_shown(empty)}")
        if constant:
            yield ReportWarning(code=f"{role}_constant", message=f"{role} with one value throughout: {list_shown(constant)}")
    renamed = [f"{c.name} -> {c.questdb_column}" for c in report.columns if c.questdb_column != c.name]
    if renamed:
        yield ReportWarning(code="questdb_names", message=f"stored in QuestDB under another name: {list_shown(renamed)}")


def _targets(report: BarsReport, spec: BarsSpec) -> Iterator[ReportWarning]:
    targets = report.by_role("target")
    if not targets:
        yield ReportWarning(
            code="no_target", message="no column is a target (TGT*, target*, or columns.targets in the manifest): nothing can be trained"
        )
    yield from _horizons(report, spec)


def _horizons(report: BarsReport, spec: BarsSpec) -> Iterator[ReportWarning]:
    known = {name.casefold() for name in spec.target_horizon}
    columns = [column for column in report.columns if column.role == "target"]
    declared = {c.name for c in columns if c.name.casefold() in known or "default" in known}
    beyond = [c for c in columns if (c.horizon_shown or 1) > (c.horizon or 1)]
    undeclared = [c for c in beyond if c.name not in declared]
    if undeclared:
        each = [f"{c.name} at least {c.horizon_shown} bars ahead ({c.horizon_reason})" for c in undeclared]
        key = ", ".join(f"{c.name}: {c.horizon_shown}" for c in undeclared[:8])
        yield ReportWarning(
            code="target_horizon_undeclared",
            message=f"targets look further ahead than one bar, and no target_horizon is declared: {list_shown(each)}; a walk-forward is "
            f"refused until the manifest says how far, for example `target_horizon: {{{key}}}`",
        )
    short = [c for c in beyond if c.name in declared]
    if short:
        each = [f"{c.name} is declared as {c.horizon}, the file shows {c.horizon_shown} ({c.horizon_reason})" for c in short]
        yield ReportWarning(
            code="target_horizon_short",
            message=f"targets may look further ahead than declared: {list_shown(each)}; then they leak into training",
        )
    assumed = [c.name for c in columns if c.name not in declared and c not in beyond]
    if assumed:
        yield ReportWarning(
            code="target_horizon_assumed",
            message=f"no target_horizon is declared for {list_shown(assumed)}: 1 bar is assumed, and the file shows no more; "
            "a target that looks further ahead leaks into training",
        )


def _keys(report: BarsReport, keys: Keys) -> Iterator[ReportWarning]:
    if keys.time_assumed:
        yield ReportWarning(
            code="time_format_assumed", message="Time was read as HHMM because the bars of each day would otherwise be within 24 minutes"
        )
    if keys.dropped_times:
        yield ReportWarning(
            code="daily_time_dropped", message=f"daily bars are 00:00 UTC of their Date; their Time ({keys.dropped_times}) was dropped"
        )
    if report.clock["repeated_hour"]:
        yield ReportWarning(
            code="repeated_hour",
            message=f"{report.clock['repeated_hour']} bars are in an hour that {report.timezone} repeats: "
            "each was read by the bar before it",
        )
    if report.clock["missing_hour"]:
        yield ReportWarning(
            code="missing_hour",
            message=f"{report.clock['missing_hour']} bars are in an hour that {report.timezone} skips: "
            "read with the offset from before the change",
        )
    if keys.timestamp_mismatches:
        yield ReportWarning(
            code="timestamp_unix_differs",
            message=f"timestamp_unix in the file differs from Date and Time in {keys.timestamp_mismatches} rows, "
            f"first in row {keys.first_mismatch_row}",
        )
    if report.other_market_rows:
        yield ReportWarning(code="other_markets", message=f"{report.other_market_rows} rows of other markets were left out")
    if report.blank_lines:
        yield ReportWarning(code="blank_lines", message=f"{report.blank_lines} blank lines between the rows were skipped")


def _clock(report: BarsReport, keys: Keys) -> Iterator[ReportWarning]:
    odd = keys.spacing.odd_steps()
    if report.timezone != "UTC" or not odd or keys.time_format == "none":
        return
    zones = zones_that_explain(odd, report.first_bar_unix, report.last_bar_unix)
    if zones:
        days = [iso(step.start + step.step)[:10] for step in odd]
        steps = "1 step is" if len(odd) == 1 else f"{len(odd)} steps are"
        yield ReportWarning(
            code="local_clock",
            message=f"{steps} an hour too long or too short, on {list_shown(days)}, when the clock of {' or '.join(zones)} changes: "
            f"Date and Time are probably local; "
            f"declare the zone of the exchange, format: {{timezone: {zones[0]}}}",
        )


def _spacing(report: BarsReport) -> Iterator[ReportWarning]:
    if report.unexpected_gaps:
        worst = report.longest_gaps[0] if report.longest_gaps else None
        tail = f"; the longest gap: {worst.missing_bars} bars after {worst.after}" if worst else ""
        yield ReportWarning(code="gaps", message=f"{report.unexpected_gaps} gaps that no session end or weekend explains{tail}")
