"""Live progress of a run on stderr: bars if somebody watches, a line now and then if a file does."""

from __future__ import annotations

import time
from typing import IO, TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from chronos_assets.cli.run_report import step_words

if TYPE_CHECKING:
    from types import TracebackType

    from dagster import DagsterEvent

    from chronos_assets.pipeline.progress import Progress as Reporter

LINE_EVERY_SECONDS = 5.0


class RunProgress:
    """Shows each step as it starts and ends, and within it what the use case reports."""

    def __init__(self, slug: str, stream: IO[str]) -> None:
        self.slug = slug
        self.console = Console(file=stream, highlight=False)
        self.bars = Progress(
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
        self._stage = self._step = ""
        self._started = self._last_line = time.monotonic()

    def __enter__(self) -> RunProgress:
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bars.stop()

    def take(self, event: DagsterEvent) -> None:
        """One event of the run."""
        if event.is_step_start:
            self._step, self._started = event.step_key or "", time.monotonic()
            self._begin(step_words(self._step))
        elif event.is_step_success or event.is_step_failure:
            self._end()
            mark = "ok    " if event.is_step_success else "FAILED"
            self.console.print(f"{mark} {time.monotonic() - self._started:7.2f} s  {step_words(event.step_key or '')}")
        elif event.is_step_up_for_retry:
            self._end()
            self.console.print(f"again  {time.monotonic() - self._started:7.2f} s  {step_words(event.step_key or '')}{_why_again(event)}")

    def reporter(self, slug: str) -> Reporter:
        """Where the use cases of `slug` report."""
        return self.report

    def report(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        """One step forward of a use case."""
        if self.console.is_terminal:
            if stage != self._stage:
                self._begin(f"{step_words(self._step)}: {stage}")
                self._stage = stage
            if self._task is not None:
                self.bars.update(self._task, completed=done, total=total, detail=detail)
        elif time.monotonic() - self._last_line > LINE_EVERY_SECONDS:
            self._last_line = time.monotonic()
            of = f" of {total:,}" if total else ""
            self.console.print(f"       {step_words(self._step)}: {stage} {done:,}{of} {detail}".rstrip())

    def _begin(self, words: str) -> None:
        self._end()
        self._task = self.bars.add_task(words, total=None, detail="")

    def _end(self) -> None:
        if self._task is not None:
            self.bars.remove_task(self._task)
        self._task, self._stage = None, ""


def _why_again(event: DagsterEvent) -> str:
    """Why a step starts again, and when: nobody should wait for a server that is gone without knowing it."""
    retry = event.step_retry_data
    cause = retry.error.cause if retry.error is not None else None
    why = f": {cause.message.strip().partition('Error: ')[2]}" if cause is not None else ""
    return f"{why} Next attempt in {retry.seconds_to_wait or 0:.0f} s."
