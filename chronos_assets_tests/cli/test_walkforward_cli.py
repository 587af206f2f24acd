"""`chronos folds`, `walkforward`, `sweep` and `runs` as processes: one JSON document on stdout, exit codes, clear refusals."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.commands import run_program
from chronos_assets_tests.support.walkforward_data import make_bars, publish

SMALL = ["--train-size", "60", "--test-size", "10", "--gap", "2", "--set", "model.rounds=20", "--set", "model.eta=0.2"]


def chronos(*arguments: str, env: dict[str, str] | None = None) -> tuple[int, Any, str]:
    """Exit code, the JSON on stdout (text where it is none), stderr."""
    done = run_program(*arguments, env=env or dict(os.environ))
    try:
        return done.returncode, json.loads(done.stdout), done.stderr
    except json.JSONDecodeError:
        return done.returncode, done.stdout, done.stderr


def test_folds_of_rows_without_a_dataset() -> None:
    """`chronos folds --rows` prints the plan as JSON rows, needs no server, and refuses what would look ahead."""
    code, plan, _ = chronos("folds", "--rows", "11", "--train-size", "5", "--test-size", "2", "--gap", "1", "--step", "2", "--json")
    assert code == 0
    assert plan == [
        {"fold": 0, "train_start": 0, "train_end": 5, "test_start": 6, "test_end": 8},
        {"fold": 1, "train_start": 2, "train_end": 7, "test_start": 8, "test_end": 10},
    ]
    assert chronos("folds", "--rows", "7", "--train-size", "5", "--test-size", "2", "--gap", "1", "--json")[:2] == (0, [])
    code, text, _ = chronos("folds", "--rows", "300", "--train-size", "50", "--test-size", "20")
    assert code == 0
    assert "12 folds over 300 bars" in text
    sizes = ("folds", "--rows", "50", "--train-size", "5", "--test-size", "3")
    for extra, wanted in (
        [("--step", "2"), 3],
        [("--gap", "1", "--horizon", "4"), 3],
        [("--gap", "-1"), 3],
        [("--step", "x"), 3],
        [("--gap", "x"), 2],
    ):
        code, document, error = chronos(*sizes, *extra, "--json")
        assert (code, "Traceback" in error) == (wanted, False), (extra, error)
        if wanted == 3:
            assert document["error"]["message"]
    assert chronos("folds")[0] == 2


def test_run_list_sweep_and_retire(stores: Stores, unique_slug: str, cli_environment: dict[str, str]) -> None:
    """A run by command line says what it did, is listed and shown with its space, swept over, and retired."""
    publish(stores, unique_slug, make_bars(160, trailing_nulls=1))
    code, plan, _ = chronos("folds", unique_slug, *SMALL, "--json", env=cli_environment)
    assert (code, len(plan)) == (0, 9)
    code, result, error = chronos("walkforward", unique_slug, *SMALL, "--json", env=cli_environment)
    assert (code, result["status"], result["folds_trained"]) == (0, "completed", 9)
    assert "target_horizon_assumed" in error
    code, again, _ = chronos("walkforward", unique_slug, *SMALL, "--json", env=cli_environment)
    assert (code, again["run_id"], again["folds_trained"]) == (0, result["run_id"], 0)
    assert again["warnings"][0]["code"] == "target_horizon_assumed"
    code, swept, error = chronos("sweep", unique_slug, *SMALL, "--grid", "model.max_depth=2,3", "--json", env=cli_environment)
    assert (code, len(swept["trials"])) == (0, 2)
    assert "many_trials" in error
    code, runs, _ = chronos("runs", "list", unique_slug, "--json", env=cli_environment)
    assert (code, len(runs), {run["status"] for run in runs}) == (0, 3, {"completed"})
    assert [run["space"]["prediction_rows"] for run in runs] == [90, 90, 90]
    assert all(run["space"]["artifact_bytes"] >= run["space"]["own_artifact_bytes"] > 0 for run in runs)
    code, shown, _ = chronos("runs", "show", result["run_id"], "--json", env=cli_environment)
    assert (code, shown["space"]["prediction_rows"]) == (0, 90)
    people_find_their_way(unique_slug, result["run_id"], cli_environment)
    code, text, _ = chronos("runs", "retire", result["run_id"], env=cli_environment)
    assert code == 0
    assert "90 predictions in QuestDB are dead rows now" in text
    assert chronos("runs", "show", result["run_id"], env=cli_environment)[0] == 3


def people_find_their_way(slug: str, run_id: str, environment: dict[str, str]) -> None:
    """The texts name dates, parameters that differ, thresholds and the next command; the beginning of an id is enough."""
    _, plan, _ = chronos("folds", slug, *SMALL, env=environment)
    assert "first test bar" in plan
    assert re.search(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} ", plan), plan
    _, listed, _ = chronos("runs", "list", slug, env=environment)
    assert "rolling 60/10, gap 2, model.eta 0.2, model.rounds 20" in listed
    assert "`chronos runs show RUN_ID`" in listed
    code, shown, error = chronos("runs", "show", run_id[:8].upper(), env=environment)
    assert code == 0, error
    for part in (
        f"run {run_id} of {slug}: completed",
        "parameters  ",
        "  eta 0.2",
        "threshold long ",
        "in use now: ",
        "warning target_horizon_assumed",
    ):
        assert part in shown, (part, shown)
    assert shown.rstrip().endswith(f"next: chronos simulate {run_id}")


def test_an_undeclared_horizon_that_the_bars_contradict_is_refused(
    stores: Stores, unique_slug: str, cli_environment: dict[str, str]
) -> None:
    """Plan, run and sweep are refused with the value that the file suggests; declared on the command line, it runs."""
    publish(stores, unique_slug, make_bars(160, trailing_nulls=3))
    for command in (["folds"], ["walkforward"], ["sweep", "--grid", "model.max_depth=2,3"]):
        code, document, error = chronos(command[0], unique_slug, *SMALL, *command[1:], "--json", env=cli_environment)
        assert (code, document["error"]["code"], document["error"]["horizon_shown"]) == (3, "target_horizon_undeclared", 3), error
        assert "target_horizon: {target_a: 3}" in document["error"]["hint"]
    code, plan, error = chronos("folds", unique_slug, *SMALL, "--horizon", "3", "--json", env=cli_environment)
    assert (code, len(plan)) == (0, 9), error


def test_refusals_have_their_exit_codes(stores: Stores, unique_slug: str, cli_environment: dict[str, str]) -> None:
    """Not published 3, a typo in a parameter 3 with the nearest key, no GPU 1, a malformed change 2; never a traceback."""
    publish(stores, unique_slug, make_bars(160, trailing_nulls=1))
    cases = [
        (["walkforward", "nowhere_1d_v1"], 3, "not published"),
        (["walkforward", unique_slug, "--set", "model.etta=1"], 3, "eta"),
        (["walkforward", unique_slug, "--set", "eta=1"], 3, "Did you mean 'model.eta'?"),
        (["walkforward", unique_slug, "--set", "model"], 2, "KEY=VALUE"),
        (["walkforward", unique_slug, "--set", "features=feat_0,feat_1"], 3, "features: `all`, or a list"),
        (["walkforward", unique_slug, "--set", "step=0"], 3, "step: a whole number of bars"),
        (["walkforward", unique_slug, *SMALL, "--device", "cuda"], 1, "GPU"),
        (["walkforward", unique_slug, "--profile", "none"], 3, "profile"),
        (["runs", "show", "not-a-run"], 3, "no walk-forward run"),
    ]
    for arguments, wanted, said in cases:
        code, _, error = chronos(*arguments, env=cli_environment)
        assert (code, "Traceback" in error) == (wanted, False), (arguments, error)
        assert said in error
