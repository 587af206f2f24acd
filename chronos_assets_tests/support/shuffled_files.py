"""Files of vendors' layouts with dialect, zone, unit and form of dates drawn by lot, and the bars that they hold: what a proposal must get
right, or leave."""

from __future__ import annotations

import datetime as dt
import random
import re
import zoneinfo
from dataclasses import dataclass

from chronos_assets_tests.support.vendor_files import LAYOUTS, Bars, made_up, mt5_utf8

_ZONES = ("UTC", "America/New_York", "Europe/Athens", "Asia/Tokyo", "Asia/Kolkata")
_DATES = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y.%m.%d", "%d.%m.%y", "%y-%m-%d", "%d-%m-%y", "%d-%b-%Y", "%b %d %Y", "%Y%m%d")
_TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%H%M%S")
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True)
class Shuffled:
    """A file, and its bars. `seconds`: of the bars in UTC, or as the clock of the file shows them if nothing in the file says its zone."""

    name: str
    content: bytes
    seconds: list[int]
    closes: list[float]


def shuffled(seed: int) -> Shuffled:
    """File `seed`: the same for ever."""
    random_ = random.Random(seed)
    step = dt.timedelta(minutes=random_.choice([1, 5, 15, 60, 240, 1440, 1440]))
    start = dt.datetime(random_.choice([2009, 2012, 2021, 2024, 2025]), random_.randint(1, 12), random_.randint(1, 28))
    bars = made_up(random_, random_.choice([1, 2, 3, 12, 40, 200]), step, start)
    if step < dt.timedelta(days=1) and random_.random() < 0.3:
        bars = _moved(bars, dt.timedelta(hours=random_.randint(1, 23)))
    zone = random_.choice(_ZONES) if not bars.is_daily else "UTC"
    if random_.random() < 0.5:
        return _of_layout(random_, bars, zone)
    return _own(random_, bars, zone)


def _moved(bars: Bars, by: dt.timedelta) -> Bars:
    return Bars([moment + by for moment in bars.moments], bars.prices, bars.volumes)


def _clock(bars: Bars, zone: str) -> list[int]:
    """Seconds as if the wall clock of the zone were UTC."""
    return [int(moment.astimezone(zoneinfo.ZoneInfo(zone)).replace(tzinfo=dt.UTC).timestamp()) for moment in bars.moments]


def _of_layout(random_: random.Random, bars: Bars, zone: str) -> Shuffled:
    name = random_.choice([*LAYOUTS, "mt5_utf8"])
    if name == "investing" and not bars.is_daily:
        name = "mt4"
    write = mt5_utf8 if name == "mt5_utf8" else LAYOUTS[name]
    content = write(bars, zone)
    if name.startswith("yfinance_d"):
        zone = "UTC" if bars.is_daily or len(bars.moments) == 1 else zone
        content = write(bars, zone)
    absolute = name in {"tradingview", "yfinance", "binance_klines"}
    lone = len(bars.moments) == 1 and not absolute
    seconds = bars.seconds if absolute else _clock(bars, zone)
    if lone and name in {"investing", "yfinance_download", "mt5", "mt5_utf8"}:
        seconds = [second // 86_400 * 86_400 for second in seconds] if name == "investing" else seconds
    return Shuffled(name, content, seconds, [prices[3] for prices in bars.prices])


def _own(random_: random.Random, bars: Bars, zone: str) -> Shuffled:
    """A table with a header in a dialect of its own."""
    separator = random_.choice([",", ";", "\t", "|"])
    decimal, thousands = random_.choice([(".", ""), (".", ""), (",", ""), (",", "."), (".", "'"), (".", ",")])
    if separator == "," and "," in (decimal, thousands):
        separator = ";"
    absolute = False
    kind = random_.randrange(4)
    if kind == 0:
        unit = random_.choice(list(_UNITS.values()))
        keys, head, absolute = (
            [str(second * unit) for second in bars.seconds],
            [random_.choice(["time", "Date", "timestamp", "open_time"])],
            True,
        )
    elif kind == 1:
        form = random_.choice(_DATES) + random_.choice([" ", "T"]) + random_.choice(_TIMES)
        keys, head = _written(bars, zone, form), [random_.choice(["Date", "Datetime", "date time"])]
    elif kind == 2:
        keys = [
            separator.join(pair)
            for pair in zip(_written(bars, zone, random_.choice(_DATES)), _written(bars, zone, random_.choice(_TIMES)), strict=True)
        ]
        head = ["Date", "Time"]
    else:
        keys = [moment.astimezone(zoneinfo.ZoneInfo(zone)).isoformat(sep=random_.choice("T ")) for moment in bars.moments]
        head, absolute = ["Date"], True

    def number(value: float) -> str:
        text = f"{value:,.{random_.choice([2, 3, 4])}f}" if thousands else f"{value:.4f}"
        return text.translate(str.maketrans({",": thousands, ".": decimal})) if thousands else text.replace(".", decimal)

    rows, closes = [], []
    for key, prices, volume in zip(keys, bars.prices, bars.volumes, strict=True):
        cells = [number(price) for price in prices]
        closes.append(_value(cells[3], decimal, thousands))
        rows.append(separator.join([key, *cells, f"{volume:,}".replace(",", thousands) if thousands else str(volume)]))
    if random_.random() < 0.3:
        rows.reverse()
    above = ["# exported"] * random_.choice([0, 0, 0, 1, 2])
    lines = [*above, separator.join([*head, "Open", "High", "Low", "Close", "Volume"]), *rows]
    end = random_.choice(["\n", "\r\n"])
    seconds = bars.seconds if absolute else _clock(bars, zone)
    return Shuffled("own", (end.join(lines) + end).encode(), seconds, closes)


def _written(bars: Bars, zone: str, form: str) -> list[str]:
    return [f"{moment.astimezone(zoneinfo.ZoneInfo(zone)):{form}}" for moment in bars.moments]


def _value(cell: str, decimal: str, thousands: str) -> float:
    plain = cell.replace(thousands, "") if thousands else cell
    return float(re.sub(re.escape(decimal), ".", plain))
