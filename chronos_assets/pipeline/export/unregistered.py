"""Export and verify without a registry: nothing is published, and no published bar is touched.

Without the registry nobody knows which rows somebody reads. So bars go under the slug only where QuestDB holds none under it; where it
holds exactly these, nothing is written; otherwise they go under a fresh tag.
"""

from __future__ import annotations

import time

from chronos_assets.domain.attempts import Plan, fresh_tag
from chronos_assets.domain.manifest import LoadedManifest
from chronos_assets.errors import UsageError
from chronos_assets.pipeline.export.audit import audit_tag, sample_tag
from chronos_assets.pipeline.export.growth import Growth
from chronos_assets.pipeline.export.normalize import NormalizedBars
from chronos_assets.pipeline.export.planning import on_columns, same_as_reported
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.export.types import ExportOptions, ExportResult
from chronos_assets.pipeline.export.write import check_transport, make_ready, send_bars
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.settings import Settings
from chronos_assets.storage.bars_file import BarsFile
from chronos_assets.storage.delivery import bars_of
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.tables import INDICATOR_BARS


def export_unregistered(
    loaded: LoadedManifest,
    normalized: NormalizedBars,
    questdb: QuestDB,
    settings: Settings,
    *,
    options: ExportOptions | None = None,
    progress: Progress = silent,
) -> ExportResult:
    """Write and verify one dataset; the result says under which tag, and carries the verdict."""
    options = options or ExportOptions()
    check_transport(options, questdb.transport)
    if options.replace:
        raise UsageError("there is nothing to replace without a registry", code="replace_unregistered", hint="Leave out --replace.")
    source = Source.of(loaded, normalized)
    options = on_columns(options, source)
    seconds: dict[str, float] = {}
    started = time.monotonic()
    questdb.wait_applied(INDICATOR_BARS.name, settings.apply_timeout_seconds)
    make_ready(source, questdb)
    tag, there = _tag(source, questdb, progress)
    written = senders = resent = 0
    if not there:
        with BarsFile(source.path) as bars:
            same_as_reported(bars, source, progress)
            plan = Plan("fresh", tag, only_growth=False, base_revision=0)
            attempt = send_bars(
                source,
                bars,
                questdb,
                plan=plan,
                growth=Growth(0),
                options=options,
                settings=settings,
                progress=progress,
                audit_id=None,
            )
        written, senders, resent = attempt.rows_written, attempt.senders, attempt.resent_slices
    seconds["write"] = time.monotonic() - started
    started = time.monotonic()
    audit = (
        sample_tag(source, questdb, tag, tolerance=options.tolerance)
        if options.verify == "sample"
        else audit_tag(source, questdb, tag, progress, tolerance=options.tolerance)
    )
    seconds["audit"] = time.monotonic() - started
    return ExportResult(
        dataset_id=source.slug,
        tag=tag,
        kind="unregistered",
        transport=questdb.transport,
        rows_written=written,
        rows_total=source.rows,
        unchanged=there,
        published=False,
        record=None,
        audit=audit,
        audit_id=None,
        checksum=source.checksum,
        content_hash=source.content_hash,
        seconds=seconds,
        batch_rows=options.batch_rows or settings.batch_rows,
        senders=senders,
        resent_slices=resent,
    )


def _tag(source: Source, questdb: QuestDB, progress: Progress) -> tuple[str, bool]:
    """The tag to write under, and whether it holds exactly these bars already."""
    tag, taken = source.slug, [source.slug]
    while held := bars_of(questdb, tag):
        if held == source.rows and audit_tag(source, questdb, tag, progress).passed:
            return tag, True
        tag = fresh_tag(source.slug, taken)
        taken.append(tag)
    return tag, False
