"""Progress of a use case on stderr: a bar if somebody watches, a line every few seconds if a file does."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

LINE_EVERY_SECONDS = 3.0


class Reporter:
    """A `pipeline.progress.Progress` in a `with` block. `label` stands before every stage (a slug, mostly)."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._console = Console(file=sys.stderr, highlight=False)
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None
        self._stage = ""
        self._last_line = time.monotonic()

    def __enter__(self) -> Reporter:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def __call__(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        if self._console.is_terminal:
            self._draw(stage, done, total, detail)
        elif time.monotonic() - self._last_line > LINE_EVERY_SECONDS:
            self._last_line = time.monotonic()
            of = f" of {total:,}" if total else ""
            print(f"{self._label}: {stage} {done:,}{of} {detail}".rstrip(), file=sys.stderr, flush=True)

    def _draw(self, stage: str, done: int, total: int | None, detail: str) -> None:
        if self._task is None or stage != self._stage:
            if self._task is not None:
                self._bars.remove_task(self._task)
            self._task, self._stage = self._bars.add_task(f"{self._label}: {stage}", total=None, detail=""), stage
        self._bars.update(self._task, completed=done, total=total, detail=detail)
