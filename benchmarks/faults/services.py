"""Kill the servers, and the command that starts or stops them, at random moments; after each, one start must bring back one set.

    uv run python benchmarks/faults/services.py --rounds 30 --seed 1

Prints one line per round, then a summary; exits 1 at the first round that leaves two of anything, or none.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import psycopg
import requests

from chronos_assets import services
from chronos_assets.services import processes
from chronos_assets.settings import Settings, load_settings

COMMAND = [sys.executable, "-c", "from chronos_assets.cli.main import main; main()", "services"]
VICTIMS = ("start", "start", "start", "stop", "java", "postmaster", "postgres child", "everything")


def alive_below(home: Path) -> dict[str, list[psutil.Process]]:
    """Living processes that work below `home`, by kind."""
    found: dict[str, list[psutil.Process]] = {"java": [], "postmaster": [], "postgres child": [], "other": []}
    for process in psutil.process_iter():
        words, folder = processes.command_line(process), processes.folder_of(process)
        if not processes.is_alive(process) or not (folder.startswith(str(home)) or any(str(home) in word for word in words)):
            continue
        name = Path(words[0]).name if words else ""
        kind = {"java": "java", "postgres": "postmaster"}.get(name, "postgres child" if name.startswith("postgres:") else "other")
        found[kind].append(process)
    return found


def kill_command(what: str, environment: dict[str, str], delay: float) -> str:
    """Run `chronos services start|stop` and kill it after `delay` seconds, unless it was faster."""
    with subprocess.Popen([*COMMAND, what], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as command:
        try:
            command.wait(delay)
        except subprocess.TimeoutExpired:
            command.kill()
    return f"`services {what}` killed after {delay:.2f} s" if command.returncode == -signal.SIGKILL else f"`services {what}` had ended"


def kill_servers(victim: str, home: Path) -> str:
    """SIGKILL the processes of one kind, or all of them."""
    found = alive_below(home)
    doomed = [p for kind in found for p in found[kind]] if victim == "everything" else found[victim][:1]
    for process in doomed:
        process.kill()
    return f"{victim} killed ({len(doomed)} processes)"


def verify(settings: Settings) -> float:
    """Start, and check that exactly one set runs, answers and kept its row; returns the seconds of the start."""
    begun = time.perf_counter()
    connections = services.start(settings)
    seconds = time.perf_counter() - begun
    auth = (connections.questdb_user or "", connections.questdb_password or "")
    reply = requests.get(f"{connections.questdb_url}/exec", params={"query": "select count() from kept"}, auth=auth, timeout=30)
    assert reply.json()["dataset"] == [[1]], reply.text
    for _ in range(100):
        try:
            with psycopg.connect(connections.postgres_dsn) as connection:
                assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1,)
            break
        except psycopg.OperationalError:  # a killed child makes the postmaster restart the others
            time.sleep(0.1)
    found = alive_below(settings.home)
    counts = {kind: len(found[kind]) for kind in ("java", "postmaster", "other")}
    assert counts == {"java": 1, "postmaster": 1, "other": 0}, counts
    return seconds


def prepare(settings: Settings) -> None:
    """One row in each store, to be found again in every round."""
    connections = services.start(settings)
    auth = (connections.questdb_user or "", connections.questdb_password or "")
    for statement in ("create table kept (x long)", "insert into kept values (1)"):
        requests.get(f"{connections.questdb_url}/exec", params={"query": statement}, auth=auth, timeout=30).raise_for_status()
    with psycopg.connect(connections.postgres_dsn) as connection:
        connection.execute("CREATE TABLE kept (x int)")
        connection.execute("INSERT INTO kept VALUES (1)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="chronos-kills-"))
    folder.chmod(0o755)
    settings = load_settings(home=folder / "home")
    environment = {**os.environ, "CHRONOS_HOME": str(settings.home)}
    seconds = []
    try:
        prepare(settings)
        for number in range(1, options.rounds + 1):
            victim = chance.choice(VICTIMS)
            if victim == "start" and chance.random() < 0.8:
                services.stop(settings)
            if victim in ("start", "stop"):
                what = kill_command(victim, environment, chance.uniform(0.3, 4.0 if victim == "start" else 1.2))
            else:
                what = kill_servers(victim, settings.home)
            seconds.append(verify(settings))
            print(f"round {number:3}: {what}; one set again after {seconds[-1]:.2f} s", flush=True)
    finally:
        services.stop(settings)
        left = alive_below(settings.home)
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{options.rounds} rounds, start after a kill: median {statistics.median(seconds):.2f} s, longest {max(seconds):.2f} s")
    print(f"left running after stop: {sum(len(group) for group in left.values())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
