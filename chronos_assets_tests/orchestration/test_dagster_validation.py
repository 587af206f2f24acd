"""The job `validate_dataset`: a run that reads both stores, and fails with the sentence of what differs."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from dagster import DagsterInstance, Definitions, ExecuteInProcessResult

from chronos_assets.orchestration.build import build_defs
from chronos_assets.orchestration.jobs.validate_dataset import VALIDATE_JOB
from chronos_assets.orchestration.partitions import add_partitions
from chronos_assets.orchestration.preview import accepted
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.export_case import ExportCase, make_case


@pytest.fixture
def case(stores: Stores, tmp_path: Path, unique_slug: str) -> ExportCase:
    case = make_case(stores, tmp_path, unique_slug)
    case.export()
    return case


def run_job(case: ExportCase, settings: Settings, servers: Connections) -> ExecuteInProcessResult:
    workplace = Workplace(settings.model_copy(update={"exports_dir": case.folder}), connections=servers)
    with accepted(), DagsterInstance.ephemeral() as instance:
        definitions: Definitions = build_defs({"workplace": workplace})
        add_partitions(instance, [case.slug])
        job = definitions.resolve_job_def(VALIDATE_JOB)
        return job.execute_in_process(instance=instance, partition_key=case.slug, raise_on_error=False)


def test_a_sound_dataset_passes_and_a_changed_cell_fails_the_run(case: ExportCase, settings: Settings, servers: Connections) -> None:
    """The run succeeds with the report as metadata; after one changed value it fails, names the check, and gives the command."""
    assert run_job(case, settings, servers).success
    case.put(case.rows_as_sent(case.slug)[4:5].with_columns(pl.col("ATR") + 1.0))
    result = run_job(case, settings, servers)
    assert not result.success
    (event,) = [event for event in result.all_events if event.is_step_failure]
    told = event.step_failure_data.user_failure_data
    assert told is not None
    assert f"dataset {case.slug} differs: content hash" in str(told.description)
    assert told.metadata["exit_code"].value == 3
    assert told.metadata["more"].value == f"validate_dataset {case.slug}"
    (report,) = told.metadata["reports"].value
    assert report["audit"]["columns"][0]["column"] == "ATR"
