"""The walk-forward profile: every parameter of a run, with its range, its default and one line that says what it does.

A profile is what people write below `walkforward:` in a manifest. What depends on the dataset (the target when none is named, sizes
when none are given, the gap when only the horizon is known) stays None here and is decided by `domain.folds` and `pipeline.walkforward`.
The parameters of learners and selectors are theirs (`domain.learners`, `domain.selectors`).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, SerializeAsAny, field_validator, model_validator

from chronos_assets.domain.learners import LEARNERS, Learner
from chronos_assets.domain.selectors import SELECTORS, Selector, require_patterns
from chronos_assets.domain.strict import StrictModel

LFS_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CALENDAR_WINDOW = re.compile(r"([1-9][0-9]{0,3})([dwMy])")


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
            raise ValueError(f"short_percentile {self.short_percentile} must be below long_percentile {self.long_percentile}")
        return self


class WalkforwardProfile(StrictModel):
    """One walk-forward request. Sizes are bars; `train`, `test` and a text `step` are calendar windows such as `2y`, `1M`, `2w`, `30d`."""

    model_config = ConfigDict(allow_inf_nan=False)

    target: str | None = Field(None, description="Target column; default: the dataset's first target.")
    features: SerializeAsAny[Selector] = Field(
        default_factory=lambda: SELECTORS.parse({}),
        description="`all`, patterns (`RSI*`, `!RSI_L`), or a selector: `{select: NAME, from: ...}`.",
    )
    features_from: str | None = Field(
        None, description="The whole `lfs_id` of the feature selection that the list in `features` was taken from."
    )
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
    weight_column: str | None = Field(None, description="Column of sample weights; it is then not a feature.")
    weight_half_life: Annotated[float, Field(gt=0)] | None = Field(None, description="Bars after which a training row weighs half.")
    device: Literal["auto", "cpu", "cuda"] | None = Field(None, description="Device of this run; default: the setting CHRONOS_DEVICE.")
    model: SerializeAsAny[Learner] = Field(
        default_factory=lambda: LEARNERS.parse({}), description="The learner (`learner`, default xgboost) and its parameters."
    )
    thresholds: ThresholdProfile = Field(default_factory=ThresholdProfile)
    baseline: str | None = Field(None, description="A learner that is run beside this one with its defaults, for comparison.")

    @field_validator("features", mode="before")
    @classmethod
    def _selector(cls, value: Any) -> Any:
        short = isinstance(value, (str, list))
        return SELECTORS.parse({"from": require_patterns(value)} if short else value)

    @field_validator("model", mode="before")
    @classmethod
    def _learner(cls, value: Any) -> Any:
        return LEARNERS.parse(value)

    @field_validator("baseline", mode="after")
    @classmethod
    def _known_learner(cls, value: str | None) -> str | None:
        if value is not None:
            LEARNERS.find(value)
        return value

    @field_validator("features_from", mode="after")
    @classmethod
    def _whole_id(cls, value: str | None) -> str | None:
        if value is not None and LFS_ID.fullmatch(value) is None:
            raise ValueError("the whole id of a feature selection, as `chronos selections list` shows it")
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
            raise ValueError("`step` must be in bars if the windows are in bars, and in calendar units if they are")
        if self.end_fold is not None and self.end_fold <= self.start_fold:
            raise ValueError("end_fold must be greater than start_fold")
        if isinstance(self.step, int) and self.test_size is not None and self.step < self.test_size:
            raise ValueError("step must be at least test_size, else a bar would be predicted twice")
        return self

    @model_validator(mode="after")
    def _a_list_from_somewhere(self) -> WalkforwardProfile:
        if self.features_from is not None and self.features.candidates == "all":
            raise ValueError("features_from says where a list of features comes from: name them in `features`")
        return self

    @property
    def is_calendar(self) -> bool:
        """Whether windows are lengths of the calendar rather than counts of bars."""
        return self.train is not None
