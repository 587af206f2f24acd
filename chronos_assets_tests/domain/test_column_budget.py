"""Columns of `indicator_bars`: nobody's column moves, none is used twice by one dataset, and the table grows no wider than it must."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chronos_assets.domain.column_budget import choose_columns

NAMES = st.lists(st.sampled_from([*"abcdefgh", "V0001", "v0002"]), unique=True, max_size=8)


def own(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def test_new_names_get_columns_of_their_own_within_the_budget() -> None:
    """Up to the budget, existing columns included, a name is a column."""
    assert choose_columns(own("rsi", "macd"), {}, ["atr"], 3) == {"rsi": "rsi", "macd": "macd"}


def test_beyond_the_budget_new_names_take_shared_slots_and_known_ones_their_column() -> None:
    """All new names or none: what a dataset gets does not depend on the order of its columns. Existing slots come first."""
    assert choose_columns(own("rsi", "ATR", "macd"), {}, ["atr", "v0001"], 3) == {"rsi": "v0001", "ATR": "ATR", "macd": "v0002"}


def test_a_column_never_moves_and_nothing_meets_it() -> None:
    """What the registry says stays, also if there is room again; a name that looks like a slot does not meet the slot."""
    assert choose_columns(own("rsi", "v0001"), {"rsi": "v0001"}, ["v0001"], 100) == {"rsi": "v0001", "v0001": "v0002"}
    assert choose_columns(own("v0001", "rsi"), {}, ["v0001", "x"], 1) == {"v0001": "v0001", "rsi": "v0002"}


@given(datasets=st.lists(NAMES, max_size=12), budget=st.integers(1, 8))
def test_no_two_columns_of_a_dataset_meet_and_the_width_is_bounded(datasets: list[list[str]], budget: int) -> None:
    """Datasets one after the other, each exported twice: the second time changes nothing, and the table stays within budget and slots."""
    table: set[str] = set()
    for names in datasets:
        chosen = choose_columns(own(*names), {}, table, budget)
        assert len({column.casefold() for column in chosen.values()}) == len(names)
        table |= {column.casefold() for column in chosen.values()}
        assert choose_columns(own(*names), chosen, table, budget) == chosen
    widest = max(map(len, datasets), default=0)
    # A dataset's names that are slots themselves push its other names to further slots.
    assert len(table) <= budget + 2 * widest
