"""A lineage whose artifacts are in a bucket: the same bits as in the home, seen by every host, nothing half when the bucket goes away."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.retention import Keep
from chronos_assets.errors import ConflictError, ServiceUnavailableError
from chronos_assets.pipeline.simulation.run import simulate_run
from chronos_assets.pipeline.upkeep.prune import keep_of, prune
from chronos_assets.pipeline.upkeep.retire import retire_run
from chronos_assets.pipeline.validation.report import ValidationReport
from chronos_assets.pipeline.validation.run import validate_run
from chronos_assets.pipeline.walkforward.run import WalkforwardResult, run_walkforward
from chronos_assets.settings import load_settings
from chronos_assets.storage.artifacts.opening import open_artifacts
from chronos_assets.storage.artifacts_copies import copy_in, copy_out
from chronos_assets.storage.artifacts_owner import NAME, require_own_place
from chronos_assets.storage.backup_files import digests_of
from chronos_assets.storage.fold_artifacts import FoldArtifacts
from chronos_assets.storage.runs import get_folds, read_predictions
from chronos_assets.storage.stores import Stores
from chronos_assets.views.space import read_space
from chronos_assets.web.tear_sheet import write_tear_sheet
from chronos_assets_tests.support.tcp_proxy import CuttingProxy
from chronos_assets_tests.support.trained_market import WALK, bars_frame
from chronos_assets_tests.support.walkforward_data import publish

BARS = 300
HERE = "files of every fold are here"


def host(stores: Stores, home: Path, bucket: str) -> Stores:
    """The same servers as another host with its own home sees them."""
    settings = load_settings(home=home, cache=home / "cache", exports_dir=stores.settings.exports_dir, artifacts=bucket)
    return Stores(stores.questdb, stores.postgres, open_artifacts(settings), settings)


def walk(stores: Stores, slug: str) -> WalkforwardResult:
    return run_walkforward(slug, WALK, stores, horizon=1, horizon_assumed=False, profile_name="default")


def outcome(stores: Stores, run_id: str) -> tuple[dict[str, bytes], pl.DataFrame, list[Any]]:
    """Models, cases, predictions and simulations of a run, whose rows are made now."""
    contents = FoldArtifacts(stores.artifacts).contents([fold.files for fold in get_folds(stores.postgres, run_id)])
    made = simulate_run(run_id, SimulationProfile(), stores)
    return contents, read_predictions(stores, run_id), [(one.simulation_id, one.summary_metrics) for one in made]


def checks(report: ValidationReport) -> dict[str, bool | None]:
    return {check.name: check.passed for check in report.checks}


def test_every_host_sees_one_lineage_in_a_bucket(stores: Stores, unique_slug: str, bucket: str, tmp_path: Path) -> None:
    """Train on one host, validate, report and grow on another, prune on the first: equal bits, every fold copied, nothing in a home."""
    frame = bars_frame(BARS + 60, seed=secrets.randbits(32))
    publish(stores, unique_slug, frame.head(BARS))
    at_home = outcome(stores, walk(stores, unique_slug).run_id)
    retire_run(stores, walk(stores, unique_slug).run_id)

    first, second = host(stores, tmp_path / "first", bucket), host(stores, tmp_path / "second", bucket)
    run = walk(first, unique_slug)
    assert (run.folds_trained, run.folds_copied) == (run.folds_planned, 0)
    models, predictions, simulations = outcome(first, run.run_id)
    assert (models, simulations) == (at_home[0], at_home[2])
    assert predictions.equals(at_home[1])

    assert validate_run(run.run_id, second).verdict == "agrees"
    sheet = write_tear_sheet(simulations[0][0], second)
    assert sheet.place.startswith(f"{bucket}/reports/")
    publish(stores, unique_slug, frame)
    grown = walk(second, unique_slug)
    assert (grown.folds_copied, grown.folds_trained) == (run.folds_planned, grown.folds_planned - run.folds_planned)
    assert grown.folds_trained > 0
    assert validate_run(grown.run_id, first).verdict == "agrees"

    elsewhere = validate_run(grown.run_id, stores)  # a host that looks for artifacts in its own home
    assert (elsewhere.verdict, elsewhere.findings, checks(elsewhere)[HERE]) == ("partly", [], None)

    simulate_run(grown.run_id, SimulationProfile(), first)
    held = sum(entry.size for entry in first.artifacts.list())
    assert read_space(first).files_bytes >= held > 0
    pruned = prune(first, keep_of(first.settings, Keep(nights=1, months=0)), unique_slug)
    assert (pruned.runs, pruned.skipped) == (1, [])
    assert list(first.artifacts.list("reports")) == []
    assert validate_run(grown.run_id, second).verdict == "agrees"
    assert not [path for home in ("first", "second") for path in (tmp_path / home).glob("artifacts/walkforward/**/*")]


def test_a_bucket_that_goes_away_costs_no_fold(
    stores: Stores, unique_slug: str, bucket_proxy: CuttingProxy, bucket: str, tmp_path: Path
) -> None:
    """While packs are put the run stops in one sentence, no row names what is not there, and the same request completes it."""
    publish(stores, unique_slug, bars_frame(BARS, seed=secrets.randbits(32)))
    far = host(stores, tmp_path, bucket)
    bucket_proxy.arm(b"PUT", "during", times=1_000)
    with pytest.raises(ServiceUnavailableError, match="Nothing is half-written"):
        walk(far, unique_slug)
    assert bucket_proxy.cuts > 0
    assert list(far.artifacts.list()) == []
    bucket_proxy.disarm()
    run = walk(far, unique_slug)
    assert (run.folds_present, run.folds_trained) == (run.folds_planned, run.folds_planned)
    bucket_proxy.arm(b"GET", "amid", times=1_000)
    again = host(stores, tmp_path / "other", bucket)
    with pytest.raises(ServiceUnavailableError, match="Nothing is half-written"):
        validate_run(run.run_id, again)
    with pytest.raises(ServiceUnavailableError):
        walk(again, unique_slug)
    bucket_proxy.disarm()
    assert walk(again, unique_slug).folds_trained == 0
    assert validate_run(run.run_id, again).verdict == "agrees"


def test_a_place_belongs_to_one_registry(stores: Stores, bucket: str, tmp_path: Path) -> None:
    """Another registry is refused before it could remove what it does not know; a place that was given up can be taken."""
    store = open_artifacts(load_settings(artifacts=bucket, home=tmp_path, cache=tmp_path))
    for _ in range(2):
        require_own_place(store, stores.postgres)
    assert b"registry" in (store.read(NAME) or b"")
    shared = (tmp_path / "shared").as_uri()
    for number in range(2):
        other = open_artifacts(load_settings(artifacts=f"{shared}/{number}", home=tmp_path, cache=tmp_path))
        other.put({NAME: [b'{"registry": "7/42"}', b"no JSON"][number]})
        with pytest.raises(ConflictError, match="belong to another registry"):
            require_own_place(other, stores.postgres)
        other.delete(NAME)
        require_own_place(other, stores.postgres)


def test_a_backup_has_every_artifact_wherever_it_is(bucket: str, tmp_path: Path) -> None:
    """Out of a bucket and the home into one folder, and from there into another bucket or a home alone; the owner's mark stays behind."""
    far = load_settings(artifacts=bucket, home=tmp_path / "far", cache=tmp_path / "cache")
    kept = {"walkforward/packs/a.pack": b"pack", "lfs/x.parquet": b"sets", "audits/s/1.parquet": b"cells", "models/ab/m.model": bytes(99)}
    open_artifacts(far).put(kept | {NAME: b"{}"})
    here = {"bars/s/b.arrow": b"bars", "lfs/x-permutations.journal": b"journal"}
    for name, content in {**here, "walkforward/packs/old.pack": b"of before"}.items():
        (far.artifacts_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (far.artifacts_dir / name).write_bytes(content)
    copy_out(far, tmp_path / "backup")
    held = digests_of(tmp_path / "backup")
    assert {name: size for name, (size, _) in held.items()} == {name: len(content) for name, content in (kept | here).items()}
    assert {path.stat().st_mode & 0o077 for path in [tmp_path / "backup", *(tmp_path / "backup" / name for name in held)]} == {0}

    home = load_settings(home=tmp_path / "home", cache=tmp_path / "cache")
    home.home.mkdir()
    copy_in(tmp_path / "backup", home)
    assert digests_of(home.artifacts_dir) == held
    copy_out(home, tmp_path / "second backup")
    assert digests_of(tmp_path / "second backup") == held

    moved = load_settings(artifacts=f"{bucket}-restored", home=tmp_path / "moved", cache=tmp_path / "cache")
    copy_in(tmp_path / "second backup", moved)
    store = open_artifacts(moved)
    assert {entry.name: store.read(entry.name) for entry in store.list()} == kept
    assert set(digests_of(moved.artifacts_dir)) == set(here)
