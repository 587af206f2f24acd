"""A third learner, as somebody outside the product would write it: the mean target of the nearest fitted rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from chronos_assets.domain.learners import Cases, Features, Importance, Learner, Stop, Trained
from chronos_assets.domain.targets import Floats


class Nearest(Learner):
    """The mean label of the `neighbours` fitted rows that lie nearest."""

    summary: ClassVar[str] = "mean target of the nearest fitted rows"

    learner: Literal["nearest"] = "nearest"
    neighbours: int = Field(5, ge=1)

    def fit(
        self, fitted: Cases, validation: Cases, *, names: Sequence[str], device: str, stop: Stop | None
    ) -> tuple[Trained, float | None]:
        rows = Rows(np.nan_to_num(fitted.features).astype(np.float64), fitted.labels, min(self.neighbours, len(fitted.labels)))
        return rows, rows.validation_score(validation)

    @classmethod
    def load(cls, content: bytes) -> tuple[Trained, dict[str, str]]:
        document = json.loads(content)
        return Rows(np.array(document["rows"]), np.array(document["labels"]), document["neighbours"]), document["attributes"]


@dataclass(frozen=True)
class Rows:
    """The rows that it remembers, their labels, and how many answer."""

    rows: Floats
    labels: Floats
    neighbours: int

    @property
    def best_iteration(self) -> int | None:
        return None

    def outputs(self, features: Features) -> Floats:
        distances = ((np.nan_to_num(features).astype(np.float64)[:, None, :] - self.rows[None, :, :]) ** 2).sum(axis=2)
        nearest = np.argsort(distances, axis=1, kind="stable")[:, : self.neighbours]
        return np.ascontiguousarray(self.labels[nearest]).mean(axis=1)

    def validation_score(self, cases: Cases) -> float | None:
        return float(np.abs(self.outputs(cases.features) - cases.labels).mean())

    def importance(self, features: Features) -> Importance:
        spread = self.rows.std(axis=0)
        return Importance(spread.tolist(), [1] * len(spread), (spread * len(features)).tolist(), len(features))

    def save(self, attributes: Mapping[str, str], *, names: Sequence[str] | None = None) -> bytes:
        numbers = {"rows": self.rows.tolist(), "labels": self.labels.tolist(), "neighbours": self.neighbours}
        return json.dumps(numbers | {"attributes": dict(attributes)}).encode()


class Broken(Nearest):
    """A learner that fails in every fold."""

    learner: Literal["broken"] = "broken"  # type: ignore[assignment]

    def fit(self, fitted: Cases, validation: Cases, **others: object) -> tuple[Trained, float | None]:
        raise RuntimeError("it never learns")
