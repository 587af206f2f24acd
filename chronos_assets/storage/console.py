"""Queries that a person reads in the console of QuestDB: what an asset's page in Dagster links to."""

from __future__ import annotations

from chronos_assets.storage.identifiers import quote_literal
from chronos_assets.storage.questdb_tables import INDICATOR_BARS, TRADING_SIM_TRACES, WALKFORWARD_PREDICTIONS


def last_bars(tag: str, rows: int = 100) -> str:
    """The last bars under a tag."""
    return f"SELECT * FROM {INDICATOR_BARS.name} WHERE dataset = {quote_literal(tag)} LIMIT -{rows}"  # noqa: S608 - quoted


def predictions_of(run_id: str, rows: int = 1000) -> str:
    """The first predictions of a run."""
    return f"SELECT * FROM {WALKFORWARD_PREDICTIONS.name} WHERE run_id = {quote_literal(run_id)} LIMIT {rows}"  # noqa: S608 - quoted


def trades_of(simulation_id: str) -> str:
    """The trades of a simulation."""
    return f"SELECT * FROM {TRADING_SIM_TRACES.name} WHERE simulation_id = {quote_literal(simulation_id)}"  # noqa: S608 - quoted
