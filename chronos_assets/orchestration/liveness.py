"""Is the process of a run still alive? Dagster's default launcher cannot say; a process id with its start time can.

A run that was launched by the daemon reports its process id as an event; one that `chronos run` executes carries it as a tag.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence

import psutil
from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

WORKER_TAG = ".dagster/chronos_worker"  # the UI hides tags of that prefix
ACTIVE = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
UNDERWAY = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
_CLOCK_SLACK_SECONDS = 2.0


def this_worker() -> str:
    """`host:pid:start time` of this process, the value of `WORKER_TAG`."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def worker_state(instance: DagsterInstance, run: DagsterRun) -> tuple[bool | None, str]:
    """Whether the process of `run` lives (None: cannot tell from here), and that in words."""
    tag = run.tags.get(WORKER_TAG)
    if tag is not None:
        host, pid, started = tag.rsplit(":", 2)
        if host != socket.gethostname():
            return None, f"runs on {host}"
        return _words(_alive(int(pid), float(started)), int(pid))
    found = _reported_worker(instance, run)
    if found is None:
        return None, "no process has been reported"
    pid_, reported_at = found
    return _words(_alive(pid_, reported_at), pid_)


def run_under_way(instance: DagsterInstance, slug: str) -> DagsterRun | None:
    """The run that works on dataset `slug` now, or waits for its turn; None if there is none."""
    runs = instance.get_runs(RunsFilter(tags={"dagster/partition": slug}, statuses=ACTIVE))  # the newest first
    return next((run for run in runs if run.status in UNDERWAY), runs[-1] if runs else None)


def fail_dead_runs(instance: DagsterInstance, *, partition: str | None = None) -> list[str]:
    """Mark runs failed whose process is gone (killed, or the machine restarted); returns their ids."""
    tags = {"dagster/partition": partition} if partition else None
    dead = list(_dead(instance, instance.get_runs(RunsFilter(statuses=UNDERWAY, tags=tags))))
    for run, words in dead:
        instance.report_run_failed(run, f"The process of this run is gone ({words}); what it had finished is kept. Run it again to go on.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)  # its place in a pool would stay taken
    return [run.run_id for run, _ in dead]


def _dead(instance: DagsterInstance, runs: Sequence[DagsterRun]) -> Iterator[tuple[DagsterRun, str]]:
    for run in runs:
        alive, words = worker_state(instance, run)
        if alive is False:
            yield run, words


def _reported_worker(instance: DagsterInstance, run: DagsterRun) -> tuple[int, float] | None:
    for entry in instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT):
        event = entry.dagster_event
        if event is not None and (event.message or "").startswith("Started process for run (pid:"):
            return int(str(event.engine_event_data.metadata["pid"].value)), entry.timestamp
    return None


def _alive(pid: int, started: float) -> bool:
    """A process of that id that is not younger than the report: a recycled id is another process."""
    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= started + _CLOCK_SLACK_SECONDS)
    except psutil.NoSuchProcess:
        return False


def _words(alive: bool, pid: int) -> tuple[bool, str]:
    return alive, f"process {pid} is {'alive' if alive else 'gone'}"
