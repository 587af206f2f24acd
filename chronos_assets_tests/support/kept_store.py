"""A small store as one version of the product left it: written once, kept as text and frames, opened by every later version.

    python3 bootstrap.py run python -m chronos_assets_tests.support.kept_store

writes `chronos_assets_tests/stores/schema_<number>/` with what the present version makes of a small dataset: an export, a run, a
simulation, a feature selection. What it holds is never edited by hand.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import polars as pl

from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.pipeline.export.dataset import export_dataset
from chronos_assets.pipeline.selection.request import LfsRequest, plan_lfs
from chronos_assets.pipeline.selection.run import run_request
from chronos_assets.pipeline.simulation.run import SimulationResult, simulate_run
from chronos_assets.pipeline.walkforward.run import WalkforwardResult, run_walkforward
from chronos_assets.services import Connections
from chronos_assets.services.postgres_user import installed_programs
from chronos_assets.settings import Settings
from chronos_assets.storage.manifest_files import LoadedManifest, load_manifest
from chronos_assets.storage.migrate import newest_version
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.questdb import QuestDB
from chronos_assets.storage.questdb_tables import TABLES, TIMESTAMP
from chronos_assets.storage.simulations import read_trades
from chronos_assets.storage.stores import Stores, open_stores
from chronos_assets.testing import temporary_servers
from chronos_assets_tests.support.dagster_data import write_dataset

STORES = Path(__file__).parents[1] / "stores"
SLUG, ROWS = "kept_1d_v1", 300
SELECTION = LfsProfile.model_validate({"max_kept": 2, "iterations": 1, "permutations": 3, "end_row": "all"})
_POSTGRES, _FACTS = "postgres.sql", "facts.json"


def main() -> None:
    """Make a store with the present version, and keep it."""
    folder = STORES / f"schema_{newest_version()}"
    with temporary_servers() as (settings, connections):
        stores = open_stores(connections, settings)
        write_dataset(settings.exports_dir, SLUG, rows=ROWS)
        facts = make(stores)
        shutil.rmtree(folder, ignore_errors=True)
        keep(stores, connections, facts, folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1000:.0f} kB")


def make(stores: Stores) -> dict[str, Any]:
    """Take the dataset all the way; returns what a later version has to find."""
    loaded = manifest(stores.settings)
    export_dataset(loaded, stores, stores.settings)
    run = walk(stores, loaded)
    [simulation] = simulated(stores, loaded, run.run_id)
    request = selection(stores, loaded)
    run_request(request, stores, requested_by="kept")
    trades = read_trades(stores, simulation.simulation_id)
    return {
        "dataset": SLUG,
        "rows": ROWS,
        "run_id": run.run_id,
        "folds": run.folds_present,
        "summary": run.summary_metrics,
        "simulation_id": simulation.simulation_id,
        "trades": trades.height,
        "pnl": trades["pnl"].to_list(),
        "lfs_id": request.lfs_id,
    }


def manifest(settings: Settings) -> LoadedManifest:
    """The manifest of the dataset."""
    return load_manifest(settings.exports_dir / f"{SLUG}.yaml", data_roots=settings.data_roots)


def walk(stores: Stores, loaded: LoadedManifest) -> WalkforwardResult:
    """The walk-forward that the manifest asks for."""
    return run_walkforward(SLUG, loaded.manifest.walkforward["default"], stores, horizon=1, horizon_assumed=False, requested_by="kept")


def simulated(stores: Stores, loaded: LoadedManifest, run_id: str) -> list[SimulationResult]:
    """The simulation that the manifest asks for."""
    return simulate_run(run_id, loaded.manifest.simulation["default"], stores)


def selection(stores: Stores, loaded: LoadedManifest) -> LfsRequest:
    """A small feature selection of the dataset."""
    walkforward = loaded.manifest.walkforward["default"]
    return plan_lfs(SLUG, SELECTION, stores, horizon_of=lambda _: (1, False), walkforward=walkforward)


def keep(stores: Stores, connections: Connections, facts: dict[str, Any], folder: Path) -> None:
    """Write both stores, their files and `facts` into `folder`."""
    folder.mkdir(parents=True)
    (folder / _FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    dump = [installed_programs() / "pg_dump", "--inserts", "--no-owner", "--no-privileges", "--dbname", connections.postgres_dsn]
    lines = subprocess.run(dump, capture_output=True, text=True, check=True).stdout.splitlines()
    # What begins with a backslash is for psql alone.
    (folder / _POSTGRES).write_text(
        "\n".join(line for line in lines if line and not line.startswith(("\\", "--"))) + "\n", encoding="utf-8"
    )
    for spec in TABLES:
        [made] = stores.questdb.rows(f"SHOW CREATE TABLE {spec.name}")
        (folder / f"{spec.name}.sql").write_text(made["ddl"].strip().rstrip(";") + "\n", encoding="utf-8")
        frame = stores.questdb.read(f"SELECT * FROM {spec.name}")
        frame.with_columns(pl.col(pl.Categorical).cast(pl.String)).write_parquet(folder / f"{spec.name}.parquet", compression_level=19)
    shutil.copytree(stores.settings.artifacts_dir, folder / "artifacts")
    shutil.copytree(stores.settings.exports_dir, folder / "exports")


def restore(folder: Path, settings: Settings, connections: Connections) -> dict[str, Any]:
    """Put a kept store onto empty servers, as its version left it; returns its facts."""
    with Postgres(connections.postgres_dsn).connection() as connection:
        connection.execute((folder / _POSTGRES).read_bytes())
    c = connections
    questdb = QuestDB(c.questdb_conf, c.questdb_http, c.questdb_user, c.questdb_password)
    for path in sorted(folder.glob("*.parquet")):
        questdb.execute(path.with_suffix(".sql").read_text(encoding="utf-8"))
        frame, columns = pl.read_parquet(path), questdb.columns(path.stem)
        symbols = [name for name, row in columns.items() if row["type"] == "SYMBOL"]
        if frame.height:
            questdb.write(frame.select(pl.all().exclude(TIMESTAMP), pl.col(TIMESTAMP)), table=path.stem, symbols=symbols)
            questdb.wait_applied(path.stem)
    shutil.copytree(folder / "artifacts", settings.artifacts_dir)
    shutil.copytree(folder / "exports", settings.exports_dir, dirs_exist_ok=True)
    facts: dict[str, Any] = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    return facts


if __name__ == "__main__":
    main()
