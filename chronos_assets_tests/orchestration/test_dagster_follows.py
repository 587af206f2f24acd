"""What starts runs and what follows them: manifest sensor, nightly schedule, summary of a night, on a real instance."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dagster import (
    AssetKey,
    AssetMaterialization,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    Definitions,
    DeleteDynamicPartitionsRequest,
    JobDefinition,
    RunRequest,
    SensorResult,
    SkipReason,
    build_schedule_context,
    build_sensor_context,
)

from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.orchestration.build import JOB, build_defs
from chronos_assets.orchestration.execute import run_partition
from chronos_assets.orchestration.instance import open_instance
from chronos_assets.orchestration.nightly.nightly_summary import failure_of, materialization, runs_of_night, summarize
from chronos_assets.orchestration.nightly.retry_policy import retry_is_pending, to_try_again
from chronos_assets.orchestration.preview import accepted
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.orchestration.run_tags import CONTENT_TAG, NIGHT_TAG, PARTITION_TAG, WHY_TAG
from chronos_assets.pipeline.upkeep.changes import Known, survey
from chronos_assets.pipeline.upkeep.datasets import retire
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets_tests.support.dagster_data import bars, checksum, rewrite, write_dataset

STORED = ["normalized_bars", "indicator_bars", "indicator_datasets"]


@pytest.fixture
def own_settings(servers: Connections, settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"exports_dir": tmp_path, "home": tmp_path / "home", "manifest_settle_seconds": 0.0})


@pytest.fixture
def instance(servers: Connections, settings: Settings) -> Iterator[DagsterInstance]:
    with open_instance(settings, captured_output=False) as opened:
        yield opened


@pytest.fixture
def workplace(servers: Connections, own_settings: Settings) -> Workplace:
    return Workplace(own_settings, connections=servers)


@pytest.fixture
def definitions(workplace: Workplace) -> Definitions:
    with accepted():
        return build_defs({"workplace": workplace})


def whole_way(definitions: Definitions) -> JobDefinition:
    """The job that runs request."""
    with accepted():
        return definitions.resolve_job_def(JOB)


def tick(definitions: Definitions, instance: DagsterInstance, cursor: str | None) -> SensorResult:
    """One tick of the manifest sensor."""
    with accepted():
        sensor = definitions.resolve_sensor_def("manifest_sensor")
        context = build_sensor_context(instance=instance, cursor=cursor, sensor_name="manifest_sensor")
        result = sensor(context)
    assert isinstance(result, SensorResult)
    return result


def asked(result: SensorResult) -> list[tuple[str | None, str]]:
    """(partition, why) of each request."""
    return [(r.partition_key, r.tags[WHY_TAG]) for r in result.run_requests or []]


def test_a_manifest_that_was_dropped_in_is_asked_for_once(
    definitions: Definitions, instance: DagsterInstance, own_settings: Settings, unique_slug: str
) -> None:
    """A new manifest gets a partition and one run, whose tags say why; the next tick says that nothing changed."""
    write_dataset(own_settings.exports_dir, unique_slug)
    first = tick(definitions, instance, None)
    assert asked(first) == [(unique_slug, "new dataset")]
    [request] = first.dynamic_partitions_requests or []
    assert list(request.partition_keys) == [unique_slug]
    [event] = first.asset_events
    assert (event.asset_key, event.partition) == (AssetKey("indicator_csv"), unique_slug)
    assert event.tags["dagster/data_version"] == checksum(own_settings.exports_dir / f"{unique_slug}.csv")
    second = tick(definitions, instance, first.cursor)
    assert asked(second) == []
    assert isinstance(second.skip_reason, SkipReason)
    assert second.skip_reason.skip_message == "nothing changed in 1 manifest"


def test_appended_bars_ask_again_and_going_back_does_too(
    definitions: Definitions, instance: DagsterInstance, own_settings: Settings, unique_slug: str
) -> None:
    """A, B, A: each change of a growing file asks for a run, with a key that was never used."""
    source = write_dataset(own_settings.exports_dir, unique_slug, change=lambda m: m.update(on_change="grow")).with_suffix(".csv")
    before = source.read_bytes()
    results = [tick(definitions, instance, None)]
    for content in (bars(310).write_csv().encode(), before):
        source.write_bytes(content)
        results.append(tick(definitions, instance, results[-1].cursor))
    assert [asked(result) for result in results[1:]] == [[(unique_slug, "file changed")]] * 2
    assert len({r.run_key for result in results for r in result.run_requests or []}) == 3


def test_bad_manifests_are_told_by_name_and_harm_no_other(
    definitions: Definitions, instance: DagsterInstance, own_settings: Settings, unique_slug: str
) -> None:
    """An unreadable manifest and a changed file under `refuse` are told with what to do; others are asked for."""
    exports = own_settings.exports_dir
    changed = write_dataset(exports, "changed_1d_v1")
    cursor = tick(definitions, instance, None).cursor
    (exports / "broken_1d_v1.yaml").write_text("dataset: [")
    changed.with_suffix(".csv").write_bytes(bars(310).write_csv().encode())
    reported = tick(definitions, instance, cursor)
    assert isinstance(reported.skip_reason, SkipReason)
    for words in ("broken_1d_v1: ", "`chronos manifest refresh changed_1d_v1`"):
        assert words in (reported.skip_reason.skip_message or "")
    write_dataset(exports, unique_slug)
    rewrite(changed, checksum=checksum(changed.with_suffix(".csv")))
    assert asked(tick(definitions, instance, reported.cursor)) == [
        ("changed_1d_v1", "manifest and file changed"),
        (unique_slug, "new dataset"),
    ]


def test_a_deleted_manifest_keeps_its_partition_until_the_dataset_is_retired(
    definitions: Definitions, instance: DagsterInstance, workplace: Workplace, unique_slug: str
) -> None:
    """A published dataset without a manifest is told with the command that retires it; once retired, its partition goes."""
    manifest = write_dataset(workplace.settings.exports_dir, unique_slug)
    cursor = tick(definitions, instance, None).cursor
    run_partition(unique_slug, workplace, instance, assets=STORED, checks=True)
    manifest.unlink()
    told = tick(definitions, instance, cursor)
    assert isinstance(told.skip_reason, SkipReason)
    assert f"`chronos datasets retire {unique_slug}`" in (told.skip_reason.skip_message or "")
    assert not told.dynamic_partitions_requests
    retire(workplace.stores, unique_slug)
    retired = tick(definitions, instance, told.cursor)
    [request] = retired.dynamic_partitions_requests or []
    assert (type(request), list(request.partition_keys)) == (DeleteDynamicPartitionsRequest, [unique_slug])
    quiet = tick(definitions, instance, retired.cursor)
    assert quiet.skip_reason == SkipReason("nothing changed in 0 manifests")
    write_dataset(workplace.settings.exports_dir, unique_slug)
    back = tick(definitions, instance, quiet.cursor)
    assert asked(back) == [(unique_slug, "new dataset")]
    [run] = back.run_requests or []
    assert (run.run_key or "").endswith(":2")


def test_a_run_by_hand_covers_its_content_and_a_part_of_it_does_not(
    definitions: Definitions, instance: DagsterInstance, workplace: Workplace, unique_slug: str
) -> None:
    """After a run that somebody started the night asks for nothing; one that stopped short of the simulations leaves it asking."""
    write_dataset(workplace.settings.exports_dir, unique_slug)
    run_partition(unique_slug, workplace, instance, assets=STORED, checks=True)
    [request] = nightly(definitions, instance)
    assert isinstance(request, RunRequest)
    assert request.tags[WHY_TAG] == "nightly: no successful run of its content yet"
    run_partition(unique_slug, workplace, instance)
    [skipped] = nightly(definitions, instance)
    assert isinstance(skipped, SkipReason)


def test_a_run_that_failed_for_want_of_a_server_is_asked_for_again(
    instance: DagsterInstance, workplace: Workplace, unique_slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What passes by itself is tried again after a wait that doubles; bad data are not, nor is what has run since."""
    manifest = write_dataset(workplace.settings.exports_dir, unique_slug)

    def away(*_: object, **__: object) -> None:
        raise ServiceUnavailableError("QuestDB cannot be reached")

    with monkeypatch.context() as cut:
        cut.setattr("chronos_assets.orchestration.failures.MAX_RETRIES", 0)
        cut.setattr("chronos_assets.pipeline.export.dataset.write_bars", away)
        failed = run_partition(unique_slug, workplace, instance)
    assert failed.exit_code == 4
    run = instance.get_run_by_id(failed.run_id)
    assert run is not None
    known = {unique_slug: Known(run.tags[CONTENT_TAG], 1)}
    assert to_try_again(instance, known) == {}
    monkeypatch.setattr("chronos_assets.orchestration.nightly.retry_policy.FIRST_WAIT_SECONDS", 0)
    assert to_try_again(instance, known) == {unique_slug: "a server was away, try 2"}
    manifest.with_suffix(".csv").write_text("no bars\n")
    assert run_partition(unique_slug, workplace, instance).exit_code == 3
    assert to_try_again(instance, known) == {}


def test_a_run_that_was_cut_off_and_not_repeated_is_asked_for_again(
    definitions: Definitions, instance: DagsterInstance, unique_slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that Dagster dropped (its code server was gone) is tried again after a wait; one that ran too long is not."""
    monkeypatch.setattr("chronos_assets.orchestration.nightly.retry_policy.FIRST_WAIT_SECONDS", 0)
    known = {unique_slug: Known("manifest-file", 1)}
    for words, expected in (
        ("This run has been marked as failed from outside the execution context.", {unique_slug: "its run was cut off, try 2"}),
        ("Exceeded maximum runtime of 43200 seconds.", {}),
    ):
        tags = {PARTITION_TAG: unique_slug, CONTENT_TAG: "manifest-file"}
        run = instance.create_run_for_job(job_def=whole_way(definitions), tags=tags)
        instance.report_run_failed(run, words)
        assert to_try_again(instance, known) == expected


def test_the_night_asks_only_for_what_no_successful_run_has_covered(
    definitions: Definitions, instance: DagsterInstance, workplace: Workplace, unique_slug: str
) -> None:
    """The nightly schedule asks for a new dataset; once a run of that content has succeeded it is quiet, and sums that up."""
    write_dataset(workplace.settings.exports_dir, unique_slug)
    [request] = nightly(definitions, instance)
    assert isinstance(request, RunRequest)
    assert request.partition_key == unique_slug
    assert request.tags[WHY_TAG] == "nightly: new dataset"
    assert unique_slug in instance.get_dynamic_partitions("dataset")
    tags = {name: request.tags[name] for name in (NIGHT_TAG, WHY_TAG, CONTENT_TAG)}
    assert run_partition(unique_slug, workplace, instance, tags=tags).succeeded
    assert all(isinstance(nightly(definitions, instance)[0], SkipReason) for _ in range(2))
    [record] = instance.fetch_materializations(AssetKey("night_summary"), limit=1).records
    assert record.asset_materialization is not None
    assert record.asset_materialization.description == "1 of 1 datasets done, 300 rows added, 6 folds trained, 0 reused, 0 failed"


def nightly(definitions: Definitions, instance: DagsterInstance) -> list[RunRequest | SkipReason]:
    """One tick of the nightly schedule."""
    with accepted():
        schedule = definitions.resolve_schedule_def("nightly")
        context = build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2026, 11, 23, 2, tzinfo=UTC),
            repository_def=definitions.get_repository_def(),
        )
        data = schedule.evaluate_tick(context)
    return [*(data.run_requests or []), *([SkipReason(data.skip_message)] if data.skip_message else [])]


def test_a_night_is_summed_up_with_its_failures_in_words(instance: DagsterInstance, workplace: Workplace, unique_slug: str) -> None:
    """The summary counts what the runs added and trained, a dataset once, and says of one whose last run failed where and why."""
    manifest = write_dataset(workplace.settings.exports_dir, unique_slug)
    run_ids = [run_partition(unique_slug, workplace, instance).run_id]
    manifest.with_suffix(".csv").write_bytes(bars(310).write_csv().encode())
    run_ids.append(run_partition(unique_slug, workplace, instance).run_id)
    runs = [run for run_id in run_ids if (run := instance.get_run_by_id(run_id))]
    night = summarize(instance, "a night", runs, ["other_1d_v1: its manifest cannot be read"])
    assert (night.totals["rows_written"], night.totals["folds_trained"]) == (300, 6)
    assert [failure["step"] for failure in night.failures] == ["normalized_bars"]
    assert "chronos manifest refresh" in night.failures[0]["reason"]
    assert night.headline() == "0 of 1 datasets done, 300 rows added, 6 folds trained, 0 reused, 1 failed, 1 not taken"
    assert failures_in(materialization(night))[1:] == [("other_1d_v1", "its manifest cannot be read")]
    assert f"[{unique_slug} failed](/runs/{run_ids[1]})" in str(materialization(night).metadata["summary"].value)
    healed = summarize(instance, "a night", runs[::-1])
    assert healed.headline() == "1 of 1 datasets done, 300 rows added, 6 folds trained, 0 reused, 0 failed"


def failures_in(materialization: AssetMaterialization) -> list[tuple[str, str]]:
    """(dataset, reason) of each row of the table of failures."""
    return [(row.data["dataset"], row.data["reason"]) for row in materialization.metadata["failures"].value.records]  # type: ignore[union-attr]


def test_a_night_does_not_repeat_a_refusal_but_says_that_it_stands(
    definitions: Definitions, instance: DagsterInstance, workplace: Workplace, unique_slug: str
) -> None:
    """A file that a run refused is not run again while it lies there unchanged, and each night says why; changed, it is asked for."""
    manifest = write_dataset(workplace.settings.exports_dir, unique_slug)
    source = manifest.with_suffix(".csv")
    good = source.read_text()
    source.write_text(good.replace("20100105", "2010010X"))
    rewrite(manifest, checksum=checksum(source))
    [request] = nightly(definitions, instance)
    assert isinstance(request, RunRequest)
    failed = run_partition(unique_slug, workplace, instance, tags={CONTENT_TAG: request.tags[CONTENT_TAG]})
    assert (failed.failed_step, failed.exit_code) == ("normalized_bars", 3)
    [skipped] = nightly(definitions, instance)
    assert isinstance(skipped, SkipReason)
    assert f"{unique_slug}: unchanged since it was refused (run {failed.run_id[:8]})" in str(skipped.skip_message)
    [record] = instance.fetch_materializations(AssetKey("night_summary"), limit=1).records
    assert record.asset_materialization is not None
    assert failed.message in dict(failures_in(record.asset_materialization))[unique_slug]
    source.write_text(good)
    rewrite(manifest, checksum=checksum(source))
    [again] = nightly(definitions, instance)
    assert isinstance(again, RunRequest)
    assert again.partition_key == unique_slug


def test_the_sensor_asks_for_nothing_that_a_command_ran_or_runs(
    definitions: Definitions, instance: DagsterInstance, workplace: Workplace, unique_slug: str
) -> None:
    """A dataset that somebody ran by hand before the tick is known by it; the same content that was retired is new again."""
    write_dataset(workplace.settings.exports_dir, unique_slug)
    content = survey(workplace.settings, slugs=[unique_slug])[0].content
    tags = {PARTITION_TAG: unique_slug, CONTENT_TAG: str(content), WHY_TAG: "asked for by hand"}
    running = instance.create_run_for_job(job_def=whole_way(definitions), tags=tags, status=DagsterRunStatus.STARTED)
    assert asked(tick(definitions, instance, None)) == []
    [skipped] = nightly(definitions, instance)
    assert isinstance(skipped, SkipReason)
    assert f"{unique_slug}: in progress, asked for by hand (run {running.run_id[:8]})" in str(skipped.skip_message)
    summary = summarize(instance, "a night", runs_of_night(instance, "a night"))
    assert (summary.in_progress, [row["dataset"] for row in summary.rows], summary.failures) == (1, [unique_slug], [])
    assert "0 of 1 datasets done, 1 in progress, " in summary.headline()
    instance.report_run_canceled(running)
    assert run_partition(unique_slug, workplace, instance).succeeded
    after = tick(definitions, instance, None)
    assert asked(after) == []
    retire(workplace.stores, unique_slug, with_runs=True)
    assert asked(tick(definitions, instance, None)) == [(unique_slug, "new dataset")]


def test_nobody_is_told_of_a_failure_that_is_tried_again(
    definitions: Definitions, instance: DagsterInstance, unique_slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alert waits while Dagster or the sensor repeats the run; it comes with the last try, or if the sensor was turned off."""
    cut_off = "This run has been marked as failed from outside the execution context."

    def failed(**tags: str) -> DagsterRun:
        run = instance.create_run_for_job(job_def=whole_way(definitions), tags={PARTITION_TAG: unique_slug, **tags})
        instance.report_run_failed(run, cut_off)
        return instance.get_run_by_id(run.run_id) or run

    once = {"dagster/max_retries": "0"}
    assert not retry_is_pending(instance, failed(**once))
    assert retry_is_pending(instance, failed())
    tries = [failed(**{CONTENT_TAG: "manifest-file"}, **once) for _ in range(3)]
    for off in (True, False):  # the servers are shared: another test may have turned the sensor off
        monkeypatch.setattr("chronos_assets.orchestration.nightly.retry_policy._sensor_is_off", lambda _, off=off: off)
        assert retry_is_pending(instance, tries[-1]) is not off
    assert not retry_is_pending(instance, failed(**{CONTENT_TAG: "manifest-file"}, **once))
    assert failure_of(instance, tries[0].run_id)[1].startswith("its process could not be started: Dagster's code server did not answer.")
