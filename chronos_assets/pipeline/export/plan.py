"""The plan of an export: under which tag, which rows, what is added to the table first. Made in one place, by reading only.

The same frozen plan is executed (`write`), shown (`--dry-run`) and executed without a registry (`--no-registry`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from chronos_assets.domain.attempts import Kind, Plan, Published, choose_plan, unregistered_tag
from chronos_assets.domain.column_budget import choose_columns
from chronos_assets.errors import NotPublishedError, UsageError
from chronos_assets.pipeline.export.growth import Growth, compare_with_published
from chronos_assets.pipeline.export.planning import columns_digest, is_unchanged, publishing_attempt, same_as_reported
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.export.types import ExportOptions
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.settings import Settings
from chronos_assets.storage.audits import AuditRecord, NewAttempt, dataset_with_attempts
from chronos_assets.storage.bars_file import BarsFile
from chronos_assets.storage.datasets import DatasetRecord
from chronos_assets.storage.delivery import bars_of
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.questdb_tables import INDICATOR_BARS

# unknown: no server could be asked.
PlanKind = Kind | Literal["unchanged", "unregistered", "unknown"]


@dataclass(frozen=True)
class History:
    """What the registry says of a dataset: its row, and the attempts on it, the oldest first."""

    record: DatasetRecord | None = None
    attempts: Sequence[AuditRecord] = ()

    @classmethod
    def of(cls, postgres: Postgres, slug: str) -> History:
        """Both, by one trip to the registry."""
        return cls(*dataset_with_attempts(postgres, slug))

    def attempt(self, slug: str, audit_id: int | None = None) -> AuditRecord:
        """One attempt, by default the last; raises `NotPublishedError` if there is none."""
        for attempt in reversed(self.attempts):
            if audit_id in {None, attempt.audit_id}:
                return attempt
        raise NotPublishedError("nothing was written for this dataset yet", code="attempt_missing", slug=slug, audit=audit_id)

    @property
    def placement(self) -> dict[str, str]:
        """Name -> QuestDB column, as the registry and, for other names, the attempts say: a column never moves."""
        tried = {name: column for attempt in self.attempts for name, column in attempt.placement.items()}
        return tried | ({} if self.record is None else self.record.placement)


@dataclass(frozen=True)
class ExportPlan:
    """What an export does with one file.

    `filled` are published rows, before `first_row`, whose null targets have filled since. `columns_there` is how many indicator columns
    the table has before `columns_to_add`.
    """

    source: Source
    kind: PlanKind
    tag: str
    first_row: int = 0
    filled: tuple[int, ...] = ()
    columns_to_add: tuple[str, ...] = ()
    columns_there: int = 0
    base_revision: int = 0
    known_rows: Mapping[str, int] = field(default_factory=dict)
    record: DatasetRecord | None = None

    @property
    def unchanged(self) -> bool:
        """Whether the registry has this very content already."""
        return self.kind == "unchanged"

    @property
    def rows_to_write(self) -> int:
        return 0 if self.unchanged else self.source.rows - self.first_row + len(self.filled)

    def as_dict(self) -> dict[str, Any]:
        """JSON form, for `--dry-run`."""
        return {
            "kind": self.kind,
            "questdb_tag": self.tag,
            "rows_to_write": self.rows_to_write,
            "columns_to_add": list(self.columns_to_add),
        }

    def attempt(self, options: ExportOptions, transport: str) -> NewAttempt:
        """What is recorded before the first bar is written."""
        return NewAttempt(
            dataset_id=self.source.slug,
            questdb_tag=self.tag,
            checksum=self.source.checksum,
            mode=options.verify,
            row_count=self.source.rows,
            first_bar_ts=self.source.first_bar,
            last_bar_ts=self.source.last_bar,
            content_hash=self.source.content_hash,
            base_revision=self.base_revision,
            report={
                "plan": {"kind": self.kind, "tag": self.tag, "base_revision": self.base_revision, "first_row": self.first_row},
                "transport": transport,
                "known_rows": dict(self.known_rows),
                "filled_rows": len(self.filled),
                "columns_digest": columns_digest(self.source.columns),
                "placement": dict(self.source.placement),
            },
        )


def plan_export(
    source: Source,
    questdb: QuestDB | None,
    history: History | None,
    settings: Settings,
    *,
    options: ExportOptions,
    progress: Progress = silent,
) -> ExportPlan:
    """The plan for `source` against a registry. None for a store that could not be asked.

    Raises what the export would raise: `SourceChangedError` if published bars have changed, `FileError` if the Arrow file is damaged.
    """
    source, there = _place(source, questdb, history, settings.column_budget)
    added = _missing(source, there)
    if questdb is None or history is None:
        return ExportPlan(source, "unknown", source.slug, columns_to_add=added, columns_there=len(there))
    record, attempts = history.record, history.attempts
    if record is not None and not options.replace and is_unchanged(source, record, attempts):
        return ExportPlan(source, "unchanged", record.questdb_tag, record=record)
    with BarsFile(source.path) as bars:
        known_rows = same_as_reported(bars, source, progress)
        growth = _growth(questdb, history, source, bars, settings, replace=options.replace)
    choice = _choose(questdb, history, source, replace=options.replace)
    return ExportPlan(
        source,
        choice.kind,
        choice.tag,
        first_row=growth.first_new if choice.only_growth else 0,
        filled=tuple(growth.filled) if choice.only_growth else (),
        columns_to_add=added,
        columns_there=len(there),
        base_revision=choice.base_revision,
        known_rows=known_rows,
        record=record,
    )


def plan_unregistered(
    source: Source, questdb: QuestDB | None, settings: Settings, *, token: str, options: ExportOptions, progress: Progress = silent
) -> ExportPlan:
    """The plan without a registry: every row, under a tag of its own. `token` is its random part.

    Nobody can say which rows under other tags somebody reads, or writes at this moment; so no other tag is ever used.
    """
    if options.replace:
        raise UsageError("there is nothing to replace without a registry", code="replace_unregistered", hint="Leave out --replace.")
    with BarsFile(source.path) as bars:
        known_rows = same_as_reported(bars, source, progress)
    source, there = _place(source, questdb, None, settings.column_budget)
    tag = unregistered_tag(source.slug, token)
    added = _missing(source, there)
    return ExportPlan(source, "unregistered", tag, columns_to_add=added, columns_there=len(there), known_rows=known_rows)


def _place(source: Source, questdb: QuestDB | None, history: History | None, budget: int) -> tuple[Source, set[str]]:
    """The file in the columns of the table that it goes into, and the indicator columns that exist (none without a table or a server)."""
    there: set[str] = set()
    if questdb is not None and questdb.has_table(INDICATOR_BARS.name):
        there = {name.casefold() for name in questdb.columns(INDICATOR_BARS.name)} - {name.casefold() for name in INDICATOR_BARS.types}
    kept = {} if history is None else history.placement
    return source.placed(choose_columns(source.own_columns, kept, there, budget)), there


def _missing(source: Source, there: set[str]) -> tuple[str, ...]:
    return tuple(c.questdb_column for c in source.columns if c.questdb_column.casefold() not in there)


def _growth(questdb: QuestDB, history: History, source: Source, bars: BarsFile, settings: Settings, *, replace: bool) -> Growth:
    """What is new against the registry; everything if nothing is published or all is to be replaced."""
    record = history.record
    if record is None or replace or not questdb.has_table(INDICATOR_BARS.name):
        return Growth(0)
    questdb.wait_applied(INDICATOR_BARS.name, settings.apply_timeout_seconds)
    publishing = publishing_attempt(record, history.attempts)
    known_rows = None if publishing is None else publishing.report.get("known_rows")
    return compare_with_published(questdb, record, source, bars, known_rows)


def _choose(questdb: QuestDB, history: History, source: Source, *, replace: bool) -> Plan:
    """Choose the tag from what is recorded, and from what QuestDB holds under tags that look free."""
    record = history.record
    published = None if record is None else Published(record.questdb_tag, record.checksum, record.content_hash, record.revision)
    taken: list[str] = []
    while True:
        plan = choose_plan(
            source.slug,
            [a.as_attempt() for a in history.attempts],
            published,
            checksum=source.checksum,
            content_hash=source.content_hash,
            replace=replace,
            taken=taken,
        )
        # A fresh tag is fresh in QuestDB too: another registry may have used it.
        if plan.kind not in {"fresh", "replacement"} or not _holds_bars(questdb, plan.tag):
            return plan
        taken.append(plan.tag)


def _holds_bars(questdb: QuestDB, tag: str) -> bool:
    return questdb.has_table(INDICATOR_BARS.name) and bars_of(questdb, tag) > 0
