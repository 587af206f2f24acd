"""How `format.date` and `format.time` of a manifest say what their cells look like: named forms, or a strptime pattern taken apart.

A pattern is turned into one regular expression, so that every reader of it takes exactly the same cells. Its named groups are `Y` (or `y`),
`m` (or `b`), `d`, `H` (or `I` with `p`), `M`, `S`, `f` and `z`.
"""

from __future__ import annotations

import functools
import re
from typing import Final

DATE_FORMS: Final = ("yyyymmdd", "1yymmdd", "iso", "unix", "unix_s", "unix_ms", "unix_us", "unix_ns")
MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FULL_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_ZONE = "(?P<z>Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)"
_DIRECTIVES: Final = {
    "Y": "(?P<Y>[0-9]{4})",
    "y": "(?P<y>[0-9]{2})",
    "m": "(?P<m>[0-9]{1,2})",
    "b": f"(?P<b>(?i:{'|'.join(MONTHS)}))",
    "B": f"(?P<b>(?i:{_FULL_MONTHS}))",
    "d": "(?P<d>[0-9]{1,2})",
    "H": "(?P<H>[0-9]{1,2})",
    "I": "(?P<I>[0-9]{1,2})",
    "M": "(?P<M>[0-9]{1,2})",
    "S": "(?P<S>[0-9]{1,2})",
    "f": "(?P<f>[0-9]{1,9})",
    "p": "(?P<p>[AaPp][Mm])",
    "z": _ZONE,
}
ISO: Final = (
    "(?P<Y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})"
    f"(?:[T ](?P<H>[0-9]{{2}}):(?P<M>[0-9]{{2}})(?::(?P<S>[0-9]{{2}})(?:[.](?P<f>[0-9]{{1,9}}))?)?(?: ?{_ZONE})?)?"
)
"""ISO 8601 as programs write it: a date, or date and time with `T` or a blank between them, with or without seconds and offset."""


def date_problem(form: str) -> str | None:
    """What is wrong with `form` as the form of a Date column; None if nothing is."""
    if form in DATE_FORMS:
        return None
    if "%" not in form:
        return f"{form!r} is not a form of dates; write one of {', '.join(DATE_FORMS)}, or a pattern such as %Y-%m-%d %H:%M"
    parts, problem = _parts(form)
    if problem is not None:
        return problem
    if not ({"Y", "y"} & parts and {"m", "b"} & parts and "d" in parts):
        return f"{form!r} lacks a year, a month or a day (%Y or %y, %m or %b, %d)"
    if has_time(form):
        return _clock_problem(form, parts)
    return f"{form!r} has minutes, seconds or a zone but no hour" if parts & {"M", "S", "f", "p", "z"} else None


def time_problem(form: str) -> str | None:
    """What is wrong with the strptime pattern `form` for a Time column; None if nothing is."""
    parts, problem = _parts(form)
    if problem is not None:
        return problem
    if parts & {"Y", "y", "m", "b", "d", "z"}:
        return f"{form!r} holds parts of a date or a zone; a pattern with both belongs in format.date"
    if not has_time(form):
        return f"{form!r} has no hour (%H, or %I with %p)"
    return _clock_problem(form, parts)


def _clock_problem(form: str, parts: set[str]) -> str | None:
    if "H" in parts and parts & {"I", "p"}:
        return f"{form!r} mixes %H with %I or %p"
    if "I" in parts and "p" not in parts:
        return f"{form!r} has %I without %p: morning and evening cannot be told apart"
    if ("S" in parts and "M" not in parts) or ("f" in parts and "S" not in parts):
        return f"{form!r} leaves out a part between those it has"
    return None


def _parts(form: str) -> tuple[set[str], str | None]:
    """The directives of a pattern, and what is wrong with them."""
    found = re.findall(r"%(.?)", form)
    known = [directive for directive in found if directive != "%"]
    for directive in known:
        if directive not in _DIRECTIVES:
            return set(), f"%{directive} is not supported; use {', '.join('%' + name for name in _DIRECTIVES)}"
    named = ["b" if directive == "B" else directive for directive in known]
    if len(set(named)) < len(named) or {"Y", "y"} <= set(named) or {"m", "b"} <= set(named):
        return set(), f"{form!r} names a part twice"
    return set(named), None


def has_time(form: str) -> bool:
    """Whether every cell of this form of dates (or this pattern) has a time of day; `iso` may have one."""
    return form.startswith("unix") or re.search(r"%[HI]", form.replace("%%", "")) is not None


def has_seconds(form: str) -> bool:
    """Whether cells of this form can name a second of the minute."""
    return form == "iso" or form.startswith("unix") or "%S" in form.replace("%%", "")


def is_text(form: str) -> bool:
    """Whether cells of this form are text rather than numbers."""
    return form == "iso" or "%" in form


@functools.lru_cache(maxsize=64)
def expression(form: str) -> str:
    """The regular expression of `iso` or of a strptime pattern, for a whole cell; Python's `re` and Rust's `regex` read it alike."""
    if form == "iso":
        return ISO
    parts = re.split(r"(%.)", form)
    return "".join("%" if part == "%%" else _DIRECTIVES[part[1]] if part.startswith("%") else re.escape(part) for part in parts)
