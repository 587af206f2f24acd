"""`chronos demo --gate` on the servers of this run: what it shows, and that nothing of it stays."""

from __future__ import annotations

import json
from pathlib import Path

from dagster import RunsFilter

from chronos_assets.orchestration.gate_demo import GATE_SLUG
from chronos_assets.orchestration.instance import open_instance
from chronos_assets.orchestration.run_tags import PARTITION_TAG
from chronos_assets.settings import Settings
from chronos_assets.storage.datasets import find_dataset
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.commands import run_program


def test_the_gate_stops_a_changed_cell_and_leaves_nothing_on_dagsters_pages(
    cli_environment: dict[str, str], settings: Settings, stores: Stores, tmp_path: Path
) -> None:
    """Exit 3, the cell with both values, nothing published; no manifest, run or partition is left, and no failure that a sensor reports."""
    environment = {**cli_environment, "CHRONOS_EXPORTS_DIR": str(tmp_path)}
    done = run_program("demo", "--gate", "--json", env=environment, quiet=True)
    assert done.returncode == 3, done.stderr
    document = json.loads(done.stdout)
    assert "1 cells differ in RSI_14" in document["found"]
    assert document["published"] is False
    assert find_dataset(stores.postgres, GATE_SLUG) is None
    assert not list(tmp_path.glob(f"*{GATE_SLUG}*"))
    with open_instance(settings) as instance:
        assert instance.get_runs(RunsFilter(tags={PARTITION_TAG: GATE_SLUG})) == []
        assert GATE_SLUG not in instance.get_dynamic_partitions("dataset")
