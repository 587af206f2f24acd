"""Reading mappings that people write: unknown keys are an error that names the nearest known key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from chronos_assets.errors import ChronosError


class StrictModel(BaseModel):
    """Base of manifests and profiles: frozen, no unknown keys, no silent conversion of text to numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


Model = TypeVar("Model", bound=BaseModel)
_SHORT = 5
_SHORT_CUTOFF, _CUTOFF = 0.65, 0.6  # similarity as difflib counts it: in a short name one letter weighs more


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like `name`, or None if none is near: a suggestion that is far off helps nobody."""
    by_fold = {k.casefold(): k for k in known}
    found = difflib.get_close_matches(name.casefold(), by_fold, n=1, cutoff=_SHORT_CUTOFF if len(name) < _SHORT else _CUTOFF)
    return by_fold[found[0]] if found else None


def parse_strict(model: type[Model], data: Mapping[str, Any], *, error: type[ChronosError], what: str, **where: Any) -> Model:
    """Validate `data` as `model`; raises `error` whose message names the key, what was found, and the nearest known key."""
    try:
        return model.model_validate(data)
    except ValidationError as failure:
        first = failure.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = _known_keys(model, first["loc"][:-1], data)
            close = _elsewhere(model, str(first["loc"][-1])) or nearest(str(first["loc"][-1]), known)
            hint = f"Did you mean {close!r}?" if close else ""
            raise error(
                f"{what} has the unknown key {path!r}",
                code="unknown_key",
                expected=f"one of {', '.join(sorted(known))}" if known else None,
                hint=hint,
                **where,
            ) from None
        if first["type"] == "missing":
            raise error(f"{what} lacks the key {path!r}", code="missing_key", **where) from None
        problem = first["msg"].removeprefix("Value error, ")
        raise error(
            f"{what}: {path}: {problem}" if path else f"{what}: {problem}",
            code="invalid_value",
            found=repr(first.get("input"))[:200] if path else None,
            hint="Put the value in quotes: YAML takes it for something else than text." if first["type"] == "string_type" else "",
            **where,
        ) from None


def _known_keys(model: type[BaseModel], path: tuple[int | str, ...], data: Any) -> list[str]:
    """Field names of the model that lies at `path` below `model` (dictionaries of models included), as `data` chooses it."""
    current: Any = model
    names_follow = False
    for part in path:
        data = data.get(part) if isinstance(data, Mapping) else None
        if names_follow:
            # The keys of a dictionary of models (profiles) are names that people chose.
            names_follow = False
        elif isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(str(part))
            names_follow = field is not None and get_origin(field.annotation) is dict
            current = _chosen(_inner_model(field.annotation), data) if field else None
    if isinstance(current, type) and issubclass(current, BaseModel):
        return [f.alias or n for n, f in current.model_fields.items()]
    return []


def _chosen(model: Any, data: Any) -> Any:
    """The class that `data` asks for if `model` is the base of several."""
    choose = getattr(model, "class_for", None)
    return choose(data) if choose is not None else model


def _elsewhere(model: type[BaseModel], name: str, path: str = "") -> str | None:
    """The dotted name of a key called `name` in a model below `model`: `eta` is `model.eta`."""
    for field, info in model.model_fields.items():
        default = info.get_default(call_default_factory=True)
        inner = type(default) if isinstance(default, BaseModel) else None
        if inner is None:
            continue
        if name in inner.model_fields:
            return f"{path}{field}.{name}"
        found = _elsewhere(inner, name, f"{path}{field}.")
        if found is not None:
            return found
    return None


def _inner_model(annotation: Any) -> Any:
    """The first pydantic model found in a (possibly nested) annotation such as `dict[str, Profile] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None
