"""Whether features were chosen with knowledge of bars that a walk-forward tests later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

CODE = "lfs_sees_test_rows"


def end_before(first_test_row: int, horizon: int) -> int:
    """First row not taken any more if no target may hold a price that is unknown at the first test bar.

    The target of row t uses prices of up to row t + `horizon`, and a test bar's decision knows the prices of its own bar. So this is where
    the training rows of the first fold end: its gap is `horizon - 1` at least.
    """
    return max(first_test_row - (horizon - 1), 0)


def sees_tests(end_row: int, *, horizon: int, first_test_row: int) -> bool:
    """Whether rows up to `end_row` (excluded) hold targets that look beyond the first test bar."""
    return end_row > end_before(first_test_row, horizon)


def seen_tests(start_row: int, end_row: int, *, horizon: int, first_test_row: int, tests_of: str) -> dict[str, str]:
    """The warning of a selection that `sees_tests`; `tests_of` says whose tests they are."""
    ahead = f", whose target looks {horizon} bars ahead" if horizon > 1 else ""
    message = (
        f"LFS saw rows {start_row:,}..{end_row:,}{ahead}; walk-forward tests of {tests_of} begin at row {first_test_row:,}: features "
        "chosen on rows that are later tested are chosen with knowledge of the answer"
    )
    return {"code": CODE, "message": message}


@dataclass(frozen=True)
class FeatureOrigin:
    """Rows (half-open) and horizon of the selection that a run's features come from, and the row at which the run's tests begin."""

    start_row: int
    end_row: int
    horizon: int
    first_test_row: int

    @property
    def warnings(self) -> list[dict[str, str]]:
        """What a reader of the run should know."""
        if not sees_tests(self.end_row, horizon=self.horizon, first_test_row=self.first_test_row):
            return []
        return [seen_tests(self.start_row, self.end_row, horizon=self.horizon, first_test_row=self.first_test_row, tests_of="this run")]

    def as_config(self) -> dict[str, int]:
        """The form kept in `walk_config.selection`."""
        return asdict(self)

    @classmethod
    def of(cls, walk_config: Mapping[str, Any]) -> FeatureOrigin | None:
        """What a run kept; None if its features come from no selection."""
        kept = walk_config.get("selection")
        return None if kept is None else cls(**kept)
