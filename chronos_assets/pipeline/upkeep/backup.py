"""Both stores, the artifacts and the manifests in one folder, consistent with each other although others read and write meanwhile.

Rows are in QuestDB, and files on the disk, before the row of Postgres that names them commits. So what the registry says at one moment is
in QuestDB and among the artifacts at every later one, as long as nothing is removed: the locks of removal are held to the end. An export
that writes at that moment is in the backup as if it had been killed then. For that its attempt has to be in the registry: none begins
between the snapshot of Postgres and QuestDB's checkpoint.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.storage.artifacts_copies import copy_out
from chronos_assets.storage.backup_files import BackupNote, copy_tree, digests_of, new_backup, write_note
from chronos_assets.storage.migrate import newest_version
from chronos_assets.storage.postgres import lock_number
from chronos_assets.storage.postgres_dump import Dumper
from chronos_assets.storage.queries import query
from chronos_assets.storage.questdb_checkpoint import checkpoint, copy_root, version_of
from chronos_assets.storage.questdb_tables import TABLES
from chronos_assets.storage.runs import FILES
from chronos_assets.storage.stores import Stores
from chronos_assets.storage.table_locks import writing_to

LOCK = "backup"
REGISTRY, DAGSTER = Path("postgres/registry.dump"), Path("postgres/dagster.dump")
QUESTDB, ARTIFACTS, MANIFESTS = Path("questdb"), Path("artifacts"), Path("exports")
_STEPS = 5


@dataclass(frozen=True)
class Sources:
    """What a backup takes besides the stores: dumpers of the registry and of Dagster's database (None: it has none of its own), and the
    folder of QuestDB's files (None: they are on another machine and are left out)."""

    registry: Dumper
    dagster: Dumper | None
    questdb_root: Path | None


def back_up(stores: Stores, folder: Path, sources: Sources, *, progress: Progress = silent) -> BackupNote:
    """Write a backup into `folder`, which must be new or empty.

    Raises `UsageError` if it is not, `ConflictError` if another backup runs.
    """
    steps = iter(range(_STEPS))

    def step(what: str) -> None:
        progress(what, next(steps), _STEPS, "")

    with new_backup(folder) as part, _nothing_goes(stores):
        (part / REGISTRY.parent).mkdir()
        began = datetime.now(UTC)
        with _one_moment(stores, sources) as moment:
            step("dump Postgres")
            sources.registry.dump(part / REGISTRY, snapshot=moment["snapshot"])
            if sources.questdb_root is not None:
                step("copy QuestDB")
                copy_root(sources.questdb_root, part / QUESTDB)
        if sources.dagster is not None:
            sources.dagster.dump(part / DAGSTER)
        step("copy files")
        copy_out(stores.settings, part / ARTIFACTS)
        (part / MANIFESTS).mkdir()
        for manifest in sorted(stores.settings.exports_dir.glob("*.yaml")):
            copy_tree(manifest, part / MANIFESTS / manifest.name)
        step("hash")
        note = BackupNote(
            created_at=began.isoformat(timespec="seconds"),
            program=importlib.metadata.version("chronos-assets"),
            schema=newest_version(),
            postgres=str(moment["version"]),
            questdb=None if sources.questdb_root is None else version_of(stores.questdb),
            dagster=sources.dagster is not None,
            datasets=int(moment["datasets"]),
            files=digests_of(part),
        )
        write_note(part, note)
    return note


@contextmanager
def _nothing_goes(stores: Stores) -> Iterator[None]:
    """No second backup, no compaction and no removal of files meanwhile; writers and readers go on."""
    tables = [spec.name for spec in TABLES]
    with stores.postgres.session_lock(LOCK, what="a backup") as held, stores.postgres.wrapped(), writing_to(held, *tables):
        held.execute(query("lock_shared"), {"key": lock_number(FILES)})
        yield


@contextmanager
def _one_moment(stores: Stores, sources: Sources) -> Iterator[dict[str, Any]]:
    """A snapshot of Postgres and a checkpoint of QuestDB, between which no attempt of an export begins; both held."""
    with ExitStack() as stack:
        reader = stack.enter_context(stores.postgres.connection())
        stack.enter_context(reader.transaction())
        reader.execute(query("read_one_state"))
        with stores.postgres.connection() as holder, holder.transaction():
            holder.execute(query("hold_attempts"))
            moment = reader.execute(query("export_snapshot")).fetchone()
            assert moment is not None
            held = contextlib.nullcontext() if sources.questdb_root is None else checkpoint(stores.questdb)
            stack.enter_context(held)
        yield moment
