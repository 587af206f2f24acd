"""Checks of simulations: the accounts balance, and no trade knew what it could not know."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dagster import AssetCheckExecutionContext, AssetCheckResult, ResourceParam

from chronos_assets.orchestration.assets.simulations import simulation_names
from chronos_assets.orchestration.assets.walkforward import finished_run_id, last_launch
from chronos_assets.orchestration.failures import user_facing_errors
from chronos_assets.orchestration.preview import dataset_checks
from chronos_assets.orchestration.resources import Workplace
from chronos_assets.orchestration.verdicts import Verdict, report_all

if TYPE_CHECKING:
    from chronos_assets.domain.simulation.accounting import Check
    from chronos_assets.storage.stores import Stores

ASSET = "trading_simulations"
CHECKS = {
    "accounts_balance": ("The sum of the trades' pnl is the change of equity, and trades are numbered without a gap.", True),
    "trades_are_causal": ("No trade overlaps another, fills on the bar that decided it, or lies within its thresholds.", True),
    "enough_trades": ("Each mode traded.", False),
}
ACCOUNTS = ("accounting", "numbering")


@dataset_checks(ASSET, CHECKS, name="simulation_checks")
def simulation_checks(context: AssetCheckExecutionContext, workplace: ResourceParam[Workplace]) -> Iterator[AssetCheckResult]:
    """Check what both stores hold of each simulation of the manifest's runs."""
    with user_facing_errors(context):
        stores = workplace.stores
        ids = _simulations(context, workplace)
        found = {name: _checks_of(stores, simulation_id) for name, simulation_id in ids.items()}
        verdicts = {
            "accounts_balance": _verdict(found, ids, accounts=True),
            "trades_are_causal": _verdict(found, ids, accounts=False),
            "enough_trades": _traded(found, ids),
        }
        selected = {key.name for key in context.selected_asset_check_keys}
        yield from report_all(ASSET, {name: verdict for name, verdict in verdicts.items() if name in selected})


def _simulations(context: AssetCheckExecutionContext, workplace: Workplace) -> dict[str, str]:
    """`simulation_id` by mode, of the newest completed simulations on the runs of the manifest."""
    from chronos_assets.storage.simulations import list_simulations

    manifest, stores = workplace.manifest(context.partition_key).manifest, workplace.stores
    asked = {manifest.simulation_profile(name).walkforward for name in simulation_names(manifest)}
    launch = last_launch(context.instance, context.partition_key)
    run_ids = [finished_run_id(workplace, manifest, profile, launch) for profile in sorted(asked)]
    done = [s for run_id in run_ids for s in list_simulations(stores.postgres, run_id) if s.status == "completed"]
    return {f"{s.mode} {s.simulation_id[:8]}": s.simulation_id for s in done}


def _checks_of(stores: "Stores", simulation_id: str) -> "list[Check]":
    from chronos_assets.pipeline.simulation.run import check_simulation

    return check_simulation(simulation_id, stores)


def _verdict(found: "dict[str, list[Check]]", ids: dict[str, str], *, accounts: bool) -> Verdict:
    broken = [(name, c) for name, checks in found.items() for c in checks if (c.name in ACCOUNTS) is accounts and not c.passed]
    rows = [{"simulation": name, "check": c.name, "found": c.found, "trades": ", ".join(map(str, c.examples))} for name, c in broken]
    good = "the accounts balance" if accounts else "every trade follows its decision"
    first = f"{rows[0]['simulation']} breaks {rows[0]['check']}: {rows[0]['found']}" if rows else ""
    trades = [f"{ids[name]}/{next(iter(c.examples), 1)}" for name, c in broken]
    return Verdict(
        passed=not rows,
        message=first or f"{good} in {len(found)} simulations",
        rows=rows,
        meaning="Stored trades or equity were changed after they were written, or written by another program.",
        command=f"chronos trace {trades[0]}" if trades else "",
        metadata={"simulations": len(found), "failing": len(rows)},
    )


def _traded(found: "dict[str, list[Check]]", ids: dict[str, str]) -> Verdict:
    idle = [name for name, checks in found.items() for c in checks if c.name == "numbering" and c.found == "0 trades"]
    return Verdict(
        passed=not idle,
        message=f"no trades in {', '.join(idle[:5])}" if idle else f"all {len(found)} simulations traded",
        meaning="No prediction lay beyond a threshold in the test bars, or the side is off in every fold.",
        command=f"chronos report {ids[idle[0]]}" if idle else "",
        metadata={"without_trades": len(idle)},
        warn_only=True,
    )
