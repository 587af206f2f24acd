"""A run through Dagster, interrupted or killed in the middle: nothing is left "started", and the next one goes on."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from dagster import DagsterRunStatus, RunsFilter

from chronos_assets.orchestration.instance import open_instance
from chronos_assets.settings import Settings
from chronos_assets.storage.datasets import get_dataset
from chronos_assets.storage.runs import get_folds, list_runs
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.commands import command_line, run_program
from chronos_assets_tests.support.dagster_data import PROFILE, write_dataset
from chronos_assets_tests.support.walkforward_data import wait_for_folds

PLANNED = 80
SLOW = PROFILE | {"train_size": 100, "test_size": 5, "model": {"rounds": 200, "early_stopping": 0, "max_depth": 6, "eta": 0.01}}


@pytest.mark.parametrize(
    ("number", "status", "exit_code"),
    [(signal.SIGINT, DagsterRunStatus.CANCELED, 130), (signal.SIGKILL, DagsterRunStatus.FAILURE, -signal.SIGKILL)],
)
def test_a_run_that_is_stopped_keeps_what_it_has_and_the_next_one_goes_on(
    *,
    number: signal.Signals,
    status: DagsterRunStatus,
    exit_code: int,
    cli_environment: dict[str, str],
    settings: Settings,
    stores: Stores,
    unique_slug: str,
    tmp_path: Path,
) -> None:
    """Stopped while folds are trained, the run is on record as ended, finished folds stay, and the next run trains only the others."""
    write_dataset(tmp_path, unique_slug, rows=500, change=lambda m: m.update(walkforward={"default": SLOW}))
    command = command_line("run", unique_slug)
    environment = cli_environment | {"CHRONOS_EXPORTS_DIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        wait_for_folds(stores, unique_slug, 1, process)
        process.send_signal(number)
    assert process.returncode == exit_code
    [run] = list_runs(stores.postgres, unique_slug)
    kept = len(get_folds(stores.postgres, run.run_id))
    assert 1 <= kept < PLANNED
    assert get_dataset(stores.postgres, unique_slug).row_count == 500

    again = run_program("run", unique_slug, env=environment)
    assert again.returncode == 0, again.stderr
    [run] = list_runs(stores.postgres, unique_slug)
    assert run.status == "completed"
    assert f"{PLANNED - kept:,} trained, {kept:,} reused" in again.stdout
    with open_instance(settings, captured_output=False) as instance:
        runs = instance.get_runs(RunsFilter(tags={"dagster/partition": unique_slug}))
    assert [one.status for one in runs] == [DagsterRunStatus.SUCCESS, status]
