"""Causal indicators and targets of price bars, as Polars expressions over Date, Open, High, Low, Close and Volume.

An indicator of a bar uses that bar and earlier ones only; a test perturbs later bars and compares to the last bit. A target looks ahead by
as many bars as it says. Each names its formula and its source; docs/INDICATORS.md is made from them.

Notation: C, O, H, L, V are close, open, high, low and volume of bar t, C[n] is the close n bars earlier, ATR(n) the mean of the true range
max(H, C[1]) - min(L, C[1]) over n bars.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import polars as pl

MASTERS: Final = "T. Masters, Statistically Sound Indicators for Financial Market Prediction, 2019"
WILDER: Final = "J. W. Wilder, New Concepts in Technical Trading Systems, 1978"
LANE: Final = "G. Lane's stochastics, in: J. J. Murphy, Technical Analysis of the Financial Markets, 1999"
APPEL: Final = "G. Appel, Technical Analysis: Power Tools for Active Investors, 2005"
BOLLINGER: Final = "J. Bollinger, Bollinger on Bollinger Bands, 2001"
PLAIN: Final = "elementary"

_OPEN, _HIGH, _LOW, _CLOSE, _VOLUME = (pl.col(name) for name in ("Open", "High", "Low", "Close", "Volume"))
_CHANGE = _CLOSE.diff()
_LOG_RETURN = (_CLOSE / _CLOSE.shift(1)).log()
_TRUE_RANGE: pl.Expr = pl.max_horizontal(_HIGH, _CLOSE.shift(1)) - pl.min_horizontal(_LOW, _CLOSE.shift(1))
_LOG_TRUE_RANGE: pl.Expr = (pl.max_horizontal(_HIGH, _CLOSE.shift(1)) / pl.min_horizontal(_LOW, _CLOSE.shift(1))).log()


@dataclass(frozen=True)
class Indicator:
    """One indicator. `bars`: those that its windows reach back, itself included; recursive averages reach further, with weights that
    die out. `needs_volume`: it is left out for files without Volume."""

    name: str
    expression: pl.Expr
    formula: str
    source: str
    bars: int
    needs_volume: bool = False


@dataclass(frozen=True)
class Target:
    """One target, and its horizon: the largest h such that it uses a price of bar t+h."""

    name: str
    expression: pl.Expr
    formula: str
    horizon: int


def average_true_range(bars: int) -> pl.Expr:
    """Mean of the true range, in units of the price."""
    return _TRUE_RANGE.rolling_mean(bars)


def _rsi(bars: int) -> pl.Expr:
    gain = _CHANGE.clip(lower_bound=0).ewm_mean(alpha=1 / bars, adjust=False)
    loss = (-_CHANGE).clip(lower_bound=0).ewm_mean(alpha=1 / bars, adjust=False)
    return 100 * gain / (gain + loss)


def _close_minus_average(bars: int) -> pl.Expr:
    return (_CLOSE - _CLOSE.rolling_mean(bars)) / average_true_range(bars)


def _momentum(bars: int) -> pl.Expr:
    return (_CLOSE - _CLOSE.shift(bars)) / (average_true_range(60) * math.sqrt(bars))


def _stochastic(bars: int) -> pl.Expr:
    lowest, highest = _LOW.rolling_min(bars), _HIGH.rolling_max(bars)
    return 100 * (_CLOSE - lowest) / (highest - lowest)


_MACD = _CLOSE.ewm_mean(span=12, adjust=False) - _CLOSE.ewm_mean(span=26, adjust=False)

_RSI_FORMULA = "100 g / (g + l): g and l are the gains and losses of C - C[1], averaged with weight 1/{0} for the newest"
_STO_FORMULA = "100 (C - lowest L) / (highest H - lowest L) over {0} bars"

DEMO: Final[tuple[Indicator, ...]] = (
    *(Indicator(f"RSI_{n}", _rsi(n), _RSI_FORMULA.format(n), WILDER, n + 1) for n in (2, 14)),
    *(Indicator(f"CMMA_{n}", _close_minus_average(n), f"(C - mean of C over {n} bars) / ATR({n})", MASTERS, n + 1) for n in (5, 20, 60)),
    *(Indicator(f"MOM_{n}", _momentum(n), f"(C - C[{n}]) / (ATR(60) √{n})", MASTERS, max(n, 60) + 1) for n in (1, 5, 20, 60, 250)),
    Indicator(
        "MACD_HIST",
        (_MACD - _MACD.ewm_mean(span=9, adjust=False)) / average_true_range(60),
        "(M - EMA(M, 9)) / ATR(60), M = EMA(C, 12) - EMA(C, 26)",
        APPEL,
        61,
    ),
    *(Indicator(f"STO_{n}", _stochastic(n), _STO_FORMULA.format(n), LANE, n) for n in (14, 60)),
    Indicator("ATR_RATIO_5_60", average_true_range(5) / average_true_range(60), "ATR(5) / ATR(60)", MASTERS, 61),
    Indicator(
        "VOLATILITY_RATIO_10_60",
        _LOG_RETURN.rolling_std(10) / _LOG_RETURN.rolling_std(60),
        "standard deviation of log(C / C[1]) over 10 bars / over 60 bars",
        MASTERS,
        61,
    ),
    Indicator(
        "BOL_POS_20",
        (_CLOSE - _CLOSE.rolling_mean(20)) / (2 * _CLOSE.rolling_std(20)),
        "(C - mean of C) / (2 standard deviations of C), over 20 bars",
        BOLLINGER,
        20,
    ),
    Indicator(
        "RANGE_POS",
        pl.when(_HIGH > _LOW).then((_CLOSE - _LOW) / (_HIGH - _LOW)).otherwise(0.5),
        "(C - L) / (H - L); 0.5 if H = L",
        PLAIN,
        1,
    ),
    Indicator("GAP", (_OPEN - _CLOSE.shift(1)) / average_true_range(20), "(O - C[1]) / ATR(20)", PLAIN, 21),
    Indicator(
        "VOLUME_RATIO_5_60",
        _VOLUME.rolling_mean(5) / _VOLUME.rolling_mean(60),
        "mean of V over 5 bars / over 60 bars",
        MASTERS,
        60,
        needs_volume=True,
    ),
    Indicator("WEEKDAY", pl.col("Date").dt.weekday().cast(pl.Float64), "1 (Monday) to 7, of the date in UTC", PLAIN, 1),
)
"""The twenty indicators of the demonstration dataset."""


def _log_average_true_range(bars: int) -> pl.Expr:
    return _LOG_TRUE_RANGE.rolling_mean(bars)


def _slope(bars: int) -> pl.Expr:
    """Slope of the least-squares line of log C over the last bars, per bar."""
    middle = (bars - 1) / 2
    scale = sum((i - middle) ** 2 for i in range(bars))
    return _CLOSE.log().rolling_sum(bars, weights=[(i - middle) / scale for i in range(bars)])


def _linear_trend(bars: int) -> Indicator:
    return Indicator(
        f"LINEAR_TREND_{bars}",
        _slope(bars) * (bars - 1) / (_log_average_true_range(60) * math.sqrt(bars)),
        f"rise of the least-squares line of log C over {bars} bars / (log ATR(60) √{bars})",
        MASTERS,
        max(bars, 61),
    )


def _normalized_momentum(bars: int) -> Indicator:
    return Indicator(
        f"MOMENTUM_VOL_{bars}",
        (_CLOSE / _CLOSE.shift(bars)).log() / (_LOG_RETURN.rolling_std(100) * math.sqrt(bars)),
        f"log(C / C[{bars}]) / (standard deviation of log(C / C[1]) over 100 bars × √{bars})",
        MASTERS,
        max(bars, 100) + 1,
    )


def _price_to_average(bars: int) -> Indicator:
    log = _CLOSE.log()
    return Indicator(
        f"CLOSE_TO_MA_{bars}",
        (log - log.shift(1).rolling_mean(bars)) / (_log_average_true_range(60) * math.sqrt(bars + 1)),
        f"(log C - mean of log C over the {bars} bars before) / (log ATR(60) √{bars + 1})",
        MASTERS,
        max(bars, 60) + 1,
    )


def _volume_momentum(bars: int) -> Indicator:
    return Indicator(
        f"VOLUME_MOMENTUM_{bars}",
        (_VOLUME.rolling_mean(bars) / _VOLUME.rolling_mean(4 * bars)).log(),
        f"log(mean of V over {bars} bars / over {4 * bars} bars)",
        MASTERS,
        4 * bars,
        needs_volume=True,
    )


def _intensity(bars: int) -> Indicator:
    place = pl.when(_HIGH > _LOW).then((2 * _CLOSE - _HIGH - _LOW) / (_HIGH - _LOW)).otherwise(0.0)
    return Indicator(
        f"INTRADAY_INTENSITY_{bars}",
        100 * (place * _VOLUME).rolling_mean(bars) / _VOLUME.rolling_mean(bars),
        f"100 × mean of (2C - H - L) / (H - L) weighted by V, over {bars} bars",
        f"{MASTERS}, after D. Bostian",
        bars,
        needs_volume=True,
    )


TSSB_LIKE: Final[tuple[Indicator, ...]] = (
    *(_linear_trend(n) for n in (10, 30, 100)),
    *(_normalized_momentum(n) for n in (1, 5, 20, 60)),
    *(Indicator(f"RSI_{n}", _rsi(n), _RSI_FORMULA.format(n), WILDER, n + 1) for n in (5, 14, 42)),
    *(Indicator(f"STOCHASTIC_{n}", _stochastic(n), _STO_FORMULA.format(n), LANE, n) for n in (10, 30, 100)),
    *(
        Indicator(f"STOCHASTIC_{n}_S3", _stochastic(n).rolling_mean(3), f"mean of STOCHASTIC_{n} over 3 bars", LANE, n + 2)
        for n in (10, 30)
    ),
    *(_price_to_average(n) for n in (10, 50, 200)),
    *(
        Indicator(f"ATR_RATIO_{n}_{m}", average_true_range(n) / average_true_range(m), f"ATR({n}) / ATR({m})", MASTERS, m + 1)
        for n, m in ((5, 20), (20, 100))
    ),
    Indicator("RANGE_TO_ATR_60", (_HIGH - _LOW) / average_true_range(60).shift(1), "(H - L) / ATR(60) of the bar before", PLAIN, 62),
    Indicator(
        "RANGE_POSITION_100",
        2 * (_CLOSE - _LOW.rolling_min(100)) / (_HIGH.rolling_max(100) - _LOW.rolling_min(100)) - 1,
        "place of C between lowest L (-1) and highest H (1) of 100 bars",
        PLAIN,
        100,
    ),
    *(_volume_momentum(n) for n in (5, 25)),
    *(_intensity(n) for n in (10, 30)),
)
"""Trend, momentum, oscillators, averages, range and volume in the style of TSSB: each in units of the market's own volatility."""

SETS: Final[dict[str, tuple[Indicator, ...]]] = {"demo": DEMO, "tssb-like": TSSB_LIKE}

_HORIZONS = (1, 5, 10)


def _next_return(bars: int) -> Target:
    entry, leave = _OPEN.shift(-1), _OPEN.shift(-1 - bars)
    return Target(f"TGT_RET_{bars}", 100 * (leave / entry).log(), f"100 log(open of bar t+{bars + 1} / open of bar t+1)", bars + 1)


def _normalized_return(bars: int) -> Target:
    entry, leave = _OPEN.shift(-1), _OPEN.shift(-1 - bars)
    formula = f"(open of bar t+{bars + 1} - open of bar t+1) / ATR(60) of bar t"
    return Target(f"TGT_ATR_{bars}", (leave - entry) / average_true_range(60), formula, bars + 1)


_TARGET_KINDS: Final[dict[str, Callable[[int], Target]]] = {"return": _next_return, "atr": _normalized_return}
TARGETS: Final[dict[str, Target]] = {f"{kind}-{bars}": make(bars) for kind, make in _TARGET_KINDS.items() for bars in _HORIZONS}
"""Option -> target: what a decision at the close of bar t can earn from the next open on."""
