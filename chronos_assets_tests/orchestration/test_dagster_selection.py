"""Feature selections in Dagster: the asset with its checks, the job for one request, and what a request from outside leaves if it fails."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from dagster import DagsterInstance, ExecuteInProcessResult

from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.orchestration.build import JOB, build_defs
from chronos_assets.orchestration.jobs.lfs import LFS_JOB
from chronos_assets.orchestration.partitions import add_partitions
from chronos_assets.orchestration.preview import accepted
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.pipeline.selection.checks import recount
from chronos_assets.pipeline.selection.launch import submit_lfs
from chronos_assets.pipeline.selection.request import LfsRequest, plan_lfs
from chronos_assets.pipeline.selection.run import read_cases
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.lfs import find_lfs, get_lfs, queue_lfs
from chronos_assets.views.selections import list_selections
from chronos_assets_tests.support.dagster_data import write_dataset

SLUG = "selected_1d_v1"
QUICK: dict[str, Any] = {"target": "TGT_A", "max_kept": 2, "iterations": 2, "permutations": 19}


@pytest.fixture(scope="module")
def workplace(servers: Connections, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    workplace = Workplace(settings.model_copy(update={"exports_dir": tmp_path_factory.mktemp("exports")}), connections=servers)
    write_dataset(workplace.settings.exports_dir, SLUG, change=lambda manifest: manifest.update(lfs={"quick": QUICK}))
    return workplace


@pytest.fixture(scope="module")
def whole_way(workplace: Workplace) -> ExecuteInProcessResult:
    return launch(workplace, JOB, {})


def launch(workplace: Workplace, job: str, ops: dict[str, Any]) -> ExecuteInProcessResult:
    with accepted(), DagsterInstance.ephemeral() as instance:
        add_partitions(instance, [SLUG])
        resolved = build_defs({"workplace": workplace}).resolve_job_def(job)
        return resolved.execute_in_process(instance=instance, partition_key=SLUG, raise_on_error=False, run_config={"ops": ops})


def request_of(workplace: Workplace, **changes: Any) -> LfsRequest:
    manifest = workplace.manifest(SLUG).manifest
    profile = LfsProfile.model_validate(QUICK | changes)
    return plan_lfs(SLUG, profile, workplace.stores, horizon_of=manifest.horizon, walkforward=manifest.walkforward_profile())


def test_the_asset_selects_for_each_profile_and_shows_it(workplace: Workplace, whole_way: ExecuteInProcessResult) -> None:
    """A manifest with an lfs profile materializes the table of features and a picture of their shares; few cases are warned of."""
    assert whole_way.success
    (materialization,) = whole_way.asset_materializations_for_node("feature_selection")
    metadata = materialization.metadata
    assert next(record.data["feature"] for record in metadata["features"].value.records) == "FEAT_A"  # type: ignore[union-attr]
    picture = re.findall(r"base64,([A-Za-z0-9+/=]+)", str(metadata["share_over_time"].value))[0]
    assert b"stroke-opacity='1'" in base64.b64decode(picture)
    request = request_of(workplace)
    assert metadata["lfs_ids"].value == {"quick": request.lfs_id}
    assert metadata["rows"].value == "0 to 120"  # profile default trains on 120 bars before its first test
    found = [e for e in whole_way.get_asset_check_evaluations() if e.asset_key.path == ["feature_selection"]]
    verdicts = {one.check_name: (one.passed, one.severity.value) for one in found}
    assert verdicts == {"enough_cases": (False, "WARN"), "permutations_done": (True, "ERROR"), "sees_no_test_rows": (True, "WARN")}


def test_a_changed_row_is_found(workplace: Workplace, whole_way: ExecuteInProcessResult) -> None:
    """A count that does not follow from the kept sets is named by the check."""
    request, stores = request_of(workplace), workplace.stores
    assert recount(stores, request.lfs_id) == []
    change = "UPDATE lfs_features SET selected_count = selected_count + %s WHERE lfs_id = %s AND feature = 'FEAT_B'"
    with stores.postgres.connection() as connection:
        connection.execute(change, (1, request.lfs_id))
        (found,) = recount(stores, request.lfs_id)
        connection.execute(change, (-1, request.lfs_id))
    assert found.startswith("FEAT_B: count and p-values are")


def test_the_job_makes_one_request(workplace: Workplace, whole_way: ExecuteInProcessResult) -> None:
    """Parameters change the named profile; a request that another dataset content would answer is refused, and so is a typo."""
    parameters = {"permutations": 3, "end_row": "all"}
    wanted = request_of(workplace, **parameters)
    done = launch(
        workplace, LFS_JOB, {"run_selection": {"config": {"profile": "quick", "parameters": parameters, "lfs_id": wanted.lfs_id}}}
    )
    assert done.success
    record = get_lfs(workplace.stores.postgres, wanted.lfs_id)
    assert (record.status, record.dagster_run_id) == ("completed", done.run_id)
    stale = request_of(workplace, permutations=4)
    with workplace.stores.postgres.connection() as connection:
        assert queue_lfs(connection, stale.row("test"))
    refused = launch(workplace, LFS_JOB, {"run_selection": {"config": {"parameters": QUICK | parameters, "lfs_id": stale.lfs_id}}})
    assert "changed since the selection was requested" in reason(refused)
    assert get_lfs(workplace.stores.postgres, stale.lfs_id).status == "failed"
    refused = launch(workplace, LFS_JOB, {"run_selection": {"config": {"parameters": {"permutatons": 5}}}})
    assert "Did you mean 'permutations'?" in reason(refused)


def test_a_request_without_dagster_leaves_everything_as_it_was(workplace: Workplace, whole_way: ExecuteInProcessResult) -> None:
    """If Dagster is down, a new request leaves no row, a failed one stays failed, and the refusal names the command to use instead."""
    nowhere = "http://127.0.0.1:9"
    new = request_of(workplace, permutations=7)
    with pytest.raises(ServiceUnavailableError, match=f"chronos lfs {SLUG}") as caught:
        submit_lfs(new, workplace.stores.postgres, nowhere, check=lambda: read_cases(new, workplace.stores))
    assert caught.value.code == "dagster_unreachable"
    assert find_lfs(workplace.stores.postgres, new.lfs_id) is None
    failed = request_of(workplace, permutations=4)
    before = get_lfs(workplace.stores.postgres, failed.lfs_id)
    with pytest.raises(ServiceUnavailableError):
        submit_lfs(failed, workplace.stores.postgres, None, check=lambda: read_cases(failed, workplace.stores))
    assert get_lfs(workplace.stores.postgres, failed.lfs_id) == before
    complete = request_of(workplace)
    assert submit_lfs(complete, workplace.stores.postgres, None, check=pytest.fail).outcome == "completed"
    assert len(list_selections(workplace.stores.postgres, SLUG)) == 3


def reason(result: ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    told = event.step_failure_data.user_failure_data
    assert told is not None
    return str(told.description)
