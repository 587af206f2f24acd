"""Progress on stderr: a bar where somebody watches, a line every few seconds where a file does, also while a use case says nothing."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import IO, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

LINE_EVERY_SECONDS = 3.0


class Reporter:
    """A `pipeline.progress.Progress` in a `with` block. `label` stands before every stage (a slug, mostly)."""

    def __init__(self, label: str, stream: IO[str] | None = None) -> None:
        self.label = label
        self.console = Console(file=stream or sys.stderr, highlight=False, soft_wrap=True)
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task: TaskID | None = None
        self._stage, self._said = "", ""
        self._began = self._last_line = time.monotonic()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        self._bars.start()
        if not self.console.is_terminal:  # a bar moves by itself
            threading.Thread(target=self._tell_now_and_then, name="progress", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._bars.stop()

    def __call__(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """One step forward of a use case."""
        of = f" of {total:,}" if total else ""
        self._said = f": {stage} {done:,}{of} {detail}".rstrip()
        if self.console.is_terminal:
            if self._task is None or stage != self._stage:
                self.begin(f"{self.label}: {stage}")
                self._stage = stage
            assert self._task is not None  # begun
            self._bars.update(self._task, completed=done, total=total, detail=detail)
        elif time.monotonic() - self._last_line > LINE_EVERY_SECONDS:
            self._line(self._said)

    def begin(self, words: str) -> None:
        """Show a bar without an end, until a stage has one."""
        self.end()
        self._task = self._bars.add_task(words, total=None, detail="")
        self._began = self._last_line = time.monotonic()

    def end(self) -> None:
        """Take the bar away."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task, self._stage, self._said = None, "", ""

    def _tell_now_and_then(self) -> None:
        """A line whenever none was written for a while: the last stage again, with the seconds since it all began."""
        while not self._ended.wait(LINE_EVERY_SECONDS / 2):
            if time.monotonic() - self._last_line > LINE_EVERY_SECONDS:
                self._line(f"{self._said}, {time.monotonic() - self._began:.0f} s")

    def _line(self, words: str) -> None:
        self._last_line = time.monotonic()
        self.console.print(f"{self.label}{words}", markup=False)
