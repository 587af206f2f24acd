"""Servers and the commands that start them, killed at any moment: the next start works, and nothing runs twice or is left over."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import requests

from chronos_assets import services
from chronos_assets.services import Connections, processes
from chronos_assets.settings import Settings
from chronos_assets.testing import dispose, process_environment
from chronos_assets_tests.conftest import settings_for

MakeSettings = Callable[..., Settings]

ELSEWHERE = "http::addr=127.0.0.1:9;"  # with it only Postgres is embedded, which starts in a second

# Starts the servers and kills itself, without any chance to clean up, at the N-th record it is about to write. The records of
# each server are: its ports (nothing runs yet), its process (it runs and boots), ready (it answers, its databases are made).
DEADLY_START = """
import os, signal, sys
from chronos_assets import services
from chronos_assets.services import state
from chronos_assets.settings import load_settings
write, left = state.save_record, [int(sys.argv[1])]
def deadly(path, record):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, record)
state.save_record = deadly
services.start(load_settings(), durable=False)
"""


def our_processes(settings: Settings) -> dict[str, list[psutil.Process]]:
    """Every living process that works below this home, by what it is."""
    found: dict[str, list[psutil.Process]] = {"java": [], "postmaster": [], "postgres child": [], "other": []}
    home = str(settings.home)
    for process in psutil.process_iter():
        words, folder = processes.command_line(process), processes.folder_of(process)
        if not processes.is_alive(process) or not (folder.startswith(home) or any(home in word for word in words)):
            continue
        name = Path(words[0]).name if words else ""
        kind = {"java": "java", "postgres": "postmaster"}.get(name, "postgres child" if name.startswith("postgres:") else "other")
        found[kind].append(process)
    return found


def assert_one_set_answers(settings: Settings, connections: Connections) -> None:
    """Exactly one server of each embedded kind runs below this home, and takes queries."""
    found: dict[str, list[psutil.Process]] = {}

    def settled() -> bool:
        # A child that Postgres has just forked has no title of its own for a moment.
        found.update(our_processes(settings))
        return len(found["postmaster"]) == 1 and not found["other"]

    processes.wait_until(settled, 10.0)
    assert (len(found["java"]), len(found["postmaster"]), found["other"]) == (int("questdb" in connections.embedded), 1, [])
    with psycopg.connect(connections.postgres_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM pg_database WHERE datname IN ('chronos', 'dagster')").fetchone() == (2,)
    if not found["java"]:
        return
    auth = (connections.questdb_user or "", connections.questdb_password or "")
    answer = requests.get(f"{connections.questdb_url}/exec", params={"query": "select 1"}, auth=auth, timeout=120)
    assert answer.status_code == 200


@pytest.fixture(scope="module")
def running(test_home: Path) -> Iterator[tuple[Settings, Connections]]:
    """A set of servers that may be killed, shared by the tests of this module."""
    settings = settings_for(home=test_home / "killed")
    try:
        yield settings, services.start(settings, durable=False)
    finally:
        dispose(settings)


def test_every_server_killed_in_turn_comes_back_with_its_data(running: tuple[Settings, Connections]) -> None:
    """After SIGKILL of the JVM, the postmaster, one of its children, or everything, a start brings back what was committed."""
    settings, connections = running
    with psycopg.connect(connections.postgres_dsn) as connection:
        connection.execute("CREATE TABLE kept (value int)")
    victims: list[Callable[[dict[str, list[psutil.Process]]], list[psutil.Process]]] = [
        lambda found: found["java"],
        lambda found: found["postmaster"],
        lambda found: found["postgres child"][:1],
        lambda found: [*found["java"], *found["postmaster"], *found["postgres child"]],
    ]
    for choose in victims:
        doomed = choose(our_processes(settings))
        assert doomed
        for process in doomed:
            process.kill()
        psutil.wait_procs(doomed, timeout=120)
        again = services.start(settings, durable=False)
        assert again == connections
        _until(lambda: len(our_processes(settings)["postmaster"]) == 1)
        _until(lambda: _query(connections.postgres_dsn, "SELECT count(*) FROM kept") == 0)
        assert_one_set_answers(settings, again)
    assert _shared_memory_segments(settings) == 1


@pytest.mark.parametrize(("elsewhere", "record"), [(None, 2), (ELSEWHERE, 1), (ELSEWHERE, 2), (ELSEWHERE, 3)])
def test_a_start_killed_half_way_is_finished_by_the_next(make_settings: MakeSettings, elsewhere: str | None, record: int) -> None:
    """A starter that dies before it has written down what it spawned leaves nothing that the next start does not find."""
    settings = make_settings(questdb_conf=elsewhere)
    starter = subprocess.run([sys.executable, "-c", DEADLY_START, str(record)], env=process_environment(settings), check=False, timeout=600)
    assert starter.returncode == -signal.SIGKILL
    connections = services.start(settings, durable=False)
    assert_one_set_answers(settings, connections)
    services.stop(settings)
    assert not any(our_processes(settings).values())


def test_a_start_killed_while_the_databases_are_made_is_repeated(make_settings: MakeSettings) -> None:
    """An initdb that has lost its command is ended, and its half-made folder is not taken for data."""
    settings = make_settings(questdb_conf=ELSEWHERE)
    with subprocess.Popen([sys.executable, "-c", DEADLY_START, "99"], env=process_environment(settings)) as starter:
        _until(lambda: any("initdb" in p.name() for p in our_processes(settings)["other"]), seconds=60)
        starter.kill()
    connections = services.start(settings, durable=False)
    assert_one_set_answers(settings, connections)


def test_four_commands_at_once_share_one_set(make_settings: MakeSettings) -> None:
    """Commands that start at the same moment wait for each other, and all get the same servers."""
    settings = make_settings()
    command = [sys.executable, "-c", "from chronos_assets.cli.main import main; main()", "services", "start", "--json"]
    starters = [
        subprocess.Popen(command, env=process_environment(settings), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(4)
    ]
    outputs = [starter.communicate(timeout=600)[0] for starter in starters]
    assert [starter.returncode for starter in starters] == [0, 0, 0, 0]
    pids = {tuple(entry["pid"] for entry in json.loads(output)["services"]) for output in outputs}
    assert len(pids) == 1
    assert_one_set_answers(settings, services.connect(settings, start=False))


def test_a_stop_that_was_killed_is_finished_by_the_next(running: tuple[Settings, Connections]) -> None:
    """Stopping again after a stop was cut short, or when nothing runs, ends everything and says what ran."""
    settings, _ = running
    processes.end(our_processes(settings)["java"], [(signal.SIGTERM, 20.0)])
    assert services.stop(settings) == ["postgres"]
    assert not any(our_processes(settings).values())
    assert services.stop(settings) == []


def _query(dsn: str, statement: str) -> object:
    try:
        with psycopg.connect(dsn) as connection:
            row = connection.execute(statement).fetchone()
    except psycopg.OperationalError:
        return None
    return row[0] if row else None


def _until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    assert processes.wait_until(condition, seconds)


def _shared_memory_segments(settings: Settings) -> int:
    """System V segments of this Postgres, whose key is the number of its data folder; a killed server must not leave one behind."""
    number = Path(str(services.status(settings)[1].data_dir)).stat().st_ino & 0xFFFFFFFF
    table = Path("/proc/sysvipc/shm")
    keys = [int(line.split()[0]) & 0xFFFFFFFF for line in table.read_text().splitlines()[1:]] if table.exists() else [number]
    return sum(1 for key in keys if number <= key < number + 8)
