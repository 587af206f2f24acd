"""A simulation whose process is killed or interrupted: nothing half made is shown as whole, and the same request makes it whole."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.errors import RefusedError
from chronos_assets.pipeline.simulation.run import check_simulation, simulate_run
from chronos_assets.storage.simulations import (
    declare_dead_simulations,
    get_buckets,
    get_simulation,
    list_simulations,
    read_equity,
    read_trades,
)
from chronos_assets.storage.stores import Stores
from chronos_assets.web.tear_sheet import write_tear_sheet
from chronos_assets_tests.support.trained_market import train

CHRONOS = [sys.executable, "-c", "from chronos_assets.cli.main import main; main()"]
# So many permutations keep the process busy between writing its trades and completing.
SLOW = ["--mode", "dual", "--set", "statistics.permutations=30000", "--set", "statistics.bootstraps=0"]


def started(stores: Stores, run_id: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A `chronos simulate` process whose simulation stands as `running`."""
    process = subprocess.Popen([*CHRONOS, "simulate", run_id, *SLOW], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 600
    while not list_simulations(stores.postgres, run_id):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("delay_seconds", [0.0, 0.4])
def test_a_killed_simulation_is_never_whole_and_is_made_again(
    stores: Stores, unique_slug: str, cli_environment: dict[str, str], delay_seconds: float
) -> None:
    """After SIGKILL it is `failed` (died), has no buckets and no tear sheet; the same request completes it with every row once."""
    run_id = train(stores, unique_slug)
    process = started(stores, run_id, cli_environment)
    time.sleep(delay_seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (record,) = list_simulations(stores.postgres, run_id)
    assert record.status == "running"
    deadline = time.monotonic() + 300
    while record.simulation_id not in declare_dead_simulations(stores.postgres):
        assert time.monotonic() < deadline, "the lock of a dead process goes with its connection"
        time.sleep(0.1)
    record = get_simulation(stores.postgres, record.simulation_id)
    assert record.status == "failed"
    assert record.summary_metrics == {
        "error": {"code": "died", "message": "the process that made it is gone; the same request makes it again"}
    }
    assert get_buckets(stores.postgres, record.simulation_id) == []
    with pytest.raises(RefusedError):
        write_tear_sheet(record.simulation_id, stores)
    profile = SimulationProfile.model_validate({"modes": ["dual"], "statistics": {"permutations": 30_000, "bootstraps": 0}})
    (result,) = simulate_run(run_id, profile, stores)
    assert (result.simulation_id, result.status, result.reused) == (record.simulation_id, "completed", False)
    assert all(check.passed for check in check_simulation(result.simulation_id, stores))
    assert read_trades(stores, result.simulation_id).height == result.trades
    assert read_equity(stores, result.simulation_id).height == result.summary_metrics["bars"]


def test_an_interrupted_simulation_says_so(stores: Stores, unique_slug: str, cli_environment: dict[str, str]) -> None:
    """Ctrl-C ends with exit status 130 and the status `cancelled`."""
    run_id = train(stores, unique_slug)
    process = started(stores, run_id, cli_environment)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=600)
    assert process.returncode == 130
    (record,) = list_simulations(stores.postgres, run_id)
    assert record.status == "cancelled"
