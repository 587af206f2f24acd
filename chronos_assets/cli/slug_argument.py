"""SLUG as every command takes it: a text that is no slug is refused before anything is opened or started for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from chronos_assets.cli import completion
from chronos_assets.domain.slug import Slug


class SlugType(click.ParamType[str]):
    """A dataset's slug. Raises `SlugError` with the rule."""

    name = "slug"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(Slug.parse(value))


SLUG = SlugType()


def slug_argument(*, name: str = "slug", required: bool = True, nargs: int = 1) -> Callable[[Any], Any]:
    """The argument SLUG, offered after TAB."""
    return click.argument(name, type=SLUG, required=required, nargs=nargs, shell_complete=completion.slugs)
