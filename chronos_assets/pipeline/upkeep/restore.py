"""A backup put into an empty home: everything is checked before anything is written, and the registry comes last, in one transaction.

So a restore that was killed leaves a registry that knows nothing, and a mark by which the next restore clears the home and begins again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from chronos_assets.errors import RefusedError, UsageError
from chronos_assets.pipeline.upkeep.backup import ARTIFACTS, DAGSTER, MANIFESTS, QUESTDB, REGISTRY
from chronos_assets.settings import Settings
from chronos_assets.storage.artifacts.opening import open_artifacts
from chronos_assets.storage.artifacts_copies import copy_in
from chronos_assets.storage.artifacts_owner import NAME as OWNER
from chronos_assets.storage.artifacts_owner import owner
from chronos_assets.storage.atomic_write import write_file
from chronos_assets.storage.backup_files import BackupNote, check_files, copy_tree, read_note
from chronos_assets.storage.migrate import current_version, newest_version
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.postgres_dump import Dumper
from chronos_assets.storage.privacy import OWNER_FILE, private_home
from chronos_assets.storage.questdb_checkpoint import put_root
from chronos_assets.storage.restoring import MARK

# What a home may hold that nothing was kept in yet.
_EMPTY = {"logs", ".private", "project.json", "digests.json"}


def check_backup(folder: Path, *, questdb: str | None) -> BackupNote:
    """The note of a whole backup that this program can restore; `questdb`: version of the embedded server, None if it is elsewhere.

    Raises `RefusedError`.
    """
    note = read_note(folder)
    _not_newer("schema", note.schema, newest_version(), folder, "Update chronos_assets.")
    if note.questdb is not None and questdb is not None:
        _not_newer("QuestDB", note.questdb, questdb, folder, "Update chronos_assets, which brings its QuestDB.", numbers=True)
    if (note.questdb is None) != (questdb is None):
        raise RefusedError(
            "the backup and the settings differ in where QuestDB is",
            code="backup_questdb",
            expected="an embedded QuestDB" if note.questdb is not None else "CHRONOS_QUESTDB_CONF set to the restored one",
            found="CHRONOS_QUESTDB_CONF is set" if questdb is None else "CHRONOS_QUESTDB_CONF is not set",
            hint="docs/DEPLOY.md tells how a QuestDB elsewhere is restored.",
            folder=folder,
        )
    check_files(folder, note)
    return note


def check_home(settings: Settings, folder: Path, elsewhere: Iterable[Path]) -> bool:
    """Raise `UsageError` unless home and place of artifacts are free and no manifest would be written over; True if a killed restore
    left the home.

    `elsewhere`: folders outside the home that hold data of its servers.
    """
    home = settings.home
    left = (home / MARK).exists()
    there = sorted(entry.name for entry in home.iterdir()) if home.is_dir() else []
    held = [home / name for name in there if name not in _EMPTY] + [path for path in elsewhere if path.exists()]
    if held and not left:
        raise UsageError(
            "the home to restore into is not empty",
            code="home_not_empty",
            found=", ".join(map(str, held[:5])),
            hint="Set CHRONOS_HOME to a new folder, or move that one away (`chronos services stop` first).",
            home=home,
        )
    if settings.artifacts is not None and not left:
        _require_free(settings)
    for manifest in sorted((folder / MANIFESTS).glob("*.yaml")):
        other = settings.exports_dir / manifest.name
        if other.exists() and other.read_bytes() != manifest.read_bytes():
            raise UsageError(
                "a manifest differs from that of the backup",
                code="manifest_differs",
                hint="Move it away, then restore again; or restore with CHRONOS_EXPORTS_DIR set to a new folder.",
                file=other,
            )
    return left


def put_files(folder: Path, note: BackupNote, settings: Settings) -> None:
    """Put the files of QuestDB, artifacts and manifests in place; no server runs yet."""
    private_home(settings.home)
    write_file(settings.home / MARK, b"", mode=OWNER_FILE)
    if note.questdb is not None:
        put_root(folder / QUESTDB, settings.home / "questdb")
    if (folder / ARTIFACTS).is_dir():
        copy_in(folder / ARTIFACTS, settings)
    settings.exports_dir.mkdir(parents=True, exist_ok=True)
    for manifest in sorted((folder / MANIFESTS).glob("*.yaml")):
        if not (settings.exports_dir / manifest.name).exists():
            copy_tree(manifest, settings.exports_dir / manifest.name)


def put_registry(folder: Path, note: BackupNote, dumper_of: Callable[[str], Dumper], registry: str, dagster: str | None) -> None:
    """Load both databases, the registry last. Raises `UsageError` if it holds something.

    `registry` and `dagster` are addresses; a backup of a Dagster in the database of the registry has it in the registry's dump.
    """
    postgres = Postgres(registry)
    try:
        if current_version(postgres) is not None:
            raise UsageError(
                "the Postgres database to restore into is not empty",
                code="database_not_empty",
                hint="Name an empty database in CHRONOS_POSTGRES_DSN.",
                database=postgres.address,
            )
    finally:
        postgres.close()
    if note.dagster and dagster is not None:
        dumper_of(dagster).load(folder / DAGSTER)
    dumper_of(registry).load(folder / REGISTRY)


def restored(settings: Settings) -> None:
    """Take the mark away: the home is whole."""
    (settings.home / MARK).unlink()


def _require_free(settings: Settings) -> None:
    """Raise `UsageError` if the place of the artifacts belongs to a registry."""
    artifacts = open_artifacts(settings)
    if owner(artifacts) is not None:
        raise UsageError(
            "the place to restore artifacts into belongs to another registry",
            code="artifacts_of_another_registry",
            hint="Give CHRONOS_ARTIFACTS a new prefix. If that registry is gone, delete this object, and restore into the same place.",
            place=artifacts.address(OWNER),
        )


def _not_newer(what: str, found: str, known: str, folder: Path, hint: str, *, numbers: bool = False) -> None:
    newer = _numbers(found) > _numbers(known) if numbers else found > known
    if newer:
        raise RefusedError(
            "the backup was written by a newer program",
            code="backup_newer",
            expected=f"{what} {known} at most",
            found=f"{what} {found}",
            hint=hint,
            folder=folder,
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
