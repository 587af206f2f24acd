"""Export and verify without a registry: nothing is published, and no published bar is touched.

Every call writes under a tag of its own, whose random part no registered export and no other call can choose. So a writer that is stopped
in the middle, whatever happens meanwhile, ends up with rows that nobody else reads or writes.
"""

from __future__ import annotations

import secrets
import time

from chronos_assets.pipeline.export.audit import audit_tag, sample_tag
from chronos_assets.pipeline.export.normalize import NormalizedBars
from chronos_assets.pipeline.export.plan import plan_unregistered
from chronos_assets.pipeline.export.planning import on_columns
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.export.types import ExportOptions, ExportResult
from chronos_assets.pipeline.export.write import check_transport, execute, make_ready
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.settings import Settings
from chronos_assets.storage.manifest_files import LoadedManifest
from chronos_assets.storage.questdb import QuestDB

TOKEN_BYTES = 8


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
    source = Source.of(loaded, normalized)
    options = on_columns(options, source)
    started = time.monotonic()
    plan = plan_unregistered(source, questdb, settings, token=secrets.token_hex(TOKEN_BYTES), options=options, progress=progress)
    make_ready(plan, questdb)
    attempt = execute(plan, questdb, options=options, settings=settings, progress=progress)
    written = time.monotonic()
    audit = (
        sample_tag(plan.source, questdb, plan.tag, tolerance=options.tolerance)
        if options.verify == "sample"
        else audit_tag(plan.source, questdb, plan.tag, progress, tolerance=options.tolerance)
    )
    seconds = {"write": written - started, "audit": time.monotonic() - written}
    return ExportResult.of(source, attempt, record=None, audit=audit, seconds=seconds)
