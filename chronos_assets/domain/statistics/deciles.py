"""What came of predictions of each size: cases sorted by prediction and cut into groups of about equal numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
GROUPS = 10


@dataclass(frozen=True)
class Decile:
    """One group, 1 has the smallest predictions. `above_zero`: share of its outcomes above 0."""

    number: int
    cases: int
    prediction_low: float
    prediction_high: float
    mean_outcome: float
    above_zero: float


def outcome_by_decile(predictions: Floats, outcomes: Floats, groups: int = GROUPS) -> list[Decile]:
    """Mean outcome per group of predictions, both float64 [cases]; a case that lacks one of the two is left out.

    Equal predictions may fall into neighbouring groups. Fewer cases than groups: a group per case.
    """
    known = np.isfinite(predictions) & np.isfinite(outcomes)
    order = np.argsort(predictions[known], kind="stable")
    sizes, results = predictions[known][order], outcomes[known][order]
    parts = np.array_split(np.arange(len(sizes)), groups)
    return [
        Decile(
            number,
            len(part),
            float(sizes[part[0]]),
            float(sizes[part[-1]]),
            float(results[part].mean()),
            float((results[part] > 0).mean()),
        )
        for number, part in enumerate((one for one in parts if len(one)), 1)
    ]
