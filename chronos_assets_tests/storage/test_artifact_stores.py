"""Artifacts in a folder and in a bucket: the same answers, whole or not at all, and every failure one error that shows no secret."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from chronos_assets.errors import ChronosError, UsageError
from chronos_assets.settings import load_settings
from chronos_assets.storage.artifacts import packs, s3
from chronos_assets.storage.artifacts.opening import open_artifacts
from chronos_assets.storage.artifacts.range_cache import WHOLE, RangeCache
from chronos_assets.storage.artifacts.store import ArtifactStore
from chronos_assets_tests.support.s3_server import SECRET
from chronos_assets_tests.support.tcp_proxy import CuttingProxy, Moment

PACK = "walkforward/packs/0a.pack"
LARGE = bytes(range(256)) * 25_000  # goes up in two parts


def opened(artifacts: str | None, folder: Path) -> ArtifactStore:
    return open_artifacts(load_settings(artifacts=artifacts, home=folder / "home", cache=folder / "cache"))


@pytest.mark.parametrize("kind", ["home", "folder", "bucket"])
def test_every_kind_of_store_gives_the_same_answers(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Put, read, ranges (also past the end), sizes, lists and deletions, each also of what is not there."""
    where = {"home": lambda: None, "folder": (tmp_path / "shared").as_uri, "bucket": lambda: request.getfixturevalue("bucket")}
    store = opened(where[kind](), tmp_path)
    store.put({PACK: LARGE, "models/ab/x.model": b"model", "walkforward/ab/k.ubj": b""})
    store.put({"models/ab/x.model": b"newer"})
    for _ in range(2):  # the second time from the cache
        assert store.read(PACK) == LARGE
        assert store.read_ranges(PACK, [(0, 3), (256, 2), (6_399_999, 100), (7_000_000, 5), (9, 0)]) == [
            b"\0\1\2",
            b"\0\1",
            b"\xff",
            b"",
            b"",
        ]
        assert store.read("models/ab/x.model") == b"newer"
        assert store.read("walkforward/ab/k.ubj") == b""
    assert [(entry.name, entry.size) for entry in store.list("walkforward")] == [("walkforward/ab/k.ubj", 0), (PACK, len(LARGE))]
    assert [entry.name for entry in store.list("walk")] == []
    assert [entry.name for entry in store.list()] == ["models/ab/x.model", "walkforward/ab/k.ubj", PACK]
    assert (store.size(PACK), store.size("models/ab/y.model")) == (len(LARGE), None)
    assert store.read("models/ab/y.model") is store.read_ranges("models/ab/y.model", [(0, 1)]) is None
    assert (store.delete(PACK), store.delete(PACK)) == (len(LARGE), 0)
    assert store.read(PACK) is store.read_ranges(PACK, [(0, 3)]) is None
    assert store.remove_abandoned("walkforward") == 0
    assert store.address(PACK).endswith(f"/{PACK}")
    with pytest.raises(ValueError, match="no name"):
        store.read("../home/secret")


def test_what_was_read_once_is_not_sent_again(bucket_proxy: CuttingProxy, bucket: str, tmp_path: Path) -> None:
    """A second process of this machine gets ranges and whole artifacts from the cache, after it has asked whether they are as they were."""
    content = LARGE[:400_000]
    opened(bucket, tmp_path).put({PACK: content, "lfs/a.parquet": content})
    for _ in range(2):
        before = bucket_proxy.bytes_down
        store = opened(bucket, tmp_path)
        assert store.read_ranges(PACK, [(7, 300_000)]) == [content[7:300_007]]
        assert store.read("lfs/a.parquet") == content
        sent = bucket_proxy.bytes_down - before
    assert sent < 4_000
    other = opened(bucket, tmp_path / "another-machine")
    other.delete(PACK)
    other.put({"lfs/a.parquet": b"changed"})
    assert store.read_ranges(PACK, [(7, 300_000)]) is None
    assert store.read("lfs/a.parquet") == b"changed"


def test_a_damaged_cache_costs_only_time(bucket: str, tmp_path: Path) -> None:
    """Changed bytes are not given, and a file that is no database is replaced."""
    store = opened(bucket, tmp_path)
    store.put({PACK: b"abcdef"})
    assert store.read_ranges(PACK, [(1, 3)]) == [b"bcd"]
    [file] = (tmp_path / "cache" / "artifacts").glob("*.sqlite")
    assert file.stat().st_mode & 0o077 == 0
    with sqlite3.connect(file) as connection:
        assert connection.execute("UPDATE parts SET content = x'00'").rowcount == 1
    connection.close()
    assert opened(bucket, tmp_path).read_ranges(PACK, [(1, 3)]) == [b"bcd"]
    for path in (tmp_path / "cache" / "artifacts").iterdir():
        path.write_bytes(b"no database at all" * 1000)
    assert opened(bucket, tmp_path).read_ranges(PACK, [(1, 3)]) == [b"bcd"]
    assert opened(bucket, tmp_path).read(PACK) == b"abcdef"


def test_the_cache_throws_out_what_was_not_used_for_longest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays below its limit; what is too large for it is not kept; without a place for its file it keeps nothing."""
    clock = iter(range(0, 1_000_000, 10_000))
    monkeypatch.setattr("chronos_assets.storage.artifacts.range_cache.time.time", lambda: next(clock))
    cache = RangeCache(tmp_path / "c.sqlite", limit_bytes=1_000)
    for number in range(10):
        cache.keep(f"n{number}", "v1", {WHOLE: bytes(200)})
        assert cache.find("n0", "v1", [WHOLE]) == {WHOLE: bytes(200)}
    assert [number for number in range(10) if cache.version(f"n{number}")] == [0, 6, 7, 8, 9]
    cache.keep("large", "v1", {WHOLE: bytes(400)})
    cache.keep("n9", "v2", {(0, 1): b"x"})
    assert (cache.version("large"), cache.version("n9"), cache.find("n9", "v2", [(0, 1)])) == (None, None, {(0, 1): b"x"})
    (tmp_path / "file").touch()
    nowhere = RangeCache(tmp_path / "file" / "c.sqlite")
    nowhere.keep("a", "v", {WHOLE: b"x"})
    assert nowhere.find("a", "v", [WHOLE]) == {}


CALLS: dict[str, Callable[[ArtifactStore], object]] = {
    "put": lambda store: store.put({PACK: LARGE[:100_000]}),
    "put in parts": lambda store: store.put({PACK: LARGE}),
    "put several": lambda store: store.put({f"{PACK}{n}": b"x" for n in range(3)}),
    "read": lambda store: store.read(PACK),
    "range": lambda store: store.read_ranges(PACK, [(0, 10)]),
    "size": lambda store: store.size(PACK),
    "list": lambda store: list(store.list("walkforward")),
    "delete": lambda store: store.delete(PACK),
}


def refused(call: str, store: ArtifactStore) -> ChronosError:
    with pytest.raises(ChronosError) as caught:
        CALLS[call](store)
    error = caught.value
    assert (error.exit_code, bool(error.hint), error.__cause__, error.__context__) == (4, True, None, None)
    assert SECRET not in f"{error} {error.as_dict()}"
    return error


@pytest.mark.parametrize("call", CALLS)
def test_a_bucket_that_is_not_there_is_no_missing_artifact(call: str, bucket: str, tmp_path: Path) -> None:
    """Nothing is taken for gone, which would be trained again or forgotten, because the address is wrong."""
    assert refused(call, opened("s3://no-such-bucket/a", tmp_path)).code == "artifacts_bucket_missing"


def test_a_server_that_does_not_answer_is_one_sentence(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens at the address."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    error = refused("read", opened(bucket, tmp_path))
    assert (error.code, error.where) == ("artifacts_unreachable", {"place": f"{bucket}/{PACK}"})


@pytest.fixture
def strict(s3_server: tuple[str, int]) -> Iterator[None]:
    """The server asks whose key it is: nobody's."""
    where = f"http://{s3_server[0]}:{s3_server[1]}/moto-api/reset-auth"
    requests.post(where, data=b"0", timeout=60).raise_for_status()
    yield
    requests.post(where, data=b"inf", timeout=60).raise_for_status()


@pytest.mark.parametrize("call", CALLS)
def test_wrong_credentials_are_told_and_not_shown(call: str, strict: None, bucket: str, tmp_path: Path) -> None:
    """A refusal is no missing artifact, names the variables, and repeats nothing that was sent."""
    assert refused(call, opened(bucket, tmp_path)).code == "artifacts_denied"


@pytest.mark.parametrize("moment", ["before", "during", "amid", "after"])
@pytest.mark.parametrize("call", ["put", "put in parts"])
def test_a_put_that_is_cut_leaves_the_whole_or_nothing(
    call: str, moment: Moment, bucket_proxy: CuttingProxy, bucket: str, tmp_path: Path
) -> None:
    """The caller hears of it, readers find all or nothing, and the same call again is whole."""
    store = opened(bucket, tmp_path)
    bucket_proxy.arm(b"PUT", moment, times=100)
    assert refused(call, store).code == "artifacts_unreachable"
    bucket_proxy.disarm()
    assert store.size(PACK) in ({None, 100_000} if call == "put" else {None})
    CALLS[call](store)
    assert store.size(PACK) == (100_000 if call == "put" else len(LARGE))


@pytest.mark.parametrize("call", ["read", "range"])
def test_a_read_that_is_cut_gives_no_part(call: str, bucket_proxy: CuttingProxy, bucket: str, tmp_path: Path) -> None:
    """Not even to the cache; the same call again gives the whole."""
    store = opened(bucket, tmp_path)
    store.put({PACK: LARGE})
    bucket_proxy.arm(b"GET", "amid", times=100)
    assert refused(call, store).code == "artifacts_unreachable"
    bucket_proxy.disarm()
    assert CALLS[call](store) in (LARGE, [LARGE[:10]])


def test_a_cut_that_passes_is_not_noticed(bucket_proxy: CuttingProxy, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are repeated a few times before anybody hears of it."""
    monkeypatch.setattr(s3, "RETRIES", 3)
    store = opened(bucket, tmp_path)
    bucket_proxy.arm(b"PUT", "during", times=2)
    store.put({PACK: b"abc"})
    assert (bucket_proxy.cuts, store.read(PACK)) == (2, b"abc")


def test_a_pack_is_read_by_range(bucket_proxy: CuttingProxy, bucket: str, tmp_path: Path) -> None:
    """One member of a pack of megabytes costs its index and its own bytes."""
    store = opened(bucket, tmp_path)
    name, parts = packs.encode({f"{number:02}": LARGE[:150_000] for number in range(20)})
    place = f"walkforward/packs/{name}.pack"
    store.put({place: b"".join(parts)})
    before = bucket_proxy.bytes_down
    index = packs.read_index(store, place, name)
    assert index is not None
    assert packs.read_members(store, place, [index["07"]]) == [LARGE[:150_000]]
    assert bucket_proxy.bytes_down - before < 250_000


@pytest.mark.parametrize(
    "address",
    ["s3://KEY:hidden@bucket/a", "s3://bucket/a?secret=hidden", "s3://UPPER/a", "s3://bucket/a/../b", "gs://bucket", "file://host/a", "/a"],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_secrets(address: str) -> None:
    """Before anything is opened; credentials belong into the standard variables."""
    with pytest.raises(UsageError) as caught:
        load_settings(artifacts=address)
    assert "hidden" not in f"{caught.value} {caught.value.as_dict()}"
    assert "CHRONOS_ARTIFACTS" in str(caught.value)


def test_a_missing_extra_is_one_sentence(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells how to install it."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(UsageError, match=r"chronos-assets\[s3\]"):
        opened(bucket, tmp_path)
