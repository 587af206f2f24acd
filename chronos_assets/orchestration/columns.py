"""Columns of the stored tables for the catalog: what each holds, and from which columns it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagster import TableColumnDep, TableColumnLineage

from chronos_assets.orchestration.metadata import column_schema

if TYPE_CHECKING:
    from chronos_assets.pipeline.walkforward.request import WalkforwardRequest
    from chronos_assets.storage.datasets import DatasetRecord
    from chronos_assets.storage.questdb_tables import TableSpec

MOST_NAMED = 4
MOST_INPUTS = 150  # metadata is kept several times over: a wide dataset names its first features only


def of_table(spec: TableSpec, made: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, Any]:
    """Schema and lineage of a fixed table; each column says what it was made from, since not every Dagster UI draws that."""
    described = [(name, kind.lower(), spec.columns[name] + _origin(made.get(name, ()))) for name, kind in spec.types.items()]
    return {"dagster/column_schema": column_schema(described), "dagster/column_lineage": lineage(made)}


def _origin(sources: Sequence[tuple[str, str]]) -> str:
    """What a column was made from, in words."""
    assets = list(dict.fromkeys(asset for asset, _ in sources))
    named = [f"{asset} ({_listed([column for of, column in sources if of == asset])})" for asset in assets]
    return f"; from {' and '.join(named)}" if named else ""


def _listed(columns: Sequence[str]) -> str:
    more = len(columns) - MOST_NAMED
    return ", ".join(columns[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def lineage(sources: Mapping[str, Sequence[tuple[str, str]]]) -> TableColumnLineage:
    """column -> (asset, column) of what it was made from."""
    return TableColumnLineage({name: [TableColumnDep(asset, column) for asset, column in made] for name, made in sources.items() if made})


def of_registry(record: DatasetRecord) -> dict[str, Any]:
    """The published columns, under the names that readers use."""
    return {
        "dagster/column_schema": column_schema([(c.name, "double", f"{c.role}, {c.questdb_column} in QuestDB") for c in record.columns]),
        "dagster/column_lineage": lineage({c.name: [("indicator_bars", c.questdb_column)] for c in record.columns}),
    }


def of_predictions(request: WalkforwardRequest) -> dict[str, Any]:
    """Predictions come from the features; what they are compared with, and the thresholds, from the target too."""
    from chronos_assets.storage.questdb_tables import WALKFORWARD_PREDICTIONS

    target = [("indicator_datasets", request.target)]
    inputs = [("indicator_datasets", name) for name in request.features[:MOST_INPUTS]] + target
    made = {"prediction": inputs, "score": inputs, "target_value": target, "long_threshold": target, "short_threshold": target}
    return of_table(WALKFORWARD_PREDICTIONS, made)


def of_trades(prices: Sequence[str]) -> dict[str, Any]:
    """Trades come from predictions and thresholds, and from the dataset's columns `prices` (none if a price file is traded on)."""
    from chronos_assets.storage.questdb_tables import TRADING_SIM_TRACES

    source = "walkforward_predictions"
    signal = [(source, "prediction")]
    decision = [*signal, (source, "long_threshold"), (source, "short_threshold")]
    filled = [("indicator_datasets", name) for name in prices]
    made = {
        "entry_signal": signal,
        "exit_signal": signal,
        "side": decision,
        "decision_timestamp_unix": [*decision, (source, "timestamp")],
        "fold": [(source, "fold")],
        "run_id": [(source, "run_id")],
        "entry_price": filled,
        "exit_price": filled,
        **{name: [*decision, *filled] for name in ("pnl", "return_pct", "cumul_return_pct")},
    }
    return of_table(TRADING_SIM_TRACES, made)


def of_signals(request: WalkforwardRequest) -> dict[str, Any]:
    """Live signals come from the features, and from the target that the model and its thresholds were fitted on."""
    from chronos_assets.storage.questdb_tables import LIVE_SIGNALS

    target = [("indicator_datasets", request.target)]
    inputs = [("indicator_datasets", name) for name in request.features[:MOST_INPUTS]] + target
    made = {"prediction": inputs, "signal": inputs, "long_threshold": target, "short_threshold": target}
    return of_table(LIVE_SIGNALS, made)
