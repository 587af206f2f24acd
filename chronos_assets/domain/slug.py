"""The dataset slug `<symbol>_<interval>_<version>`: validated once, at the edge, and trusted from there on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from chronos_assets.errors import SlugError

RULE = (
    "<symbol>_<interval>_<version>: symbol of a-z, 0-9 and inner '-', interval <n>[smhdw] or <n>mo (months), version v<n>; "
    "for example btc_4h_v1"
)
_PATTERN = re.compile(
    r"(?P<symbol>[a-z0-9]+(?:-+[a-z0-9]+)*)_(?P<n>[1-9][0-9]{0,5})(?P<unit>mo|[smhdw])_v(?P<version>[0-9]{1,9})", re.ASCII
)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "mo": 2_592_000}
MAX_LENGTH = 100


@dataclass(frozen=True, order=True)
class Slug:
    """A valid slug, in parts. `str(slug)` gives it back as it was written."""

    symbol: str
    granularity: str
    version: int
    text: str

    @classmethod
    def parse(cls, text: str) -> Slug:
        """Parse `text`; raises `SlugError` with the rule in the message."""
        match = _PATTERN.fullmatch(text) if isinstance(text, str) and len(text) <= MAX_LENGTH else None
        if match is None:
            shown = text if isinstance(text, str) and len(text) <= MAX_LENGTH else f"{str(text)[:40]}... ({len(str(text))} characters)"
            raise SlugError(f"{shown!r} is not a dataset slug", code="slug_invalid", expected=RULE)
        return cls(match["symbol"], match["n"] + match["unit"], int(match["version"]), text)

    @property
    def interval_seconds(self) -> int:
        """Length of one bar in seconds; a month counts as 30 days."""
        return granularity_seconds(self.granularity)

    def __str__(self) -> str:
        return self.text


def granularity_seconds(granularity: str) -> int:
    """Seconds of an interval such as `4h`; raises `SlugError` if it is none.

    A month counts as 30 days: `domain.interval` goes by the calendar.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,5})(mo|[smhdw])", granularity, re.ASCII)
    if match is None:
        raise SlugError(f"{granularity!r} is not an interval", code="granularity_invalid", expected="<n>[smhdw] or <n>mo, for example 4h")
    return int(match[1]) * _SECONDS[match[2]]
