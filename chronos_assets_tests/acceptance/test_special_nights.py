"""Fourteen nights on which something is out of the ordinary, each with the morning that it ends in.

The nights are told by their dates, and no clock is waited for. One story: each night stands on those before it.
"""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.test_utils import create_run_for_test

from chronos_assets.domain.retention import Keep
from chronos_assets.orchestration import failures
from chronos_assets.orchestration.backfill import run_backfill
from chronos_assets.orchestration.build import JOB
from chronos_assets.orchestration.liveness import WORKER_TAG
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.orchestration.run_tags import PARTITION_TAG
from chronos_assets.pipeline.upkeep.datasets import retire
from chronos_assets.pipeline.upkeep.prune import keep_of, prune
from chronos_assets.pipeline.validation.dataset import validate_dataset
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.manifest_files import load_manifest, manifest_path
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.runs import list_runs
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.dagster_data import PROFILE, SIMULATION, bars, rewrite, write_dataset

FIRST = 360  # the bars of 2010-01-01 to 2010-12-26
SHORT = {**PROFILE, "train_size": 240, "test_size": 60, "model": {**PROFILE["model"], "rounds": 5}}
NOWHERE = "127.0.0.1:9"
NO_PROCESS = 2**22 + 1  # beyond what Linux and macOS give


class WithoutQuestDB(Workplace):
    """A workplace whose QuestDB has gone away since it was opened."""

    @property
    def stores(self) -> Stores:
        return dataclasses.replace(super().stores, questdb=QuestDB(f"http::addr={NOWHERE};", NOWHERE))


class Nights:
    """Two datasets, their files, and a night whenever it is asked for."""

    def __init__(self, settings: Settings, connections: Connections, instance: DagsterInstance, slug: str) -> None:
        self.workplace = Workplace(settings, connections=connections)
        self.connections, self.instance = connections, instance
        self.a, self.b = f"a{slug}", f"b{slug}"
        self.at = datetime(2010, 12, 27, 2, tzinfo=UTC)

    @property
    def stores(self) -> Stores:
        return self.workplace.stores

    def begin(self) -> None:
        """The files of the first night."""
        for slug in (self.a, self.b):
            write_dataset(self.workplace.settings.exports_dir, slug, rows=FIRST, change=_growing)

    def path(self, slug: str) -> Path:
        return manifest_path(self.workplace.settings.exports_dir, slug)

    def deliver(self, slug: str, frame: pl.DataFrame) -> None:
        """The file of a dataset, as it comes tonight."""
        self.path(slug).with_suffix(".csv").write_bytes(frame.write_csv().encode())

    def night(self, workplace: Workplace | None = None, *, days: int = 1) -> dict[str, str]:
        """Let a night pass; what the morning says of each dataset, in a line, and of all of them."""
        self.at += timedelta(days=days)
        _, self.morning = run_backfill(workplace or self.workplace, self.instance, now=self.at)
        names = {self.a: "a", self.b: "b"}
        return {"all": self.morning.headline} | {names[one.dataset]: _line(one) for one in self.morning.datasets}

    def reason(self, slug: str) -> str:
        """Why the morning says that a dataset ended as it did."""
        return next(one.reason for one in self.morning.datasets if one.dataset == slug)


def _growing(manifest: dict[str, Any]) -> None:
    manifest.update(on_change="grow", walkforward={"default": SHORT}, simulation={"default": SIMULATION})


def _line(one: Any) -> str:
    """A dataset of a morning: how it ended (for how many nights), its last bar, bars added, folds trained, whether there is a signal."""
    nights = f" x{one.nights}" if one.nights > 1 else ""
    added = "" if one.bars_added is None else f" {one.bars_added:+}"
    signals = [profile.signal is not None and profile.equity[0].equity is not None for profile in one.profiles]
    return f"{one.outcome}{nights}: {one.last_bar:%m-%d}{added}, {one.folds_trained} folds{', signal' if signals == [True] else ''}"


@pytest.fixture
def nights(servers: Connections, settings: Settings, unique_slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    monkeypatch.setattr(failures, "FIRST_WAIT_SECONDS", 0)
    own = settings.model_copy(update={"exports_dir": tmp_path / "exports", "manifest_settle_seconds": 0.0})
    with DagsterInstance.ephemeral() as instance:
        yield Nights(own, servers, instance, unique_slug)


def test_fourteen_special_nights(nights: Nights) -> None:
    """Each night's morning says of each dataset what came of it, and nothing that was published before is lost."""
    n, same = nights, "unchanged: 12-26 +0, 0 folds, signal"
    n.begin()
    new = "done: 12-26, 2 folds, signal"
    assert n.night() == {"all": "2 datasets: 2 done; 0 bars added, 4 folds trained", "a": new, "b": new}

    n.deliver(n.a, bars(FIRST + 5))  # the last bars of the year
    one_done = "2 datasets: 1 done, 1 unchanged; {} added, 0 folds trained".format
    assert n.night() == {"all": one_done("5 bars"), "a": "done: 12-31 +5, 0 folds, signal", "b": same}
    n.deliver(n.a, bars(FIRST + 6))  # the first bar of a new year's partition
    assert n.night() == {"all": one_done("1 bar"), "a": "done: 01-01 +1, 0 folds, signal", "b": same}

    _files_that_are_refused(n, same)

    n.deliver(n.a, bars(FIRST + 7))  # the right file comes days late
    assert n.night() == {"all": one_done("1 bar"), "a": "done: 01-02 +1, 0 folds, signal", "b": same}
    n.deliver(n.a, bars(FIRST + 7))  # the same file twice
    still = "unchanged: 01-02 +0, 0 folds, signal"
    assert n.night() == {"all": "2 datasets: 2 unchanged; 0 bars added, 0 folds trained", "a": still, "b": same}

    rewrite(n.path(n.b), walkforward={"default": SHORT | {"test_size": 50}})  # the manifest was edited
    edited = {"all": "2 datasets: 1 unchanged, 1 done; 0 bars added, 2 folds trained", "a": still, "b": "done: 12-26 +0, 2 folds, signal"}
    assert n.night() == edited

    n.deliver(n.a, bars(100))  # two failures
    n.path(n.b).with_suffix(".csv").unlink()
    both = {"all": "2 datasets: 2 refused; 0 bars added, 0 folds trained"}
    assert n.night() == both | {"a": "refused: 01-02 +0, 0 folds, signal", "b": "refused: 12-26 +0, 0 folds, signal"}
    assert "gone from the file" in n.reason(n.a)
    assert f"{n.b}.csv" in n.reason(n.b)
    n.deliver(n.b, bars(FIRST))

    _nights_that_were_cut_short(n, same)

    n.deliver(n.a, bars(FIRST + 10))  # the clock of the machine is a day ahead, and is put right
    assert n.night(days=2) == {"all": one_done("1 bar"), "a": "done: 01-05 +1, 0 folds, signal", "b": same}
    with n.stores.postgres.connection() as connection:
        connection.execute("UPDATE nights SET completed_at = completed_at + interval '1 day' WHERE night = %s", [n.morning.night])
    n.deliver(n.a, bars(FIRST + 11))
    assert n.night(days=-1) == {"all": one_done("1 bar"), "a": "done: 01-06 +1, 0 folds, signal", "b": same}
    unchanged = "unchanged: 01-06 +0, 0 folds, signal"
    assert n.night(days=2) == {"all": "2 datasets: 2 unchanged; 0 bars added, 0 folds trained", "a": unchanged, "b": same}

    retire(n.stores, n.b, with_runs=True)  # a dataset is retired
    n.path(n.b).unlink()
    alone = {"all": "1 dataset: 1 unchanged; 0 bars added, 0 folds trained", "a": unchanged}
    assert n.night() == alone

    _first_night_of_a_month(n)
    assert validate_dataset(n.a, n.stores, loaded=load_manifest(n.path(n.a))).passed


def _files_that_are_refused(n: Nights, same: str) -> None:
    """A revised bar, a column added, a column removed, a bar missing: each is told, and what is published stays as it is."""
    good, row = bars(FIRST + 7), pl.arange(FIRST + 7)
    refused = {"all": "2 datasets: 1 refused, 1 unchanged; 0 bars added, 0 folds trained", "b": same}
    wrong = {
        "have changed in the file": good.with_columns(pl.when(row == 50).then(9.75).otherwise(pl.col("FEAT_B")).alias("FEAT_B")),
        "FEAT_NEW": good.with_columns(FEAT_NEW=pl.col("FEAT_A") * 2),
        "FEAT_C": good.drop("FEAT_C"),
        "are gone from the file": good.filter(row.is_between(50, 60).not_()),
    }
    for words, frame in wrong.items():
        n.deliver(n.a, frame)
        assert n.night() == refused | {"a": "refused: 01-01 +0, 0 folds, signal"}
        assert words in n.reason(n.a)
    assert n.night() == refused | {"a": "refused x2: 01-01 +0, 0 folds, signal"}  # and nobody has done anything


def _nights_that_were_cut_short(n: Nights, same: str) -> None:
    """A night that was killed, and one without QuestDB: the next one goes on where they stopped."""
    n.deliver(n.a, bars(FIRST + 8))
    gone = f"{socket.gethostname()}:{NO_PROCESS}:0.0"
    create_run_for_test(n.instance, status=DagsterRunStatus.STARTED, tags={PARTITION_TAG: n.a, WORKER_TAG: gone}, job_name=JOB)
    done = "2 datasets: 1 done, 1 unchanged; 1 bar added, 0 folds trained"
    assert n.night() == {"all": done, "a": "done: 01-03 +1, 0 folds, signal", "b": same}

    n.deliver(n.a, bars(FIRST + 9))
    down = n.night(WithoutQuestDB(n.workplace.settings, connections=n.connections))
    assert down == {
        "all": "2 datasets: 1 failed, 1 unchanged; 0 bars added, 0 folds trained; QuestDB did not answer",
        "a": "failed: 01-03 +0, 0 folds",
        "b": "unchanged: 12-26 +0, 0 folds",
    }
    assert "QuestDB" in n.reason(n.a)
    assert n.night() == {"all": done, "a": "done: 01-04 +1, 0 folds, signal", "b": same}


def _first_night_of_a_month(n: Nights) -> None:
    """The policy lets go what is neither tonight's nor the last of its month."""
    runs = [run.run_id for run in reversed(list_runs(n.stores.postgres, n.a))]
    days = [f"2010-{day}" for day in ("11-29", "11-30", "12-28", "12-29", "12-30", "12-31")] + ["2011-01-01", "2011-01-02"]
    with n.stores.postgres.connection() as connection:
        for run_id, day in zip(runs, days, strict=True):
            connection.execute("UPDATE walkforward_run_profiles SET requested_at = %s WHERE run_id = %s", [day, run_id])
    assert prune(n.stores, keep_of(n.stores.settings, Keep(nights=1, months=3)), n.a).skipped == []
    assert [run.run_id for run in reversed(list_runs(n.stores.postgres, n.a))] == [runs[1], runs[5], runs[7]]
