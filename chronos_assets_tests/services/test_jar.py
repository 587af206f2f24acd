"""The QuestDB jar: nothing is used before its digest was compared, and a failed download says what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chronos_assets.errors import ServiceStartError
from chronos_assets.services import jar
from chronos_assets.services.jar import Fetch, questdb_jar
from chronos_assets.settings import Settings, load_settings

JAR_NAME = f"questdb-{jar.VERSION}.jar"


@pytest.fixture
def good_jar(settings: Settings) -> Path:
    """The verified jar that the servers of this run use."""
    return questdb_jar(settings, lambda line: None)


def fetching(source: Path, calls: list[Path]) -> Fetch:
    """Puts a copy of `source` where the download would lie."""

    def fetch(folder: Path) -> Path:
        calls.append(folder)
        folder.mkdir()
        return Path(shutil.copy(source, folder / JAR_NAME))

    return fetch


def test_the_jar_is_fetched_once(good_jar: Path, tmp_path: Path) -> None:
    """The first use fetches into the cache, the second takes it from there; no other file stays."""
    settings, calls, said = load_settings(cache=tmp_path / "cache"), list[Path](), list[str]()
    for _ in range(2):
        found = questdb_jar(settings, said.append, fetch=fetching(good_jar, calls))
        assert found == tmp_path / "cache" / JAR_NAME
    assert len(calls) == len(said) == 1
    assert [entry.name for entry in settings.cache.iterdir()] == [JAR_NAME]


def test_a_damaged_jar_in_the_cache_is_fetched_again(good_jar: Path, tmp_path: Path) -> None:
    """A cached file with another digest is never used, but replaced, and that is said."""
    settings, calls, said = load_settings(cache=tmp_path), list[Path](), list[str]()
    (tmp_path / JAR_NAME).write_bytes(good_jar.read_bytes()[:-1])
    assert jar.digest(questdb_jar(settings, said.append, fetch=fetching(good_jar, calls))) == jar.SHA256
    assert "damaged" in said[0]


def test_a_download_that_is_something_else_is_thrown_away(tmp_path: Path) -> None:
    """What has another digest never gets the jar's name."""
    (tmp_path / "page.html").write_text("please log in")
    calls: list[Path] = []
    with pytest.raises(ServiceStartError) as caught:
        questdb_jar(load_settings(cache=tmp_path / "cache"), lambda line: None, fetch=fetching(tmp_path / "page.html", calls))
    assert caught.value.code == "questdb_jar_mismatch"
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network there is one sentence, and the setting that helps."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(ServiceStartError) as caught:
        questdb_jar(load_settings(cache=tmp_path), lambda line: None)
    assert caught.value.code == "questdb_download_failed"
    assert "CHRONOS_QUESTDB_JAR" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_jar_that_one_has_is_taken_where_it_lies(good_jar: Path, tmp_path: Path) -> None:
    """CHRONOS_QUESTDB_JAR needs no download and no cache."""
    settings = load_settings(cache=tmp_path / "cache", questdb_jar=good_jar)
    assert questdb_jar(settings, lambda line: None) == good_jar
    assert not settings.cache.exists()


@pytest.mark.parametrize(("content", "code"), [(b"other", "questdb_jar_mismatch"), (None, "questdb_jar_unreadable")])
def test_a_given_jar_that_is_not_the_pinned_one_is_refused(tmp_path: Path, content: bytes | None, code: str) -> None:
    """The digest of a given jar is compared like that of a fetched one."""
    given = tmp_path / "given.jar"
    if content is not None:
        given.write_bytes(content)
    with pytest.raises(ServiceStartError) as caught:
        questdb_jar(load_settings(questdb_jar=given), lambda line: None)
    assert caught.value.code == code
