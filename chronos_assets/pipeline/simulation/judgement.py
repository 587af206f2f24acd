"""How far simulations could be luck, judged when they are read: what depends on other runs or on other tests of a page is never stored.

Each number says how many others it counted: trials on record for a deflated Sharpe ratio, tests of the page for an adjusted p-value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chronos_assets.domain.statistics.deflation import Chance, DeflatedSharpe, ReturnMoments, chance_among, deflated, moments_of
from chronos_assets.domain.statistics.returns import bar_returns
from chronos_assets.domain.statistics.significance import holm
from chronos_assets.domain.statistics.trials import effective_bars
from chronos_assets.domain.targets import Floats
from chronos_assets.pipeline.walkforward.trials import all_trials
from chronos_assets.storage.runs import RunRecord, get_run
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


def deflated_sharpes(stores: Stores, run_id: str, simulation_ids: Sequence[str]) -> dict[str, DeflatedSharpe | None]:
    """Deflated Sharpe ratios of simulations of one run, per bar, among all trials ever made on the run's lineage and target [LP].

    None if the equity does not vary or reached zero.
    """
    chance = chance_on_record(stores, get_run(stores.postgres, run_id))
    moments = {one: moments_of_equity(read_equity(stores, one)["equity"].to_numpy()) for one in simulation_ids}
    return {one: None if found is None else deflated(found, chance) for one, found in moments.items()}


def chance_on_record(stores: Stores, run: RunRecord) -> Chance:
    """What chance alone makes of the best of all trials ever made on the run's lineage and target."""
    return chance_among(list(all_trials(stores, run.dataset_id, run.target_column).values()))


def moments_of_equity(equity: Floats) -> ReturnMoments | None:
    """Moments of the returns per bar, which count as Newey and West do; None if the equity does not vary or reached zero."""
    returns = bar_returns(equity)
    return None if returns is None else moments_of(returns, effective_bars(returns))
