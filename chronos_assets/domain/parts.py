"""Exchangeable parts of a recipe, and the table that finds them by name.

A part (a learner, a selector) is one class in one file: a frozen pydantic model whose fields are its parameters, with the methods that use
them. A field of the model with one possible value (`learner: Literal["ridge"]`) is the part's name in a manifest. `Catalogue` maps names to
the module that holds the class and imports it when a profile names it, so this room imports no learner and a manifest pays for no other.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar, cast

from pydantic import model_validator

from chronos_assets.domain.strict import StrictModel, nearest


class Part(StrictModel):
    """Base of the parts. `version` is part of every fold key: raise it when the same inputs give another result.

    `libraries` are the importable modules whose versions determine the result; `summary` is the part's line in the documentation.
    """

    version: ClassVar[str] = "1"
    libraries: ClassVar[tuple[str, ...]] = ()
    summary: ClassVar[str]

    @model_validator(mode="after")
    def _name_is_set(self) -> Self:
        """The name counts as given, so that a dump of what was given can be read again."""
        fields = type(self).model_fields
        self.model_fields_set.update(name for name in NAME_FIELDS if name in fields)
        return self


NAME_FIELDS = ("learner", "select")
Kind = TypeVar("Kind", bound=Part)


class Catalogue(Generic[Kind]):
    """Names of one kind of part (`what`) -> `module:Class`. `field` is the key that names a part in a profile."""

    def __init__(self, what: str, field: str, default: str, places: Mapping[str, str]) -> None:
        self.what, self.field, self.default = what, field, default
        self._places = dict(places)

    @property
    def names(self) -> list[str]:
        """Known names, in the order of registration."""
        return list(self._places)

    def register(self, name: str, place: str) -> None:
        """Add the class at `module:Class` under `name`, or put it in the place of the one that has it."""
        self._places[name] = place

    def forget(self, name: str) -> None:
        """Take a name out again."""
        del self._places[name]

    def find(self, name: object) -> type[Kind]:
        """The class of a name; raises `ValueError` that names the nearest known one."""
        if not isinstance(name, str) or name not in self._places:
            close = nearest(str(name), self._places)
            hint = f"; did you mean {close!r}?" if close else ""
            raise ValueError(f"there is no {self.what} {name!r}, only {', '.join(self._places)}{hint}")
        module, _, attribute = self._places[name].partition(":")
        return cast("type[Kind]", getattr(importlib.import_module(module), attribute))

    def parse(self, value: Any) -> Any:
        """A mapping as a profile writes it (no name: the default part) as the part; anything else as it is, for pydantic to judge."""
        if not isinstance(value, Mapping):
            return value
        return self.find(value.get(self.field, self.default)).model_validate(dict(value))

    def class_of(self, value: object) -> type[Kind] | None:
        """The class that a mapping asks for, or None if there is none: for messages about its keys."""
        try:
            return self.find(value.get(self.field, self.default) if isinstance(value, Mapping) else self.default)
        except ValueError:
            return None


def documentation_row(kind: type[Part], field: str) -> str:
    """The part's row in a table of the documentation: name, what it does, parameters with their defaults."""
    names = [name for name in kind.model_fields if name not in NAME_FIELDS]
    defaults = {kind.model_fields[name].alias or name: kind.model_fields[name].get_default(call_default_factory=True) for name in names}
    shown = ", ".join(f"`{name}`" if default in ({}, None) else f"`{name}` {_default(default)}" for name, default in defaults.items())
    return f"| `{kind.model_fields[field].default}` | {kind.summary} | {shown} |"


def _default(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
