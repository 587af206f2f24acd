"""The cache that makes QuestDB's start cheap: Java takes it, and a start never fails for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chronos_assets.services import embedded, jar, locks, start_cache
from chronos_assets.services.launch import Launch
from chronos_assets.services.places import Places
from chronos_assets.services.questdb import EmbeddedQuestDB
from chronos_assets.services.start_cache_maker import make
from chronos_assets.services.state import passwords
from chronos_assets.settings import Settings, load_settings


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with a cache of downloads of its own, beside the verified jar of this run."""
    server_jar = jar.questdb_jar(settings, lambda line: None)
    (tmp_path / "cache").mkdir()
    return load_settings(home=tmp_path / "home", cache=tmp_path / "cache", questdb_jar=server_jar)


@contextmanager
def running_questdb(own: Settings, *java_options: str) -> Iterator[str]:
    """A QuestDB that was started with these options (none: as a start of ours) and answers; gives its log."""
    places = Places.of(own)
    places.create()
    server = EmbeddedQuestDB(own, places, passwords(places.passwords), durable=False, java_options=java_options or None)
    launch = Launch(server, lambda line: None)
    try:
        launch.begin()
        launch.finish()
        yield places.log(server.name).read_text(errors="replace")
    finally:
        embedded.stop(server)


def test_java_takes_the_cache_and_a_damaged_one_hinders_no_start(own: Settings) -> None:
    """AOTMode=on ends Java if it cannot use the cache; without it, a cache with changed bytes is found out and left aside."""
    assert own.questdb_jar is not None
    made = make(own.questdb_jar, own.cache, own.questdb_memory)
    assert [path.name for path in own.cache.iterdir()] == [made.name]
    options = start_cache.java_options(own.questdb_jar, own.cache)
    assert f"-XX:AOTCache={made}" in options
    with running_questdb(own, *options, "-XX:AOTMode=on") as log:
        assert "Checksum" not in log
    with made.open("r+b") as file:
        for place in range(1_000_000, made.stat().st_size, 1_000_000):
            file.seek(place)
            file.write(b"\xa5" * 64)
    with running_questdb(own) as log:
        assert "Checksum verification failed" in log


def test_without_a_cache_java_is_told_nothing(own: Settings) -> None:
    """No option names a file that is not there."""
    assert own.questdb_jar is not None
    assert start_cache.java_options(own.questdb_jar, own.cache) == []


def test_one_process_makes_it(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """None is begun while another makes the cache, nor if it is there, nor if the folder cannot be written."""
    begun: list[object] = []
    monkeypatch.setattr(start_cache.processes, "spawn_detached", lambda command, **rest: begun.append(command))
    assert own.questdb_jar is not None
    lock = locks.try_lock(own.cache / "start_cache.lock")
    assert lock is not None
    start_cache.make_in_background(own.questdb_jar, own.cache, "512m")
    os.close(lock)
    start_cache.make_in_background(own.questdb_jar, own.cache / "missing", "512m")
    assert begun == []
    start_cache.make_in_background(own.questdb_jar, own.cache, "512m")
    assert len(begun) == 1
    start_cache.cache_of(own.questdb_jar, own.cache).touch()
    start_cache.make_in_background(own.questdb_jar, own.cache, "512m")
    assert len(begun) == 1
