"""A store that an earlier version wrote: it is brought forward, read, checked, traced, and grown without anything being made twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chronos_assets.errors import StoreError
from chronos_assets.pipeline.export.dataset import export_dataset
from chronos_assets.pipeline.selection.run import run_request
from chronos_assets.pipeline.simulation.run import check_simulation
from chronos_assets.pipeline.simulation.trace import trace_trade
from chronos_assets.pipeline.validation.dataset import validate_dataset
from chronos_assets.pipeline.validation.run import validate_run
from chronos_assets.services import Connections
from chronos_assets.settings import Settings
from chronos_assets.storage.migrate import newest_version
from chronos_assets.storage.reading import open_reading
from chronos_assets.storage.simulations import read_trades
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets.testing import temporary_servers
from chronos_assets.views.datasets import list_datasets
from chronos_assets.views.runs import list_runs, read_run_detail
from chronos_assets.views.selections import list_selections
from chronos_assets.views.simulations import list_simulations
from chronos_assets_tests.support import kept_store
from chronos_assets_tests.support.dagster_data import write_dataset

KEPT = sorted(kept_store.STORES.glob("schema_*"))


@dataclass(frozen=True)
class Kept:
    """A kept store on servers of its own, and what it holds."""

    folder: Path
    settings: Settings
    connections: Connections
    facts: dict[str, Any]

    @property
    def stores(self) -> Stores:
        """Opened by this version, for writing."""
        return open_stores(self.connections, self.settings)


@pytest.fixture(scope="module", params=KEPT, ids=[folder.name for folder in KEPT])
def kept(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Kept]:
    with temporary_servers(cache=settings.cache, questdb_jar=settings.questdb_jar) as (own, connections):
        yield Kept(request.param, own, connections, kept_store.restore(request.param, own, connections))


def test_a_store_of_an_earlier_version_keeps_what_it_holds(kept: Kept) -> None:
    """Readers refuse it until it is brought forward; then every list, number and check is as it was, and a trade leads to its file."""
    facts, reading = kept.facts, open_reading(kept.connections, kept.settings)
    if kept.folder.name != f"schema_{newest_version()}":
        with pytest.raises(StoreError) as refused:
            list_runs(reading.postgres, {})
        assert refused.value.code == "schema_older"
    stores = kept.stores
    assert [one.dataset_id for one in list_datasets(reading.postgres)] == [facts["dataset"]]
    [run] = list_runs(reading.postgres, {"dataset": facts["dataset"]}).items
    assert (run.run_id, run.status, run.folds_present) == (facts["run_id"], "completed", facts["folds"])
    detail = read_run_detail(reading.postgres, facts["run_id"])
    assert len(detail.folds) == facts["folds"]
    assert {name: (run.summary_metrics or {})[name] for name in ("long", "short", "both")} == {
        name: facts["summary"][name] for name in ("long", "short", "both")
    }
    assert [one.simulation_id for one in list_simulations(reading.postgres, {"run": run.run_id}).items] == [facts["simulation_id"]]
    assert read_trades(reading, facts["simulation_id"])["pnl"].to_list() == facts["pnl"]
    assert [one.lfs_id for one in list_selections(reading.postgres)] == [facts["lfs_id"]]
    loaded = kept_store.manifest(kept.settings)
    for report in (validate_dataset(facts["dataset"], stores, loaded=loaded), validate_run(facts["run_id"], stores)):
        assert report.passed, report
    assert all(check.passed for check in check_simulation(facts["simulation_id"], stores))
    way = trace_trade(f"{facts['simulation_id']}/1", stores)
    assert way["file"] == {"dataset": facts["dataset"], "checksum": run.dataset_checksum, "published_now": loaded.manifest.checksum}
    assert (way["model"]["state"], way["model"]["reproduces_prediction"]) == ("whole", True)


@pytest.mark.parametrize("kept", KEPT[-1:], indirect=True, ids=["newest"])
def test_the_same_requests_find_what_is_there_and_new_bars_add_to_it(kept: Kept) -> None:
    """Run, simulation and selection are found, not made again; thirty more bars train the one fold that they complete.

    Ids and fold keys hold the versions of what computed them. Whoever raises one of those keeps a new store in the same change; only the
    newest is asked.
    """
    facts, stores, loaded = kept.facts, kept.stores, kept_store.manifest(kept.settings)
    again = kept_store.walk(stores, loaded)
    assert (again.run_id, again.folds_trained, again.folds_present) == (facts["run_id"], 0, facts["folds"])
    [simulation] = kept_store.simulated(stores, loaded, again.run_id)
    assert (simulation.simulation_id, simulation.reused) == (facts["simulation_id"], True)
    outcome = run_request(kept_store.selection(stores, loaded), stores, requested_by="again")
    assert (outcome.lfs_id, outcome.reused) == (facts["lfs_id"], True)
    write_dataset(kept.settings.exports_dir, facts["dataset"], rows=facts["rows"] + 30)
    grown = kept_store.manifest(kept.settings)
    export_dataset(grown, stores, kept.settings)
    run = kept_store.walk(stores, grown)
    assert (run.folds_copied, run.folds_trained) == (facts["folds"], 1)
