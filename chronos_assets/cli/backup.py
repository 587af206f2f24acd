"""`chronos backup` and `chronos restore`: everything that is kept, in one folder, and back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chronos_assets.cli.common import emit, json_option, say
from chronos_assets.cli.progress import Reporter
from chronos_assets.domain.byte_size import byte_size
from chronos_assets.errors import ServiceStartError, UsageError
from chronos_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from chronos_assets.services import Connections
    from chronos_assets.storage.backup_files import BackupNote
    from chronos_assets.storage.postgres_dump import Dumper
    from chronos_assets.views.documents import Backup

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option("--without-questdb", is_flag=True, help="Leave out a QuestDB on another machine; back it up there right afterwards.")
@json_option
def backup(folder: Path, without_questdb: bool, as_json: bool) -> None:
    """Write both stores, artifacts and manifests into the new folder FOLDER, consistent with each other; others may go on working.

    A backup that was killed leaves no FOLDER. The files that manifests name are not part of it: their bars are.
    """
    from chronos_assets import services
    from chronos_assets.pipeline.upkeep.backup import Sources, back_up
    from chronos_assets.storage.stores import open_stores

    settings, folder = load_settings(), folder.absolute()
    there = services.connect(settings, progress=say)
    if "questdb" not in there.embedded and not without_questdb:
        raise UsageError(
            "QuestDB runs elsewhere: its files cannot be copied from here",
            code="questdb_elsewhere",
            hint="Call with --without-questdb, then back up QuestDB on its machine at once (docs/DEPLOY.md has the commands).",
        )
    root = settings.home.resolve() / "questdb" if "questdb" in there.embedded and not without_questdb else None
    dagster = _dagster_dsn(there, settings)
    sources = Sources(_dumper(there.postgres_dsn), None if dagster is None else _dumper(dagster), root)
    with Reporter("backup") as progress:
        note = back_up(open_stores(there, settings), folder, sources, progress=progress)
    emit(_document(folder, note), as_json, lambda one: _text("backed up", one))


@click.command()
@click.argument("folder", type=_FOLDER)
@json_option
def restore(folder: Path, as_json: bool) -> None:
    """Put the backup in FOLDER into this project's home, which must be empty, and start the servers on it.

    Every file is checked before anything is written. A restore that was killed is called again: it begins anew.
    """
    from chronos_assets import services
    from chronos_assets.pipeline.upkeep import restore as steps
    from chronos_assets.services import jar
    from chronos_assets.services.connections import embeds_questdb
    from chronos_assets.services.places import Places
    from chronos_assets.services.postgres_user import shared_base
    from chronos_assets.storage.restoring import MARK
    from chronos_assets.storage.stores import open_stores

    settings, folder = load_settings(), folder.absolute()
    note = steps.check_backup(folder, questdb=jar.VERSION if embeds_questdb(settings) else None)
    base = shared_base(Places.of(settings))
    if steps.check_home(settings, folder, [base]):
        say("a restore was killed here: clearing the home and beginning anew")
        services.stop(settings, say)
        shutil.rmtree(base, ignore_errors=True)
        _clear(settings.home, MARK)
    steps.put_files(folder, note, settings)
    there = services.start(settings, say, restoring=True)
    steps.put_registry(folder, note, _dumper, there.postgres_dsn, _dagster_dsn(there, settings))
    open_stores(there, settings, say)
    steps.restored(settings)
    emit(_document(folder, note), as_json, lambda one: _text("restored", one))


def _clear(home: Path, mark: str) -> None:
    """Empty a home whose restore was killed; its mark goes last."""
    for entry in [entry for entry in home.iterdir() if entry.name != mark]:
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _dagster_dsn(there: Connections, settings: Settings) -> str | None:
    """Dagster's own database; None if it keeps its records in the registry's, which one dump takes."""
    from chronos_assets.services import dagster_postgres_url
    from chronos_assets.storage.postgres import without_driver

    dsn = without_driver(dagster_postgres_url(there, settings))
    return None if dsn == without_driver(there.postgres_dsn) else dsn


def _dumper(dsn: str) -> Dumper:
    """The bundled programs, else those of this machine."""
    from chronos_assets.services.postgres_user import installed_programs
    from chronos_assets.storage.postgres_dump import Dumper

    try:
        return Dumper(installed_programs(), dsn)
    except ServiceStartError:
        found = shutil.which("pg_dump")
        if found is None:
            raise
        return Dumper(Path(found).parent, dsn)


def _document(folder: Path, note: BackupNote) -> Backup:
    from chronos_assets.views.documents import Backup

    return Backup(
        folder=str(folder),
        created_at=note.created_at,
        program=note.program,
        schema_version=note.schema,
        postgres=note.postgres,
        questdb=note.questdb,
        datasets=note.datasets,
        files=len(note.files),
        bytes=note.bytes,
    )


def _text(done: str, document: Backup) -> str:
    stores = f"Postgres {document.postgres}, " + (f"QuestDB {document.questdb}" if document.questdb else "without QuestDB")
    size = f"{document.files:,} files, {byte_size(document.bytes)}"
    lines = [f"{done}: {document.datasets} datasets of {document.created_at} ({stores}, schema {document.schema_version}; {size})"]
    lines += [f"  folder  {document.folder}"]
    if done == "restored":
        lines += ["  check   `validate_dataset SLUG` compares a dataset with what was published"]
    elif document.questdb is None:
        lines += ["  QuestDB is not in it: back it up on its machine now, before anything is retired or pruned (docs/DEPLOY.md)"]
    return "\n".join(lines)
