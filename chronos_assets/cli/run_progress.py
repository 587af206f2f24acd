"""Live progress of a run on stderr: each step as it starts and ends, and within it what the use case reports."""

from __future__ import annotations

import time
from typing import IO, TYPE_CHECKING

from chronos_assets.cli.progress import Reporter
from chronos_assets.cli.run_report import step_words

if TYPE_CHECKING:
    from dagster import DagsterEvent

    from chronos_assets.pipeline.progress import Progress

INDENT = "       "


class RunProgress(Reporter):
    """Shows the steps of one run."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(f"{INDENT}starting", stream)
        self._started = time.monotonic()

    def take(self, event: DagsterEvent, *, stopped: bool = False) -> None:
        """One event of the run; `stopped`: it ends a step that was interrupted, which is no failure."""
        words = step_words(event.step_key or "")
        if event.is_step_start:
            self._started = time.monotonic()
            self.label = f"{INDENT}{words}"
            self.begin(words)
        elif event.is_step_success or event.is_step_failure:
            mark = "ok    " if event.is_step_success else "stopped" if stopped else "FAILED"
            self._ended_step(mark, f"{words}{'; call the same line again to go on' if stopped else ''}")
        elif event.is_step_up_for_retry:
            self._ended_step("again ", f"{words}{_why_again(event)}")

    def reporter(self, slug: str) -> Progress:
        """Where the use cases of `slug` report."""
        return self

    def _ended_step(self, mark: str, words: str) -> None:
        self.end()
        self.label = INDENT.removesuffix(" ")
        self.console.print(f"{mark:<6} {time.monotonic() - self._started:7.2f} s  {words}", markup=False)
        self._began = self._last_line = time.monotonic()


def _why_again(event: DagsterEvent) -> str:
    """Why a step starts again, and when: nobody should wait for a server that is gone without knowing it."""
    retry = event.step_retry_data
    cause = retry.error.cause if retry.error is not None else None
    why = f": {cause.message.strip().partition('Error: ')[2]}" if cause is not None else ""
    return f"{why} Next attempt in {retry.seconds_to_wait or 0:.0f} s."
