"""What `chronos doctor` asks the stores, from where it runs. Nothing is migrated, created or changed, but one artifact for a moment."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from chronos_assets.domain.byte_size import byte_size
from chronos_assets.storage.artifacts.store import ArtifactStore
from chronos_assets.storage.migrate import current_version, newest_version
from chronos_assets.storage.pooling import HINT, shares_sessions
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.queries import query
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.questdb_room import MOST_USED, process_use
from chronos_assets.storage.questdb_tables import INDICATOR_BARS

Health = Literal["ok", "warning", "failed", "unreachable"]
SKEW_SECONDS = 2.0
FREE_BYTES = 2 * 1024**3
_CONNECTIONS_LEFT = 20
_ARTIFACT_BYTES = 1 << 20
DOCTOR = "doctor"
"""Folder of the artifacts that are there for a moment."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what was found, and what to do unless it is `ok`."""

    part: str
    health: Health
    found: str
    remedy: str = ""


def examine_questdb(questdb: QuestDB, pid: int | None) -> Iterator[Finding]:
    """Version, time of an answer, clock, tables that stopped, and room for columns. `pid`: its process, if it runs on this machine."""
    began = datetime.now(UTC)
    [state] = questdb.rows("SELECT build() AS build, now() AS now")
    ended = datetime.now(UTC)
    version = str(state["build"]).partition(",")[0].removeprefix("Build Information: ")
    yield Finding("questdb", "ok", f"{version}, answers in {_milliseconds(began, ended)} over {questdb.transport}")
    yield _clock("questdb", datetime.fromisoformat(str(state["now"])), began, ended)
    stopped = [row["name"] for row in questdb.rows("SELECT name FROM wal_tables() WHERE suspended")]
    if stopped:
        tables = ", ".join(map(str, stopped))
        yield Finding("questdb", "failed", f"suspended: {tables}", "Make room on its disk; the next export resumes the table.")
    [checkpoint] = questdb.rows("SELECT in_progress FROM checkpoint_status()")
    if checkpoint["in_progress"]:
        held = "a checkpoint is held: a backup is under way, or was killed"
        yield Finding(
            "questdb", "warning", held, "If none is under way: `CHECKPOINT RELEASE` in QuestDB, or the next `chronos backup`, ends it."
        )
    columns = len(questdb.columns(INDICATOR_BARS.name)) if questdb.has_table(INDICATOR_BARS.name) else 0
    for use in process_use(pid):
        full = use.used > MOST_USED * use.limit
        found = f"{use.used:,} of {use.limit:,} {use.what}, {columns:,} columns of {INDICATOR_BARS.name}"
        yield Finding("questdb", "warning" if full else "ok", found, f"{use.remedy.capitalize()}." if full else "")


def examine_postgres(postgres: Postgres) -> Iterator[Finding]:
    """Version, time of an answer, clock, sessions that hold, schema, rights, and connections left."""
    with postgres.connection() as connection:
        began = datetime.now(UTC)
        state = connection.execute(query("server_state")).fetchone()
        ended = datetime.now(UTC)
    assert state is not None
    yield Finding("postgres", "ok", f"{str(state['version']).split()[0]}, answers in {_milliseconds(began, ended)}")
    yield _clock("postgres", state["now"], began, ended)
    pooled = shares_sessions(postgres)
    sessions = "a pooler gives each transaction another session" if pooled else "sessions hold locks"
    yield Finding("postgres", "failed" if pooled else "ok", sessions, HINT if pooled else "")
    yield _schema(current_version(postgres), may_create=bool(state["may_create"]))
    left = state["most_connections"] - state["connections"]
    found = f"{state['connections']} of {state['most_connections']} connections in use"
    few = left < _CONNECTIONS_LEFT
    yield Finding("postgres", "warning" if few else "ok", found, "Raise max_connections." if few else "")


def examine_room(folder: Path) -> Finding:
    """Free space where artifacts of this machine are."""
    free = shutil.disk_usage(folder if folder.is_dir() else folder.parent).free
    little = free < FREE_BYTES
    return Finding("artifacts", "warning" if little else "ok", f"{byte_size(free)} free in {folder}", "Make room." if little else "")


def examine_artifacts(store: ArtifactStore) -> Iterator[Finding]:
    """One artifact put, read by range, listed and deleted: whatever a run asks of the store."""
    name, content = f"{DOCTOR}/{secrets.token_hex(8)}", secrets.token_bytes(_ARTIFACT_BYTES)
    middle = _ARTIFACT_BYTES // 2
    began = time.monotonic()
    try:
        store.put({name: content})
        parts = store.read_ranges(name, [(0, middle), (middle, _ARTIFACT_BYTES)])
        listed = [entry.size for entry in store.list(DOCTOR) if entry.name == name]
    finally:
        freed = store.delete(name)
    milliseconds = 1000 * (time.monotonic() - began)
    place = store.address(DOCTOR).rpartition("/")[0]
    if (parts and b"".join(parts), listed, freed, store.size(name)) == (content, [len(content)], len(content), None):
        done = f"{byte_size(_ARTIFACT_BYTES)} put, read again by range, listed and deleted in {milliseconds:.0f} ms in {place}"
        yield Finding("artifacts", "ok", done)
    else:
        wrong = "an artifact read, listed or deleted again differs from what was put"
        yield Finding(
            "artifacts", "failed", f"{wrong} in {place}", "Check the disk, or the settings of the bucket and of what is before it."
        )


def _schema(found: str | None, *, may_create: bool) -> Finding:
    newest = newest_version()
    if found == newest:
        return Finding("postgres", "ok", f"schema {found}")
    if found is not None and found > newest:
        return Finding("postgres", "failed", f"schema {found}, newer than this program ({newest})", "Update chronos_assets.")
    what = "no schema yet" if found is None else f"schema {found}, older than this program ({newest})"
    if not may_create:
        return Finding("postgres", "failed", f"{what}, and this user may not create tables", "GRANT CREATE ON SCHEMA to this user.")
    return Finding("postgres", "warning", what, "`chronos services start` brings it forward; so does the next export.")


def _clock(part: str, theirs: datetime, began: datetime, ended: datetime) -> Finding:
    theirs = theirs.replace(tzinfo=theirs.tzinfo or UTC)
    skew = max((began - theirs).total_seconds(), (theirs - ended).total_seconds(), 0.0)
    apart = skew > SKEW_SECONDS
    found = f"its clock is {skew:.1f} s from this machine's" if apart else "its clock agrees with this machine's"
    return Finding(
        part, "warning" if apart else "ok", found, "Run NTP on both machines: nights and reports show times of both." if apart else ""
    )


def _milliseconds(began: datetime, ended: datetime) -> str:
    return f"{1000 * (ended - began).total_seconds():.0f} ms"
