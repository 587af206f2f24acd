"""What changed since last time: content decides, problems are told by name, and no request key is used twice."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_assets.pipeline.upkeep.changes import Found, Known, decide, decode_known, encode_known, forget, survey
from chronos_assets.settings import Settings, load_settings
from chronos_assets.storage import file_digests
from chronos_assets.storage.file_digests import Digests
from chronos_assets_tests.support.dagster_data import bars, checksum, rewrite, write_dataset


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home", exports_dir=tmp_path / "exports", manifest_settle_seconds=0)


def look(settings: Settings) -> dict[str, Found]:
    return {found.slug: found for found in survey(settings)}


def test_a_new_dataset_is_requested_once() -> None:
    """A content that was not requested yet asks for a run; the same content again does not."""
    first = decide([Found("a_1d_v1", "m1-f1")], {})
    assert [(r.slug, r.why) for r in first.requests] == [("a_1d_v1", "new dataset")]
    assert decide([Found("a_1d_v1", "m1-f1")], first.known).requests == []


@pytest.mark.parametrize(
    ("content", "why"), [("m2-f1", "manifest changed"), ("m1-f2", "file changed"), ("m2-f2", "manifest and file changed")]
)
def test_a_request_says_what_changed(content: str, why: str) -> None:
    """The reason names the manifest, the file, or both."""
    assert [r.why for r in decide([Found("a_1d_v1", content)], {"a_1d_v1": Known("m1-f1", 1)}).requests] == [why]


def test_force_requests_what_is_unchanged_too() -> None:
    """Forced, an unchanged dataset is requested, and the reason says so."""
    assert [r.why for r in decide([Found("a_1d_v1", "m-f")], {"a_1d_v1": Known("m-f", 3)}, force=True).requests] == ["forced"]


@given(st.lists(st.sampled_from(["a-a", "b-b", "c-c"]), max_size=30))
def test_every_change_of_content_has_a_key_of_its_own(contents: list[str]) -> None:
    """However contents come and go (A, B, A too), there is one request per change and no key twice, also through the cursor."""
    known: dict[str, Known] = {}
    keys = []
    for content in contents:
        decision = decide([Found("a_1d_v1", content)], known)
        known = decode_known(encode_known(decision.known))
        keys += [request.run_key for request in decision.requests]
    changes = sum(a != b for a, b in zip([None, *contents], contents, strict=False))
    assert len(keys) == len(set(keys)) == changes


def test_a_problem_is_reported_and_harms_no_other() -> None:
    """A dataset with a problem is told by name and asks for nothing, and the next one is requested all the same."""
    decision = decide([Found("a_1d_v1", problem="cannot be read"), Found("b_1d_v1", "m-f")], {"a_1d_v1": Known("m-f", 1)})
    assert [r.slug for r in decision.requests] == ["b_1d_v1"]
    assert decision.reports == ["a_1d_v1: cannot be read"]
    assert decision.known["a_1d_v1"] == Known("m-f", 1)


def test_a_manifest_that_is_gone_is_named_and_remembered() -> None:
    """A deleted manifest is named; when it comes back unchanged nothing is asked for."""
    decision = decide([], {"a_1d_v1": Known("m-f", 1)})
    assert decision.gone == ["a_1d_v1"]
    assert decide([Found("a_1d_v1", "m-f")], decision.known).requests == []


def test_touching_a_file_is_no_change(settings: Settings) -> None:
    """Content decides, not the time of the file."""
    manifest = write_dataset(settings.exports_dir, "a_1d_v1")
    before = look(settings)
    manifest.with_suffix(".csv").touch()
    assert look(settings) == before


def test_a_changed_file_is_refused_until_the_manifest_is_refreshed(settings: Settings) -> None:
    """A file that differs from its checksum is a problem that names `chronos manifest refresh`; refreshed, it is new content."""
    manifest = write_dataset(settings.exports_dir, "a_1d_v1")
    before = look(settings)["a_1d_v1"].content
    manifest.with_suffix(".csv").write_bytes(bars(301).write_csv().encode())
    assert "`chronos manifest refresh a_1d_v1`" in look(settings)["a_1d_v1"].problem
    rewrite(manifest, checksum=checksum(manifest.with_suffix(".csv")))
    after = look(settings)["a_1d_v1"]
    assert (after.problem, after.content == before) == ("", False)


def test_a_growing_file_is_taken_as_it_is(settings: Settings) -> None:
    """With `on_change: grow`, another file is new content without a word about its checksum."""
    manifest = write_dataset(settings.exports_dir, "a_1d_v1", change=lambda m: m.update(on_change="grow"))
    before = look(settings)["a_1d_v1"]
    manifest.with_suffix(".csv").write_bytes(bars(301).write_csv().encode())
    after = look(settings)["a_1d_v1"]
    assert (after.problem, after.content is not None, after.content == before.content) == ("", True, False)


def test_a_file_that_is_being_written_is_not_taken(settings: Settings) -> None:
    """A manifest or file touched a moment ago waits for the next look."""
    settings = settings.model_copy(update={"manifest_settle_seconds": 60.0})
    manifest = write_dataset(settings.exports_dir, "a_1d_v1")
    assert survey(settings) == [Found("a_1d_v1", settling=True)]
    assert decide(survey(settings), {}).requests == []
    # old times do not help while the change of the file itself is fresh, as with `cp -p`
    os.utime(manifest, (time.time() - 3600, time.time() - 3600))
    assert survey(settings)[0].settling


def test_a_file_that_somebody_holds_open_for_writing_is_not_taken(settings: Settings) -> None:
    """A writer that pauses for longer than the settle time is not done: the file waits until it is closed."""
    manifest = write_dataset(settings.exports_dir, "a_1d_v1")
    settings = settings.model_copy(update={"manifest_settle_seconds": 0.01})
    with manifest.with_suffix(".csv").open("ab"):
        time.sleep(0.05)
        assert survey(settings)[0].settling == (sys.platform == "linux")
    time.sleep(0.05)
    assert survey(settings)[0].content is not None


def test_a_retired_dataset_that_comes_back_is_new(settings: Settings) -> None:
    """Forgotten content is asked for again, under a key that was never used, and is not told as gone meanwhile."""
    first = decide([Found("a_1d_v1", "m-f")], {})
    known = decode_known(encode_known(forget(first.known, ["a_1d_v1"])))
    assert decide([], known).gone == []
    [again] = decide([Found("a_1d_v1", "m-f")], known).requests
    assert (again.why, again.attempt) == ("new dataset", 2)


def test_unchanged_content_is_tried_again_where_that_is_asked_for() -> None:
    """A reason to try again makes a request of unchanged content, with a key of its own."""
    [request] = decide([Found("a_1d_v1", "m-f")], {"a_1d_v1": Known("m-f", 1)}, again={"a_1d_v1": "a server was away"}).requests
    assert (request.why, request.attempt) == ("a server was away", 2)


def test_an_unreadable_manifest_is_named_with_its_reason(settings: Settings) -> None:
    """YAML that cannot be read, a key that does not exist and a file that is missing are each told by name, beside a good dataset."""
    write_dataset(settings.exports_dir, "good_1d_v1")
    (settings.exports_dir / "bad_1d_v1.yaml").write_text("dataset: [")
    write_dataset(settings.exports_dir, "typo_1d_v1", change=lambda m: m.update(granularty="1d"))
    write_dataset(settings.exports_dir, "gone_1d_v1").with_suffix(".csv").unlink()
    found = look(settings)
    assert found["good_1d_v1"].content is not None
    assert "YAML" in found["bad_1d_v1"].problem
    assert "'granularity'" in found["typo_1d_v1"].problem
    assert "gone_1d_v1.csv" in found["gone_1d_v1"].problem


def test_digests_survive_a_restart_and_a_torn_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests are kept between processes, and a memory that was cut short is begun again."""
    monkeypatch.setattr(file_digests, "SETTLED_SECONDS", 0.0)
    source, memory = tmp_path / "a.csv", tmp_path / "digests.json"
    source.write_text("a")
    digests = Digests(memory)
    digest = digests.of(source)
    digests.save()
    assert str(source) in memory.read_text()
    assert Digests(memory).of(source) == digest
    memory.write_text('{"a')
    assert Digests(memory).of(source) == digest


def test_a_file_that_was_just_written_is_read_again(tmp_path: Path) -> None:
    """Two contents of one size within one tick of the clock look alike: a digest is remembered only of a file that has settled."""
    source, digests = tmp_path / "a.csv", Digests()
    source.write_text("a")
    first, times = digests.of(source), source.stat()
    source.write_text("b")
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert digests.of(source) != first
