"""The policy of promotion: each limit, each comparison, and the words that say why."""

from __future__ import annotations

from typing import Any

import pytest

from chronos_assets.domain.profiles.live import LiveProfile
from chronos_assets.domain.promotion import Candidate, decide


def candidate(
    factor: float | None = 1.2, p_value: float | None = 0.02, *, request: str = "a", no_losses: bool = False, **more: Any
) -> Candidate:
    """A model with such a backtest."""
    tests = {} if p_value is None else {"signal_test": {"p_value": p_value / 2, "holm": p_value, "tests": 2}}
    backtest = {
        "run": {"both": {"profit_factor": factor, "no_losses": no_losses}},
        "simulations": [{"tests": tests}, {"tests": {"trade_test": {"p_value": 0.0, "holm": 0.0, "tests": 2}}}],
    }
    return Candidate(request, backtest, **({"has_side": True, "learned_nothing": False} | more))


@pytest.mark.parametrize(
    ("model", "live", "promoted", "words"),
    [
        (candidate(), None, True, "no model is live"),
        (candidate(1.0, 0.10), None, True, "profit factor 1.00, p-value 0.100"),
        (candidate(0.99), None, False, "at least 1, and it is 0.99"),
        (candidate(None), None, False, "at least 1, and there is none"),
        (candidate(None, no_losses=True), None, True, "profit factor inf"),
        (candidate(p_value=0.11), None, False, "at most 0.1, and it is 0.110"),
        (candidate(p_value=None), None, False, "no signal test was made"),
        (candidate(has_side=False), None, False, "no threshold on either side"),
        (candidate(learned_nothing=True), None, False, "learned nothing"),
        (candidate(1.1), candidate(1.5), True, "the same request"),
        (candidate(1.1), candidate(1.5, request="b"), False, "worse than the live model's 1.50"),
        (candidate(1.5), candidate(1.5, request="b"), True, "no worse than the live model's 1.50"),
    ],
)
def test_if_better_takes_both_limits_and_the_live_model(model: Candidate, live: Candidate | None, promoted: bool, words: str) -> None:
    """The defaults ask for a profit factor of 1 and a p-value of 0.10, and compare with a live model of another request only."""
    found = decide(LiveProfile(), model, live)
    assert found.promote is promoted
    assert words in found.reason


def test_always_and_never_look_at_nothing() -> None:
    """A model without any merit is promoted if the manifest says so, and the best one is not if it says otherwise."""
    assert decide(LiveProfile(promote="always"), candidate(0.1, learned_nothing=True), None).promote
    assert not decide(LiveProfile(promote="never"), candidate(9.0, 0.001), None).promote
