"""The walk-forward profile: every parameter of a run, with its range, its default and one line that says what it does.

A profile is what people write below `walkforward:` in a manifest. What depends on the dataset (the target when none is named, sizes
when none are given, the gap when only the horizon is known) stays None here and is decided by `domain.folds` and `pipeline.walkforward`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from chronos_assets.domain.strict import StrictModel

CALENDAR_WINDOW = re.compile(r"([1-9][0-9]{0,3})([dwMy])")

Objective = Literal["auto", "reg:squarederror", "reg:quantileerror", "reg:pseudohubererror", "binary:logistic"]


class ModelProfile(StrictModel):
    """Parameters of XGBoost. Names are XGBoost's own where it has one."""

    model_config = ConfigDict(allow_inf_nan=False)

    objective: Objective = Field("auto", description="auto: binary:logistic where the target holds only 0 and 1, else reg:squarederror.")
    quantile_alpha: float = Field(0.5, gt=0, lt=1, description="The quantile that reg:quantileerror predicts.")
    huber_slope: float = Field(1.0, gt=0, description="Where reg:pseudohubererror turns from square to line.")
    eta: float = Field(0.01, gt=0, le=1, description="Learning rate.")
    max_depth: int = Field(4, ge=1, le=16)
    min_child_weight: float = Field(10.0, ge=0)
    subsample: float = Field(0.8, gt=0, le=1)
    colsample_bytree: float = Field(0.7, gt=0, le=1)
    reg_lambda: float = Field(2.0, ge=0, alias="lambda", description="L2 penalty.")
    reg_alpha: float = Field(0.0, ge=0, alias="alpha", description="L1 penalty.")
    gamma: float = Field(0.0, ge=0, description="Least gain of a split.")
    max_bin: int = Field(256, ge=2, le=65_536)
    rounds: int = Field(2000, ge=1, le=100_000, description="Most boosting rounds.")
    early_stopping: int = Field(50, ge=0, description="Rounds without a better validation score before training stops; 0: never.")
    seed: int = Field(7, ge=0, le=2**31 - 1)
    monotone: dict[str, Literal[-1, 0, 1]] = Field(default_factory=dict, description="Feature pattern -> -1 falling, 1 rising.")


class ThresholdProfile(StrictModel):
    """How the two thresholds of a fold are chosen."""

    model_config = ConfigDict(allow_inf_nan=False)

    method: Literal["optimal", "percentile", "zero"] = "optimal"
    min_fraction: float = Field(0.10, gt=0, le=1, description="Least share of the cases that a side keeps (optimal).")
    data: Literal["validation", "train", "both"] = Field("validation", description="Cases that thresholds are chosen on.")
    long_percentile: float = Field(95.0, ge=0, le=100)
    short_percentile: float = Field(5.0, ge=0, le=100)

    @model_validator(mode="after")
    def _sides_apart(self) -> Self:
        if self.short_percentile >= self.long_percentile:
            raise ValueError(f"short_percentile {self.short_percentile} must lie below long_percentile {self.long_percentile}")
        return self


class WalkforwardProfile(StrictModel):
    """One walk-forward request. Sizes are bars; `train`, `test` and a text `step` are calendar windows such as `2y`, `1M`, `2w`, `30d`."""

    model_config = ConfigDict(allow_inf_nan=False)

    target: str | None = Field(None, description="Target column; the dataset's first target where none is named.")
    features: Literal["all"] | list[str] = Field("all", description="`all`, or patterns (`RSI*`); a pattern after `!` takes columns out.")
    window: Literal["rolling", "anchored"] = "rolling"
    train_size: Annotated[int, Field(ge=1)] | None = None
    test_size: Annotated[int, Field(ge=1)] | None = None
    train: str | None = Field(None, description="Calendar length of the train window instead of train_size.")
    test: str | None = Field(None, description="Calendar length of the test window instead of test_size.")
    gap: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Bars between train and test; default: the target's horizon less one."
    )
    step: Annotated[int, Field(ge=1)] | str | None = Field(
        None, description="Bars (or calendar length) between folds; default: the test size."
    )
    initial_offset: int = Field(0, ge=0, description="Bars left out before the first fold.")
    start_fold: int = Field(0, ge=0, description="First fold that is taken.")
    end_fold: Annotated[int, Field(ge=0)] | None = Field(None, description="First fold that is not taken any more.")
    val_split_ratio: float = Field(0.8, gt=0, lt=1, description="Share of the train window before the validation part.")
    target_transform: Literal["none", "standardize", "tanh"] = "none"
    tanh_k: float = Field(1.0, gt=0, le=100)
    weight_column: str | None = Field(None, description="Column of sample weights; it is no feature then.")
    weight_half_life: Annotated[float, Field(gt=0)] | None = Field(None, description="Bars after which a training row weighs half.")
    device: Literal["auto", "cpu", "cuda"] | None = Field(None, description="Device of this run; default: the setting CHRONOS_DEVICE.")
    model: ModelProfile = Field(default_factory=ModelProfile)
    thresholds: ThresholdProfile = Field(default_factory=ThresholdProfile)

    @field_validator("features", mode="before")
    @classmethod
    def _some_features(cls, value: Any) -> Any:
        if value != "all" and not (isinstance(value, list) and value and all(isinstance(item, str) for item in value)):
            raise ValueError("`all`, or a list of at least one pattern such as [RSI*, MACD]")
        return value

    @field_validator("step", mode="before")
    @classmethod
    def _bars_or_calendar(cls, value: Any) -> Any:
        counts = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if value is not None and not counts and not isinstance(value, str):
            raise ValueError("a whole number of bars, at least 1, or a calendar length such as `1M`")
        return value

    @field_validator("train", "test", "step", mode="after")
    @classmethod
    def _calendar(cls, value: int | str | None) -> int | str | None:
        if isinstance(value, str) and CALENDAR_WINDOW.fullmatch(value) is None:
            raise ValueError("a calendar window is a count and one of d, w, M, y: `30d`, `2w`, `1M`, `2y`")
        return value

    @model_validator(mode="after")
    def _one_kind_of_window(self) -> WalkforwardProfile:
        calendar = [self.train is not None, self.test is not None]
        if any(calendar) and not all(calendar):
            raise ValueError("calendar windows need both `train` and `test`")
        if any(calendar) and (self.train_size is not None or self.test_size is not None):
            raise ValueError("give `train` and `test` (calendar) or `train_size` and `test_size` (bars), not both")
        if isinstance(self.step, str) != any(calendar) and self.step is not None:
            raise ValueError("`step` is counted in bars where the windows are, and in calendar units where they are")
        if self.end_fold is not None and self.end_fold <= self.start_fold:
            raise ValueError("end_fold must be greater than start_fold")
        if isinstance(self.step, int) and self.test_size is not None and self.step < self.test_size:
            raise ValueError("step must be at least test_size, else a bar would be predicted twice")
        return self

    @property
    def is_calendar(self) -> bool:
        """Whether windows are lengths of the calendar rather than counts of bars."""
        return self.train is not None
