"""Layouts of files as vendors write them. A preset is nothing but values for the keys of `format`; a manifest overrides each of them.

To add one: an entry in `PRESETS`, a file of made-up bars with the vendor's traps in `ingest/test_presets.py`, and
`python3 bootstrap.py run python .ci/pages.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_ZONE_UNKNOWN = "the time zone of the clock: declare `timezone` (an IANA name) unless it is UTC"
_LABEL_UNKNOWN = "whether a bar is labelled by its open or its close: declare `bar_time`"
_OHLCV = ["Open", "High", "Low", "Close", "Volume"]


@dataclass(frozen=True)
class Preset:
    """A layout: what writes it, the keys that read it, and what such a file cannot say (in words for a person).

    Columns in `rename` may be missing from a file. `signature`: names that all stand in the header of such a file and in few others, so
    that the preset is proposed for it alone; empty for a file without a header, which its rows tell.
    """

    about: str
    format: Mapping[str, Any]
    cannot_know: tuple[str, ...] = ()
    signature: tuple[str, ...] = ()


PRESETS: Final[dict[str, Preset]] = {
    "mt4": Preset(
        "MetaTrader 4, History Center, Export: no header, `2024.01.01,00:00`",
        {"header": ["Date", "Time", *_OHLCV], "delimiter": "comma", "date": "%Y.%m.%d", "time": "%H:%M", "bar_time": "open"},
        ("the time zone of your broker's server, often EET (Europe/Athens) with its clock changes: declare `timezone`",),
    ),
    "mt5": Preset(
        "MetaTrader 5, Symbols, Export bars: names in angle brackets, tabs, UTF-8 or UTF-16; daily bars have no `<TIME>`",
        {
            "encoding": "by_mark",
            "date": "%Y.%m.%d",
            "time": "%H:%M:%S",
            "bar_time": "open",
            "rename": {
                **{f"<{name.upper()}>": name for name in ("Date", "Time", "Open", "High", "Low", "Close")},
                "<TICKVOL>": "Volume",
                "<VOL>": "RealVolume",
                "<SPREAD>": "Spread",
                "TICKVOL": "Volume",
                "VOL": "RealVolume",
            },
        },
        ("the time zone of your broker's server, often EET (Europe/Athens) with its clock changes: declare `timezone`",),
        signature=("<DATE>", "<OPEN>", "<TICKVOL>"),
    ),
    "ninjatrader": Preset(
        "NinjaTrader, Historical Data, Export of minute bars: no header, semicolons, `20240101 093000`",
        {"header": ["Date", *_OHLCV], "delimiter": "semicolon", "date": "%Y%m%d %H%M%S"},
        (
            "the time zone: NinjaTrader exports in UTC; others write the same layout in local time: declare `timezone`",
            "whether a bar is labelled by its close, as NinjaTrader does, or by its open: declare `bar_time`",
        ),
    ),
    "tradestation": Preset(
        "TradeStation, Data Window, Save: quoted names, `01/31/2024`, months first, times of the bar's close",
        {"date": "%m/%d/%Y", "time": "%H:%M", "bar_time": "close", "rename": {"Vol": "Volume", "OI": "OpenInterest"}},
        ("the time zone: the exchange's or yours, as the chart was set; declare `timezone`",),
        signature=("Date", "Time", "Open", "Up", "Down"),
    ),
    "tradingview": Preset(
        "TradingView, Export chart data, time as ISO: `2024-01-01T00:00:00-05:00`; each bar says its offset",
        {"date": "iso", "bar_time": "open", "rename": {"time": "Date"}},
        signature=("time", "open", "high", "low", "close"),
    ),
    "sierra": Preset(
        "Sierra Chart, Export bar data: `2024/1/1, 00:00:00`, the close is called Last",
        {"date": "%Y/%m/%d", "time": "%H:%M:%S", "bar_time": "open", "rename": {"Last": "Close"}},
        ("the time zone: that of the chart; declare `timezone`",),
        signature=("Date", "Time", "Last", "NumberOfTrades"),
    ),
    "stooq": Preset(
        "Stooq, bulk download as ASCII: names in angle brackets, ticker and period in every row",
        {
            "time": "hhmmss",
            "rename": {
                **{f"<{name.upper()}>": name for name in ("Date", "Time", "Open", "High", "Low", "Close")},
                "<TICKER>": "Market",
                "TICKER": "Market",
                "<PER>": None,
                "PER": None,
                "<VOL>": "Volume",
                "VOL": "Volume",
                "<OPENINT>": "OpenInterest",
                "OPENINT": "OpenInterest",
            },
        },
        (_ZONE_UNKNOWN, _LABEL_UNKNOWN),
        signature=("<TICKER>", "<PER>", "<DATE>"),
    ),
    "amibroker": Preset(
        "AmiBroker, bars written by an export formula: Ticker, `2024-01-01`, `09:30:00`",
        {"date": "iso", "time": "%H:%M:%S", "rename": {"Ticker": "Market"}},
        (_ZONE_UNKNOWN, _LABEL_UNKNOWN),
        signature=("Ticker", "Date", "Time", "Open", "High", "Low", "Close"),
    ),
    "cryptodatadownload": Preset(
        "CryptoDataDownload: a line above the header, the newest bar first",
        {"header": 2, "date": "iso", "order": "descending", "bar_time": "open", "rename": {"unix": None, "symbol": "Market"}},
        signature=("unix", "date", "symbol"),
    ),
    "binance_klines": Preset(
        "Binance public data, klines: no header, twelve columns; milliseconds, and in spot files microseconds from 2025 on",
        {
            "header": [
                "Date",
                *_OHLCV,
                "CloseTime",
                "QuoteVolume",
                "Trades",
                "TakerBuyVolume",
                "TakerBuyQuoteVolume",
                "Ignore",
            ],
            "delimiter": "comma",
            "date": "unix",
            "bar_time": "open",
            "rename": {"CloseTime": None, "Ignore": None},
        },
    ),
    "yfinance": Preset(
        "yfinance, `Ticker.history()` or `download(multi_level_index=False)`, saved by `to_csv`",
        {"date": "iso", "bar_time": "open", "rename": {"Datetime": "Date"}},
        signature=("Open", "High", "Low", "Close", "Dividends", "Stock Splits"),
    ),
    "yfinance_download": Preset(
        "yfinance, `download()` of one ticker, saved by `to_csv`: three header lines",
        {"header": 1, "skip_lines": 3, "date": "iso", "bar_time": "open", "rename": {"Price": "Date"}},
        signature=("Price", "Close", "High", "Low", "Open", "Volume"),
    ),
    "lean": Preset(
        "QuantConnect LEAN, hourly and daily equity bars: no header, prices in ten-thousandths",
        {"header": ["Date", *_OHLCV], "delimiter": "comma", "date": "%Y%m%d %H:%M", "bar_time": "open", "price_divisor": 10_000},
        ("the time zone: LEAN writes that of the exchange, America/New_York for US equities; declare `timezone`",),
    ),
    "pandas": Preset(
        "pandas, `DataFrame.to_csv()` with the times as index, named or not",
        {
            "date": "iso",
            "rename": {"": "Date", "Unnamed: 0": "Date", "index": "Date", "Datetime": "Date", "timestamp": "Date", "time": "Date"},
        },
        ("the time zone, unless every time has its offset: declare `timezone` unless it is UTC", _LABEL_UNKNOWN),
    ),
    "investing": Preset(
        "Investing.com, historical data: newest first, `01/31/2024`, months first, volumes with K, M and B, changes in percent",
        {
            "date": "%m/%d/%Y",
            "order": "descending",
            "thousands": ",",
            "suffixes": ["K", "M", "B", "%"],
            "null_values": ["-"],
            "rename": {"Price": "Close", "Vol.": "Volume", "Change %": "ChangePercent"},
        },
        ("whether days or months come first, if your edition of the site writes days first: declare `date: '%d/%m/%Y'`",),
        signature=("Date", "Price", "Vol.", "Change %"),
    ),
}
