"""How far simulations could be luck, judged when they are read: what depends on other runs or on other tests of a page is never stored.

Each number says how many others it counted: trials on record for a deflated Sharpe ratio, tests of the page for an adjusted p-value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chronos_assets.domain.statistics.deflation import DeflatedSharpe, chance_among, deflated_sharpe
from chronos_assets.domain.statistics.returns import bar_returns
from chronos_assets.domain.statistics.significance import holm
from chronos_assets.domain.statistics.trials import effective_bars
from chronos_assets.pipeline.walkforward.trials import all_trials
from chronos_assets.storage.runs import get_run
from chronos_assets.storage.simulations import read_equity
from chronos_assets.storage.stores import Stores

TESTS = ("trade_test", "signal_test")


@dataclass(frozen=True)
class PageTest:
    """A test that stands on a page with `tests` in all: its p-value, and the one adjusted for their number (Holm)."""

    name: str
    test: str
    p_value: float
    holm: float
    tests: int


def tests_of_page(summaries: Mapping[str, Mapping[str, Any]]) -> list[PageTest]:
    """The tests of the simulations that one page shows, by name (a mode); a test that was turned off is not among them."""
    found = [(name, test, float(s[test]["p_value"])) for name, s in summaries.items() for test in TESTS if s.get(test)]
    adjusted = holm([p_value for *_, p_value in found])
    return [PageTest(name, test, p, value, len(found)) for (name, test, p), value in zip(found, adjusted, strict=True)]


def deflated(stores: Stores, run_id: str, simulation_ids: Sequence[str]) -> dict[str, DeflatedSharpe | None]:
    """Deflated Sharpe ratios of simulations of one run, per bar, among all trials ever made on the run's lineage and target [LP].

    Bars count as Newey and West do; None if the equity does not vary or reached zero.
    """
    run = get_run(stores.postgres, run_id)
    chance = chance_among(list(all_trials(stores, run.dataset_id, run.target_column).values()))
    found: dict[str, DeflatedSharpe | None] = {}
    for simulation_id in simulation_ids:
        returns = bar_returns(read_equity(stores, simulation_id)["equity"].to_numpy())
        found[simulation_id] = None if returns is None else deflated_sharpe(returns, effective_bars(returns), chance)
    return found
