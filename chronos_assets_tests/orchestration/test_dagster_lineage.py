"""The whole way through Dagster on real servers: what runs, what is recorded, and where the gate stops it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dagster import (
    AssetCheckKey,
    AssetKey,
    AssetObservation,
    AssetRecordsFilter,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
)
from dagster._core.definitions.data_version import DATA_VERSION_TAG, CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from chronos_assets.errors import ConflictError, ManifestError
from chronos_assets.ingest.source import file_checksum
from chronos_assets.orchestration.build import build_defs
from chronos_assets.orchestration.execute import RunOutcome, follow_run, run_partition
from chronos_assets.orchestration.gate_demo import run_through_gate
from chronos_assets.orchestration.instance import open_instance
from chronos_assets.orchestration.liveness import WORKER_TAG, fail_dead_runs
from chronos_assets.orchestration.partitions import DATASETS
from chronos_assets.orchestration.preview import accepted
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.orchestration.summary import summary_of
from chronos_assets.pipeline.export import normalize
from chronos_assets.pipeline.models.predict import predict_live
from chronos_assets.pipeline.walkforward import run as walkforward_run
from chronos_assets.pipeline.walkforward.request import WalkforwardRequest, resolve_request
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage import file_digests
from chronos_assets.storage.audits import list_attempts
from chronos_assets.storage.datasets import DatasetRecord, find_dataset, get_dataset
from chronos_assets.storage.models import get_model, names_of
from chronos_assets.storage.runs import get_folds, list_runs
from chronos_assets.storage.simulations import list_simulations
from chronos_assets_tests.support.dagster_data import PROFILE, bars, checksum, rewrite, write_dataset

ALL_STEPS = {
    "indicator_csv",
    "walkforward_profiles",
    "simulation_profiles",
    "normalized_bars",
    "normalized_bars_checks",
    "indicator_bars",
    "indicator_bars_post_export_diff",
    "indicator_datasets",
    "feature_selection",
    "walkforward_predictions",
    "walkforward_checks",
    "trading_simulations",
    "simulation_checks",
    "live_models",
    "live_model_checks",
}

GATES = [
    "bars_are_sound",
    "post_export_diff",
    "complete",
    "stores_agree",
    "no_look_ahead",
    "accounts_balance",
    "trades_are_causal",
]


@pytest.fixture(scope="module")
def instance(servers: Connections, settings: Settings) -> Iterator[DagsterInstance]:
    with open_instance(settings, captured_output=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def workplace(servers: Connections, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(settings.model_copy(update={"exports_dir": tmp_path_factory.mktemp("exports")}), connections=servers)


@pytest.fixture(scope="module")
def hashed() -> Iterator[list[Path | None]]:
    """Source files in the order they were read for their checksum, None if the first run ends; a file counts as settled at once."""
    read: list[Path | None] = []

    def counted(path: Path) -> str:
        read.append(path)
        return file_checksum(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_digests, "SETTLED_SECONDS", 0.0)
        patch.setattr(normalize, "file_checksum", counted)
        yield read


@pytest.fixture(scope="module")
def resolved() -> Iterator[list[str | None]]:
    """Datasets in the order in which a walk-forward request was resolved on them, None if the first run ends."""
    slugs: list[str | None] = []

    def counted(record: DatasetRecord, *args: Any, **options: Any) -> WalkforwardRequest:
        slugs.append(record.dataset_id)
        return resolve_request(record, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walkforward_run, "resolve_request", counted)
        yield slugs


@pytest.fixture(scope="module")
def published(workplace: Workplace, instance: DagsterInstance, hashed: list[Path | None], resolved: list[str | None]) -> RunOutcome:
    """A dataset that one run has taken all the way; bars that are appended to its file are taken."""
    write_dataset(workplace.settings.exports_dir, "whole_1d_v1", change=lambda m: m.update(on_change="grow"))
    outcome = run_partition("whole_1d_v1", workplace, instance)
    hashed.append(None)
    resolved.append(None)
    return outcome


@pytest.fixture(scope="module")
def stopped(workplace: Workplace, instance: DagsterInstance) -> RunOutcome:
    """A run whose stored bars were changed behind its back, between the write and the audit."""
    write_dataset(workplace.settings.exports_dir, "stopped_1d_v1")
    sql, outcome = run_through_gate("stopped_1d_v1", "FEAT_A", workplace, instance, tags={})
    assert sql.startswith("UPDATE indicator_bars")
    return outcome


def data_versions(instance: DagsterInstance, slug: str) -> dict[str, str | None]:
    """Data version of the latest materialization or observation of each asset's partition."""
    found = {}
    for name in ("normalized_bars", "indicator_bars", "indicator_datasets", "walkforward_predictions", "trading_simulations"):
        records = instance.fetch_materializations(AssetRecordsFilter(AssetKey(name), asset_partitions=[slug]), limit=1).records
        found[name] = (records[0].asset_materialization.tags or {}).get("dagster/data_version") if records else None
    return found


def test_one_run_takes_a_file_to_trades(workplace: Workplace, published: RunOutcome) -> None:
    """One run of the job writes, audits, publishes, trains and simulates, and each step and check of it is on record."""
    assert published.succeeded, published.message
    assert {step.name for step in published.steps} == ALL_STEPS
    stores = workplace.stores
    assert get_dataset(stores.postgres, published.slug).row_count >= 300
    runs = list_runs(stores.postgres, published.slug)
    assert {(run.status, len(get_folds(stores.postgres, run.run_id)) > 0) for run in runs} == {("completed", True)}
    assert {s.status for s in list_simulations(stores.postgres, runs[0].run_id)} == {"completed"}
    assert {check: passed for _, check, passed, severity in published.checks if severity == "ERROR"} == dict.fromkeys(GATES, True)
    document = summary_of(published, stores)
    assert {name: document["rows"][name] for name in ("total", "written", "verified")} == dict.fromkeys(
        ("total", "written", "verified"), 300
    )
    assert document["walkforward"][0]["folds_trained"] == 6
    assert document["simulations"][0]["trades"] > 0


def test_the_page_of_the_live_model_shows_whose_signal_it_is(workplace: Workplace, published: RunOutcome) -> None:
    """Signal, prediction and thresholds are those of the newest bar, the model's own thresholds beside them, rounded, each key once."""
    facts = published.facts["live_models"]
    model = get_model(workplace.stores.postgres, facts["model_id"])
    newest = predict_live(published.slug, workplace.stores, model_id=model.model_id).newest
    assert newest is not None
    assert facts["signal"] == newest["signal"]
    assert facts["signal_by"].startswith("the model" if newest["fold"] is None else f"fold {newest['fold']} of its run")
    shown = {name: newest[name] for name in ("prediction", "long_threshold", "short_threshold")}
    shown |= {f"model_{side}_threshold": model.thresholds[side] for side in ("long", "short")}
    for name, value in shown.items():
        assert facts.get(name) == (None if value is None else pytest.approx(value, rel=1e-5)), name
        assert name not in facts or float(f"{facts[name]:.6g}") == facts[name]
    assert facts["run_id"] == model.description["run_id"]
    assert facts["promoted"] is ("live" in names_of(workplace.stores.postgres, published.slug).get(model.model_id, []))
    assert facts["reason"]
    assert facts["dashboard"].endswith(f"/models/{model.model_id})")


def test_a_run_resolves_its_walkforward_request_once(published: RunOutcome, resolved: list[str | None]) -> None:
    """Training, simulations and the checks of both share one resolved request per profile."""
    assert published.succeeded
    assert resolved[: resolved.index(None)] == ["whole_1d_v1"]


def test_bars_of_a_file_that_was_not_normalized_are_refused(workplace: Workplace, instance: DagsterInstance) -> None:
    """Later steps use what `normalized_bars` made, and never read a file that it has not seen."""
    write_dataset(workplace.settings.exports_dir, "unread_1d_v1")
    outcome = run_partition("unread_1d_v1", workplace, instance, assets=["indicator_bars"], checks=False)
    assert not outcome.succeeded
    assert "Materialize normalized_bars first" in outcome.message
    assert find_dataset(workplace.stores.postgres, "unread_1d_v1") is None


def test_a_run_reads_its_source_for_the_checksum_once(workplace: Workplace, published: RunOutcome, hashed: list[Path | None]) -> None:
    """However many steps ask for it; the file is read once more as it is parsed."""
    first_run = hashed[: hashed.index(None)]
    assert first_run.count(workplace.settings.exports_dir / "whole_1d_v1.csv") == 1


def test_a_trade_price_leads_back_to_the_columns_of_the_file(instance: DagsterInstance, published: RunOutcome) -> None:
    """Column lineage goes from the price of a trade over the registry, QuestDB and Arrow to the price columns of the indicator file."""
    at, found = {("trading_simulations", "exit_price")}, set()
    while at:
        above = {dep for asset, column in at for dep in made_from(instance, published.slug, asset, column)}
        found |= at
        at = above
    assert {column for asset, column in found if asset == "indicator_csv"} == {"Open", "High", "Low", "Close"}
    assert {asset for asset, _ in found} >= {"normalized_bars", "indicator_bars", "indicator_datasets"}


def made_from(instance: DagsterInstance, slug: str, asset: str, column: str) -> list[tuple[str, str]]:
    """(asset, column) of what one column of an asset was made from, as its latest materialization says."""
    records = instance.fetch_materializations(AssetRecordsFilter(AssetKey(asset), asset_partitions=[slug]), limit=1).records
    materializations = [record.asset_materialization for record in records if record.asset_materialization is not None]
    made = materializations[0].metadata["dagster/column_lineage"].value.deps_by_column if materializations else {}  # type: ignore[union-attr]
    return [(dep.asset_key.to_user_string(), dep.column_name) for dep in made.get(column, [])]


def test_a_changed_file_makes_everything_below_it_stale(workplace: Workplace, instance: DagsterInstance, published: RunOutcome) -> None:
    """After a run all is fresh; as soon as the sensor has seen another content of the file, each asset below it is stale."""
    assert set(stale_marks(workplace, instance, published.slug).values()) == {StaleStatus.FRESH}
    seen = file_checksum(workplace.manifest(published.slug).source_path)
    observe_file(instance, published.slug, "another content")
    assert set(stale_marks(workplace, instance, published.slug).values()) == {StaleStatus.STALE}
    observe_file(instance, published.slug, seen)
    assert set(stale_marks(workplace, instance, published.slug).values()) == {StaleStatus.FRESH}


def observe_file(instance: DagsterInstance, slug: str, version: str) -> None:
    """Report the file's data version as the manifest sensor does."""
    instance.report_runless_asset_event(AssetObservation("indicator_csv", partition=slug, tags={DATA_VERSION_TAG: version}))


def stale_marks(workplace: Workplace, instance: DagsterInstance, slug: str) -> dict[str, StaleStatus]:
    """What the UI marks each asset of the lineage with."""
    with accepted():
        graph = build_defs({"workplace": workplace}).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    marks = {key.to_user_string(): resolver.get_status(key, slug) for key in graph.materializable_asset_keys}
    assert marks.pop("feature_selection") is StaleStatus.MISSING  # the manifest has no lfs profile
    return marks


def test_a_second_run_changes_nothing_and_says_so(workplace: Workplace, instance: DagsterInstance, published: RunOutcome) -> None:
    """Run again on a touched but unchanged file, every use case answers "unchanged" and every data version stays."""
    before = data_versions(instance, published.slug)
    (workplace.settings.exports_dir / f"{published.slug}.csv").touch()
    document = summary_of(run_partition(published.slug, workplace, instance), workplace.stores)
    assert document["unchanged"]
    assert (document["rows"]["written"], document["walkforward"][0]["folds_trained"]) == (0, 0)
    assert data_versions(instance, published.slug) == before


def test_a_changed_profile_changes_only_what_is_below_it(workplace: Workplace, instance: DagsterInstance, published: RunOutcome) -> None:
    """Another walk-forward profile gives the predictions and simulations another data version, and the bars keep theirs."""
    before = data_versions(instance, published.slug)
    rewrite(workplace.settings.exports_dir / f"{published.slug}.yaml", walkforward={"default": PROFILE | {"test_size": 40}})
    assert run_partition(published.slug, workplace, instance).succeeded
    after = data_versions(instance, published.slug)
    rewrite(workplace.settings.exports_dir / f"{published.slug}.yaml", walkforward={"default": PROFILE})
    assert {name for name in after if after[name] != before[name]} == {"walkforward_predictions", "trading_simulations"}


def test_only_appended_bars_are_written_and_only_new_folds_trained(
    workplace: Workplace, instance: DagsterInstance, published: RunOutcome
) -> None:
    """With `on_change: grow`, appended bars go out under the same tag, and folds whose bars stayed the same are copied."""
    (workplace.settings.exports_dir / f"{published.slug}.csv").write_bytes(bars(330).write_csv().encode())
    outcome = run_partition(published.slug, workplace, instance)
    assert outcome.succeeded, outcome.message
    assert outcome.facts["indicator_bars"]["rows_written"] == 30
    assert outcome.facts["walkforward_predictions"]["folds_trained"] == 1
    record = get_dataset(workplace.stores.postgres, published.slug)
    assert (record.revision, record.questdb_tag) == (2, published.slug)


def test_a_corrupted_row_stops_publication_and_everything_below(
    workplace: Workplace, instance: DagsterInstance, stopped: RunOutcome
) -> None:
    """One changed cell in QuestDB fails the check in words and without a traceback; it is not registered, and nothing downstream ran."""
    assert (stopped.succeeded, stopped.exit_code, stopped.failed_step) == (False, 3, "indicator_bars_post_export_diff")
    assert f"QuestDB differs from the file of {stopped.slug}: 1 cell" in stopped.message
    assert "FEAT_A: expected" in stopped.message
    assert [step.name for step in stopped.steps] == ["indicator_bars_post_export_diff"]
    [entry] = instance.all_logs(stopped.run_id, of_type=DagsterEventType.STEP_FAILURE)
    assert entry.dagster_event is not None
    error = entry.dagster_event.step_failure_data.error
    assert error is not None
    assert (error.message, error.stack, error.cause) == (stopped.message, [], None)
    assert list_attempts(workplace.stores.postgres, stopped.slug)[0].verdict == "failed"
    assert partition_status(instance, stopped.slug, "indicator_bars") == "FAILED"
    assert list_runs(workplace.stores.postgres, stopped.slug) == []


def partition_status(instance: DagsterInstance, slug: str, asset: str) -> str:
    """How the UI colours a dataset's partition of an asset."""
    found = instance.get_status_by_partition(AssetKey(asset), [slug], DATASETS)
    assert found is not None
    status = found[slug]
    assert status is not None
    return status.value


def test_a_failed_check_explains_itself_and_belongs_to_its_partition(instance: DagsterInstance, stopped: RunOutcome) -> None:
    """The evaluation on record holds the verdict, the failing cell, what it means, a command, and all failure cases as a file."""
    key = AssetCheckKey(AssetKey("indicator_bars"), "post_export_diff")
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=50)
    [record] = [r for r in records if r.run_id == stopped.run_id]
    assert record.status is AssetCheckExecutionRecordStatus.FAILED
    assert record.event is not None
    assert record.event.dagster_event is not None
    evaluation = record.event.dagster_event.asset_check_evaluation_data
    assert evaluation.partition == stopped.slug
    assert evaluation.description is not None
    for part in ("| bar | kind | column | expected | found |", "FEAT_A", "not published", f"`validate_dataset {stopped.slug}`"):
        assert part in evaluation.description
    assert Path(str(evaluation.metadata["failure_cases"].value)).is_file()


def test_after_a_failed_audit_downstream_says_not_published_and_the_next_run_heals(
    workplace: Workplace, instance: DagsterInstance, stopped: RunOutcome
) -> None:
    """Selected alone, each downstream asset says in one sentence what is not there; the next whole run writes under a fresh tag."""
    assert find_dataset(workplace.stores.postgres, stopped.slug) is None
    for asset in ("walkforward_predictions", "trading_simulations"):
        alone = run_partition(stopped.slug, workplace, instance, assets=[asset], checks=False)
        assert (alone.succeeded, alone.exit_code, [step.name for step in alone.steps]) == (False, 3, [asset])
        assert alone.message.startswith("not published: ")
    alone = run_partition(stopped.slug, workplace, instance, assets=["indicator_datasets"], checks=False)
    assert "cannot be published: no full audit of this content has passed" in alone.message
    healed = run_partition(stopped.slug, workplace, instance)
    assert healed.succeeded, healed.message
    assert partition_status(instance, stopped.slug, "indicator_bars") == "MATERIALIZED"
    assert get_dataset(workplace.stores.postgres, stopped.slug).questdb_tag == f"{stopped.slug}@2"


def test_a_changed_file_is_refused_at_once_with_the_command_that_takes_it(
    workplace: Workplace, instance: DagsterInstance, unique_slug: str
) -> None:
    """A file that no longer fits its checksum fails the first step, without a retry, naming `chronos manifest refresh`."""
    manifest = write_dataset(workplace.settings.exports_dir, unique_slug)
    manifest.with_suffix(".csv").write_bytes(bars(310).write_csv().encode())
    outcome = run_partition(unique_slug, workplace, instance)
    assert (outcome.failed_step, outcome.exit_code) == ("normalized_bars", 3)
    assert f"`chronos manifest refresh {unique_slug}`" in outcome.message
    rewrite(manifest, checksum=checksum(manifest.with_suffix(".csv")))
    assert run_partition(unique_slug, workplace, instance).succeeded


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda bars: bars.with_columns(FEAT_A=pl.col("FEAT_A").shift(1)), "content hash: the report says"),
        (lambda bars: bars[[1, 0, *range(2, bars.height)]], "timestamps must be strictly increasing; 1 cases, first in bar 1"),
        (lambda bars: bars.drop("FEAT_A"), "FEAT_A"),
    ],
)
def test_a_damaged_arrow_file_stops_the_run_with_a_readable_verdict(
    workplace: Workplace, instance: DagsterInstance, unique_slug: str, damage: Callable[[pl.DataFrame], pl.DataFrame], words: str
) -> None:
    """Whatever was done to the file behind the report's back: the check says what, nothing is written, and deleting the file heals it."""
    write_dataset(workplace.settings.exports_dir, unique_slug)
    assert run_partition(unique_slug, workplace, instance, assets=["normalized_bars"]).succeeded
    [file] = (workplace.settings.artifacts_dir / "bars" / unique_slug).glob("*.arrow")
    damage(pl.read_ipc(file.read_bytes())).write_ipc(file)
    stopped = run_partition(unique_slug, workplace, instance)
    assert (stopped.failed_step, stopped.exit_code) == ("normalized_bars_checks", 3)
    assert f"the Arrow file of {unique_slug} is not sound" in stopped.message
    assert words in stopped.message
    assert "indicator_bars" not in {step.name for step in stopped.steps}
    assert list_attempts(workplace.stores.postgres, unique_slug) == []
    file.unlink()
    assert run_partition(unique_slug, workplace, instance, assets=["normalized_bars", "indicator_bars"]).succeeded


def test_two_runs_of_one_dataset_never_overlap(workplace: Workplace, instance: DagsterInstance, unique_slug: str) -> None:
    """While one process runs a dataset, another is told so in one sentence and starts nothing."""
    write_dataset(workplace.settings.exports_dir, unique_slug)
    before = instance.get_runs_count()
    with (
        workplace.stores.postgres.session_lock(f"dagster-run:{unique_slug}"),
        pytest.raises(ConflictError, match=f"{unique_slug} is in progress elsewhere") as refused,
    ):
        run_partition(unique_slug, workplace, instance)
    assert f"chronos run {unique_slug} --follow" in str(refused.value)
    assert instance.get_runs_count() == before
    assert follow_run(unique_slug, instance) is None


def test_a_run_in_progress_is_followed_to_its_end(workplace: Workplace, instance: DagsterInstance, unique_slug: str) -> None:
    """Whoever follows sees every step, also those before it began to look, and gets what the run itself says it did."""
    write_dataset(workplace.settings.exports_dir, unique_slug)
    followed: list[RunOutcome | None] = []
    seen: list[str] = []
    follower = threading.Thread(
        target=lambda: followed.append(follow_run(unique_slug, instance, listener=lambda e: seen.append(e.step_key or "")))
    )

    def listen(event: DagsterEvent) -> None:
        if event.is_step_start and event.step_key == "indicator_bars":
            follower.start()

    outcome = run_partition(unique_slug, workplace, instance, listener=listen)
    follower.join(60)
    [other] = followed
    assert other is not None
    assert (other.run_id, other.succeeded, other.exit_code, other.facts) == (outcome.run_id, True, 0, outcome.facts)
    assert [step.name for step in other.steps] == [step.name for step in outcome.steps]
    assert {"normalized_bars", "trading_simulations"} <= set(seen)


def test_a_run_whose_process_is_gone_is_marked_failed(workplace: Workplace, instance: DagsterInstance, unique_slug: str) -> None:
    """A killed run does not stay "started", not even where its process id belongs to somebody else by now."""
    killed = instance.create_run_for_job(
        job_def=_job(workplace),
        tags={"dagster/partition": unique_slug, WORKER_TAG: f"{socket.gethostname()}:{os.getpid()}:1000.0"},
        status=DagsterRunStatus.STARTED,
    )
    assert fail_dead_runs(instance, partition=unique_slug) == [killed.run_id]
    after = instance.get_run_by_id(killed.run_id)
    assert after is not None
    assert after.status is DagsterRunStatus.FAILURE


def test_a_dataset_without_a_manifest_says_where_to_begin(workplace: Workplace, unique_slug: str) -> None:
    """Asked for a dataset that has no manifest, the workplace names the command that writes one."""
    with pytest.raises(ManifestError, match="chronos manifest new"):
        workplace.manifest(unique_slug)


def _job(workplace: Workplace):  # type: ignore[no-untyped-def]  # a JobDefinition, whose import is Dagster's own business
    from chronos_assets.orchestration.build import JOB, build_defs
    from chronos_assets.orchestration.preview import accepted

    with accepted():
        return build_defs({"workplace": workplace}).resolve_job_def(JOB)
