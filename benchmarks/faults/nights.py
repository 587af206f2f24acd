"""`python -m benchmarks.faults.nights [--nights 10] [--busy 2] [--freeze 60]`: nights on a machine that has no time for them.

`chronos dev` runs beside `--busy` processes that use a core each. Every night each dataset grows, the schedule asks for its run, and as
soon as it did the code servers are held for `--freeze` seconds (SIGSTOP): they hear nothing and answer nothing. A night is over when the
registry holds every new bar. Counted are runs that failed and alerts that were sent: there should be none of either.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter
from pydantic import SecretStr

from benchmarks.faults.dagster import FIRST_ROWS, WORDS, Dev, append, command, until, wait_right
from chronos_assets.cli.supervisor import session_members
from chronos_assets.orchestration.instance import open_instance
from chronos_assets.orchestration.liveness import ACTIVE
from chronos_assets.orchestration.run_tags import NIGHT_TAG
from chronos_assets.storage.stores import open_stores
from chronos_assets.testing import temporary_servers
from chronos_assets_tests.support.dagster_data import write_dataset

DATASETS = 4
EVERY_MINUTES = 5
HOUR = 3600


@contextmanager
def alerts() -> Iterator[tuple[str, list[str]]]:
    """A webhook on loopback: its address, and the lines that it was sent."""
    lines: list[str] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            lines.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", lines
    finally:
        server.shutdown()


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that use a core each."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def hold(dev: Dev, seconds: float) -> int:
    """Stop the code servers for so long; how many there are."""
    servers = [p for p in session_members(dev.session) if any(word in command(p) for word in WORDS["code server"])]
    for server in servers:
        server.send_signal(signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        for server in servers:
            try:
                server.send_signal(signal.SIGCONT)
            except psutil.NoSuchProcess:
                continue
    return len(servers)


def asked(instance: DagsterInstance, known: set[str]) -> bool:
    """Whether a night asked for runs that were not there before."""
    runs = instance.get_runs(RunsFilter(statuses=[*ACTIVE, DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE]), limit=DATASETS)
    return any(NIGHT_TAG in run.tags and run.run_id not in known for run in runs)


def main() -> int:
    """Let the nights pass, and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=10)
    parser.add_argument("--busy", type=int, default=2)
    parser.add_argument("--freeze", type=float, default=60.0)
    options = parser.parse_args()
    slugs = [f"night{number}_1d_v1" for number in range(DATASETS)]
    with temporary_servers(durable=True, manifest_settle_seconds=0) as (own, connections), alerts() as (webhook, told), busy(options.busy):
        changed = {
            "manifest_settle_seconds": 0.5,
            "manifest_poll_seconds": HOUR,  # the sensor looks once at the start: the nights are the schedule's
            "nightly_cron": f"*/{EVERY_MINUTES} * * * *",
            "alert_webhook": SecretStr(webhook),
            "dagster_port": 3976,
        }
        settings, rows = own.model_copy(update=changed), FIRST_ROWS
        for slug in slugs:
            write_dataset(settings.exports_dir, slug, rows=rows, change=lambda m: m.update(on_change="grow"))
        stores, dev = open_stores(connections, settings), Dev(settings)
        try:
            with open_instance(settings, captured_output=False) as instance:
                wait_right(dev, instance, stores, slugs, rows, what="the first bars are published")
                for night in range(1, options.nights + 1):
                    known, rows = {run.run_id for run in instance.get_runs()}, rows + 5
                    append(settings.exports_dir, slugs, rows)
                    until(lambda known=known: asked(instance, known), "the night asks for runs")
                    held = hold(dev, options.freeze)
                    seconds = wait_right(dev, instance, stores, slugs, rows, what=f"night {night} is over")
                    ended = Counter(run.status.value for run in instance.get_runs() if run.run_id not in known)
                    print(f"night {night:>2}: {held} code servers held, over {seconds:5.0f} s later, runs {dict(ended)}", flush=True)
                failed = instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]))
        finally:
            dev.stop()
    nights = f"{options.nights} nights of {DATASETS} datasets"
    print(f"{nights}: {len(failed)} runs lost, {len(told)} alerts; chronos dev started {dev.starts} times")
    for line in told:
        print(f"  {line}")
    return 1 if failed or told else 0


if __name__ == "__main__":
    sys.exit(main())
