"""The layout of a walk-forward plan: window, sizes, step and gap, resolved and ready to be turned into folds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True)
class Layout:
    """A plan's parameters, resolved: nothing is None any more but `end_fold`. Calendar lengths are text, sizes in bars are counts."""

    window: Literal["rolling", "anchored"]
    train: int | str
    test: int | str
    step: int | str
    gap: int
    initial_offset: int = 0
    start_fold: int = 0
    end_fold: int | None = None

    @property
    def is_calendar(self) -> bool:
        return isinstance(self.train, str)

    def as_config(self) -> dict[str, int | str | None]:
        """The form kept in `walk_config`."""
        return asdict(self)
