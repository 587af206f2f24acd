"""QuestDB's files as of one moment: between CHECKPOINT CREATE and RELEASE they can be copied while rows come in.

The checkpoint notes how far every table was. A copy of the files with an empty `_restore` beside them is brought back to that moment by
the server that starts on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chronos_assets.storage.backup_files import copy_tree
from chronos_assets.storage.questdb import QuestDB

RESTORE = "_restore"
PARTS = ("db", ".checkpoint", "conf", "chronos_assets.json")


@contextmanager
def checkpoint(questdb: QuestDB) -> Iterator[None]:
    """Hold a checkpoint of an embedded server. One that a killed backup has left is released first."""
    [state] = questdb.rows("SELECT in_progress FROM checkpoint_status()")
    if state["in_progress"]:
        questdb.execute("CHECKPOINT RELEASE")
    questdb.execute("CHECKPOINT CREATE")
    try:
        yield
    finally:
        questdb.execute("CHECKPOINT RELEASE")


def copy_root(root: Path, target: Path) -> None:
    """Copy the files of a server whose checkpoint is held. What vanishes meanwhile is newer than the checkpoint."""
    for name in PARTS:
        copy_tree(root / name, target / name, vanishing=True)


def put_root(copied: Path, root: Path) -> None:
    """Put copied files where a server will start, and ask it to go back to the checkpoint."""
    copy_tree(copied, root)
    (root / RESTORE).touch()


def version_of(questdb: QuestDB) -> str:
    """The server's version, such as `9.3.4`."""
    [state] = questdb.rows("SELECT build() AS build")
    return str(state["build"]).partition(",")[0].rpartition(" ")[2]
