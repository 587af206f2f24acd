"""How use cases tell what they are doing: one call per step forward. Who listens decides whether it becomes a bar, a line or nothing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """`stage` is a word or two, `done` of `total` its rows or folds (`total` None if unknown), `detail` what a reader may want."""

    def __call__(self, stage: str, done: int, total: int | None, detail: str = "") -> None: ...


def silent(stage: str, done: int, total: int | None, detail: str = "") -> None:
    """Listens to nothing."""
