"""Names and roles of columns, and the names that QuestDB gets."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_assets.domain.bars_spec import ColumnsSpec
from chronos_assets.errors import BarsError
from chronos_assets.ingest.names import FIXED_COLUMNS, fold, questdb_name, resolve_columns

LEGAL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)


def roles(*names: str, spec: ColumnsSpec | None = None) -> dict[str, str]:
    return {c.name: c.role for c in resolve_columns(["Date", *names], spec or ColumnsSpec(), max_columns=100)}


def test_roles_follow_the_names_in_any_case() -> None:
    """Keys, targets, prices and features as the contract says."""
    found = roles(
        "TIME", "market", "TIMESTAMP_UNIX", "tgt_1", "Target", "TARGET_X", "open", "HIGH", "Low", "close", "volume", "RSI", "my_target"
    )
    assert [name for name, role in found.items() if role == "key"] == ["Date", "TIME", "market", "TIMESTAMP_UNIX"]
    assert [name for name, role in found.items() if role == "target"] == ["tgt_1", "Target", "TARGET_X"]
    assert [name for name, role in found.items() if role == "price"] == ["open", "HIGH", "Low", "close", "volume"]
    assert [name for name, role in found.items() if role == "feature"] == ["RSI", "my_target"]


def test_an_exclusion_wins_over_every_other_role() -> None:
    """What is excluded is neither target nor price nor feature."""
    found = roles("TGT_A", "TGT_B", "Open", "RSI", spec=ColumnsSpec(exclude=["tgt_b", "O*"]))
    assert found == {"Date": "key", "TGT_A": "target", "TGT_B": "excluded", "Open": "excluded", "RSI": "feature"}


@pytest.mark.parametrize("name", ["RSI", "rsi_14", "_x", "A" * 63])
def test_legal_names_stay_as_they_are(name: str) -> None:
    """A name that QuestDB can carry is its own column."""
    assert questdb_name(name) == name


@pytest.mark.parametrize(
    "name", ["RSI(14)", "a.b", "5min", "é", "x y", "A" * 64, "A" * 500, "%", "日本", *sorted(FIXED_COLUMNS), "SOURCE", "Timestamp"]
)
def test_other_names_become_legal_ones(name: str) -> None:
    """The mapped name is legal, is no fixed column, and is always the same."""
    mapped = questdb_name(name)
    assert LEGAL.fullmatch(mapped)
    assert mapped.casefold() not in FIXED_COLUMNS
    assert mapped != name
    assert mapped == questdb_name(name)


@given(st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs", "Cf")), min_size=1, max_size=90), min_size=1, max_size=20))
def test_the_map_to_questdb_reads_backwards(names: list[str]) -> None:
    """Whatever the names, either two of them are refused by name or no two columns meet in QuestDB."""
    try:
        columns = [c for c in resolve_columns(["Date", *names], ColumnsSpec(), max_columns=100) if c.is_data]
    except BarsError as error:
        if error.code not in {"column_collision", "column_unnamed", "no_columns"}:
            raise
        return
    assert all(LEGAL.fullmatch(column.questdb_column) for column in columns)
    assert len({column.questdb_column.casefold() for column in columns}) == len(columns)
    assert len({fold(column.name) for column in columns}) == len(columns)


def test_an_indicator_named_like_a_key_of_the_arrow_file_steps_aside() -> None:
    """`date_i` in a file is an indicator; in the dataset it is `date_i_`, so that it cannot be taken for the key."""
    (column,) = [c for c in resolve_columns(["Date", "date_i"], ColumnsSpec(), max_columns=9) if c.is_data]
    assert (column.source_name, column.name, column.role) == ("date_i", "date_i_", "feature")


def test_an_indicator_that_meets_the_one_that_stepped_aside_is_refused() -> None:
    """`date_i` and `date_i_` cannot both be columns of a dataset."""
    with pytest.raises(BarsError, match="date_i"):
        resolve_columns(["Date", "date_i", "date_i_"], ColumnsSpec(), max_columns=9)
