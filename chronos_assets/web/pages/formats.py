"""How numbers, times and words look on a page. A value that does not exist is a dash, never a zero."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from chronos_assets.domain.byte_size import byte_size
from chronos_assets.domain.slug import Slug

DASH = "\u2013"
MINUS = "\u2212"
THIN = "\u00a0"


def number(value: float | None, digits: int = 2) -> str:
    """`1,234.50`; thousands separated, a real minus sign."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return DASH
    return f"{value:,.{digits}f}".replace("-", MINUS)


def whole(value: float | None) -> str:
    """`1,234`."""
    return number(value, 0)


def percent(value: float | None, digits: int = 1) -> str:
    """A number that is in percent already: `27.3 %`."""
    text = number(value, digits)
    return text if text == DASH else f"{text}{THIN}%"


def share(value: float | None, digits: int = 1) -> str:
    """A share from 0 to 1 as percent."""
    return percent(None if value is None else 100.0 * value, digits)


def significant(value: float | None, digits: int = 5) -> str:
    """A price, threshold or parameter: as many digits as matter; all of a large whole part, never an exponent for it."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return DASH
    if 10**digits <= abs(value) < 1e15:
        return number(value, 0)
    return f"{value:,.{digits}g}".replace("-", MINUS)


def factor(metrics: Mapping[str, Any] | None, key: str = "profit_factor") -> str:
    """A profit factor; the infinity sign if there are gains and no losses."""
    if not metrics:
        return DASH
    if metrics.get(key) is None:
        return "\u221e" if metrics.get("no_losses") or metrics.get(f"{key}_no_losses") else DASH
    return number(metrics[key])


def day(value: datetime | int | None) -> str:
    """`2026-11-27`, UTC."""
    return _time(value, "%Y-%m-%d")


def minute(value: datetime | int | None) -> str:
    """`2026-11-27 14:02`, UTC; the time is left out at midnight of a daily bar only by the caller."""
    return _time(value, "%Y-%m-%d %H:%M")


def recent(value: datetime | None) -> str:
    """`11-27 14:02` for a time of the last 300 days, `2025-11-27` for an older one; the title of its cell says it in full."""
    if value is None:
        return DASH
    return _time(value, "%m-%d %H:%M" if datetime.now(UTC) - value < timedelta(days=300) else "%Y-%m-%d")


def seconds(milliseconds: float | None) -> str:
    """A duration: `15.1 s`, `3 min 20 s`."""
    if milliseconds is None:
        return DASH
    total = milliseconds / 1000.0
    return f"{total:.1f}{THIN}s" if total < 60 else f"{int(total // 60)}{THIN}min {int(total % 60)}{THIN}s"


def size(count: float | None) -> str:
    """Bytes as people read them."""
    return DASH if count is None else byte_size(count, THIN)


def short(identifier: str) -> str:
    """The first eight characters of an id, as every list shows it."""
    return identifier[:8]


def words(text: str) -> str:
    """`opposite_threshold` as words."""
    return text.replace("_", " ")


def setting(value: Any) -> str:
    """A value of a configuration as a manifest would say it."""
    if value is None:
        return DASH
    return str(value) if isinstance(value, (str, float)) else json.dumps(value, ensure_ascii=False)


def interval(slug: str) -> int:
    """Seconds between the bars of a dataset."""
    return Slug.parse(slug).interval_seconds


def sign(value: float | None) -> str:
    """The class that colours a result; the number itself carries its sign."""
    return "" if value is None or value == 0 else "gain" if value > 0 else "loss"


def _time(value: datetime | int | None, form: str) -> str:
    if value is None:
        return DASH
    moment = datetime.fromtimestamp(value, tz=UTC) if isinstance(value, int) else value.astimezone(UTC)
    return moment.strftime(form)


FILTERS: dict[str, Callable[..., Any]] = {
    one.__name__: one
    for one in (
        number,
        whole,
        percent,
        share,
        significant,
        factor,
        day,
        minute,
        recent,
        seconds,
        size,
        short,
        words,
        interval,
        setting,
        sign,
    )
}
