"""How a trade is named on the command line."""

from __future__ import annotations

import pytest

from chronos_assets.errors import UsageError
from chronos_assets.pipeline.simulation.trace import parse_trade


def test_a_trade_is_named_by_its_simulation_and_number() -> None:
    """The two parts come back, the number as one."""
    assert parse_trade("3f0c/12") == ("3f0c", 12)


@pytest.mark.parametrize("number", ["", "0", "-1", "1.5", "x", "\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT THREE}", "9" * 5000])
def test_a_number_that_counts_no_trade_is_a_usage_error(number: str) -> None:
    """Whatever Python's `int` makes of it: digits of other scripts and endless numbers are refused, not raised."""
    with pytest.raises(UsageError, match="does not name a trade"):
        parse_trade(f"3f0c/{number}")
