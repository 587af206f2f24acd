"""Writing a file whole while others write the same one."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronos_assets.storage.atomic_write import replacing


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
