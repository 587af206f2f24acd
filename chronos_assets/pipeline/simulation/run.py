"""Simulate a run: one simulation per mode, each named by what determines it, stored whole or not at all.

The same request is the same simulation: a completed one is returned at once, one that died is made again with the same rows. Before a
simulation counts as completed, what was stored is read back and checked (`domain.simulation.accounting`).
"""

from __future__ import annotations

import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType
from typing import Any

import polars as pl

from chronos_assets.domain.identity import canonical, identity_of
from chronos_assets.domain.profiles.simulation import IGNORED, Mode, SimulationProfile
from chronos_assets.domain.simulation.accounting import Check, check_all, check_marks
from chronos_assets.domain.simulation.engine import Simulation, ranges_of, simulate
from chronos_assets.domain.simulation.permutation import trade_test
from chronos_assets.domain.simulation.rules import Rules, rules_of
from chronos_assets.domain.simulation.summary import buckets_of, filled_closes, summary_of
from chronos_assets.domain.statistics.confidence_intervals import bootstrap_intervals
from chronos_assets.domain.statistics.returns import bar_returns, bars_per_year, drawdown_pct
from chronos_assets.domain.statistics.signal_significance import signal_test
from chronos_assets.domain.statistics.significance import PermutationResult
from chronos_assets.errors import ChronosError, ConflictError, ValidationFailedError
from chronos_assets.pipeline.progress import Progress, silent
from chronos_assets.pipeline.simulation.cases import fold_cases
from chronos_assets.pipeline.simulation.inputs import SimulationInputs, read_inputs
from chronos_assets.pipeline.simulation.price_artifacts import keep_prices
from chronos_assets.pipeline.simulation.price_sources import ColumnPrices, PriceSource
from chronos_assets.pipeline.simulation.ruin import ruin_warnings
from chronos_assets.storage.runs import read_predictions
from chronos_assets.storage.simulations import (
    SimulationRecord,
    begin_simulation,
    complete_simulation,
    declare_dead_simulations,
    fail_simulation,
    find_simulation,
    get_simulation,
    read_equity,
    read_trades,
    simulation_lock,
    write_trades_and_equity,
)
from chronos_assets.storage.stores import Stores

# Part of every simulation_id: raise it when the same inputs would give other trades, equity or statistics.
SIMULATION_CODE_VERSION = "3"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "chronos_assets/simulation")
# The signal test that belongs to each mode.
SIDE_OF_MODE = {"long": "long", "short": "short", "dual": "best"}


@dataclass(frozen=True)
class SimulationResult:
    """One simulation as it is stored; `reused` where it was there already."""

    simulation_id: str
    mode: str
    status: str
    summary_metrics: dict[str, Any]
    trades: int
    reused: bool
    warnings: list[dict[str, str]] = field(default_factory=list)


def simulate_run(
    run_id: str,
    profile: SimulationProfile,
    stores: Stores,
    *,
    prices: PriceSource | None = None,
    progress: Progress | None = None,
) -> list[SimulationResult]:
    """Simulate every mode of `profile` on a completed run.

    `prices`: where they come from (`price_source`); the dataset's own columns by default. Raises `RefusedError` if prices lack or do not
    fit, `ConflictError` if another process works on the same simulation.
    """
    source = prices or ColumnPrices()
    declare_dead_simulations(stores.postgres)
    tell = progress or silent
    tell("read", 0, len(profile.modes), run_id)
    work = _Work(read_inputs(run_id, stores, source), profile, stores, keep=not source.in_dataset)
    results = []
    for done, mode in enumerate(profile.modes):
        tell("simulate", done, len(profile.modes), mode)
        results.append(work.simulate(mode))
    tell("simulate", len(profile.modes), len(profile.modes), "")
    return results


def simulation_id_of(run_id: str, mode: str, profile: SimulationProfile, prices_hash: str) -> str:
    """UUIDv5 of run, mode, resolved configuration, content of the prices and version of this code."""
    config = identity_of(profile, ignored=IGNORED)
    parts = {"run": run_id, "mode": mode, "config": config, "prices": prices_hash, "code": SIMULATION_CODE_VERSION}
    return str(uuid.uuid5(NAMESPACE, canonical(parts)))


def check_simulation(simulation_id: str, stores: Stores) -> list[Check]:
    """Check what both stores hold of a simulation: accounting, numbering, overlaps, fills after decisions, entries beyond thresholds."""
    record = get_simulation(stores.postgres, simulation_id)
    predictions = read_predictions(stores, record.run_id)
    return check_all(
        read_trades(stores, record.simulation_id), read_equity(stores, record.simulation_id), predictions, float(record.config["capital"])
    )


class _Work:
    """All modes of one request: what they share is read and reckoned once."""

    def __init__(self, inputs: SimulationInputs, profile: SimulationProfile, stores: Stores, *, keep: bool) -> None:
        self.inputs, self.profile, self.stores, self.keep = inputs, profile, stores, keep

    def simulate(self, mode: Mode) -> SimulationResult:
        """The stored simulation of one mode, made if it is missing."""
        run = self.inputs.run
        name = simulation_id_of(run.run_id, mode, self.profile, self.inputs.prices.source["content_hash"])
        stored = _completed(self.stores, name)
        if stored is not None:
            return _result(stored, reused=True)
        with simulation_lock(self.stores.postgres, name):
            stored = _completed(self.stores, name)
            if stored is not None:
                return _result(stored, reused=True)
            begin_simulation(self.stores.postgres, name, run_id=run.run_id, dataset_id=run.dataset_id, mode=mode, config=self._config(mode))
            with _EndsTruthfully(self.stores, name):
                self._make(name, mode)
        return _result(get_simulation(self.stores.postgres, name), reused=False)

    def _make(self, name: str, mode: Mode) -> None:
        inputs, rules, signal_tests = self.inputs, rules_of(self.profile, mode), self._signal_tests
        ranges = ranges_of(inputs.prices.bars, rules)
        simulation = simulate(inputs.bars, inputs.signals, rules, atr=ranges[inputs.start : inputs.end] if rules.needs_atr else None)
        write_trades_and_equity(
            self.stores, name, run_id=inputs.run.run_id, mode=mode, trades=simulation.trades, equity=equity_frame(simulation)
        )
        if self.keep:
            keep_prices(self.stores.artifacts, inputs.prices.source["content_hash"], inputs.prices.bars)
        checks = self._checks(name, simulation)
        summary = {
            **summary_of(simulation),
            **self._statistics(simulation, rules, mode, signal_tests),
            "checks": [check.as_json() for check in checks],
            "warnings": [*inputs.warnings, *ruin_warnings(simulation, {k: m[inputs.start :] for k, m in inputs.prices.doubts.items()})],
            "prices": inputs.prices.source,
        }
        complete_simulation(self.stores.postgres, name, summary=summary, buckets=buckets_of(simulation))

    def _checks(self, name: str, simulation: Simulation) -> list[Check]:
        """Check what was stored, read back; raises `ValidationFailedError`."""
        capital = simulation.rules.capital
        trades, equity = read_trades(self.stores, name), read_equity(self.stores, name)
        checks = check_all(trades, equity, self.inputs.predictions, capital)
        checks.append(check_marks(simulation.trades, simulation.equity, filled_closes(simulation.bars), simulation.rules))
        same = trades.height == simulation.trades.height and equity["equity"].to_list() == simulation.equity.tolist()
        checks.append(Check("stored", same, f"{trades.height} trades and {equity.height} bars of equity as reckoned"))
        failed = [check for check in checks if not check.passed]
        if failed:
            raise ValidationFailedError(
                f"the stored simulation breaks a rule: {', '.join(check.name for check in failed)}",
                code="simulation_checks_failed",
                found=failed[0].found,
                simulation_id=name,
            )
        return checks

    def _statistics(
        self, simulation: Simulation, rules: Rules, mode: Mode, signal_tests: Future[dict[str, PermutationResult] | None] | None
    ) -> dict[str, Any]:
        inputs, wanted, seed = self.inputs, self.profile.statistics, self.profile.seed
        lead = self._lead()
        trade = trade_test(
            inputs.prices.bars.span(inputs.start - lead, inputs.end),
            inputs.signals,
            rules,
            lead=lead,
            permutations=wanted.permutations,
            seed=seed,
            block_bars=wanted.permutation_block_bars,
        )
        intervals = bootstrap_intervals(
            bar_returns(simulation.equity),
            bars_per_year(simulation.bars.times),
            resamples=wanted.bootstraps,
            confidence=wanted.confidence,
            block_bars=wanted.block_bars,
            seed=seed,
        )
        sides = None if signal_tests is None else signal_tests.result()
        own = None if sides is None else sides[SIDE_OF_MODE[mode]]
        return {
            "intervals": intervals,
            "trade_test": None if trade is None else trade.as_json(),
            "signal_test": None
            if sides is None or own is None
            else {**own.as_json(), "side": SIDE_OF_MODE[mode], "fitted_on": inputs.thresholds.data, **_p_values(sides)},
            "seed": seed,
        }

    def _lead(self) -> int:
        """Bars before the simulation that the average true range of its first bar needs."""
        priced = self.inputs.prices.bars.priced[: self.inputs.start].nonzero()[0]
        wanted = self.profile.atr_bars + 1 if self.profile.needs_atr else 0
        return 0 if not wanted or not priced.size else int(self.inputs.start - priced[-min(wanted, priced.size)])

    @cached_property
    def _signal_tests(self) -> Future[dict[str, PermutationResult] | None] | None:
        """The tests of the predictions, one for all modes: a thread makes them while the first mode is simulated. None without cases."""
        cases = fold_cases(self.inputs, self.stores)
        if cases is None:
            return None
        thread = ThreadPoolExecutor(1, thread_name_prefix="signal-test")
        wanted, horizon = self.profile.statistics.permutations, self.inputs.horizon
        tests = thread.submit(signal_test, cases, self.inputs.thresholds, horizon=horizon, permutations=wanted, seed=self.profile.seed)
        thread.shutdown(wait=False)
        return tests

    def _config(self, mode: Mode) -> dict[str, Any]:
        return {
            **self.profile.resolved(),
            "mode": mode,
            "prices": self.inputs.prices.source,
            "code_version": SIMULATION_CODE_VERSION,
            "fill": "decided at the close of a bar, filled at the open of the next",
        }


def equity_frame(simulation: Simulation) -> pl.DataFrame:
    """Equity of a simulation as it is stored: `timestamp_unix`, `equity`, `drawdown_pct`, `position` (signed units after the close)."""
    return pl.DataFrame(
        {
            "timestamp_unix": simulation.bars.times,
            "equity": simulation.equity,
            "drawdown_pct": drawdown_pct(simulation.equity, simulation.rules.capital),
            "position": simulation.position,
        }
    )


class _EndsTruthfully:
    """Writes `failed` or `cancelled`, and why, if the work inside does not end well."""

    def __init__(self, stores: Stores, simulation_id: str) -> None:
        self._stores, self._simulation_id = stores, simulation_id

    def __enter__(self) -> None:
        """Nothing to prepare: the row says `running` already."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            return
        reason = {"code": "cancelled", "message": "interrupted; the same request makes it again"}
        if isinstance(error, ChronosError):
            reason = error.as_dict()
        elif isinstance(error, Exception):
            reason = {"code": "error", "message": f"{kind.__name__}: {error}"[:500]}
        status = "failed" if issubclass(kind, Exception) else "cancelled"
        fail_simulation(self._stores.postgres, self._simulation_id, status, reason)


def _completed(stores: Stores, simulation_id: str) -> SimulationRecord | None:
    record = find_simulation(stores.postgres, simulation_id)
    return record if record is not None and record.status == "completed" else None


def _result(record: SimulationRecord, *, reused: bool) -> SimulationResult:
    summary = record.summary_metrics or {}
    if record.status != "completed":
        raise ConflictError(f"simulation {record.simulation_id} was changed meanwhile", code="simulation_changed", found=record.status)
    return SimulationResult(
        record.simulation_id, record.mode, record.status, summary, int(summary["trade_count"]), reused, summary.get("warnings", [])
    )


def _p_values(sides: dict[str, PermutationResult]) -> dict[str, Any]:
    return {"p_values": {name: result.p_value for name, result in sides.items()}}
