"""Trades and equity: every simulation profile of the manifest, each of its modes, on the completed run of its walk-forward profile."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dagster import AssetExecutionContext, Config, DataVersion, MaterializeResult, ResourceParam, asset
from pydantic import Field

from chronos_assets.orchestration.assets.files import CODE_VERSION, SOURCE_FILE, Metadata
from chronos_assets.orchestration.assets.walkforward import chosen, finished_run_id, last_launch
from chronos_assets.orchestration.columns import of_trades
from chronos_assets.orchestration.failures import user_facing_errors
from chronos_assets.orchestration.metadata import console_link, numbers, page_link, sparkline, table
from chronos_assets.orchestration.partitions import DATASETS
from chronos_assets.orchestration.resources import Workplace

if TYPE_CHECKING:
    from chronos_assets.domain.manifest import Manifest
    from chronos_assets.pipeline.simulation.run import SimulationResult
    from chronos_assets.storage.manifest_files import LoadedManifest
    from chronos_assets.storage.stores import Stores

PLOTTED = ("total_return_pct", "max_drawdown_pct", "sharpe", "trade_count", "win_rate", "profit_factor_trade")


class SimulationConfig(Config):
    """What a launch may choose; the profiles themselves stand in the manifest."""

    profiles: list[str] = Field(default_factory=list, description="Names of simulation profiles to run; if empty, all of the manifest.")


@dataclass(frozen=True)
class ProfileSimulation:
    """One simulation profile in one mode, and what came out."""

    profile: str
    run_id: str
    result: "SimulationResult"

    @property
    def name(self) -> str:
        """`mode` for the default profile, else `profile_mode`."""
        return self.result.mode if self.profile == "default" else f"{self.profile}_{self.result.mode}"


@asset(
    partitions_def=DATASETS,
    deps=["walkforward_predictions", "indicator_datasets", "simulation_profiles", "walkforward_profiles", SOURCE_FILE],
    group_name="research",
    kinds={"numba", "questdb", "postgres"},
    code_version=CODE_VERSION,
    description=(
        "Trades, bar-by-bar equity and buckets per side, for each mode. A decision at a close is filled at the next open; costs are "
        "those of the profile; every result has buy and hold beside it."
    ),
)
def trading_simulations(
    context: AssetExecutionContext, config: SimulationConfig, workplace: ResourceParam[Workplace]
) -> MaterializeResult[None]:
    """Simulate each profile and mode."""
    with user_facing_errors(context):
        loaded, stores = workplace.manifest(context.partition_key), workplace.stores
        names = chosen(simulation_names(loaded.manifest), config.profiles, "simulation profile")
        done = [one for name in names for one in _simulate(context, workplace, name)]
        version = hashlib.sha256(" ".join(sorted(one.result.simulation_id for one in done)).encode()).hexdigest()
        return MaterializeResult(data_version=DataVersion(version), metadata=of_trades(_prices(loaded, stores)) | _metadata(stores, done))


def simulation_names(manifest: "Manifest") -> list[str]:
    """Names of the simulation profiles, `default` if the manifest names none."""
    return list(manifest.simulation or ["default"])


def _simulate(context: AssetExecutionContext, workplace: Workplace, name: str) -> list[ProfileSimulation]:
    from chronos_assets.pipeline.simulation.price_sources import price_source
    from chronos_assets.pipeline.simulation.run import simulate_run

    loaded, stores = workplace.manifest(context.partition_key), workplace.stores
    profile = loaded.manifest.simulation_profile(name)
    launch = last_launch(context.instance, context.partition_key)
    run_id = finished_run_id(workplace, loaded.manifest, profile.walkforward, launch)
    prices = price_source(loaded, profile)
    results = simulate_run(run_id, profile, stores, prices=prices, progress=workplace.progress(context))
    return [ProfileSimulation(name, run_id, result) for result in results]


def _prices(loaded: "LoadedManifest", stores: "Stores") -> list[str]:
    """The dataset's columns that trades are filled at; none if all prices come from elsewhere."""
    from chronos_assets.pipeline.simulation.price_sources import price_source
    from chronos_assets.pipeline.simulation.prices import price_columns
    from chronos_assets.storage.datasets import get_dataset

    manifest = loaded.manifest
    if not any(price_source(loaded, manifest.simulation_profile(name)).in_dataset for name in simulation_names(manifest)):
        return []
    return [column.name for column in price_columns(get_dataset(stores.postgres, manifest.dataset)).values()]


def _metadata(stores: "Stores", done: list[ProfileSimulation]) -> Metadata:
    from chronos_assets.storage.console import trades_of

    return {
        **{f"equity_{one.name}": _equity(stores, one) for one in done},
        **{key: value for one in done for key, value in numbers(_plotted(one), f"{one.name}_").items()},
        "trades": sum(one.result.summary_metrics.get("trade_count") or 0 for one in done),
        "simulations": table([_row(one) for one in done]),
        "could_it_be_luck": table(_luck(stores, done)),
        "provenance": table([_provenance(stores, one) for one in done]),
        "unchanged": all(one.result.reused for one in done),
        "dashboard": page_link(stores.settings, f"/simulations/{done[-1].result.simulation_id}"),
        "trades_in_console": console_link(
            stores.questdb.http.base, trades_of(done[-1].result.simulation_id), f"the trades of {done[-1].name}"
        ),
        "simulation_ids": {one.name: one.result.simulation_id for one in done},
    }


def _plotted(one: ProfileSimulation) -> dict[str, Any]:
    return {name: one.result.summary_metrics.get(name) for name in PLOTTED}


def _equity(stores: "Stores", one: ProfileSimulation) -> object:
    from chronos_assets.storage.runs import get_run
    from chronos_assets.storage.simulations import get_simulation, read_equity
    from chronos_assets.views.tear_sheet import buy_and_hold

    simulation = get_simulation(stores.postgres, one.result.simulation_id)
    table = read_equity(stores, one.result.simulation_id).sort("timestamp_unix")
    times = table["timestamp_unix"].to_numpy()
    held = buy_and_hold(simulation, get_run(stores.postgres, one.run_id), stores, times)
    summary = one.result.summary_metrics
    own, hold = summary.get("total_return_pct"), (summary.get("buy_and_hold") or {}).get("total_return_pct")
    first, last = (datetime.fromtimestamp(int(times[at]), UTC).isoformat() for at in (0, -1))
    caption = f"{one.name}: {_percent(own)}; grey: buy and hold, {_percent(hold)}"
    return sparkline(table["equity"].to_list(), caption, dates=(first, last), beside=None if held is None else held.tolist())


def _row(one: ProfileSimulation) -> dict[str, object]:
    summary = one.result.summary_metrics
    hold = summary.get("buy_and_hold") or {}
    ratios = {
        "return %": summary.get("total_return_pct"),
        "buy and hold %": hold.get("total_return_pct"),
        "max drawdown %": summary.get("max_drawdown_pct"),
        "profit factor (trades)": summary.get("profit_factor_trade"),
    }
    return {
        "profile": one.profile,
        "mode": one.result.mode,
        "trades": summary.get("trade_count"),
        **{name: value if value is None else round(value, 2) for name, value in ratios.items()},
        "simulation_id": one.result.simulation_id,
    }


def _provenance(stores: "Stores", one: ProfileSimulation) -> dict[str, object]:
    """Where the trades come from, and the command that follows one of them to its fold, model and bars."""
    from chronos_assets.storage.runs import get_run

    run = get_run(stores.postgres, one.run_id)
    return {
        "simulation_id": one.result.simulation_id,
        "run_id": run.run_id,
        "questdb_tag": run.questdb_tag,
        "file checksum": run.dataset_checksum,
        "follow a trade": f"chronos trace {one.result.simulation_id}/1",
    }


def _luck(stores: "Stores", done: list[ProfileSimulation]) -> list[dict[str, object]]:
    """p-values with those adjusted for their number, and deflated Sharpe ratios with the number of trials on record."""
    from chronos_assets.pipeline.simulation.judgement import TESTS, deflated_sharpes, tests_of_page

    tests = {(test.name, test.test): test for test in tests_of_page({one.name: one.result.summary_metrics for one in done})}
    chances = {
        run_id: deflated_sharpes(stores, run_id, [one.result.simulation_id for one in done if one.run_id == run_id])
        for run_id in {one.run_id for one in done}
    }
    rows: list[dict[str, object]] = []
    for one in done:
        row: dict[str, object] = {"simulation": one.name}
        for name in TESTS:
            test = tests.get((one.name, name))
            words = name.replace("_", " ")
            row |= {f"{words} p": None if test is None else test.p_value, f"{words} p (Holm)": None if test is None else test.holm}
        chance = chances[one.run_id][one.result.simulation_id]
        row |= {
            "tests": len(tests),
            "deflated probability": None if chance is None else round(chance.probability, 4),
            "trials on record": None if chance is None else chance.trials,
            "different trials": None if chance is None else chance.different_trials,
        }
        rows.append(row)
    return rows


def _percent(value: float | None) -> str:
    return "no return" if value is None else f"{value:+.1f} %"
