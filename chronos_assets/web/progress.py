"""What listeners of `/api/events` are told: how runs and feature selections get on, looked up once a second for all of them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from chronos_assets.errors import ChronosError
from chronos_assets.storage.queries import query
from chronos_assets.storage.stores import Stores
from chronos_assets.views.liveness import with_dead_runs, with_dead_selections

LOG = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
COMMENT_SECONDS = 15.0
RETRY_MILLISECONDS = 3000
MOST_STREAMS = 50
ALL_RUNS = "runs"


@dataclass(frozen=True)
class Progress:
    """How one run or feature selection gets on. `number` grows with every change, also over restarts of the program."""

    number: int
    topic: str
    data: dict[str, Any]


@dataclass
class ProgressWatch:
    """The latest state of every run and selection that somebody listens to. Used by the event loop only; the store is asked in a thread."""

    open_stores: Callable[[], Stores]
    closed: bool = False
    _latest: dict[str, Progress] = field(default_factory=dict)
    _listeners: dict[int, frozenset[str]] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = None
    _begun: dict[str, tuple[float, int]] = field(default_factory=dict)
    _number: int = field(default_factory=lambda: int(time.time() * 1000))

    async def stream(self, topics: frozenset[str], after: int) -> AsyncIterator[bytes]:
        """Server-sent events of `topics` that are newer than event `after`, until the listener goes or the program ends."""
        me = id(object()) ^ time.monotonic_ns()
        self._listeners[me] = topics
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_now_and_then())
        try:
            yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
            spoke = time.monotonic()
            while not self.closed:
                for event in self._since(after, topics):
                    after, spoke = event.number, time.monotonic()
                    yield _event(event)
                if time.monotonic() - spoke >= COMMENT_SECONDS:
                    spoke = time.monotonic()
                    yield b": still here\n\n"
                await asyncio.sleep(LOOK_SECONDS / 4)
        finally:
            del self._listeners[me]

    @property
    def streams(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def close(self) -> None:
        """End all streams within a moment: a server that stops would wait for them."""
        self.closed = True

    def _since(self, after: int, topics: frozenset[str]) -> list[Progress]:
        chosen = [
            one
            for topic, one in self._latest.items()
            if one.number > after and (topic in topics or (ALL_RUNS in topics and topic.startswith("run:")))
        ]
        return sorted(chosen, key=lambda one: one.number)

    async def _look_now_and_then(self) -> None:
        while self._listeners and not self.closed:
            topics = frozenset().union(*self._listeners.values())
            try:
                self._take(await asyncio.to_thread(self._read, topics))
            except ChronosError as error:
                LOG.info("progress cannot be looked up: %s", error)  # listeners are told as soon as it can be again
            await asyncio.sleep(LOOK_SECONDS)

    def _read(self, topics: Iterable[str]) -> list[dict[str, Any]]:
        postgres, selections = self.open_stores().postgres, _ids("lfs", topics)
        runs = {"run_ids": _ids("run", topics), "all": ALL_RUNS in topics}
        rows: list[dict[str, Any]] = []
        with postgres.connection() as connection:
            if runs["run_ids"] or runs["all"]:
                rows += with_dead_runs(postgres, connection.execute(query("runs_progress"), runs).fetchall())
            if selections:
                found = connection.execute(query("lfs_progress_of"), {"lfs_ids": selections}).fetchall()
                rows += with_dead_selections(postgres, found)
        return rows

    def _take(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            state = _state_of_selection(row) if "lfs_id" in row else _state_of_run(row)
            topic, known = state["topic"], self._latest.get(state["topic"])
            if known is not None and all(known.data[name] == value for name, value in state.items()):
                continue
            self._number += 1
            left = row["progress"].get("seconds_left") if row.get("progress") else None
            seconds_left = left if "lfs_id" in row else self._seconds_left(topic, row)
            self._latest[topic] = Progress(self._number, topic, {**state, "seconds_left": seconds_left})

    def _seconds_left(self, topic: str, row: dict[str, Any]) -> int | None:
        """By the folds stored since we began to look; None before the second one."""
        if row["status"] != "running" or not row["folds_planned"]:
            self._begun.pop(topic, None)
            return None
        now = time.monotonic()
        since, before = self._begun.setdefault(topic, (now, row["folds_present"]))
        done = row["folds_present"] - before
        return None if done < 1 else round((now - since) / done * (row["folds_planned"] - row["folds_present"]))


def _ids(kind: str, topics: Iterable[str]) -> list[str]:
    return [topic.removeprefix(f"{kind}:") for topic in topics if topic.startswith(f"{kind}:")]


def _state_of_run(row: dict[str, Any]) -> dict[str, Any]:
    return {"topic": f"run:{row['run_id']}", **{name: row[name] for name in ("dataset_id", "status", "folds_present", "folds_planned")}}


def _state_of_selection(row: dict[str, Any]) -> dict[str, Any]:
    progress = row["progress"] or {}
    counts = {name: progress.get(name) for name in ("permutations_done", "permutations")}
    return {"topic": f"lfs:{row['lfs_id']}", "dataset_id": row["dataset_id"], "status": row["status"], **counts}


def _event(progress: Progress) -> bytes:
    return f"id: {progress.number}\nevent: progress\ndata: {json.dumps(progress.data)}\n\n".encode()
