"""Dagster's own records go by the same policy: old runs with their events and captured output."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.test_utils import create_run_for_test

from chronos_assets.domain.retention import Keep
from chronos_assets.orchestration.nightly.dagster_runs import InstanceRuns
from chronos_assets.orchestration.nightly.upkeep import old_dagster_runs
from chronos_assets.orchestration.run_tags import PARTITION_TAG
from chronos_assets.settings import Settings, load_settings


def _id(slug: str, number: int) -> str:
    """The id of a dataset's run."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{slug} {number}"))


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    """An instance with twelve ended runs of each of two datasets, and one that is under way."""
    with DagsterInstance.ephemeral() as one:
        for slug in ("a_1d_v1", "b_1d_v1"):
            for number in range(12):
                status = DagsterRunStatus.FAILURE if number > 8 else DagsterRunStatus.SUCCESS
                create_run_for_test(one, run_id=_id(slug, number), status=status, tags={PARTITION_TAG: slug})
        create_run_for_test(one, run_id=_id("under way", 0), status=DagsterRunStatus.STARTED, tags={PARTITION_TAG: "a_1d_v1"})
        yield one


def test_the_newest_runs_of_each_dataset_stay(instance: DagsterInstance, home_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each dataset the newest by policy, and the last that succeeded; a run of this hour and one under way stay in any case."""
    runs = InstanceRuns(instance, home_settings)
    policy = {"a_1d_v1": Keep(nights=2, months=0), "b_1d_v1": Keep(nights=5, months=0)}.__getitem__
    assert old_dagster_runs(runs.ended(), policy) == []
    monkeypatch.setattr("chronos_assets.orchestration.nightly.upkeep.YOUNG", -timedelta(hours=1))
    assert set(old_dagster_runs(runs.ended(), policy)) == {
        *(_id("a_1d_v1", n) for n in (0, 1, 2, 3, 4, 5, 6, 7, 9)),
        *(_id("b_1d_v1", n) for n in range(7)),
    }
    assert set(old_dagster_runs(runs.ended("b_1d_v1"), policy)) == {_id("b_1d_v1", n) for n in range(7)}
    assert set(old_dagster_runs(runs.ended("b_1d_v1"), lambda _: Keep(nights=1, months=1))) == {
        _id("b_1d_v1", n) for n in (0, 1, 2, 3, 4, 5, 6, 7, 9, 10)
    }


def test_events_and_captured_output_go_with_their_run(instance: DagsterInstance, home_settings: Settings) -> None:
    """A run that is gone already, after another prune was faster, is no error."""
    output = home_settings.home / "dagster" / "output" / _id("a_1d_v1", 0)
    output.mkdir(parents=True)
    (output / "step.out").write_text("hello")
    assert InstanceRuns(instance, home_settings).delete([_id("a_1d_v1", 0), _id("gone", 0)]) == 2
    assert instance.get_run_by_id(_id("a_1d_v1", 0)) is None
    assert instance.get_run_by_id(_id("a_1d_v1", 1)) is not None
    assert not output.exists()


@pytest.fixture
def home_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a home of their own; no server is started."""
    return load_settings(home=tmp_path_factory.mktemp("home"))
