"""What the shell offers after TAB: datasets, ids, parameters. What cannot be looked up is not offered; nothing is an error.

Switched on by the shell: `eval "$(_CHRONOS_COMPLETE=bash_source chronos)"` (or `zsh_source`, `fish_source`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
_MOST = 50


def _offered(find: Callable[[str], Iterable[tuple[str, str]]]) -> Completer:
    """A completer of click from a function that finds (value, help) for a beginning."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            return [CompletionItem(value, help=text) for value, text in find(incomplete) if value.startswith(incomplete)][:_MOST]
        except Exception:
            return []  # a shell that waits for TAB is no place for errors

    return complete


def _slugs(beginning: str) -> Iterable[tuple[str, str]]:
    from chronos_assets.settings import load_settings
    from chronos_assets.storage.manifest_files import find_manifests

    return [(path.stem, "") for path in find_manifests(load_settings().exports_dir)]


def _ids(name: str) -> Callable[[str], Iterable[tuple[str, str]]]:
    def find(beginning: str) -> Iterable[tuple[str, str]]:
        from chronos_assets import services
        from chronos_assets.settings import load_settings
        from chronos_assets.storage.postgres import Postgres
        from chronos_assets.storage.queries import query
        from chronos_assets.storage.runs import hint_prefix

        running = services.connect(load_settings(), start=False)  # TAB starts no server
        with Postgres(running.postgres_dsn).connection() as connection:
            return [(str(row["id"]), "") for row in connection.execute(query(name), {"prefix": hint_prefix(beginning)}).fetchall()]

    return find


def _walkforward_keys(beginning: str) -> Iterable[tuple[str, str]]:
    from chronos_assets.domain.profiles.walkforward import WalkforwardProfile

    return [(f"{key}=", "") for key in _dotted(WalkforwardProfile().model_dump())]


def _simulation_keys(beginning: str) -> Iterable[tuple[str, str]]:
    from chronos_assets.domain.profiles.simulation import SimulationProfile

    return [(f"{key}=", "") for key in _dotted(SimulationProfile().model_dump())]


def _dotted(values: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


slugs = _offered(_slugs)
run_ids = _offered(_ids("runs_near"))
simulation_ids = _offered(_ids("simulations_near"))
model_ids = _offered(_ids("models_near"))
selection_ids = _offered(_ids("selections_near"))
walkforward_keys = _offered(_walkforward_keys)
simulation_keys = _offered(_simulation_keys)
