"""Pruning: superseded runs go with all that depends on them, and nothing that somebody uses does."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.retention import Keep, KeptRun
from chronos_assets.pipeline.simulation.run import simulate_run
from chronos_assets.pipeline.upkeep.prune import keep_of, plan_prune, prune, why_unready
from chronos_assets.pipeline.upkeep.retire import remove_orphans
from chronos_assets.pipeline.validation.run import validate_run
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.pipeline.walkforward.trials import all_trials
from chronos_assets.storage.fold_artifacts import FoldArtifacts
from chronos_assets.storage.retention import StandingRun
from chronos_assets.storage.runs import get_folds, list_runs, pin_run, run_lock
from chronos_assets.storage.simulations import list_simulations
from chronos_assets.storage.stores import Stores
from chronos_assets.web.tear_sheet import write_tear_sheet
from chronos_assets_tests.support.bars_case import read, table
from chronos_assets_tests.support.trained_market import WALK, train
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile

ONE = Keep(nights=1, months=0)


def _nights(stores: Stores, slug: str, count: int) -> list[str]:
    """Runs of `count` nights with ten new bars each."""
    seed = secrets.randbits(32)  # bars that no other test has: equal folds share their files
    bars = make_bars(100 + 10 * count, seed=seed)
    runs = []
    for night in range(count):
        publish(stores, slug, bars.head(110 + 10 * night))
        result = run_walkforward(slug, small_profile(), stores, horizon=3, horizon_assumed=False, profile_name="default")
        runs.append(result.run_id)
    return runs


def test_superseded_runs_go_with_their_files_and_what_is_kept_validates(stores: Stores, unique_slug: str) -> None:
    """The plan says what goes; afterwards the newest run has every file, trials are all on record, and a second prune finds nothing."""
    runs = _nights(stores, unique_slug, 4)
    pin_run(stores.postgres, runs[0], pinned=True)
    tried = all_trials(stores, unique_slug, "target_a")
    policy = keep_of(stores.settings, ONE)
    plan = plan_prune(stores, policy, unique_slug)
    assert [one.run_id for one in plan.runs] == runs[1:3]
    assert plan.kept == {"current": 1, "pinned": 1}
    assert len(list_runs(stores.postgres, unique_slug)) == 4  # a plan changes nothing
    pruned = prune(stores, policy, unique_slug)
    assert (pruned.runs, pruned.skipped) == (2, [])
    assert pruned.rows == sum(one.rows for one in plan.runs) > 0
    assert {run.run_id for run in list_runs(stores.postgres, unique_slug)} == {runs[0], runs[3]}
    assert all_trials(stores, unique_slug, "target_a") == tried
    assert validate_run(runs[3], stores).passed
    states = FoldArtifacts(stores.artifacts).states(fold.files for run in (runs[0], runs[3]) for fold in get_folds(stores.postgres, run))
    assert set(states) == {"whole"}
    again = prune(stores, policy, unique_slug)
    assert (again.runs, again.attempts) == (0, 0)


def test_simulations_go_with_their_run(stores: Stores, unique_slug: str) -> None:
    """A simulated run is retired with its trades' records and its tear sheet."""
    first = train(stores, unique_slug)
    with stores.postgres.connection() as connection:
        connection.execute("UPDATE indicator_datasets SET content_hash = 'other' WHERE dataset_id = %s", [unique_slug])
    second = run_walkforward(unique_slug, WALK, stores, horizon=1, horizon_assumed=False, profile_name="default").run_id
    made = [simulate_run(first, SimulationProfile(modes=["dual"]), stores)[0].simulation_id]
    sheet = write_tear_sheet(made[0], stores).place
    unfinished = plan_prune(stores, keep_of(stores.settings, ONE), unique_slug)
    assert unfinished.runs == []  # a night that trained and did not simulate replaces nothing
    assert "until its current run is simulated" in unfinished.waiting[0]
    made.append(simulate_run(second, SimulationProfile(modes=["dual"]), stores)[0].simulation_id)
    (going,) = plan_prune(stores, keep_of(stores.settings, ONE), unique_slug).runs
    assert (going.run_id, going.simulations) == (first, 1)
    assert prune(stores, keep_of(stores.settings, ONE), unique_slug).simulations == 1
    assert list_simulations(stores.postgres, first) == []
    assert not Path(sheet).exists()
    assert [one.simulation_id for one in list_simulations(stores.postgres, second)] == made[1:]


def test_each_profile_waits_for_its_own_successor() -> None:
    """A run that was simulated waits until the run that replaced it in the same profile is, whatever other profiles have."""
    old, new = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)

    def run(name: str, *, simulated: bool, rows: int = 10) -> StandingRun:
        when = new if name.startswith("new") else old
        kept = KeptRun(name, completed=True, on_registered_content=when == new, profiles={name[-1]: when})
        return StandingRun("x_1d_v1", kept, whole=True, rows=rows, simulated=simulated)

    gone = [run("old-a", simulated=True), run("old-b", simulated=True), run("old-c", simulated=False), run("old-d", simulated=False)]
    current = [run("new-a", simulated=True), run("new-b", simulated=False), run("new-c", simulated=False), run("new-d", simulated=True)]
    stored = {"new-a": 10, "new-b": 10, "new-c": 10, "new-d": 9}
    assert why_unready([*gone, *current], gone, lambda ids: {one: stored[one] for one in ids}) == {
        "old-b": "of b stay until its current run is simulated",
        "old-d": "of d stay until its current run is whole in both stores",
    }


def test_what_somebody_works_on_stays(stores: Stores, unique_slug: str) -> None:
    """A run whose lock is held is left, with the reason, and goes the next time."""
    runs = _nights(stores, unique_slug, 2)
    with run_lock(stores.postgres, runs[0]):
        held = prune(stores, keep_of(stores.settings, ONE), unique_slug)
    assert held.runs == 0
    assert any(runs[0] in words for words in held.skipped)
    assert prune(stores, keep_of(stores.settings, ONE), unique_slug).runs == 1


def test_nothing_goes_while_the_current_run_lacks_rows(stores: Stores, unique_slug: str) -> None:
    """A current run whose folds are not all there keeps the older ones from going."""
    _nights(stores, unique_slug, 2)
    with stores.postgres.connection() as connection:
        newest = list_runs(stores.postgres, unique_slug)[0].run_id
        connection.execute("DELETE FROM walkforward_folds WHERE run_id = %s AND fold_number = 0", [newest])
    pruned = prune(stores, keep_of(stores.settings, ONE), unique_slug)
    assert pruned.runs == 0
    assert "until its current run is whole" in pruned.skipped[0]


def test_files_that_a_killed_prune_left_go_with_the_next(stores: Stores, unique_slug: str) -> None:
    """Files of folds and tear sheets that no row names are removed, others are not touched."""
    (run_id,) = _nights(stores, unique_slug, 1)
    artifacts = FoldArtifacts(stores.artifacts)
    single = f"{secrets.token_hex(32)}.ubj"
    orphan = stores.settings.artifacts_dir / "walkforward" / single[:2] / single
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"left over")
    pack = artifacts.put_pack({single: secrets.token_bytes(8)})
    sheet = stores.settings.artifacts_dir / "reports" / f"{unique_slug}-dual-01234567-89ab-cdef-0123-456789abcdef.html"
    other = sheet.with_name(f"notes of {unique_slug}.html")
    sheet.parent.mkdir(exist_ok=True)
    sheet.write_text("a sheet")
    other.write_text("mine")
    assert remove_orphans(stores) >= len("left over") + len("a sheet")
    assert not orphan.exists()
    assert pack not in artifacts.packs()
    assert not sheet.exists()
    assert other.exists()
    assert set(artifacts.states(fold.files for fold in get_folds(stores.postgres, run_id))) == {"whole"}


@pytest.mark.parametrize("registered", [0, 2])
def test_bars_files_of_older_revisions_go(stores: Stores, unique_slug: str, registered: int) -> None:
    """The registered one and the newest besides stay, whichever is registered; a file of this hour stays in any case."""
    publish(stores, unique_slug, make_bars(100))
    folder = stores.settings.artifacts_dir / "bars" / unique_slug
    folder.mkdir(parents=True)
    files = [_bars_file(folder, f"{n:032x}", f"sha256:{n}", hours=10 - n) for n in range(4)]
    with stores.postgres.connection() as connection:
        connection.execute("UPDATE indicator_datasets SET checksum = %s WHERE dataset_id = %s", [f"sha256:{registered}", unique_slug])
    young = _bars_file(folder, "f" * 32, "sha256:young", hours=0)
    left = {registered}  # and the young one is the newest besides
    prune(stores, keep_of(stores.settings, ONE), unique_slug)
    assert {n for n, path in enumerate(files) if path.exists()} == left
    assert young.exists()
    assert len(list(folder.glob("*.json"))) == len(left) + 1


def _bars_file(folder: Path, name: str, checksum: str, *, hours: float) -> Path:
    """A file of bars with its report, written some hours ago."""
    path = folder / f"{name}.arrow"
    path.write_bytes(b"bars")
    report = read(folder.parent, table()).model_copy(update={"checksum": checksum})
    path.with_suffix(".json").write_text(report.model_dump_json())
    then = path.stat().st_mtime - 3600 * hours
    os.utime(path, (then, then))
    return path
