"""Files that are there in full or not at all, whoever else writes them and whatever the disk says."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chronos_assets.errors import FileError
from chronos_assets.storage import atomic_write
from chronos_assets.storage.atomic_write import append, remove_abandoned, replacing, temporary_name, write_file, write_files
from chronos_assets.storage.privacy import OWNER_FILE


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    """Each has a temporary file of its own; the last to end is the one that stays."""
    path = tmp_path / "report.json"
    with replacing(path) as first:
        with replacing(path) as second:
            first.write(b"first")
            second.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """Nothing half-written stays."""
    path = tmp_path / "report.json"
    path.write_bytes(b"before")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("many", [False, True])
def test_a_full_disk_is_told_with_the_name_of_the_file_and_leaves_nothing(tmp_path: Path, many: bool) -> None:
    """The error names the final file; what was there stays, and no temporary file is left."""
    kept = tmp_path / "kept.bin"
    kept.write_bytes(b"before")
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from chronos_assets.storage import atomic_write\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        f"path, content = Path({str(kept)!r}), b'x' * 100_000\n"
        f"try: atomic_write.write_files({{path: content}}) if {many} else atomic_write.write_file(path, content)\n"
        "except atomic_write.FileError as error: print(error.code, error.where['file'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=600)
    assert done.stdout == f"write_failed {kept}\n"
    assert kept.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [kept]


def test_content_is_synced_before_its_name_and_the_name_before_the_return(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file of a batch is synced before it is renamed, and every folder that changed is synced after that, each once."""
    done: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        real_sync(handle)

    def rename(self: Path, target: Any) -> Path:
        done.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", rename)
    write_files({tmp_path / "new" / f"{n}.bin": b"content" for n in range(5)})
    assert done == ["file"] * 5 + ["rename"] * 5 + ["folder"] * 2  # the new folder, and the one that holds its name
    done.clear()
    write_file(tmp_path / "one.bin", b"content")
    assert done == ["file", "rename", "folder"]


def test_a_batch_is_as_private_as_asked_whatever_the_umask(tmp_path: Path) -> None:
    """`mode` holds at umask 000 and at 077; without it a replaced file keeps its own."""
    for mask in (0o000, 0o077):
        before = os.umask(mask)
        try:
            write_files({tmp_path / f"{mask}.bin": b"1"}, mode=OWNER_FILE)
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / f"{mask}.bin").stat().st_mode) == 0o600
    write_file(tmp_path / "0.bin", b"2")
    assert stat.S_IMODE((tmp_path / "0.bin").stat().st_mode) == 0o600


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    """Old temporary files of today's and of earlier programs go; young ones and ordinary files stay."""
    old = [temporary_name(tmp_path / "a.ubj"), tmp_path / ".0123abcd.4711.tmp"]
    kept = [tmp_path / "a.ubj", tmp_path / ".hidden", temporary_name(tmp_path / "b.ubj")]
    for path in (*old, *kept):
        path.write_bytes(b"1")
    for path in (*old, *kept[:2]):
        os.utime(path, (1, 1))
    assert remove_abandoned([tmp_path, tmp_path / "absent"]) == 2
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_a_folder_that_cannot_be_synced_is_left_alone_and_a_broken_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems refuse to sync folders; an input/output error is another matter."""

    def refuse(code: int) -> None:
        def sync(handle: int) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(os, "fsync", sync)

    refuse(errno.EINVAL)
    atomic_write.sync_folder(tmp_path)
    refuse(errno.EIO)
    with pytest.raises(FileError, match=str(tmp_path)):
        atomic_write.sync_folder(tmp_path)


def test_a_record_of_a_journal_is_on_the_disk_before_the_return(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each record is synced in full; the folder is synced when the journal is new, and a full disk is told with the journal's name."""
    path, synced = tmp_path / "new" / "counts.journal", []
    real_sync = os.fsync

    def sync(handle: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else os.fstat(handle).st_size)
        real_sync(handle)

    monkeypatch.setattr(os, "fsync", sync)
    append(path, b"one")
    assert synced == [3, "folder", "folder"]  # the new folder, and the one that holds its name
    append(path, b"two")
    assert synced[3:] == [6]
    assert path.read_bytes() == b"onetwo"

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match=r"no space left.*counts\.journal"):
        append(path, b"three")
