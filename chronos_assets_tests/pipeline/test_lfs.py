"""Local Feature Selection of a published dataset: the command, what is kept, what is read again, kills, cancels, and equal requests."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

from chronos_assets.cli.main import chronos as chronos_group
from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.errors import ChronosError, ConflictError, FileError, NotPublishedError, ProfileError, RunCancelledError
from chronos_assets.pipeline.selection.request import KEYS_WITHOUT_EFFECT, RESOLVED_KEYS, LfsRequest, plan_lfs
from chronos_assets.pipeline.selection.run import run_request
from chronos_assets.pipeline.upkeep.datasets import retire
from chronos_assets.pipeline.walkforward.look_ahead import look_ahead_audit
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.storage.datasets import find_dataset
from chronos_assets.storage.fold_artifacts import FoldArtifacts
from chronos_assets.storage.lfs import ask_to_cancel, declare_dead_lfs, find_lfs, get_lfs, lfs_lock, queue_lfs
from chronos_assets.storage.lfs_artifacts import LfsArtifacts
from chronos_assets.storage.runs import get_folds
from chronos_assets.storage.stores import Stores
from chronos_assets.views.runs import read_chosen_features
from chronos_assets.views.selections import list_selections, read_cases, read_null, read_pairs, read_selection, read_shares
from chronos_assets_tests.support.commands import command_line, run_program
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile

ROWS = 260
QUICK: dict[str, Any] = {"target": "target_a", "max_kept": 2, "iterations": 2, "permutations": 5, "end_row": "all"}


def request_of(stores: Stores, slug: str, **changes: Any) -> LfsRequest:
    profile = LfsProfile.model_validate(QUICK | changes)
    return plan_lfs(slug, profile, stores, horizon_of=lambda _: (2, False), walkforward=WalkforwardProfile(train_size=100, test_size=20))


@pytest.fixture
def slug(stores: Stores, unique_slug: str) -> str:
    bars = make_bars(ROWS, trailing_nulls=1).with_columns(feat_still=pl.lit(2.0))
    publish(stores, unique_slug, bars)
    return unique_slug


def chronos(*arguments: str, env: dict[str, str]) -> tuple[int, str, str]:
    done = run_program(*arguments, env=env)
    return done.returncode, done.stdout, done.stderr


def called(*arguments: str, env: dict[str, str]) -> Result:
    """A command, called in this process."""
    return CliRunner().invoke(chronos_group, arguments, env=env)


def test_the_command_says_what_it_would_do_then_does_it_once(
    stores: Stores, slug: str, cli_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--dry-run` counts cases and classes; the run keeps features, sets and counts; the same request returns them at once."""
    options = ["--target", "TARGET_A", "--max-kept", "2", "--iterations", "2", "--permutations", "4", "--rows", "10:"]
    code, out, error = chronos("lfs", slug, *options, "--dry-run", "--json", env=cli_environment)
    assert code == 0, error
    planned = json.loads(out)
    assert (planned["rows"], planned["cases"] + planned["left_out"], planned["constant"]) == ([10, ROWS], ROWS - 10, ["feat_still"])
    assert [c["n"] for c in planned["classes"]] == [planned["cases"] * (c + 1) // 3 - planned["cases"] * c // 3 for c in range(3)]
    assert find_lfs(stores.postgres, planned["lfs_id"]) is None

    code, out, error = chronos("lfs", slug, *options, "--json", env=cli_environment)
    assert code == 0, error
    document = json.loads(out)
    assert set(document) == {"run", "features", "warnings"}
    assert (document["run"]["lfs_id"], document["run"]["status"], document["run"]["tries"]) == (planned["lfs_id"], "completed", 1)
    assert document["features"][0]["feature"] == "feat_0"
    assert document["features"][-1] | {"mark": None} == {
        "feature": "feat_still",
        "feature_no": 4,
        "selected_count": None,
        "pct": None,
        "p_solo": None,
        "p_unbiased": None,
        "mark": None,
        "caution": False,
        "excluded": "constant",
    }
    assert {w["code"] for w in document["warnings"]} == {"lfs_sees_test_rows", "target_horizon_assumed", "few_permutations"}
    before = get_lfs(stores.postgres, planned["lfs_id"])
    code, out, _ = chronos("lfs", slug, *options, env=cli_environment)
    assert code == 0
    assert "(already there)" in out
    assert get_lfs(stores.postgres, planned["lfs_id"]) == before

    with pytest.raises(ProfileError, match="Did you mean 'target_"):
        request_of(stores, slug, target="target_c")


def test_what_is_kept_adds_up(stores: Stores, slug: str) -> None:
    """Counts, shares over time, pairs and the null agree with the sets of the cases."""
    request = request_of(stores, slug)
    run_request(request, stores, requested_by="test")
    document = read_selection(stores.postgres, request.lfs_id)
    cases, features = read_cases(stores, request.lfs_id), {f.feature_no: f for f in document.features}
    assert cases.columns == ["row", "timestamp_unix", "class", "selected"]
    assert cases.height == (document.run.summary_metrics or {})["cases"]
    chosen = cases["selected"].explode().to_list()
    assert {v: chosen.count(v) for v in range(4)} == {v: features[v].selected_count for v in range(4)}
    over_time = read_shares(stores, request.lfs_id, 7)
    assert sum(s.cases for s in over_time.slices) == cases.height
    for feature in over_time.features:
        counted = sum(share * s.cases for share, s in zip(feature.shares, over_time.slices, strict=True))
        assert counted == pytest.approx(next(f.selected_count for f in document.features if f.feature == feature.feature))
    assert sum(p.together for p in read_pairs(stores, request.lfs_id)) == int((cases["selected"].list.len() == 2).sum())
    null = read_null(stores, request.lfs_id)
    assert null.permutations == [1, 2, 3, 4, 5]
    first = document.features[0]
    assert first.p_unbiased == (1 + sum(best >= first.pct for best in null.best)) / 6
    assert [run.lfs_id for run in list_selections(stores.postgres, slug, target="target_a", status="completed")] == [request.lfs_id]
    with pytest.raises(NotPublishedError, match="Did you mean"):
        read_selection(stores.postgres, request.lfs_id[:-1] + ("1" if request.lfs_id.endswith("0") else "0"))


def test_everything_that_can_change_a_result_names_another_selection(stores: Stores, slug: str) -> None:
    """Each parameter changes the id, but for those listed as without effect, and so do rows, features, horizon and content."""
    base = request_of(stores, slug)
    other: dict[str, Any] = {
        "bins": 2, "max_kept": 1, "iterations": 1, "beta_trials": 5, "permutations": 6, "permutation": "complete", "seed": 8,
        "target": "target_b", "features": ["feat_0", "feat_1"], "start_row": 1, "end_row": 200, "threads": 1, "max_cases": 4000,
    }  # fmt: skip
    assert set(other) == set(LfsProfile.model_fields)
    for key, value in other.items():
        assert (request_of(stores, slug, **{key: value}).lfs_id == base.lfs_id) == (key in KEYS_WITHOUT_EFFECT), key
    assert set(other) >= set(RESOLVED_KEYS)
    publish(stores, slug, make_bars(ROWS, seed=2).with_columns(feat_still=pl.lit(2.0)), tag=f"{slug}@2")
    assert request_of(stores, slug).lfs_id != base.lfs_id


def test_rows_before_the_first_test_are_the_default(stores: Stores, slug: str) -> None:
    """Without rows, a selection ends where the first fold's training ends and warns of nothing; beyond it, it warns."""
    request = request_of(stores, slug, end_row=None)
    assert (request.start_row, request.end_row, request.first_test_row) == (0, 100, 101)
    assert "lfs_sees_test_rows" not in {w["code"] for w in request.warnings}
    assert "lfs_sees_test_rows" in {w["code"] for w in request_of(stores, slug, end_row=101).warnings}
    with pytest.raises(ProfileError, match="the rows asked for are not in the dataset"):
        request_of(stores, slug, end_row=ROWS + 1)


@pytest.mark.parametrize(("own", "tested", "end"), [(1, 1, 100), (5, 5, 100), (5, 1, 96), (1, 5, 104)])
def test_no_target_of_the_default_rows_looks_beyond_the_first_test_bar(stores: Stores, slug: str, own: int, tested: int, end: int) -> None:
    """The selection's target looks `own` bars ahead, that of the tests `tested`, whose tests begin at row 100 + `tested` - 1."""
    horizons = {"target_a": own, "target_b": tested} if own != tested else {"target_a": own, "target_b": 1}
    walkforward = WalkforwardProfile(target="target_b" if own != tested else "target_a", train_size=100, test_size=20)

    def plan(**changes: Any) -> LfsRequest:
        profile = LfsProfile.model_validate(QUICK | changes)
        return plan_lfs(slug, profile, stores, horizon_of=lambda name: (horizons[name], False), walkforward=walkforward)

    request = plan(end_row=None)
    assert (request.end_row, request.first_test_row) == (end, 100 + tested - 1)
    assert request.end_row - 1 + own == request.first_test_row  # the last price that a target of the rows holds
    assert not request.sees_test_rows
    assert plan(end_row=end + 1).sees_test_rows


def test_a_killed_selection_goes_on_where_it_was(stores: Stores, slug: str, cli_environment: dict[str, str]) -> None:
    """After SIGKILL amid the permutations the same request computes the missing ones only, and ends bit-equal to an undisturbed one."""
    options = ["--target", "target_a", "--rows", "0:", "--max-kept", "2", "--iterations", "2", "--permutations", "25", "--threads", "1"]
    command = command_line("lfs", slug, *options)
    with subprocess.Popen(command, env=cli_environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            (killed,) = wait_for(lambda: [run.lfs_id for run in list_selections(stores.postgres, slug)])
            artifacts = LfsArtifacts(stores.artifacts, killed, 5)
            wait_for(lambda: len(artifacts.done()) >= 3)
        finally:
            process.send_signal(signal.SIGKILL)
    before = artifacts.done()
    assert 3 <= len(before) < 25
    with artifacts._journal.open("ab") as journal:
        journal.write(b"cut off")
    assert killed in declare_dead_lfs(stores.postgres)  # other files leave dead ones, too
    assert get_lfs(stores.postgres, killed).status == "failed"

    request = plan_lfs(
        slug, LfsProfile(**QUICK | {"permutations": 25}), stores, horizon_of=lambda _: (1, True), walkforward=WalkforwardProfile()
    )
    assert request.lfs_id == killed
    assert run_request(request, stores, requested_by="test").permutations_computed == 25 - len(before)
    after, resumed = artifacts.done(), read_selection(stores.postgres, killed).features
    assert len(after) == 25
    assert all(np.array_equal(after[r], counts) for r, counts in before.items())
    kept = stores.artifacts.read(artifacts.counts_place), artifacts.sets().to_dicts()
    for place in (artifacts.counts_place, artifacts.sets_place):
        assert stores.artifacts.delete(place)
    assert run_request(request, stores, requested_by="test").permutations_computed == 25
    assert read_selection(stores.postgres, killed).features == resumed
    assert (stores.artifacts.read(artifacts.counts_place), artifacts.sets().to_dicts()) == kept


def wait_for(ask: Any, seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = ask()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def test_a_selection_that_is_asked_to_stop_keeps_what_it_has(stores: Stores, slug: str) -> None:
    """A cancel takes effect amid the permutations: p-values are those of the permutations done, and the request goes on later."""
    request = request_of(stores, slug, permutations=40, iterations=3)

    def cancel(stage: str, done: int, total: int | None, detail: str = "") -> None:
        if stage == "permutations" and done >= 2:
            assert ask_to_cancel(stores.postgres, request.lfs_id)

    with pytest.raises(RunCancelledError):
        run_request(request, stores, requested_by="test", progress=cancel)
    document = read_selection(stores.postgres, request.lfs_id)
    done = (document.run.summary_metrics or {})["permutations_done"]
    assert document.run.status == (document.run.progress or {})["phase"] == "cancelled"
    assert 2 <= done < 40
    assert (document.features[0].p_unbiased or 0) >= 1 / (done + 1)
    assert read_null(stores, request.lfs_id).permutations == list(range(1, done + 1))
    assert not ask_to_cancel(stores.postgres, request.lfs_id)
    outcome = run_request(request, stores, requested_by="test")
    assert outcome.permutations_computed == 40 - done
    assert read_selection(stores.postgres, request.lfs_id).run.status == "completed"


def test_one_process_at_a_time_works_on_a_selection(stores: Stores, slug: str) -> None:
    """While the lock of a selection is held, the same request is refused as a conflict and writes nothing."""
    request = request_of(stores, slug)
    with lfs_lock(stores.postgres, request.lfs_id), pytest.raises(ConflictError):
        run_request(request, stores, requested_by="test")
    assert find_lfs(stores.postgres, request.lfs_id) is None


def test_refusals_leave_a_failed_selection_with_its_reason(stores: Stores, slug: str) -> None:
    """More cases than max_cases are refused with the estimate of time, more rotations than exist with their number."""
    with pytest.raises(ProfileError, match=r"which would take about .* on 1 threads"):
        run_request(request := request_of(stores, slug, max_cases=100, threads=1), stores, requested_by="test")
    failed = get_lfs(stores.postgres, request.lfs_id)
    assert (failed.status, (failed.summary_metrics or {})["error"]["code"]) == ("failed", "lfs_too_many_cases")
    with pytest.raises(ProfileError, match="different rotations"):
        run_request(request_of(stores, slug, permutations=300), stores, requested_by="test")


def test_folds_select_their_own_features(stores: Stores, slug: str, cli_environment: dict[str, str]) -> None:
    """`select: lfs` keeps features fold by fold, says in how many folds each was kept, and passes the look-ahead audit."""
    features = {"select": "lfs", "from": ["feat_*"], "keep": 2, "bins": 2, "max_kept": 1, "iterations": 2}
    profile = small_profile(train_size=120, test_size=40, features=features)
    result = run_walkforward(slug, profile, stores, horizon=3, horizon_assumed=False)
    folds = get_folds(stores.postgres, result.run_id)
    kept = [fold.metrics["features"] for fold in folds]
    assert len(kept) == result.folds_planned >= 3
    assert all(len(names) == 2 and "feat_still" not in names for names in kept)
    assert len({tuple(names) for names in kept}) > 1  # each fold selects for itself
    chosen = result.summary_metrics["features_chosen"]
    assert chosen == {name: sum(name in names for names in kept) for name in chosen}
    assert sum(chosen.values()) == 2 * len(kept)
    importance = result.summary_metrics["feature_importance"]
    assert importance["feat_still"]["splits"] == 0
    report = look_ahead_audit(stores, result.run_id, 2)
    assert report.findings == []
    assert run_walkforward(slug, profile, stores, horizon=3, horizon_assumed=False).folds_trained == 0
    assert [one.model_dump() for one in read_chosen_features(stores.postgres, result.run_id, 1).features] == [
        {"feature": name, "folds": count, "shares": [count / len(kept)]} for name, count in chosen.items()
    ]
    over_time = read_chosen_features(stores.postgres, result.run_id, len(kept))
    assert [(s.first_fold, s.last_fold, s.folds) for s in over_time.slices] == [(n, n, 1) for n in range(len(kept))]
    assert [s.first_unix for s in over_time.slices] == [int(fold.test_start_ts.timestamp()) for fold in folds if fold.test_start_ts]
    assert {one.feature: one.shares for one in over_time.features} == {name: [float(name in names) for names in kept] for name in chosen}
    text = called("runs", "show", result.run_id, env=cli_environment).stdout
    assert f"features that {len(kept)} folds chose" in text
    plain = run_walkforward(slug, small_profile(train_size=120, test_size=40), stores, horizon=3, horizon_assumed=False)
    assert read_chosen_features(stores.postgres, plain.run_id).features == []


def test_an_assumed_horizon_that_the_bars_contradict_is_refused(stores: Stores, slug: str, cli_environment: dict[str, str]) -> None:
    """What walk-forward refuses is refused here too, by command and by plan; declared on the command line, it is taken."""
    publish(stores, slug, make_bars(ROWS, trailing_nulls=3).with_columns(feat_still=pl.lit(2.0)), tag=f"{slug}@2")
    options = ["--target", "target_a", "--rows", "0:", "--permutations", "0", "--dry-run", "--json"]
    refused = called("lfs", slug, *options, env=cli_environment).exception
    assert isinstance(refused, ProfileError)
    assert (refused.code, refused.where["horizon_shown"]) == ("target_horizon_undeclared", 3)
    taken = called("lfs", slug, *options, "--horizon", "3", env=cli_environment)
    assert {warning["code"] for warning in json.loads(taken.stdout)["warnings"]} == {"lfs_sees_test_rows"}


def test_a_selection_is_named_by_the_beginning_of_its_id(stores: Stores, slug: str, cli_environment: dict[str, str]) -> None:
    """`chronos selections` lists, shows in three views and cancels by the first six characters; fewer are no beginning."""
    request = request_of(stores, slug)
    run_request(request, stores, requested_by="test")
    short = request.lfs_id[:6].upper()
    listed = called("selections", "list", slug, "--json", env=cli_environment)
    assert [one["lfs_id"] for one in json.loads(listed.stdout)] == [request.lfs_id]
    for view, whole in (
        ("table", read_selection(stores.postgres, request.lfs_id).model_dump(mode="json")),
        ("over-time", read_shares(stores, request.lfs_id, 3).model_dump(mode="json")),
        ("pairs", [pair.model_dump(mode="json") for pair in read_pairs(stores, request.lfs_id)]),
    ):
        shown = called("selections", "show", short, "--view", view, "--slices", "3", "--json", env=cli_environment)
        assert json.loads(shown.stdout) == whole
        assert "feat_0" in called("selections", "show", short, "--view", view, env=cli_environment).stdout
    assert called("selections", "cancel", short, env=cli_environment).stdout == f"selection {request.lfs_id} is completed\n"
    assert isinstance(called("selections", "show", request.lfs_id[:5], env=cli_environment).exception, NotPublishedError)
    queued = request_of(stores, slug, seed=9)
    with stores.postgres.connection() as connection:
        queue_lfs(connection, queued.row("test"))
    assert "no case has chosen yet" in called("selections", "show", queued.lfs_id[:8], env=cli_environment).stdout
    lines = called("selections", "list", slug, env=cli_environment).stdout.splitlines()
    assert [line.split()[3] for line in lines[1:3]] == ["queued", "completed"]
    assert called("selections", "cancel", queued.lfs_id[:8], env=cli_environment).stdout == f"selection {queued.lfs_id} is cancelled\n"


def test_a_retired_dataset_takes_selections_and_files_with_it(stores: Stores, slug: str) -> None:
    """Rows and files of its selections and of its runs' folds are gone, and a selection at work stops and leaves nothing."""
    done, working = request_of(stores, slug), request_of(stores, slug, permutations=200, seed=8)
    run_request(done, stores, requested_by="test")
    result = run_walkforward(slug, small_profile(), stores, horizon=3, horizon_assumed=False)
    packs = {fold.pack for fold in get_folds(stores.postgres, result.run_id)}
    files = FoldArtifacts(stores.artifacts)
    assert packs <= files.packs().keys()

    def retire_meanwhile(stage: str, number: int, total: int | None, detail: str = "") -> None:
        if stage == "permutations" and number >= 2 and find_dataset(stores.postgres, slug):  # one number may be told several times
            retire(stores, slug, with_runs=True)

    with pytest.raises(ChronosError, match="the dataset was retired"):
        run_request(working, stores, requested_by="test", progress=retire_meanwhile)
    assert [find_lfs(stores.postgres, one.lfs_id) for one in (done, working)] == [None, None]
    left = [path for one in (done, working) for path in (stores.settings.artifacts_dir / "lfs").glob(f"*{one.lfs_id}*")]
    assert left == []
    assert not packs & files.packs().keys()


@pytest.mark.parametrize("name", ["sets", "permutations"])
def test_a_damaged_file_is_told_and_made_again(stores: Stores, slug: str, name: str) -> None:
    """A file that cannot be read is an error that says so; the same request notices one changed byte and makes that file again, equal."""
    request = request_of(stores, slug)
    run_request(request, stores, requested_by="test")
    artifacts = LfsArtifacts(stores.artifacts, request.lfs_id, len(request.features))
    path = stores.artifacts.path({"sets": artifacts.sets_place, "permutations": artifacts.counts_place}[name])
    whole = path.read_bytes()
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(FileError, match="are damaged"):
        read_null(stores, request.lfs_id)
    path.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    outcome = run_request(request, stores, requested_by="test")
    assert (outcome.reused, outcome.permutations_computed) == (False, 0 if name == "sets" else 5)
    assert path.read_bytes() == whole
    assert run_request(request, stores, requested_by="test").reused
