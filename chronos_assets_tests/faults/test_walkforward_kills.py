"""A walk-forward process that is killed at any moment: what is stored stays, the rest is trained, the end is the same."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl
import pytest

from chronos_assets.storage.runs import declare_dead_runs, get_folds, list_runs, read_predictions
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.commands import command_line, run_program
from chronos_assets_tests.support.walkforward_data import make_bars, publish, wait_for_folds

OPTIONS = ["--train-size", "200", "--test-size", "5", "--gap", "2", "--set", "model.eta=0.02", "--set", "model.early_stopping=0"]
OPTIONS += ["--set", "model.rounds=150", "--target", "target_a", "--horizon", "3", "--workers", "1", "--json"]
PLANNED = 79


@contextmanager
def started(slug: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = command_line("walkforward", slug, *OPTIONS)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def finish(slug: str, environment: dict[str, str]) -> dict[str, Any]:
    done = run_program("walkforward", slug, *OPTIONS, env=environment)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def content(stores: Stores, run_id: str) -> tuple[pl.DataFrame, list[tuple[Any, ...]]]:
    folds = [
        (f.fold_number, f.fold_key, f.thresholds, f.metrics, f.best_score, f.samples_train) for f in get_folds(stores.postgres, run_id)
    ]
    return read_predictions(stores, run_id), folds


def test_sigkill_loses_nothing_that_was_stored(stores: Stores, unique_slug: str, cli_environment: dict[str, str]) -> None:
    """Killed twice at random moments, a run resumes with what it had, trains no stored fold again, and ends like one never killed."""
    chance = random.Random(11)
    bars = make_bars(600)
    publish(stores, unique_slug, bars)
    twin = unique_slug.replace("_1d_", "x_1d_")
    publish(stores, twin, bars)
    for _ in range(2):
        with started(unique_slug, cli_environment) as process:
            before = sum(run.folds_present or 0 for run in list_runs(stores.postgres, unique_slug))
            wait_for_folds(stores, unique_slug, before + 1, process)
            time.sleep(chance.random() * 0.6)
            process.send_signal(signal.SIGKILL)
            process.wait()
    (dead,) = list_runs(stores.postgres, unique_slug)
    assert dead.status == "running"
    assert dead.run_id in declare_dead_runs(stores.postgres)  # other files leave dead ones, too
    stored = get_folds(stores.postgres, dead.run_id)
    assert 2 <= len(stored) < PLANNED
    resumed, whole = finish(unique_slug, cli_environment), finish(twin, cli_environment)
    assert (resumed["status"], resumed["run_id"], resumed["folds_present"]) == ("completed", dead.run_id, PLANNED)
    assert resumed["folds_trained"] == PLANNED - len(stored)
    assert whole["folds_trained"] == PLANNED
    mine, theirs = content(stores, resumed["run_id"]), content(stores, whole["run_id"])
    assert mine[0].equals(theirs[0])
    assert mine[1] == theirs[1]
    assert resumed["summary_metrics"]["both"] == whole["summary_metrics"]["both"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_cancelled(
    stores: Stores, unique_slug: str, cli_environment: dict[str, str], number: signal.Signals, code: int
) -> None:
    """Ctrl-C and SIGTERM end the process at once with its exit code, keep what is finished, and leave the status cancelled."""
    publish(stores, unique_slug, make_bars(600))
    with started(unique_slug, cli_environment) as process:
        wait_for_folds(stores, unique_slug, 3, process)
        process.send_signal(number)
        assert process.wait(timeout=300) == code
    (run,) = list_runs(stores.postgres, unique_slug)
    assert run.status == "cancelled"
    assert 3 <= (run.folds_present or 0) < PLANNED
    assert read_predictions(stores, run.run_id)["fold"].n_unique() == run.folds_present
