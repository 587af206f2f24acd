"""Identity by construction: what a frozen model contributes to an id or a key.

An id hashes every field of a model, except a named set of fields that cannot change a result. So a field that somebody adds is part of
the identity from the start. Two rules keep old ids:

- A field that has its default is left out. A new field with a default renames nothing.
- A default that changes keeps its old value as `Field(..., json_schema_extra={"identity_default": OLD})`. A request that relies on the
  new default then has another id than one that relied on the old one, and a request that names the old value keeps its id.

This module knows no profile and no recipe. What is left out of an id is named beside the id (`pipeline.walkforward.request`,
`learning.keys`, `domain.profiles.simulation`).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

IDENTITY_DEFAULT = "identity_default"
_NO_DEFAULT = object()

# Field (dotted for a nested one) -> why it cannot change a result.
Ignored = Mapping[str, str]


def identity_of(model: Any, *, ignored: Ignored | None = None) -> dict[str, Any]:
    """The fields of a frozen pydantic model or dataclass that differ from their defaults, nested models included, JSON-ready.

    A nested model of the type of its default is left out if all of its fields are; one of another type names its constant fields (its
    `learner`, for example) too. Mappings are sorted: their order must not mean anything.
    """
    return _identity(model, ignored or {}, "")


def canonical(parts: Mapping[str, Any]) -> str:
    """`parts` as the one text that is hashed."""
    return json.dumps(parts, sort_keys=True, allow_nan=False)


def _identity(model: Any, ignored: Ignored, prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value, default in _fields(model):
        path = f"{prefix}{name}"
        if path in ignored:
            continue
        if _is_model(value):
            inner = _identity(value, ignored, f"{path}.")
            if inner or not _is_plain(default, type(value)):
                found[name] = _constants(value) | inner
        elif default is _NO_DEFAULT or _plain(value, f"{path}.", ignored) != _plain(default, f"{path}.", ignored):
            found[name] = _plain(value, f"{path}.", ignored)
    return found


def _fields(model: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, value and identity default of every field."""
    if isinstance(model, BaseModel):
        for name, info in type(model).model_fields.items():
            yield name, getattr(model, name), _pydantic_default(info)
        return
    for field in dataclasses.fields(model):
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        yield field.name, getattr(model, field.name), _NO_DEFAULT if default is dataclasses.MISSING else default


def _pydantic_default(info: FieldInfo) -> Any:
    extra = info.json_schema_extra
    if isinstance(extra, dict) and IDENTITY_DEFAULT in extra:
        return extra[IDENTITY_DEFAULT]
    return _NO_DEFAULT if info.is_required() else info.get_default(call_default_factory=True)


def _is_model(value: Any) -> bool:
    return isinstance(value, BaseModel) or (dataclasses.is_dataclass(value) and not isinstance(value, type))


def _is_plain(default: Any, kind: type) -> bool:
    """Whether a field's default is a model of `kind` with nothing changed, so that it can be left out."""
    return type(default) is kind and default == kind()


def _constants(model: Any) -> dict[str, Any]:
    """Fields of a nested model that can have one value only: they tell its kind."""
    if not isinstance(model, BaseModel):
        return {}
    kinds = {name: info.annotation for name, info in type(model).model_fields.items()}
    return {name: getattr(model, name) for name, kind in kinds.items() if get_origin(kind) is Literal and len(get_args(kind)) == 1}


def _plain(value: Any, prefix: str, ignored: Ignored) -> Any:
    """`value` as JSON has it; models inside lists and mappings enter with their constants."""
    if _is_model(value):
        return _constants(value) | _identity(value, ignored, prefix)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, prefix, ignored) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner, prefix, ignored) for inner in value]
    return value
