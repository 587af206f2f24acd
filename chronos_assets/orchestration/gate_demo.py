"""The gate, shown on real servers: rows are written, one stored cell is changed behind our back, and the audit finds it.

Used by `chronos demo --gate`. The two halves are two runs of the same job on parts of the lineage, as a user may launch them in the UI.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chronos_assets.orchestration.execute import Listener, RunOutcome, run_partition
from chronos_assets.storage.bars_table import corrupt_middle_cell

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from chronos_assets.orchestration.resources import Workplace
    from chronos_assets.settings import Settings

GATE_SLUG = "gate_1d_v1"
WRITE = ["indicator_csv", "normalized_bars", "indicator_bars"]
AFTER_WRITE = ["indicator_datasets", "walkforward_predictions", "trading_simulations", "live_models"]


def copy_as_gate(manifest: Path, folder: Path, settings: Settings) -> Settings:
    """Copy `manifest` to `folder` under the slug of the demonstration, on the same file; the settings with which it is found."""
    text = manifest.read_text(encoding="utf-8").replace(f"dataset: {manifest.stem}", f"dataset: {GATE_SLUG}")
    (folder / f"{GATE_SLUG}.yaml").write_text(text, encoding="utf-8")
    return settings.model_copy(update={"exports_dir": folder, "data_roots": (*settings.data_roots, manifest.parent)})


def run_through_gate(
    slug: str, column: str, workplace: Workplace, instance: DagsterInstance, *, tags: dict[str, str], listener: Listener | None = None
) -> tuple[str, RunOutcome]:
    """Write `slug`, change one stored cell of `column`, then ask for everything after it; the SQL that changed it, and what happened."""
    written = run_partition(slug, workplace, instance, assets=WRITE, checks=False, tags=tags, listener=listener)
    if not written.succeeded:
        return "", written
    sql = corrupt_middle_cell(workplace.stores.questdb, written.facts["indicator_bars"]["questdb_tag"], column)
    outcome = run_partition(slug, workplace, instance, assets=AFTER_WRITE, check_of="indicator_bars", tags=tags, listener=listener)
    return sql, outcome
