"""A Ray cluster that fails: `python -m benchmarks.faults.cluster [--workers-killed 5] [--heads-killed 2]`.

A head of two CPUs runs on this machine, and `chronos walkforward` reaches it by its client port, as from a laptop. Trials:

- workers are killed in the middle of folds: the run completes;
- the head and everything of it is killed: the command ends with status 4 within 45 seconds, starts no Ray of its own, keeps what was
  stored, and the same line goes on once the cluster is back;
- nobody listens, the address is that of the nodes, the token is wrong: one sentence and the right status.

In the end the run equals one on threads, prediction by prediction. Needs the extra `ray`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from chronos_assets.services import ports
from chronos_assets.storage.runs import get_folds, list_runs, read_predictions
from chronos_assets.storage.stores import Stores
from chronos_assets.testing import process_environment, temporary_stores
from chronos_assets_tests.support.walkforward_data import make_bars, publish

ON_RAY, ON_THREADS = "ray_1d_v1", "threads_1d_v1"
FOLDS = 150
SIZES = ["--horizon=3", "--train-size=200", "--test-size=2", "--gap=2", "--set=model.rounds=400", "--set=model.early_stopping=0"]
COMMAND = [sys.executable, "-c", "from chronos_assets.cli.main import main; main()", "walkforward"]
HEAD_SECONDS, GONE_SECONDS = 180.0, 45.0


class Cluster:
    """A head node on this machine: started and killed at will, always at the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.client_port = ports.free(), ports.free()
        self.address = f"ray://127.0.0.1:{self.client_port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, token: str | None = None) -> None:
        """Start the head; returns when its client port listens."""
        shutil.rmtree(self.folder, ignore_errors=True)
        command = [Path(sys.executable).with_name("ray"), "start", "--head", "--block", f"--port={self.port}", "--num-cpus=2"]
        command += [f"--ray-client-server-port={self.client_port}", "--include-dashboard=false", f"--temp-dir={self.folder}"]
        environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", **authentication(token)}
        self._process = subprocess.Popen(
            list(map(str, command)), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + HEAD_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.client_port), 1):
                return
            time.sleep(0.2)
        raise TimeoutError(f"no Ray head after {HEAD_SECONDS:.0f} s")

    def processes(self) -> list[psutil.Process]:
        """The head and all that it started."""
        if self._process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            head = psutil.Process(self._process.pid)
            return [head, *head.children(recursive=True)]
        return []

    def kill(self) -> None:
        """SIGKILL to all of it."""
        ended = self.processes()
        for process in ended:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(ended, timeout=30)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def kill_a_worker(self) -> bool:
        """SIGKILL to one worker that trains a fold; False if none does now."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "train_fold" in " ".join(process.cmdline()):
                    process.kill()
                    return True
        return False


def authentication(token: str | None) -> dict[str, str]:
    """Ray's variables for a token, or for none."""
    return {"RAY_AUTH_MODE": "disabled"} if token is None else {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}


def begin(stores: Stores, slug: str, address: str | None, token: str | None = None) -> subprocess.Popen[str]:
    """Start `chronos walkforward`; on threads without an address."""
    ray = {} if address is None else {"CHRONOS_EXECUTOR": "ray", "CHRONOS_RAY_ADDRESS": address, **authentication(token)}
    environment = process_environment(stores.settings) | ray
    return subprocess.Popen(
        [*COMMAND, slug, *SIZES, "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stored(stores: Stores) -> int:
    """Folds of the run on Ray that are stored."""
    runs = list_runs(stores.postgres, ON_RAY)
    return len(get_folds(stores.postgres, runs[0].run_id)) if runs else 0


def until_stored(stores: Stores, process: subprocess.Popen[str], count: int) -> None:
    """Wait until `count` folds are stored, or the process has ended."""
    while process.poll() is None and stored(stores) < count:
        time.sleep(0.2)


def own_rays(cluster: Cluster) -> int:
    """Ray's node processes on this machine that are not the cluster's."""
    known = {process.pid for process in cluster.processes()}
    return sum(one.info["name"] == "raylet" and one.pid not in known for one in psutil.process_iter(["name"]))


def ended(process: subprocess.Popen[str], what: str, status: int, words: str) -> str:
    """Wait for the end and judge it: exit status, one sentence with `words`, no traceback."""
    _, said = process.communicate(timeout=600)
    last = said.strip().splitlines()[-1] if said.strip() else ""
    assert process.returncode == status, f"{what}: exit {process.returncode}, expected {status}: {said[-2000:]}"
    assert words in said, f"{what}: {words!r} is not said: {said[-2000:]}"
    assert "Traceback" not in said, f"{what}: {said[-3000:]}"
    print(f"{what}: exit {status}: {last[:230]}", flush=True)
    return said


def campaign(stores: Stores, cluster: Cluster, workers_killed: int, heads_killed: int) -> dict[str, Any]:
    bars = make_bars(200 + 2 + 2 * FOLDS)
    for slug in (ON_RAY, ON_THREADS):
        publish(stores, slug, bars)
    ended(begin(stores, ON_RAY, cluster.address), "nobody listens", 4, "Ray cannot be reached")
    ended(begin(stores, ON_RAY, f"127.0.0.1:{cluster.port}"), "address of the nodes", 2, "ray://127.0.0.1:10001")
    slowest, before = 0.0, own_rays(cluster)
    cluster.start(secrets.token_hex(16))
    ended(begin(stores, ON_RAY, cluster.address, secrets.token_hex(16)), "wrong token", 4, "RAY_AUTH_MODE")
    cluster.kill()
    for number in range(heads_killed):
        cluster.start()
        process, kept = begin(stores, ON_RAY, cluster.address), stored(stores)
        until_stored(stores, process, kept + 5)
        assert process.poll() is None, process.communicate()
        cluster.kill()
        at = time.monotonic()
        ended(process, f"head killed {number + 1}", 4, "call the same line again")
        slowest = max(slowest, time.monotonic() - at)
        assert stored(stores) >= kept + 5
    strangers = own_rays(cluster) - before
    cluster.start()
    process, killed = begin(stores, ON_RAY, cluster.address), 0
    while process.poll() is None and killed < workers_killed:
        killed += cluster.kill_a_worker()
        time.sleep(1)
    out, said = process.communicate(timeout=900)
    assert process.returncode == 0, said[-3000:]
    document = json.loads(out)
    cluster.kill()
    threads, _ = begin(stores, ON_THREADS, None).communicate(timeout=900)
    mine, theirs = (read_predictions(stores, one["run_id"]) for one in (document, json.loads(threads)))
    return {
        "heads killed": heads_killed,
        "slowest end after a head was killed, s": round(slowest, 1),
        "rays started on this machine": strangers,
        "workers killed": killed,
        "folds": document["folds_planned"],
        "folds trained by the last line": document["folds_trained"],
        "predictions equal those on threads": mine.equals(theirs),
    }


@contextlib.contextmanager
def a_cluster() -> Iterator[Cluster]:
    """A cluster that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        cluster = Cluster(Path(folder) / "r")
        try:
            yield cluster
        finally:
            cluster.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers-killed", type=int, default=5)
    parser.add_argument("--heads-killed", type=int, default=2)
    options = parser.parse_args()
    with temporary_stores() as stores, a_cluster() as cluster:
        outcome = campaign(stores, cluster, options.workers_killed, options.heads_killed)
    print(json.dumps(outcome, indent=2))
    held = outcome["slowest end after a head was killed, s"] <= GONE_SECONDS and not outcome["rays started on this machine"]
    return 0 if held and outcome["predictions equal those on threads"] else 1


if __name__ == "__main__":
    sys.exit(main())
