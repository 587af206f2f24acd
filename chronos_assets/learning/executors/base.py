"""What every executor of folds is: one method, `map`, that yields results as they finish.

A fold that fails is yielded as a `FoldFailure` and stops nobody else. Closing the iterator early (an interrupt, an error in the store)
cancels what has not begun and stops what has at its next boosting round.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from chronos_assets.domain.learners import Learner
from chronos_assets.domain.selectors import Selector
from chronos_assets.errors import ChronosError, VersionsDifferError
from chronos_assets.learning.training import FoldData, FoldFailure, FoldResult, FoldSpec
from chronos_assets.learning.versions import Versions, differing, told, versions_here

# Folds handed out beyond those being trained: workers stay busy while the caller stores results, and memory stays bounded.
AHEAD = 64


class FoldExecutor(Protocol):
    """Trains folds somewhere."""

    name: str

    def gpus(self) -> int:
        """Cuda devices that folds could use."""

    def session(self) -> AbstractContextManager[None]:
        """Holds what `map` needs open, so that many of them start it once."""

    def versions(self, learner: Learner, selector: Selector) -> dict[str, Versions]:
        """What the processes that would train say of themselves (`versions_here`), by place; asked before a fold is trained."""

    def map(self, data: FoldData, specs: Iterable[FoldSpec]) -> Generator[FoldResult | FoldFailure]:
        """Results of `specs` as they finish, in no order; `data` is given to the workers once."""


def require_versions(executor: FoldExecutor, learner: Learner, selector: Selector) -> dict[str, Versions]:
    """The versions that each place would train with.

    Raises `VersionsDifferError` if one differs from this process, which names runs and folds by its own.
    """
    due, places = versions_here(learner, selector), executor.versions(learner, selector)
    for place, found in places.items():
        differences = differing(due, found)
        if differences:
            expected, seen = told(differences)
            raise VersionsDifferError(
                f"a worker on {place} would train with other versions than this process",
                code="versions_differ",
                expected=expected,
                found=seen,
                hint="Install the same chronos-assets and the same libraries there, or set CHRONOS_EXECUTOR=threads.",
            )
    return places


def checked(result: FoldResult | FoldFailure, due: Versions) -> FoldResult | FoldFailure:
    """`result`, or a failure if other versions trained it than `due`: a worker may join after the first look."""
    differences = {} if isinstance(result, FoldFailure) else differing(due, result.versions)
    if not differences:
        return result
    expected, seen = told(differences)
    return FoldFailure(result.fold, "versions_differ", f"its worker trains with {seen}; expected {expected}")


def failure(spec: FoldSpec, error: BaseException) -> FoldFailure:
    """A fold's failure as one line; an error that is none of ours keeps its class name."""
    if isinstance(error, ChronosError):
        return FoldFailure(spec.fold, error.code, str(error))
    return FoldFailure(spec.fold, "training_failed", failure_reason(error))


def failure_reason(error: BaseException) -> str:
    """An error in one line, after its class."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"[:500]
