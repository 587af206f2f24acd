"""Documents about one trade, and where it came from."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict

from chronos_assets.views.documents.base import Document, Json, Side


class Trade(Document):
    """One trade. Prices in the dataset's currency, `return_pct` in percent, `*_unix` in seconds."""

    trade_no: int
    side: Side
    fold: int
    exit_reason: str
    decision_timestamp_unix: int
    entry_timestamp_unix: int
    exit_timestamp_unix: int
    entry_price: float | None
    exit_price: float | None
    position_size: float | None
    pnl: float | None
    return_pct: float | None
    cumul_return_pct: float | None
    entry_signal: float | None
    exit_signal: float | None
    entry_time: datetime
    exit_time: datetime
    bars_held: int


class Trace(Document):
    """Where a trade came from: its fold, the fold's model, the bars that decided, entered and left, its run and its file."""

    model_config = ConfigDict(extra="allow")

    trade: str
    simulation: Json
    fold: Json | None
    model: Json | None
    bars: Json
    run: Json
    file: Json
