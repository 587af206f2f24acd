"""The four QuestDB tables, as they are created before the first write.

WAL, partitioned by year, nanosecond timestamps, and DEDUP keys, so that sending the same rows twice leaves one copy. The keys never
include `source` or `granularity`: a changed source would leave an old row beside the new one.
"""

from __future__ import annotations

from dataclasses import dataclass

from chronos_assets.storage.identifiers import quote_identifier

TIMESTAMP = "timestamp"


@dataclass(frozen=True)
class TableSpec:
    """One table: its columns by type, and the keys besides the designated timestamp."""

    name: str
    symbols: tuple[str, ...]
    longs: tuple[str, ...]
    doubles: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def types(self) -> dict[str, str]:
        """QuestDB type of every fixed column."""
        return (
            dict.fromkeys(self.symbols, "SYMBOL")
            | dict.fromkeys(self.longs, "LONG")
            | dict.fromkeys(self.doubles, "DOUBLE")
            | {TIMESTAMP: "TIMESTAMP_NS"}
        )

    def ddl(self) -> str:
        """`CREATE TABLE IF NOT EXISTS` of this table."""
        columns = ", ".join(f"{quote_identifier(name)} {kind}" for name, kind in self.types.items())
        keys = ", ".join(quote_identifier(name) for name in (TIMESTAMP, *self.keys))
        return (
            f"CREATE TABLE IF NOT EXISTS {quote_identifier(self.name)} ({columns}) "
            f"TIMESTAMP({quote_identifier(TIMESTAMP)}) PARTITION BY YEAR WAL DEDUP UPSERT KEYS({keys})"
        )


INDICATOR_BARS = TableSpec(
    name="indicator_bars",
    symbols=("dataset", "source", "granularity"),
    longs=("date_i", "time_i", "timestamp_unix"),
    doubles=(),  # one per indicator, target and price column, added by `ensure_columns`
    keys=("dataset",),
)
WALKFORWARD_PREDICTIONS = TableSpec(
    name="walkforward_predictions",
    symbols=("run_id", "fold", "dataset", "target"),
    longs=("bar_index",),
    doubles=("prediction", "target_value", "long_threshold", "short_threshold", "score"),
    keys=("run_id", "fold"),
)
TRADING_SIM_TRACES = TableSpec(
    name="trading_sim_traces",
    symbols=("simulation_id", "run_id", "mode", "side", "fold", "exit_reason"),
    longs=("trade_no", "decision_timestamp_unix", "exit_timestamp_unix"),
    doubles=(
        "entry_price",
        "exit_price",
        "position_size",
        "pnl",
        "return_pct",
        "cumul_return_pct",
        "entry_signal",
        "exit_signal",
    ),
    keys=("simulation_id", "mode", "trade_no"),
)
TRADING_SIM_EQUITY = TableSpec(
    name="trading_sim_equity",
    symbols=("simulation_id", "run_id", "mode"),
    longs=(),
    doubles=("equity", "drawdown_pct", "position"),
    keys=("simulation_id", "mode"),
)
TABLES = (INDICATOR_BARS, WALKFORWARD_PREDICTIONS, TRADING_SIM_TRACES, TRADING_SIM_EQUITY)
