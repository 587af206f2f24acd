"""A pool whose owner is killed leaves no process behind: neither workers nor the fork server."""

from __future__ import annotations

import subprocess
import sys

import psutil

OWNER = """
import multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from chronos_assets.orchestration.parent_watch import end_with_parent
if __name__ == "__main__":
    pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("forkserver"), initializer=end_with_parent)
    busy = [pool.submit(time.sleep, 600) for _ in range(2)]
    print(pool.submit(os.getpid) and "started", flush=True)
    while not all(one.running() for one in busy):
        time.sleep(0.01)
    print("busy", flush=True)
    time.sleep(600)
"""


def test_workers_and_the_fork_server_end_when_their_owner_is_killed() -> None:
    """SIGKILL of the owner while its workers are busy: all of its processes are gone a moment later."""
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        for line in owner.stdout:
            if line == "busy\n":
                break
        family = psutil.Process(owner.pid).children(recursive=True)
        while len([one for one in family if one.is_running()]) < 3:
            family = psutil.Process(owner.pid).children(recursive=True)
        owner.kill()
        _, alive = psutil.wait_procs(family, timeout=60)
        assert alive == []
