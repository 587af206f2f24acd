"""Parameters of a Local Feature Selection, with their ranges: a named profile of a manifest, and those that a fold's selector takes too."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from chronos_assets.domain.strict import StrictModel

MOST_FEATURES = 500
# Keys of the original program that have no meaning here.
RANDOM_KEYS = ("monte_carlo_trials", "solver")
NOTHING_RANDOM = (
    "there is no parameter {} here: the linear programs and their rounding are solved exactly, without a solver and without random trials. "
    "Nothing is random except permutations"
)


class LfsParameters(StrictModel):
    """What determines the set of every case."""

    bins: int = Field(3, ge=2, le=10, description="Classes that the target is cut into; equal values stay together.")
    max_kept: int = Field(3, ge=1, le=100, description="Most features that one case keeps.")
    iterations: int = Field(
        3, ge=1, le=10, description="Passes; from the second on, cases weigh each other by the sets of the pass before."
    )
    beta_trials: int = Field(20, ge=1, le=100, description="Levels of the between-class demand, and so most candidate sets of a case.")
    max_cases: int = Field(5_000, ge=50, description="More cases than this are refused: time grows with their square, and faster.")

    @model_validator(mode="before")
    @classmethod
    def _nothing_random(cls, value: Any) -> Any:
        for key in RANDOM_KEYS:
            if isinstance(value, dict) and key in value:
                raise ValueError(NOTHING_RANDOM.format(key))
        return value


class LfsProfile(LfsParameters):
    """One named `lfs` profile of a manifest."""

    target: str | None = Field(None, description="Target column; may be left out if the dataset has only one.")
    features: Literal["all"] | list[str] = Field("all", description="`all`, or patterns (`RSI*`); a pattern after `!` takes columns out.")
    start_row: int = Field(0, ge=0, description="First row.")
    end_row: Annotated[int, Field(ge=1)] | Literal["all"] | None = Field(
        None,
        description="First row not taken any more, or `all`; default: the end of the first training window of profile `default`.",
    )
    permutations: int = Field(99, ge=0, le=10_000, description="Permutations of the classes; 0: shares only, no p-values.")
    permutation: Literal["cyclic", "complete"] = Field(
        "cyclic", description="cyclic: classes rotated in time; complete: shuffled, which claims too much on a time series."
    )
    seed: int = Field(7, ge=0, le=2**63 - 1, description="Seed of the permutations.")
    threads: Annotated[int, Field(ge=1, le=256)] | None = Field(None, description="Threads; default: the cores. They change no result.")

    @field_validator("features", mode="before")
    @classmethod
    def _some_features(cls, value: Any) -> Any:
        if value != "all" and not (isinstance(value, list) and value and all(isinstance(item, str) for item in value)):
            raise ValueError("`all`, or a list of at least one pattern such as [RSI*, MACD]")
        return value

    @field_validator("end_row", mode="before")
    @classmethod
    def _row_or_all(cls, value: Any) -> Any:
        if value is None or value == "all" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
            return value
        raise ValueError("a row number (the first row not taken any more), at least 1, or `all`")

    @model_validator(mode="after")
    def _some_rows(self) -> Self:
        if isinstance(self.end_row, int) and self.end_row <= self.start_row:
            raise ValueError(f"end_row {self.end_row} must be greater than start_row {self.start_row}")
        return self
