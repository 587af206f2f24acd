"""What a feature selector is: parameters, and the choice of a fold's features from its own fitted rows.

One class in one file below `learning/selectors/`, and one line in `SELECTORS`. A profile names it as `features: {select: NAME, from: ...}`;
`features: all` and a list of patterns are short for `{select: all, from: ...}`. Which columns a selector may choose from is settled by
`from` before any fold trains; what it chooses is settled fold by fold.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from chronos_assets.domain.learners import Features, Stop
from chronos_assets.domain.parts import Catalogue, Part
from chronos_assets.domain.targets import Floats

Patterns = Literal["all"] | list[str]


def require_patterns(value: Any) -> Any:
    """`value` if it is `all` or a list of patterns; raises `ValueError`."""
    if value != "all" and not (isinstance(value, list) and value and all(isinstance(item, str) for item in value)):
        raise ValueError("`all`, or a list of at least one pattern such as [RSI*, MACD]")
    return value


class Selector(Part):
    """Base of the selectors; its fields are what a profile may set below `features:`."""

    candidates: Patterns = Field("all", alias="from", description="`all`, or patterns (`RSI*`); a pattern after `!` takes columns out.")

    @property
    def name(self) -> str:
        """The selector's name in a profile."""
        return str(getattr(self, SELECTORS.field))

    @classmethod
    def class_for(cls, value: object) -> type[Selector] | None:
        """The class that a mapping of a profile asks for."""
        return SELECTORS.class_of(value)

    @field_validator("candidates", mode="before")
    @classmethod
    def _some(cls, value: Any) -> Any:
        return require_patterns(value)

    @abstractmethod
    def choose(self, features: Features, targets: Floats, *, names: Sequence[str], stop: Stop | None) -> NDArray[np.int64]:
        """Columns to train on, ascending, at least one; the same ones for the same rows.

        `features` float32 (rows, candidates), NaN for null, and `targets` float64 (rows,), known and untransformed, are the fold's fitted
        rows in time order: no row of validation or test. `names` are the candidates'. `stop` as in `Learner.fit`.
        """


SELECTORS: Catalogue[Selector] = Catalogue(
    "selector",
    "select",
    "all",
    {
        "all": "chronos_assets.learning.selectors.all_features:AllFeatures",
        "lfs": "chronos_assets.learning.selectors.local_features:LocalFeatures",
    },
)
