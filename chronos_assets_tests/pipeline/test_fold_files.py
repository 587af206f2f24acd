"""Files of folds: on the disk before their rows, verified before they are used, trained again when lost, and never reached by a path."""

from __future__ import annotations

import os
import re
import secrets
import stat
import subprocess
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chronos_assets.errors import FileError
from chronos_assets.learning.executors.threads import ThreadExecutor
from chronos_assets.pipeline.simulation.run import simulate_run
from chronos_assets.pipeline.simulation.trace import trace_trade
from chronos_assets.pipeline.upkeep.packs import SMALL_PACKS, groups_to_rewrite, rewrite_packs
from chronos_assets.pipeline.upkeep.retire import remove_orphans, retire_run, run_space
from chronos_assets.pipeline.validation.report import ValidationReport
from chronos_assets.pipeline.validation.run import validate_run
from chronos_assets.pipeline.walkforward.run import WalkforwardResult, run_walkforward
from chronos_assets.storage.artifacts import packs
from chronos_assets.storage.fold_artifacts import CASES, MODEL, FoldArtifacts, FoldFiles, place_of_file, place_of_pack
from chronos_assets.storage.runs import FoldRecord, get_folds, read_predictions
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.cli.test_trace_and_report import PROFILE, chronos
from chronos_assets_tests.support import walkforward_data as bars
from chronos_assets_tests.support.commands import run_program
from chronos_assets_tests.support.damaged_packs import change_one_bit, pack_path
from chronos_assets_tests.support.trained_market import train

FILES = "files of every fold are what was stored"
HERE = "files of every fold are here"


def run(stores: Stores, slug: str) -> WalkforwardResult:
    return run_walkforward(slug, bars.small_profile(), stores, horizon=3, horizon_assumed=False, executor=ThreadExecutor(2))


def sql(stores: Stores, statement: str, *values: Any) -> None:
    with stores.postgres.connection() as connection:
        connection.execute(statement, values)  # type: ignore[arg-type] # a test's own constant text


def model_path(stores: Stores, fold: FoldRecord) -> Path:
    """The model of a fold as older programs kept it."""
    place = place_of_file(fold.fold_key, MODEL)
    assert place is not None
    return stores.settings.artifacts_dir / place


def as_older_programs_did(stores: Stores, run_id: str) -> None:
    """Keep what the folds of a run left as two files each."""
    for fold in get_folds(stores.postgres, run_id):
        contents = FoldArtifacts(stores.artifacts).contents([fold.files])
        for kind in (MODEL, CASES):
            stores.artifacts.put({place_of_file(fold.fold_key, kind): contents[f"{fold.fold_key}{kind}"]})
    sql(stores, "UPDATE walkforward_folds SET pack = NULL WHERE run_id = %s", run_id)


# What happened to which file of a fold, and how validation calls it.
DAMAGES = [
    ("emptied", ".ubj", "damaged"),
    ("emptied", ".npy", "damaged"),
    ("one bit", ".ubj", "damaged"),
    ("gone", ".npy", "missing"),
    ("longer", ".ubj", "damaged"),
]


def unseen(report: ValidationReport) -> list[int]:
    """Folds whose files are not where this host looks for them: nothing is said of those."""
    [check] = [check for check in report.checks if check.name == HERE]
    assert check.passed in {None, True}
    return [] if check.passed else [int(number) for number in re.findall(r"(?<=[:,] )\d+", str(check.found))]


def damage(how: str, path: Path) -> None:
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
        return
    if how == "one bit":
        content[len(content) // 2] ^= 1
    path.write_bytes({"emptied": b"", "one bit": bytes(content), "longer": bytes(content) + b"\0"}[how])


def test_what_is_recorded_of_a_fold_is_what_the_disk_has(stores: Stores, unique_slug: str) -> None:
    """SHA-256 and size of model and cases are in the row, also of files of older programs, and only their owner can read them."""
    bars.publish(stores, unique_slug, bars.make_bars(130, seed=secrets.randbits(32)))
    folds = get_folds(stores.postgres, run(stores, unique_slug).run_id)
    assert {stat.S_IMODE(pack_path(stores, fold.files).stat().st_mode) for fold in folds} == {0o600}
    assert len({fold.pack for fold in folds}) < len(folds)
    as_older_programs_did(stores, folds[0].run_id)
    for fold in folds:
        for path, digest, size in (
            (model_path(stores, fold), fold.artifact_sha256, fold.artifact_bytes),
            (model_path(stores, fold).with_suffix(".npy"), fold.validation_sha256, fold.validation_bytes),
        ):
            told = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]
            assert (told, path.stat().st_size) == (digest, size)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_files_are_on_the_disk_before_their_row_commits(stores: Stores, unique_slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the moment a fold's row is written, content and name of its pack have been synced."""
    synced: set[tuple[int, int]] = set()
    real_sync = os.fsync

    def sync(handle: int) -> None:
        real_sync(handle)
        synced.add((os.fstat(handle).st_dev, os.fstat(handle).st_ino))

    def is_synced(path: Path) -> bool:
        return (path.stat().st_dev, path.stat().st_ino) in synced

    def look(name: str) -> Any:
        if name == "fold_store":
            looked.append(True)
            for path in set(folder.rglob("*.*")) - before:
                assert is_synced(path), path
                assert is_synced(path.parent), path.parent
        return real_query(name)

    from chronos_assets.storage import runs

    looked: list[bool] = []
    real_query = runs.query
    bars.publish(stores, unique_slug, bars.make_bars(130, seed=secrets.randbits(32)))
    folder = stores.settings.artifacts_dir / "walkforward"
    before = set(folder.rglob("*.*"))
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(runs, "query", look)
    result = run(stores, unique_slug)
    assert result.folds_trained == result.folds_planned
    assert looked


def test_lost_and_damaged_files_are_named_and_trained_again(stores: Stores, unique_slug: str) -> None:
    """Empty, changed by a bit, longer or gone: validation names the folds, and the same request trains just those, to the same bytes."""
    bars.publish(stores, unique_slug, bars.make_bars(150, seed=secrets.randbits(32)))
    first = run(stores, unique_slug)
    as_older_programs_did(stores, first.run_id)
    assert run(stores, unique_slug).folds_trained == 0
    folds, before = get_folds(stores.postgres, first.run_id), read_predictions(stores, first.run_id)
    paths = [model_path(stores, fold).with_suffix(suffix) for fold, (_, suffix, _) in zip(folds, DAMAGES, strict=False)]
    content = [path.read_bytes() for path in paths]
    for path, (how, _, _) in zip(paths, DAMAGES, strict=True):
        damage(how, path)
    report = validate_run(first.run_id, stores)
    assert [check.name for check in report.checks if check.passed is False] == [FILES]
    assert [(f["fold"], f["found"]) for f in report.findings] == [
        (n, "damaged") for n, (_, _, state) in enumerate(DAMAGES) if state == "damaged"
    ]
    assert unseen(report) == [n for n, (_, _, state) in enumerate(DAMAGES) if state == "missing"]
    again = run(stores, unique_slug)
    assert (again.run_id, again.folds_trained, again.folds_present) == (first.run_id, len(DAMAGES), first.folds_planned)
    assert validate_run(first.run_id, stores).passed
    stored = get_folds(stores.postgres, first.run_id)
    contents = FoldArtifacts(stores.artifacts).contents([fold.files for fold in stored])
    assert [contents[path.name] for path in paths] == content
    assert [replace(fold, pack=None, artifact=None) for fold in stored] == [replace(fold, artifact=None) for fold in folds]
    assert read_predictions(stores, first.run_id).equals(before)


@pytest.mark.parametrize("how", ["one bit", "gone", "emptied", "index"])
def test_damaged_packs_are_named_and_trained_again(stores: Stores, unique_slug: str, how: str) -> None:
    """A changed bit costs its fold, a pack that is gone, cut short or without its index all its folds; the same bytes come back."""
    bars.publish(stores, unique_slug, bars.make_bars(150, seed=secrets.randbits(32)))
    first = run(stores, unique_slug)
    folds, artifacts = get_folds(stores.postgres, first.run_id), FoldArtifacts(stores.artifacts)
    content = artifacts.contents([fold.files for fold in folds])
    packs._read_index.cache_clear()  # as another process finds it
    if how == "one bit":
        change_one_bit(stores, folds[1].files, MODEL)
        change_one_bit(stores, folds[3].files, CASES)
        lost = [1, 3]
    else:
        path = pack_path(stores, folds[0].files)
        whole = path.read_bytes()
        path.unlink() if how == "gone" else path.write_bytes(whole[:-1000] if how == "emptied" else whole[:20] + b"X" + whole[21:])
        lost = [fold.fold_number for fold in folds if fold.pack == folds[0].pack]
    packs._read_index.cache_clear()
    report = validate_run(first.run_id, stores)
    found = [n for n in unseen(report) if how == "gone"] + [finding["fold"] for finding in report.findings]
    assert found
    assert set(found) <= set(lost)
    assert {finding["found"] for finding in report.findings} == (set() if how == "gone" else {"damaged"})
    assert report.verdict == ("partly" if how == "gone" else "differs")
    again = run(stores, unique_slug)
    assert (again.run_id, again.folds_trained, again.folds_present) == (first.run_id, len(found), first.folds_planned)
    assert artifacts.contents([fold.files for fold in get_folds(stores.postgres, first.run_id)]) == content


def test_packs_are_rewritten_when_little_of_them_is_needed(stores: Stores, unique_slug: str) -> None:
    """Of a pack that is mostly dead the needed folds go to a new one; the old pack stays for who has read its name, until the next time."""
    bars.publish(stores, unique_slug, bars.make_bars(150, seed=secrets.randbits(32)))
    run_id = run(stores, unique_slug).run_id
    artifacts = FoldArtifacts(stores.artifacts)
    at_once = timedelta(0)
    assert rewrite_packs(stores, unique_slug, rested=at_once) == 0
    before = get_folds(stores.postgres, run_id)
    content = artifacts.contents([fold.files for fold in before])
    largest, folds = Counter(fold.pack for fold in before).most_common(1)[0]  # how many packs there are depends on how fast this machine is
    assert folds >= 3
    kept = next(fold.fold_number for fold in before if fold.pack == largest)
    sql(stores, "DELETE FROM walkforward_folds WHERE run_id = %s AND fold_number <> %s", run_id, kept)
    assert rewrite_packs(stores, unique_slug) == 0  # it is young: its run may be going on
    assert rewrite_packs(stores, unique_slug, rested=at_once) > 0
    after = get_folds(stores.postgres, run_id)
    (pack,) = {fold.pack for fold in after}
    assert pack not in {fold.pack for fold in before}
    assert {fold.artifact for fold in after} == {place_of_pack(pack or "")}
    assert set(artifacts.states(fold.files for fold in [*before, *after])) == {"whole"}
    moved = artifacts.contents([fold.files for fold in after])
    assert moved == {name: content[name] for name in moved}
    remove_orphans(stores)
    assert pack in artifacts.packs()
    assert not {fold.pack for fold in before} & artifacts.packs().keys()
    assert rewrite_packs(stores, unique_slug, rested=at_once) == 0


def test_small_packs_are_written_together() -> None:
    """Few small packs stay, many become one; large ones that are needed are left alone, and no new pack is too large."""
    size = 1_000_000

    def folds(pack: str, needed: int) -> list[FoldFiles]:
        return [FoldFiles("a" * 64, "0" * 64, needed, "0" * 64, 0, pack)]

    few = {f"{n:02}": size for n in range(SMALL_PACKS - 1)}
    assert list(groups_to_rewrite(few, {pack: folds(pack, size) for pack in few})) == []
    many = {f"{n:02}": size for n in range(SMALL_PACKS + 20)} | {"large": 50 * size, "sparse": 50 * size}
    needed = {pack: folds(pack, 10 * size if pack == "sparse" else size_) for pack, size_ in many.items()}
    groups = list(groups_to_rewrite(many, needed))
    assert [len(group) for group in groups] == [32, 5]
    assert "sparse" in groups[1]
    assert not any("large" in group for group in groups)


def test_a_growth_copies_no_fold_whose_files_are_damaged(stores: Stores, unique_slug: str) -> None:
    """The new run trains what the old one has lost, and copies the rest."""
    seed = secrets.randbits(32)  # bars that no other test has: files of equal folds are shared by all datasets
    bars.publish(stores, unique_slug, bars.make_bars(200, seed=seed))
    first = run(stores, unique_slug)
    for fold in get_folds(stores.postgres, first.run_id)[:3]:
        change_one_bit(stores, fold.files, MODEL)
    bars.publish(stores, unique_slug, bars.make_bars(200, seed=seed).vstack(bars.make_bars(240).tail(40)))
    second = run(stores, unique_slug)
    assert second.folds_trained >= 3
    assert second.folds_copied > 0
    assert validate_run(second.run_id, stores).passed


def test_folds_of_an_older_program_are_trained_once_and_then_known(stores: Stores, unique_slug: str) -> None:
    """A row without hashes is no proof of its files: validation says so without failing, the same request records them."""
    bars.publish(stores, unique_slug, bars.make_bars(130))
    first = run(stores, unique_slug)
    sql(stores, "UPDATE walkforward_folds SET artifact_sha256 = NULL, validation_sha256 = NULL WHERE run_id = %s", first.run_id)
    report = validate_run(first.run_id, stores)
    assert report.passed
    assert next(check.passed for check in report.checks if check.name == FILES) is None
    assert run(stores, unique_slug).folds_trained == first.folds_planned
    assert run(stores, unique_slug).folds_trained == 0
    assert all(check.passed for check in validate_run(first.run_id, stores).checks if check.name == FILES)


def test_a_tampered_table_reaches_no_file_outside(stores: Stores, unique_slug: str, tmp_path: Path) -> None:
    """Paths in `artifact` and texts that are no keys are neither opened, measured nor removed; the run retires all the same."""
    bars.publish(stores, unique_slug, bars.make_bars(130, seed=secrets.randbits(32)))
    run_id = run(stores, unique_slug).run_id
    as_older_programs_did(stores, run_id)
    victim = tmp_path / "folder" / "precious.ubj"
    victim.parent.mkdir()
    victim.write_bytes(b"precious")
    victim.with_suffix(".npy").write_bytes(b"precious")
    away = os.path.relpath(victim, stores.settings.artifacts_dir)
    folds = get_folds(stores.postgres, run_id)
    sql(stores, "UPDATE walkforward_folds SET artifact = %s WHERE run_id = %s AND fold_number = 0", str(victim), run_id)
    sql(stores, "UPDATE walkforward_folds SET artifact = %s WHERE run_id = %s AND fold_number = 1", away, run_id)
    key = os.path.relpath(victim, stores.settings.artifacts_dir / "walkforward" / "..").removesuffix(".ubj")
    sql(stores, "UPDATE walkforward_folds SET fold_key = %s WHERE run_id = %s AND fold_number = 2", key, run_id)
    sql(stores, "UPDATE walkforward_folds SET fold_key = %s WHERE run_id = %s AND fold_number = 3", str(victim)[:-4], run_id)
    sql(stores, "UPDATE walkforward_folds SET pack = %s WHERE run_id = %s AND fold_number = 4", away.removesuffix(".ubj"), run_id)
    assert [fold["fold"] for fold in validate_run(run_id, stores).findings if fold["what"] == "files"] == [2, 3, 4]
    assert run_space(stores, run_id).artifact_bytes > 0
    retire_run(stores, run_id)
    assert victim.read_bytes() == victim.with_suffix(".npy").read_bytes() == b"precious"
    assert not model_path(stores, folds[0]).exists(), "its key is its own, so its files go"


def test_half_written_files_of_killed_writers_are_collected(stores: Stores, unique_slug: str) -> None:
    """What a full disk or a kill has left beside the models goes with the next walk-forward that has work to do."""
    bars.publish(stores, unique_slug, bars.make_bars(130))
    left = [stores.settings.artifacts_dir / "walkforward" / "ab" / name for name in (".abcd.4711.tmp", ".abcd.ubj.0011223344556677.part")]
    left[0].parent.mkdir(parents=True, exist_ok=True)
    for path in left:
        path.write_bytes(b"half")
    run(stores, unique_slug)
    assert [path for path in left if path.exists()] == []


def test_commands_survive_damaged_files_and_name_them(stores: Stores, unique_slug: str, cli_environment: dict[str, str]) -> None:
    """An empty model or validation file ends no command in a crash: trace tells its state, simulate names it, validation exits with 3."""
    run_id = train(stores, unique_slug)
    (simulation,) = simulate_run(run_id, PROFILE, stores)
    trade = f"{simulation.simulation_id}/1"
    number = trace_trade(trade, stores)["fold"]["fold_number"]
    fold = get_folds(stores.postgres, run_id)[number]
    change_one_bit(stores, fold.files, MODEL)
    traced = trace_trade(trade, stores)["model"]
    assert (traced["state"], traced["reproduces_prediction"]) == ("damaged", None)
    change_one_bit(stores, fold.files, CASES)
    changed = PROFILE.model_copy(update={"seed": 99})
    with pytest.raises(FileError, match=f"{pack_path(stores, fold.files)}, member {fold.fold_key}.npy"):
        simulate_run(run_id, changed, stores)
    done = run_program("--run", run_id, program="validate", env=cli_environment)
    assert done.returncode == 3, done.stderr
    assert "files of every fold" in done.stdout
    assert chronos(cli_environment, "trace", trade).returncode == 0
