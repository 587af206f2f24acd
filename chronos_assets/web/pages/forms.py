"""Values typed into forms: an empty field is no value, and a wrong one is an error that names the field."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator

from chronos_assets.errors import UsageError
from chronos_assets.web.context import in_utc


def typed(value: Any) -> Any:
    """None for an empty field of a form, which is no value."""
    return value or None


When = Annotated[datetime | None, BeforeValidator(typed), AfterValidator(in_utc)]
Start = Annotated[When, Query(alias="from")]
End = Annotated[When, Query(alias="to")]


def number_of(name: str, text: str | None) -> float | None:
    """A finite number; nothing typed is None. Raises `UsageError`."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError("a number is needed", code="parameter_invalid", field=name, found=text)
    return value


def one_of(name: str, text: str, known: Sequence[str]) -> str:
    """One of `known`; raises `UsageError`."""
    if text not in known:
        raise UsageError("there is no such choice", code="parameter_invalid", field=name, found=text, expected=f"one of {', '.join(known)}")
    return text


def own_path(text: str) -> str:
    """`text` if it is a path of this server, else `/`: a form never leads to another site."""
    return text if text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() else "/"
