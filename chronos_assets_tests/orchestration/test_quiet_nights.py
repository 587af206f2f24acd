"""A night that has nothing to do is decided and recorded without Dagster, and never otherwise than Dagster would decide."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from dagster import AssetKey, AssetMaterialization, DagsterEvent, DagsterEventType, DagsterInstance, DagsterRunStatus
from dagster._core.events import StepMaterializationData
from dagster._core.test_utils import create_run_for_test
from psycopg import sql
from pydantic import SecretStr

from chronos_assets.errors import StoreError
from chronos_assets.orchestration.dagster_yaml import records_are_in_our_postgres
from chronos_assets.orchestration.instance import open_instance
from chronos_assets.orchestration.nightly.dagster_runs import InstanceRuns
from chronos_assets.orchestration.nightly.nightly_summary import report_quiet_nights
from chronos_assets.orchestration.nightly.quiet import LAST_ASSET, RecordedRuns, find_nothing_to_do
from chronos_assets.orchestration.nightly.schedules import covered
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.orchestration.run_tags import CONTENT_TAG, PARTITION_TAG
from chronos_assets.pipeline.upkeep.changes import survey
from chronos_assets.services import Connections, dagster_postgres_url
from chronos_assets.settings import Settings
from chronos_assets.storage.dagster_records import covered_contents
from chronos_assets.storage.postgres import Postgres
from chronos_assets_tests.support.dagster_data import bars, write_dataset

TAGS = {"content_tag": CONTENT_TAG, "dataset_tag": PARTITION_TAG}
WITHOUT = ("dagster", "numba", "xgboost", "pandera", "pandas", "scipy")


@pytest.fixture(scope="module")
def own_records(servers: Connections, settings: Settings) -> Settings:
    """Settings with Dagster's records in a database of this module: what runs here is seen by no other test."""
    name = f"records_{secrets.token_hex(4)}"
    with psycopg.connect(servers.postgres_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    beside = dagster_postgres_url(servers, settings)
    return settings.model_copy(update={"dagster_postgres_url": SecretStr(beside.rpartition("/")[0] + f"/{name}")})


@pytest.fixture
def workplace(servers: Connections, own_records: Settings, tmp_path: Path) -> Workplace:
    own = own_records.model_copy(update={"exports_dir": tmp_path, "home": tmp_path / "home", "manifest_settle_seconds": 0.0})
    return Workplace(own, connections=servers)


@pytest.fixture(scope="module")
def instance(own_records: Settings) -> Iterator[DagsterInstance]:
    with open_instance(own_records, captured_output=False) as opened:
        yield opened


@pytest.fixture
def records(servers: Connections, own_records: Settings) -> Postgres:
    """Dagster's database, as the command line reads it."""
    return Postgres(dagster_postgres_url(servers, own_records))


def ran(instance: DagsterInstance, slug: str, content: str | None, status: DagsterRunStatus) -> None:
    """A run of `slug` that came as far as the simulations and has that status."""
    tags = {PARTITION_TAG: slug} | ({} if content is None else {CONTENT_TAG: content})
    run = create_run_for_test(instance, tags=tags, status=status)
    data = StepMaterializationData(AssetMaterialization(LAST_ASSET, partition=slug))
    event = DagsterEvent(DagsterEventType.ASSET_MATERIALIZATION.value, run.job_name, event_specific_data=data)
    instance.report_dagster_event(event, run.run_id)


def test_what_is_covered_reads_the_same_with_and_without_dagster(instance: DagsterInstance, records: Postgres) -> None:
    """Whatever became of a dataset's last runs, the SQL sees the content that Dagster's own records show, or none as they do."""
    done, failed, busy = DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.STARTED
    histories: list[list[tuple[str | None, DagsterRunStatus]]] = [
        [],
        [("m-f", done)],
        [("m-f", failed)],
        [("m-f", busy)],
        [(None, done)],
        [("m-f", done), ("m-g", failed)],
        [("m-f", failed), ("m-f", done)],
        [("m-f", done), ("m-g", done)],
        [("m-g", done), (None, done)],
    ]
    slugs = [f"h{number}{secrets.token_hex(4)}_1d_v1" for number in range(len(histories))]
    for slug, history in zip(slugs, histories, strict=True):
        for content, status in history:
            ran(instance, slug, content, status)
    by_sql = covered_contents(records, LAST_ASSET, slugs, **TAGS)
    assert by_sql == {slug: known.content for slug, known in covered(instance, slugs).items()}
    assert [by_sql.get(slug) for slug in slugs] == [None, "m-f", None, None, None, None, "m-f", "m-g", None]


def test_what_was_wiped_is_not_covered(instance: DagsterInstance, records: Postgres, unique_slug: str) -> None:
    """Somebody who wipes the asset in the UI wants it made again; what is made after that counts."""
    for content, expected in (("m-f", {unique_slug: "m-f"}), (None, {}), ("m-g", {unique_slug: "m-g"})):
        if content is None:
            instance.wipe_assets([AssetKey(LAST_ASSET)])
        else:
            ran(instance, unique_slug, content, DagsterRunStatus.SUCCESS)
        assert covered_contents(records, LAST_ASSET, [unique_slug], **TAGS) == expected
        assert {slug: known.content for slug, known in covered(instance, [unique_slug]).items()} == expected


def test_ended_runs_read_the_same_with_and_without_dagster(
    instance: DagsterInstance, records: Postgres, settings: Settings, unique_slug: str
) -> None:
    """So the retention policy lets the same runs go, whoever reads them."""
    for status in (DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELED):
        ran(instance, unique_slug, "m-f", status)
    by_sql = RecordedRuns(records, settings).ended(unique_slug)
    assert by_sql == list(InstanceRuns(instance, settings).ended(unique_slug))
    assert [one.succeeded for one in by_sql] == [False, False, True]
    assert {one.run_id for one in by_sql} <= {one.run_id for one in RecordedRuns(records, settings).ended()}


def test_a_night_without_work_is_recorded_and_handed_on_to_dagster(
    instance: DagsterInstance, workplace: Workplace, records: Postgres, unique_slug: str
) -> None:
    """Unchanged content is a night with a morning, which Dagster shows once somebody has it loaded; changed content is none of ours."""
    manifest = write_dataset(workplace.settings.exports_dir, unique_slug, change=lambda m: m.update(on_change="grow"))
    moment = datetime(1980, 1, 1, tzinfo=UTC) + timedelta(seconds=secrets.randbelow(10**9))
    assert find_nothing_to_do(workplace, records, now=moment) is None  # it never ran
    [found] = survey(workplace.settings)
    ran(instance, unique_slug, found.content, DagsterRunStatus.SUCCESS)
    recorded = find_nothing_to_do(workplace, records, now=moment)
    assert recorded is not None
    fields, morning = recorded
    assert (fields["summary"], fields["unchanged"], morning.outcomes) == ("nothing to do", 1, {"unchanged": 1})
    assert find_nothing_to_do(workplace, records, [unique_slug], now=moment) is not None
    assert find_nothing_to_do(workplace, records, [unique_slug, "other_1d_v1"], now=moment) is None
    report_quiet_nights(instance, workplace.stores.postgres)
    assert fields["name"] in nights_shown(instance)
    assert fields["name"] not in report_quiet_nights(instance, workplace.stores.postgres)
    manifest.with_suffix(".csv").write_bytes(bars(301).write_csv().encode())
    assert find_nothing_to_do(workplace, records, now=moment) is None


def nights_shown(instance: DagsterInstance) -> set[str]:
    """Names of the newest nights that Dagster shows."""
    records = instance.fetch_materializations(AssetKey("night_summary"), limit=100).records
    return {str(one.asset_materialization.metadata["night"].value) for one in records if one.asset_materialization is not None}


def test_what_cannot_be_read_is_left_to_dagster(
    instance: DagsterInstance, workplace: Workplace, records: Postgres, unique_slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database without Dagster's tables, a `dagster.yaml` of another storage, a manifest that is wrong: no decision is made here."""
    manifest = write_dataset(workplace.settings.exports_dir, unique_slug)
    [found] = survey(workplace.settings)
    ran(instance, unique_slug, found.content, DagsterRunStatus.SUCCESS)
    ours = workplace.stores.postgres
    with pytest.raises(StoreError):
        covered_contents(ours, LAST_ASSET, [unique_slug], **TAGS)
    assert find_nothing_to_do(workplace, ours) is None
    project = workplace.settings.home / "project"
    (project / "exports").mkdir(parents=True)
    (project / "dagster.yaml").write_text("storage: {sqlite: {base_dir: /tmp}}\n")
    with monkeypatch.context() as elsewhere:
        elsewhere.chdir(project)
        assert not records_are_in_our_postgres()
        assert find_nothing_to_do(workplace, records) is None
    assert records_are_in_our_postgres()
    manifest.write_text("dataset: [")
    assert find_nothing_to_do(workplace, records) is None


def test_a_night_without_work_loads_nothing_that_trains_or_schedules() -> None:
    """Dagster, numba, XGBoost and pandera are imported by whoever has something to do."""
    modules = "chronos_assets.orchestration.nightly.quiet, chronos_assets.orchestration.nightly.upkeep, chronos_assets.cli.run"
    code = f"import sys, {modules}; print(sorted(set({WITHOUT}) & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"
