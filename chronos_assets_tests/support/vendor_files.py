"""Made-up bars in the layouts of vendors, one function each, with what those layouts are known for. No row is copied from anywhere."""

from __future__ import annotations

import datetime as dt
import random
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

_UTC = dt.UTC


@dataclass(frozen=True)
class Bars:
    """Bars in UTC: prices as numbers of four decimals, volume as whole numbers."""

    moments: list[dt.datetime]
    prices: list[tuple[float, float, float, float]]
    volumes: list[int]

    @property
    def seconds(self) -> list[int]:
        """UTC seconds of the bars."""
        return [int(moment.timestamp()) for moment in self.moments]

    @property
    def is_daily(self) -> bool:
        """Whether they are days or longer."""
        return len(self.moments) > 1 and (self.moments[1] - self.moments[0]) >= dt.timedelta(days=1)


def made_up(random_: random.Random, count: int, step: dt.timedelta, start: dt.datetime = dt.datetime(2024, 1, 1)) -> Bars:
    """A random walk from `start` (UTC), one bar every `step`; every price has four decimals."""
    level, prices = random_.uniform(50, 5_000), []
    for _ in range(count):
        opened, level = level, max(1.0, level * (1 + random_.gauss(0, 0.004)))
        high, low = max(opened, level) * (1 + random_.random() / 500), min(opened, level) * (1 - random_.random() / 500)
        opened_text, high_text, low_text, close_text = (round(price, 4) for price in (opened, high, low, level))
        prices.append((opened_text, high_text, low_text, close_text))
    moments = [start.replace(tzinfo=_UTC) + i * step for i in range(count)]
    return Bars(moments, prices, [random_.randint(1, 3_000_000) for _ in range(count)])


def _wall(bars: Bars, zone: str, form: str) -> list[str]:
    return [f"{moment.astimezone(zoneinfo.ZoneInfo(zone)):{form}}" for moment in bars.moments]


def _rows(bars: Bars, keys: list[str], separator: str, form: str = ".4f", tail: str = "") -> list[str]:
    cells = zip(keys, bars.prices, bars.volumes, strict=True)
    return [separator.join([key, *(f"{price:{form}}" for price in prices), str(volume)]) + tail for key, prices, volume in cells]


def _text(lines: list[str], end: str = "\n") -> bytes:
    return (end.join(lines) + end).encode()


def mt4(bars: Bars, zone: str = "UTC") -> bytes:
    """No header, `2024.01.01,00:00`, CR LF."""
    return _text(_rows(bars, _wall(bars, zone, "%Y.%m.%d,%H:%M"), ","), "\r\n")


def mt5(bars: Bars, zone: str = "UTC", encoding: str = "utf-16") -> bytes:
    """Two columns in angle brackets for date and time, tabs; daily bars have a date alone."""
    key = "<DATE>" if bars.is_daily else "<DATE>\t<TIME>"
    header = f"{key}\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
    form = "%Y.%m.%d" if bars.is_daily else "%Y.%m.%d\t%H:%M:%S"
    return _text([header, *_rows(bars, _wall(bars, zone, form), "\t", tail="\t0\t12")], "\r\n").decode().encode(encoding)


def ninjatrader(bars: Bars, zone: str = "UTC") -> bytes:
    """No header, semicolons."""
    return _text(_rows(bars, _wall(bars, zone, "%Y%m%d %H%M%S"), ";"))


def tradestation(bars: Bars, zone: str = "UTC") -> bytes:
    """Quoted names, months first, volume split into Up and Down."""
    rows = _rows(bars, _wall(bars, zone, "%m/%d/%Y,%H:%M"), ",", tail=",7")
    return _text(['"Date","Time","Open","High","Low","Close","Up","Down"', *rows], "\r\n")


def tradingview(bars: Bars, zone: str = "UTC") -> bytes:
    """ISO with the offset of each bar, which follows the clock changes of the zone."""
    keys = [moment.astimezone(zoneinfo.ZoneInfo(zone)).isoformat().replace("+00:00", "Z") for moment in bars.moments]
    return _text(["time,open,high,low,close,Volume", *_rows(bars, keys, ",")])


def sierra(bars: Bars, zone: str = "UTC") -> bytes:
    """Blanks behind commas, months and days without zeros, Last for the close."""
    keys = _wall(bars, zone, "%Y/%-m/%-d, %H:%M:%S")
    return _text(["Date, Time, Open, High, Low, Last, Volume, NumberOfTrades", *_rows(bars, keys, ", ", ".6f", ", 7")], "\r\n")


def stooq(bars: Bars, zone: str = "UTC") -> bytes:
    """Ticker and period in every row, names in angle brackets."""
    period = "D" if bars.is_daily else "60"
    keys = [f"BTC.V,{period},{key}" for key in _wall(bars, zone, "%Y%m%d,%H%M%S")]
    header = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>"
    return _text([header, *_rows(bars, keys, ",", tail=",0")], "\r\n")


def amibroker(bars: Bars, zone: str = "UTC") -> bytes:
    """Ticker, ISO date, time with colons."""
    keys = [f"AAPL,{key}" for key in _wall(bars, zone, "%Y-%m-%d,%H:%M:%S")]
    return _text(["Ticker,Date,Time,Open,High,Low,Close,Volume", *_rows(bars, keys, ",")])


def cryptodatadownload(bars: Bars, zone: str = "UTC") -> bytes:
    """A line above the header, newest first, the time twice."""
    keys = [f"{second}000,{key},BTC/USD" for second, key in zip(bars.seconds, _wall(bars, zone, "%Y-%m-%d %H:%M:%S"), strict=True)]
    rows = _rows(bars, keys, ",", tail=",8.5")
    return _text(["https://www.example.test/downloads", "unix,date,symbol,open,high,low,close,Volume USD,Volume BTC", *reversed(rows)])


def binance_klines(bars: Bars, zone: str = "UTC") -> bytes:
    """No header, twelve columns, milliseconds until the end of 2024 and microseconds afterwards."""
    keys = [str(second * 1_000 * (1_000 if moment.year >= 2025 else 1)) for second, moment in zip(bars.seconds, bars.moments, strict=True)]
    return _text(_rows(bars, keys, ",", ".8f", ",1704070799999,1.5,7,0.5,0.25,0"))


def yfinance(bars: Bars, zone: str = "UTC") -> bytes:
    """The offset of the exchange in every row; the first column is Date for days and Datetime within them."""
    keys = [str(moment.astimezone(zoneinfo.ZoneInfo(zone))) for moment in bars.moments]
    name = "Date" if bars.is_daily else "Datetime"
    return _text([f"{name},Open,High,Low,Close,Volume,Dividends,Stock Splits", *_rows(bars, keys, ",", tail=",0.0,0.0")])


def yfinance_download(bars: Bars, zone: str = "UTC") -> bytes:
    """Three header lines, the close first."""
    keys = _wall(bars, zone, "%Y-%m-%d" if bars.is_daily else "%Y-%m-%d %H:%M:%S+00:00")
    rows = [f"{key},{c},{h},{low},{o},{v}" for key, (o, h, low, c), v in zip(keys, bars.prices, bars.volumes, strict=True)]
    return _text(["Price,Close,High,Low,Open,Volume", "Ticker,AAPL,AAPL,AAPL,AAPL,AAPL", "Date,,,,,", *rows])


def lean(bars: Bars, zone: str = "UTC") -> bytes:
    """No header, prices in ten-thousandths."""
    keys = _wall(bars, zone, "%Y%m%d %H:%M")
    rows = zip(keys, bars.prices, bars.volumes, strict=True)
    return _text([",".join([key, *(str(round(price * 10_000)) for price in prices), str(volume)]) for key, prices, volume in rows])


def pandas(bars: Bars, zone: str = "UTC") -> bytes:
    """The index has no name."""
    return _text([",Open,High,Low,Close,Volume", *_rows(bars, _wall(bars, zone, "%Y-%m-%d %H:%M:%S"), ",")])


def investing(bars: Bars, zone: str = "UTC") -> bytes:
    """Everything quoted, newest first, thousands commas, volumes with K and M, changes in percent, a byte order mark."""
    rows = []
    for key, (o, h, low, c), volume in zip(_wall(bars, zone, "%m/%d/%Y"), bars.prices, bars.volumes, strict=True):
        short = f"{volume / 1e6:.2f}M" if volume >= 1_000_000 else f"{volume / 1e3:.2f}K"
        rows.append(",".join(f'"{cell}"' for cell in (key, *(f"{price:,.4f}" for price in (c, o, h, low)), short, "-0.25%")))
    return b"\xef\xbb\xbf" + _text(['"Date","Price","Open","High","Low","Vol.","Change %"', *reversed(rows)])


LAYOUTS: dict[str, Callable[[Bars, str], bytes]] = {
    layout.__name__: layout
    for layout in (
        *(mt4, mt5, ninjatrader, tradestation, tradingview, sierra, stooq, amibroker, cryptodatadownload, binance_klines, yfinance),
        *(yfinance_download, lean, pandas, investing),
    )
}
"""Preset -> how its files are written."""
WITH_OFFSETS = frozenset({"tradingview", "yfinance", "binance_klines"})
"""Layouts whose cells say when in UTC they are."""
DAILY_ONLY = frozenset({"investing"})
mt5_utf8 = partial(mt5, encoding="utf-8")
