"""What a launch in Dagster may change: parameters of a profile for one launch, and a grid of them."""

from __future__ import annotations

from typing import Any

import pytest
from dagster import DagsterInstance, ExecuteInProcessResult

from chronos_assets.orchestration.build import JOB, build_defs
from chronos_assets.orchestration.jobs.sweep import SWEEP_JOB
from chronos_assets.orchestration.partitions import add_partitions
from chronos_assets.orchestration.preview import accepted
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.runs import list_runs
from chronos_assets.storage.simulations import list_simulations
from chronos_assets_tests.support.dagster_data import write_dataset


@pytest.fixture(scope="module")
def workplace(servers: Connections, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(settings.model_copy(update={"exports_dir": tmp_path_factory.mktemp("exports")}), connections=servers)


def launch(workplace: Workplace, job: str, slug: str, ops: dict[str, Any]) -> ExecuteInProcessResult:
    with accepted(), DagsterInstance.ephemeral() as instance:
        add_partitions(instance, [slug])
        resolved = build_defs({"workplace": workplace}).resolve_job_def(job)
        return resolved.execute_in_process(instance=instance, partition_key=slug, raise_on_error=False, run_config={"ops": ops})


def reason(result: ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    told = event.step_failure_data.user_failure_data
    assert told is not None
    return str(told.description)


def test_a_launch_changes_a_profile_and_everything_below_follows(workplace: Workplace) -> None:
    """Parameters in the launchpad make a run of their own, which the checks judge and the simulations stand on; a typo trains nothing."""
    write_dataset(workplace.settings.exports_dir, "launched_1d_v1")
    changes = {"model.eta": 0.2, "thresholds": {"long_percentile": 70.0}}
    result = launch(workplace, JOB, "launched_1d_v1", {"walkforward_predictions": {"config": {"changes": changes}}})
    assert result.success
    (run,) = list_runs(workplace.stores.postgres, "launched_1d_v1")
    assert (run.hyperparameters["eta"], run.hyperparameters["rounds"]) == (0.2, 20)
    assert run.walk_config["thresholds"]["long_percentile"] == 70.0
    assert list_simulations(workplace.stores.postgres, run.run_id)
    refused = launch(workplace, JOB, "launched_1d_v1", {"walkforward_predictions": {"config": {"changes": {"model.etta": 0.2}}}})
    assert "unknown key 'model.etta'" in reason(refused)
    assert "Did you mean 'eta'?" in reason(refused)
    refused = launch(workplace, JOB, "launched_1d_v1", {"walkforward_predictions": {"config": {"changes": {"model": {"eta": 2.0}}}}})
    assert "model.eta: Input should be less than or equal to 1" in reason(refused)
    assert len(list_runs(workplace.stores.postgres, "launched_1d_v1")) == 1


def test_a_sweep_runs_every_point_and_ranks_them(workplace: Workplace) -> None:
    """The job trains each point of the grid once, ranks them, and warns of the number of trials; a wrong key is refused before any."""
    write_dataset(workplace.settings.exports_dir, "swept_1d_v1")
    assert launch(workplace, JOB, "swept_1d_v1", {}).success
    config = {"grid": {"model.eta": [0.1, 0.3], "model.max_depth": [2]}, "rank_by": "signal_sum"}
    result = launch(workplace, SWEEP_JOB, "swept_1d_v1", {"run_grid": {"config": config}})
    assert result.success
    (output,) = [event.step_output_data for event in result.all_events if event.is_successful_output]
    assert output.metadata["trials"].value == 2
    assert "flattered by chance" in str(output.metadata["warnings"].value)
    records = [record.data for record in output.metadata["ranking"].records]
    assert records[0]["signal sum"] >= records[1]["signal sum"]
    runs = {run.run_id for run in list_runs(workplace.stores.postgres, "swept_1d_v1")}
    assert {record["run_id"] for record in records} <= runs
    assert len(runs) == 2  # one point of the grid is the profile itself
    refused = launch(workplace, SWEEP_JOB, "swept_1d_v1", {"run_grid": {"config": {"grid": {"model.depth": [2, 3]}}}})
    assert "unknown key 'model.depth'" in reason(refused)
