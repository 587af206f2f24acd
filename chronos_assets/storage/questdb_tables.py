"""The five QuestDB tables, as they are created before the first write.

WAL, partitioned by year, nanosecond timestamps, and DEDUP keys, so that sending the same rows twice leaves one copy. The keys never
include `source` or `granularity`: a changed source would leave an old row beside the new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chronos_assets.storage.identifiers import quote_identifier

TIMESTAMP = "timestamp"
# What a table is called beside its name while it is made again (`compaction`).
COPY, READY, OLD = "__copy", "__ready", "__old"


@dataclass(frozen=True)
class TableSpec:
    """One table: its columns by type, and the keys besides the designated timestamp.

    `about` says in a sentence or two what a row is, `columns` in a few words what each column holds (for the catalog of assets), `example`
    is one row (column -> value, integers for LONG). docs/storage is made from `about` and `example`.
    """

    name: str
    symbols: tuple[str, ...]
    longs: tuple[str, ...]
    doubles: tuple[str, ...]
    keys: tuple[str, ...]
    about: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    example: Mapping[str, str | int | float] = field(default_factory=dict)

    @property
    def types(self) -> dict[str, str]:
        """QuestDB type of every fixed column."""
        return (
            dict.fromkeys(self.symbols, "SYMBOL")
            | dict.fromkeys(self.longs, "LONG")
            | dict.fromkeys(self.doubles, "DOUBLE")
            | {TIMESTAMP: "TIMESTAMP_NS"}
        )

    def ddl(self, called: str | None = None, doubles: Sequence[str] = ()) -> str:
        """`CREATE TABLE IF NOT EXISTS` of this table, under another name and with further DOUBLE columns if asked for."""
        kinds = self.types | dict.fromkeys(doubles, "DOUBLE")
        columns = ", ".join(f"{quote_identifier(name)} {kind}" for name, kind in kinds.items())
        keys = ", ".join(quote_identifier(name) for name in (TIMESTAMP, *self.keys))
        return (
            f"CREATE TABLE IF NOT EXISTS {quote_identifier(called or self.name)} ({columns}) "
            f"TIMESTAMP({quote_identifier(TIMESTAMP)}) PARTITION BY YEAR WAL DEDUP UPSERT KEYS({keys})"
        )


INDICATOR_BARS = TableSpec(
    name="indicator_bars",
    symbols=("dataset", "source", "granularity"),
    longs=("date_i", "time_i", "timestamp_unix"),
    doubles=(),  # one per indicator, target and price column, added by `ensure_columns`
    keys=("dataset",),
    about="One row per bar of a dataset's tag, at the bar's label. `date_i` and `time_i` are the bar's local date and time as the file "
    "says them (time_i = HHMMSS), `timestamp_unix` its UTC second. The tag is the slug for the first revision, `slug@2` and so on for "
    "later ones. An indicator whose name equals a fixed column has another column name: the registry's `columns` say which.",
    example={
        "dataset": "btc_4h_v1",
        "source": "chronosflow",
        "granularity": "4h",
        "date_i": 20240501,
        "time_i": 140000,
        "timestamp_unix": 1714572000,
        "macd": 1.234,
        "signal": 0.987,
        "target_close": 0.42,
        TIMESTAMP: 1714572000000000000,
    },
)
WALKFORWARD_PREDICTIONS = TableSpec(
    name="walkforward_predictions",
    symbols=("run_id", "fold", "dataset", "target"),
    longs=("bar_index",),
    doubles=("prediction", "target_value", "long_threshold", "short_threshold", "score"),
    keys=("run_id", "fold"),
    about="One row per test bar of a fold, at the bar's label. `bar_index` is the bar's row in the dataset, `prediction` the model's, "
    "`target_value` what came true (null while it is unknown: the newest rows are the live signal), the thresholds those of the fold "
    "(null: that side is off), `score` the model's raw output, before the target's transform is undone.",
    columns={
        "run_id": "the walk-forward run",
        "fold": "number of the fold that predicted, from 0",
        "dataset": "the slug",
        "target": "the target that was learned",
        "bar_index": "position of the bar in the dataset as the run saw it",
        "prediction": "out of sample, in units of the target",
        "target_value": "the value that came true; null if it is not known yet",
        "long_threshold": "long if the prediction is at or above; null: the side is off in this fold",
        "short_threshold": "short if the prediction is at or below; null: the side is off in this fold",
        "score": "raw output of the booster",
        "timestamp": "time of the bar predicted, UTC",
    },
    example={
        "run_id": "4be0643f-1d98-573b-97cd-ca98a65347dd",
        "fold": "17",
        "dataset": "btc_4h_v1",
        "target": "TGT_RET_5",
        "bar_index": 1058,
        "prediction": 0.31,
        "target_value": 0.42,
        "long_threshold": 0.25,
        "short_threshold": -0.19,
        TIMESTAMP: 1714572000000000000,
    },
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
    about="One row per trade, at the label of the bar that filled its entry. Prices are raw fills; costs are in `pnl` only. `fold` is "
    "the fold whose signal opened the trade, `decision_timestamp_unix` the bar whose close decided it.",
    columns={
        "simulation_id": "the simulation",
        "run_id": "the walk-forward run whose predictions were traded",
        "mode": "long, short or dual",
        "side": "long or short",
        "fold": "fold of the bar that decided the trade",
        "exit_reason": "why the position was closed",
        "trade_no": "number of the trade, from 1",
        "decision_timestamp_unix": "time of the bar that decided, unix seconds",
        "exit_timestamp_unix": "time of the exit, unix seconds",
        "entry_price": "price of the fill, costs not included",
        "exit_price": "price of the exit, costs not included",
        "position_size": "size of the position",
        "pnl": "profit after costs",
        "return_pct": "return in percent",
        "cumul_return_pct": "return of all trades so far, in percent",
        "entry_signal": "prediction that opened the position",
        "exit_signal": "prediction that closed it",
        "timestamp": "time of the entry, UTC",
    },
    example={
        "simulation_id": "0a6b2f6c-52b5-5d0e-9b8c-4f1f9e1f7a55",
        "run_id": "4be0643f-1d98-573b-97cd-ca98a65347dd",
        "mode": "dual",
        "side": "long",
        "fold": "17",
        "exit_reason": "signal",
        "trade_no": 42,
        "decision_timestamp_unix": 1714557600,
        "exit_timestamp_unix": 1714658400,
        "entry_price": 58012.5,
        "exit_price": 58790.25,
        "position_size": 1.72,
        "pnl": 1271.4,
        "return_pct": 1.27,
        "cumul_return_pct": 18.3,
        "entry_signal": 0.31,
        "exit_signal": -0.05,
        TIMESTAMP: 1714572000000000000,
    },
)
TRADING_SIM_EQUITY = TableSpec(
    name="trading_sim_equity",
    symbols=("simulation_id", "run_id", "mode"),
    longs=(),
    doubles=("equity", "drawdown_pct", "position"),
    keys=("simulation_id", "mode"),
    about="One row per bar of a simulation, from the first to the last test bar, marked at the close.",
    example={
        "simulation_id": "0a6b2f6c-52b5-5d0e-9b8c-4f1f9e1f7a55",
        "run_id": "4be0643f-1d98-573b-97cd-ca98a65347dd",
        "mode": "dual",
        "equity": 118300.5,
        "drawdown_pct": 2.4,
        "position": 1.72,
        TIMESTAMP: 1714572000000000000,
    },
)
LIVE_SIGNALS = TableSpec(
    name="live_signals",
    symbols=("model_id", "dataset", "signal"),
    longs=("bar_index",),
    doubles=("prediction", "long_threshold", "short_threshold"),
    keys=("model_id",),
    about="One row per bar that a model of a live fold predicted, at the bar's label. `signal` is `long`, `short` or `none`, `bar_index` "
    "the bar's row in the dataset, the thresholds those of the model (null: that side is off). A later model writes rows of its own and "
    "leaves these as they are.",
    columns={
        "model_id": "the model that predicted",
        "dataset": "the slug",
        "signal": "long, short or none",
        "bar_index": "position of the bar in the dataset",
        "prediction": "in units of the target",
        "long_threshold": "long if the prediction is at or above; null: the side is off",
        "short_threshold": "short if the prediction is at or below; null: the side is off",
        "timestamp": "time of the bar predicted, UTC",
    },
    example={
        "model_id": "b5d8a1b0-3f0e-5c55-9d7c-0a8e2f1f4d21",
        "dataset": "btc_4h_v1",
        "signal": "long",
        "bar_index": 1071,
        "prediction": 0.31,
        "long_threshold": 0.25,
        "short_threshold": -0.19,
        TIMESTAMP: 1714572000000000000,
    },
)
TABLES = (INDICATOR_BARS, WALKFORWARD_PREDICTIONS, TRADING_SIM_TRACES, TRADING_SIM_EQUITY, LIVE_SIGNALS)
