"""Executors by the name that `CHRONOS_EXECUTOR` gives."""

from __future__ import annotations

from collections.abc import Callable

from chronos_assets.learning.executors.base import FoldExecutor
from chronos_assets.learning.executors.ray import RayExecutor
from chronos_assets.learning.executors.threads import ThreadExecutor
from chronos_assets.settings import Settings

EXECUTORS: dict[str, Callable[[Settings], FoldExecutor]] = {
    "threads": lambda settings: ThreadExecutor(settings.workers),
    "ray": lambda settings: RayExecutor(_ray_workers(settings), address=settings.ray_address, gpu_fraction=settings.ray_gpu_fraction),
}


def _ray_workers(settings: Settings) -> int | None:
    """As many as somebody asked for; unasked, what a cluster has, which is not what this machine has."""
    return settings.workers if settings.ray_address is None or "workers" in settings.model_fields_set else None


def open_executor(settings: Settings) -> FoldExecutor:
    """The executor that the settings name."""
    return EXECUTORS[settings.executor](settings)
