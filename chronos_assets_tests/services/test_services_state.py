"""What is written down about the servers, the locks between commands, and the ports."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chronos_assets.errors import ServiceStartError
from chronos_assets.services import locks, places, ports, state
from chronos_assets.services.state import ServerRecord
from chronos_assets.storage.atomic_write import temporary_name


def record(name: str = "questdb") -> ServerRecord:
    return ServerRecord(name=name, version="1", data_dir="/data", ports={"http": 9000}, pid=7, process_started_at=1.5, ready=True)


def test_records_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Each server's record is kept beside the other's."""
    path = tmp_path / "state.json"
    state.save_record(path, record("questdb"))
    state.save_record(path, record("postgres"))
    assert state.load_records(path) == {"questdb": record("questdb"), "postgres": record("postgres")}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"servers": {"questdb": {"name": 1}}}', '{"servers": 3}', '{"servers": {"questdb": 3}}'])
def test_a_state_that_cannot_be_read_counts_as_empty(tmp_path: Path, text: str) -> None:
    """The processes are the truth, so a broken file costs nothing but a search."""
    path = tmp_path / "state.json"
    path.write_text(text)
    assert state.load_records(path) == {}


def test_a_state_with_fields_of_a_later_version_is_read(tmp_path: Path) -> None:
    """Unknown fields are left out, so an older version can stop the servers of a newer one."""
    path = tmp_path / "state.json"
    state.save_record(path, record())
    path.write_text(path.read_text().replace('"pid"', '"colour": 1, "pid"'))
    assert state.load_records(path) == {"questdb": record()}


def test_passwords_are_generated_once_and_only_the_owner_can_read_them(tmp_path: Path) -> None:
    """The file has mode 0600 whatever the umask; the passwords differ, stay, and are not in the repr."""
    path = tmp_path / "passwords.json"
    old = os.umask(0)
    try:
        first = state.passwords(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert state.passwords(path) == first
    assert len({first.questdb_http, first.questdb_pg, first.postgres}) == 3
    assert first.postgres not in repr(first)


def test_a_password_file_that_others_could_read_is_closed(tmp_path: Path) -> None:
    """Somebody's chmod is undone at the next use."""
    path = tmp_path / "passwords.json"
    state.passwords(path)
    path.chmod(0o644)
    state.passwords(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_lock_is_held_by_whoever_inherits_it(tmp_path: Path) -> None:
    """A child keeps the lock after its parent closed it, and its death, however sudden, gives it back."""
    path = tmp_path / "server.lock"
    descriptor = locks.try_lock(path)
    assert descriptor is not None
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(descriptor,)) as child:
        os.close(descriptor)
        assert locks.is_locked(path)
        child.kill()
    assert not locks.is_locked(path)


def test_waiting_for_the_start_lock_ends_with_a_clear_message(tmp_path: Path) -> None:
    """Whoever waits is told once, and gets an error that says what is going on."""
    path = tmp_path / "start.lock"
    told: list[None] = []
    with (
        locks.start_lock(path, timeout_seconds=1, waiting=lambda: None),
        pytest.raises(ServiceStartError, match="another command") as caught,
        locks.start_lock(path, timeout_seconds=0.3, waiting=lambda: told.append(None)),
    ):
        pass
    assert caught.value.code == "services_busy"
    assert told == [None]


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    """The preferred port is used where it is free, and never where somebody listens or it is promised already."""
    with socket.socket() as holder:
        holder.bind((ports.LOOPBACK, 0))
        holder.listen()
        taken = int(holder.getsockname()[1])
        assert not ports.is_free(taken)
        assert ports.choose(taken) != taken
    assert ports.choose(taken) == taken
    assert ports.choose(taken, {taken}) != taken


def test_a_port_taken_on_all_addresses_counts_as_taken() -> None:
    """A server that listens everywhere also has the loopback."""
    with socket.socket() as holder:
        holder.bind(("", 0))
        holder.listen()
        assert not ports.is_free(int(holder.getsockname()[1]))


def test_an_empty_folder_is_marked_and_stays_ours(tmp_path: Path) -> None:
    """A folder that was empty becomes ours, also when an earlier marking was cut short, and is taken again later."""
    temporary_name(tmp_path / places.MARKER).write_text("{")
    places.check_marker(tmp_path, "questdb", "9.3.4")
    (tmp_path / "data").mkdir()
    places.check_marker(tmp_path, "questdb", "9.4.0")


def test_a_folder_of_a_newer_server_is_refused_with_both_versions(tmp_path: Path) -> None:
    """A server that has run once names itself as the last one; an older one leaves the data alone and says what to do."""
    places.check_marker(tmp_path, "questdb", "9.3.4")
    places.check_marker(tmp_path, "questdb", "9.4.0")
    with pytest.raises(ServiceStartError, match=r"newer program.*9\.3\.4 at most.*9\.4\.0.*Update chronos_assets") as caught:
        places.check_marker(tmp_path, "questdb", "9.3.4")
    assert caught.value.code == "home_newer"


@pytest.mark.parametrize(("kind", "version"), [("postgres", "9.3.4"), ("questdb", "10.0.0")])
def test_a_folder_of_another_server_is_refused(tmp_path: Path, kind: str, version: str) -> None:
    """Another server, or another major version, does not touch the data."""
    places.check_marker(tmp_path, "questdb", "9.3.4")
    with pytest.raises(ServiceStartError) as caught:
        places.check_marker(tmp_path, kind, version)
    assert caught.value.code == "foreign_data_directory"


def test_a_folder_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Somebody's files are neither used nor marked."""
    (tmp_path / "precious").touch()
    with pytest.raises(ServiceStartError) as caught:
        places.check_marker(tmp_path, "questdb", "9.3.4")
    assert caught.value.code == "foreign_data_directory"
    assert [entry.name for entry in tmp_path.iterdir()] == ["precious"]
