"""Documents with one point or bucket of a series: equity, predictions, monthly returns."""

from __future__ import annotations

from chronos_assets.views.documents.base import Document


class EquityPoint(Document):
    """The account at the close of one bar; `buy_and_hold`: the starting capital held from the first close on."""

    timestamp_unix: int
    equity: float | None
    drawdown_pct: float | None
    position: float | None
    buy_and_hold: float | None


class EquityBucket(Document):
    """The account over some bars, from `timestamp_unix` on."""

    timestamp_unix: int
    equity_min: float | None
    equity_max: float | None
    equity_last: float | None
    drawdown_max: float | None
    position_last: float | None
    buy_and_hold_last: float | None
    bars: int


class Prediction(Document):
    """The prediction of one test row, beside the thresholds of its fold. `score`: before the target's transform is undone."""

    timestamp_unix: int
    bar_index: int
    fold: int
    prediction: float | None
    target_value: float | None
    long_threshold: float | None
    short_threshold: float | None
    score: float | None


class PredictionBucket(Document):
    """Predictions of some test rows, from `timestamp_unix` on, and how many of them gave a signal."""

    timestamp_unix: int
    prediction_min: float | None
    prediction_max: float | None
    prediction_last: float | None
    long_signals: int
    short_signals: int
    long_threshold_last: float | None
    short_threshold_last: float | None
    bars: int


class MonthlyReturns(Document):
    """Returns of one year in percent: one per month (null: no bar), and of the whole year."""

    year: int
    months: list[float | None]
    total: float
