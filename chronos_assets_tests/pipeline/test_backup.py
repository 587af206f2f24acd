"""Backups of real servers: whole or not there, consistent while others write, and a restored home goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chronos_assets import services
from chronos_assets.errors import RefusedError, UsageError
from chronos_assets.pipeline.export.dataset import export_dataset
from chronos_assets.pipeline.simulation.run import check_simulation
from chronos_assets.pipeline.upkeep.backup import MANIFESTS
from chronos_assets.pipeline.upkeep.restore import check_backup, check_home
from chronos_assets.pipeline.validation.dataset import validate_dataset, validate_run
from chronos_assets.services import jar
from chronos_assets.settings import Settings
from chronos_assets.storage import backup_files
from chronos_assets.storage.backup_files import NAME, read_note, write_note
from chronos_assets.storage.diagnosis import examine_questdb
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets.testing import dispose, process_environment, settings_for, temporary_servers
from chronos_assets_tests.support import kept_store
from chronos_assets_tests.support.commands import run_program
from chronos_assets_tests.support.dagster_data import write_dataset

# A whole `chronos backup FOLDER`, killed when it copies the files of QuestDB.
_KILLED = """
import os, signal, sys
from pathlib import Path
from chronos_assets.pipeline.upkeep import backup
copy = backup.copy_root
def killed(root, target):
    copy(root / "conf", target)
    os.kill(os.getpid(), signal.SIGKILL)
backup.copy_root = killed
from chronos_assets.cli.main import main
sys.argv = ["chronos", "backup", sys.argv[1]]
main()
"""


# A whole `chronos restore FOLDER`, killed when it copies the manifests.
_RESTORE_KILLED = """
import os, signal, sys
from chronos_assets.pipeline.upkeep import restore
copy = restore.copy_tree
def killed(source, target, **options):
    if source.suffix == ".yaml":
        os.kill(os.getpid(), signal.SIGKILL)
    copy(source, target, **options)
restore.copy_tree = killed
from chronos_assets.cli.main import main
sys.argv = ["chronos", "restore", sys.argv[1]]
main()
"""


@dataclass(frozen=True)
class Taken:
    """A home with a dataset, a run and a simulation, and a backup that was taken while an export grew the dataset."""

    settings: Settings
    stores: Stores
    facts: dict[str, Any]
    folder: Path
    exports_meanwhile: int


@pytest.fixture(scope="module")
def taken(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    folder = tmp_path_factory.mktemp("backups") / "monday"
    with temporary_servers(cache=settings.cache, questdb_jar=settings.questdb_jar, start_timeout_seconds=600.0) as (own, connections):
        stores = open_stores(connections, own)
        write_dataset(own.exports_dir, kept_store.SLUG, rows=kept_store.ROWS)
        facts = kept_store.make(stores)
        done, exported = threading.Event(), []

        def grow() -> None:
            while not done.is_set():
                rows = kept_store.ROWS + len(exported) + 1
                write_dataset(own.exports_dir, kept_store.SLUG, rows=rows)
                export_dataset(kept_store.manifest(own), stores, own)
                exported.append(rows)

        writer = threading.Thread(target=grow)
        writer.start()
        try:
            chronos(own, "backup", str(folder))
        finally:
            done.set()
            writer.join()
        yield Taken(own, stores, facts, folder, len(exported))


def chronos(settings: Settings, *arguments: str, status: int = 0) -> str:
    """Run a `chronos` process on `settings`; returns what it says."""
    run = run_program(*arguments, env=process_environment(settings))
    assert run.returncode == status, run.stderr
    return run.stdout + run.stderr


def test_a_restored_home_validates_and_goes_on(taken: Taken) -> None:
    """All of it agrees with itself although an export wrote meanwhile; more bars train only the folds that they complete."""
    home = taken.settings.home.parent / "restored"
    shared = {"cache": taken.settings.cache, "questdb_jar": taken.settings.questdb_jar}
    restored = settings_for(home=home / "home", exports_dir=home / "exports", **shared)
    try:
        assert "restored: 1 datasets" in chronos(restored, "restore", str(taken.folder))
        stores = open_stores(services.connect(restored, start=False), restored)
        assert taken.exports_meanwhile > 0
        for report in (
            validate_dataset(kept_store.SLUG, stores, loaded=None),
            validate_run(taken.facts["run_id"], stores),
        ):
            assert report.passed, report
        assert all(check.passed for check in check_simulation(taken.facts["simulation_id"], stores))
        write_dataset(restored.exports_dir, kept_store.SLUG, rows=kept_store.ROWS + 60)
        export_dataset(kept_store.manifest(restored), stores, restored)
        run = kept_store.walk(stores, kept_store.manifest(restored))
        assert (run.folds_copied, run.folds_trained) == (taken.facts["folds"], 2)
        assert "is not empty" in chronos(restored, "restore", str(taken.folder), status=2)
    finally:
        dispose(restored)


def test_a_killed_backup_is_not_there_and_hinders_none(taken: Taken, tmp_path: Path) -> None:
    """It leaves no folder of its name, and QuestDB in a checkpoint, which the next backup ends."""
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", _KILLED, str(folder)]
    killed = subprocess.run(command, env=process_environment(taken.settings), capture_output=True, text=True, check=False, timeout=600)
    assert killed.returncode == -9, killed.stderr
    assert not folder.exists()
    assert taken.stores.questdb.rows("SELECT in_progress FROM checkpoint_status()") == [{"in_progress": True}]
    assert any("checkpoint is held" in one.found for one in examine_questdb(taken.stores.questdb, None))
    with pytest.raises(RefusedError) as refused:
        read_note(tmp_path / ".killed.part")
    assert refused.value.code == "backup_incomplete"
    chronos(taken.settings, "backup", str(folder))
    assert check_backup(folder, questdb=jar.VERSION).datasets == 1
    assert [path.name for path in tmp_path.iterdir()] == ["killed"]
    assert "is not empty" in chronos(taken.settings, "backup", str(folder), status=2)


def test_a_home_that_is_half_restored_is_refused(taken: Taken) -> None:
    """By commands that read, that write and that start servers: they say what to call, and start nothing."""
    home = taken.settings.home.parent / "half"
    half = settings_for(
        home=home / "home", exports_dir=home / "exports", cache=taken.settings.cache, questdb_jar=taken.settings.questdb_jar
    )
    command = [sys.executable, "-c", _RESTORE_KILLED, str(taken.folder)]
    killed = subprocess.run(command, env=process_environment(half), capture_output=True, text=True, check=False, timeout=600)
    assert killed.returncode == -9, killed.stderr
    for words in (("datasets", "list"), ("prune",), ("services", "start")):
        assert "call `chronos restore FOLDER` again" in chronos(half, *words, status=3)
    assert check_home(half, taken.folder, [])
    assert not (half.home / "services").exists()


@pytest.mark.parametrize("part", ["postgres/*.dump", "questdb/db/*/*/*.d", "artifacts/**/*.*", f"{MANIFESTS}/*.yaml", NAME])
def test_a_flipped_byte_is_found_before_anything_is_written(taken: Taken, tmp_path: Path, part: str) -> None:
    """Of any part, also of the note itself."""
    folder = tmp_path / "copy"
    shutil.copytree(taken.folder, folder)
    file = next(path for path in sorted(folder.glob(part)) if path.is_file() and path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(RefusedError) as refused:
        check_backup(folder, questdb=jar.VERSION)
    assert refused.value.code == "backup_damaged"
    assert refused.value.where["file"] == file


def test_a_backup_of_a_newer_program_is_refused_with_its_version(taken: Taken, tmp_path: Path) -> None:
    """By its format, its schema or its QuestDB."""
    note = read_note(taken.folder)
    for change in ({"format": 2}, {"schema": "9999"}, {"questdb": "99.0.1"}):
        write_note(tmp_path, backup_files.BackupNote(**{**vars(note), **change}))
        with pytest.raises(RefusedError) as refused:
            check_backup(tmp_path, questdb=jar.VERSION)
        assert refused.value.code == "backup_newer"
        assert str(next(iter(change.values()))) in str(refused.value)


def test_a_manifest_that_differs_is_not_written_over(taken: Taken, tmp_path: Path) -> None:
    """Nothing else is written either."""
    exports = tmp_path / "exports"
    exports.mkdir()
    (exports / f"{kept_store.SLUG}.yaml").write_text("mine")
    own = settings_for(home=tmp_path / "home", exports_dir=exports)
    with pytest.raises(UsageError) as refused:
        check_home(own, taken.folder, [])
    assert refused.value.code == "manifest_differs"
    assert not own.home.exists()
