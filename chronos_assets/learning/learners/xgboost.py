"""Gradient-boosted trees by XGBoost: parameters, training with early stopping, the model's file, and its importance.

One CPU thread per fold: two folds side by side beat one fold on two threads, and the bits do not depend on how many run at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import ConfigDict, Field

from chronos_assets.domain.learners import Cases, Features, Importance, Learner, Match, Stop, Trained, interrupted
from chronos_assets.domain.targets import Floats, TransformKind
from chronos_assets.errors import ProfileError

if TYPE_CHECKING:
    import xgboost as xgb

Objective = Literal["auto", "reg:squarederror", "reg:quantileerror", "reg:pseudohubererror", "binary:logistic"]
_NOT_ALLOWED = re.compile(r"[\[\]<]")
# Parameters that XGBoost knows by the name of the field.
_SAME_NAMES = (
    "eta",
    "max_depth",
    "min_child_weight",
    "subsample",
    "colsample_bytree",
    "reg_lambda",
    "reg_alpha",
    "gamma",
    "max_bin",
    "seed",
)


class XGBoost(Learner):
    """Gradient-boosted trees. Names are XGBoost's own if it has one."""

    model_config = ConfigDict(allow_inf_nan=False)
    libraries: ClassVar[tuple[str, ...]] = ("xgboost",)
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    bundle_file: ClassVar[str | None] = "model.ubj"
    summary: ClassVar[str] = "gradient-boosted trees with early stopping on the validation part"

    learner: Literal["xgboost"] = "xgboost"
    objective: Objective = Field("auto", description="auto: binary:logistic if the target holds only 0 and 1, else reg:squarederror.")
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

    def on_features(self, names: Sequence[str], match: Match) -> Self:
        """Monotone constraints by feature name; of two patterns that match a feature, the later one wins."""
        signs: dict[str, Literal[-1, 0, 1]] = {}
        for pattern, sign in self.monotone.items():
            signs |= dict.fromkeys(match(pattern), sign)
        return self.model_copy(update={"monotone": {name: signs[name] for name in names if signs.get(name)}})

    def on_target(self, *, binary: bool, transform: TransformKind) -> Self:
        """The objective settled; raises `ProfileError` if the logistic one meets another target, or a transformed one."""
        objective = self.objective
        if objective == "auto":
            objective = "binary:logistic" if binary else "reg:squarederror"
        if objective == "binary:logistic" and not binary:
            raise ProfileError("binary:logistic needs a target of 0 and 1", code="target_not_binary")
        if objective == "binary:logistic" and transform != "none":
            raise ProfileError(
                "binary:logistic cannot train on a transformed target",
                code="transform_of_binary",
                expected="target_transform none",
                found=transform,
            )
        return self.model_copy(update={"objective": objective})

    def booster_parameters(self, names: Sequence[str], *, device: str) -> dict[str, Any]:
        """XGBoost's own parameters for features in the order of `names`: one thread, silent."""
        parameters = {name: getattr(self, name) for name in _SAME_NAMES}
        parameters |= {"objective": self.objective, "device": device, "tree_method": "hist", "nthread": 1, "verbosity": 0}
        if self.objective == "reg:quantileerror":
            parameters["quantile_alpha"] = self.quantile_alpha
        if self.objective == "reg:pseudohubererror":
            parameters["huber_slope"] = self.huber_slope
        if any(self.monotone.values()):
            parameters["monotone_constraints"] = tuple(self.monotone.get(name, 0) for name in names)
        return parameters

    def fit(
        self, fitted: Cases, validation: Cases, *, names: Sequence[str], device: str, stop: Stop | None
    ) -> tuple[Trained, float | None]:
        """Boost until the validation score stops improving, and cut the booster there: every later use takes exactly those trees."""
        import xgboost as xgb

        scores: dict[str, dict[str, list[float]]] = {}
        booster = xgb.train(
            self.booster_parameters(names, device=device),
            _matrix(fitted),
            num_boost_round=self.rounds,
            evals=[(_matrix(validation), "validation")],
            evals_result=scores,
            early_stopping_rounds=self.early_stopping or None,
            verbose_eval=False,
            callbacks=None if stop is None else [_stop_when(stop)],
        )
        if stop is not None and stop():
            raise interrupted()
        (history,) = scores["validation"].values()
        best = booster.best_iteration if self.early_stopping else booster.num_boosted_rounds() - 1
        cut = booster if best + 1 == booster.num_boosted_rounds() else booster[: best + 1]
        return Trees(cut), (float(history[best]) if np.isfinite(history[best]) else None)

    @classmethod
    def load(cls, content: bytes) -> tuple[Trained, dict[str, str]]:
        """From UBJSON."""
        import xgboost as xgb

        booster = xgb.Booster({"nthread": 1})
        booster.load_model(bytearray(content))
        return Trees(booster), {name: value for name, value in booster.attributes().items() if value is not None}


@dataclass(frozen=True)
class Trees:
    """A booster that holds exactly the trees that predict."""

    booster: xgb.Booster

    @property
    def best_iteration(self) -> int | None:
        return int(self.booster.num_boosted_rounds()) - 1

    def outputs(self, features: Features) -> Floats:
        return np.asarray(self.booster.predict(self._matrix(features)), dtype=np.float64)

    def validation_score(self, cases: Cases) -> float | None:
        """The objective's own measure."""
        score = float(self.booster.eval(_matrix(cases, self.booster.feature_names)).rpartition(":")[2])
        return score if np.isfinite(score) else None

    def importance(self, features: Features) -> Importance:
        """Total gain and splits over all trees; |SHAP| over the rows, of which there may be none."""
        count = features.shape[1]
        contributions = self.booster.predict(self._matrix(features), pred_contribs=True) if len(features) else np.zeros((0, count))
        gain: dict[str, Any] = self.booster.get_score(importance_type="total_gain")
        splits: dict[str, Any] = self.booster.get_score(importance_type="weight")
        names = self.booster.feature_names or [f"f{i}" for i in range(count)]
        return Importance(
            [float(gain.get(n, 0.0)) for n in names],
            [int(splits.get(n, 0)) for n in names],
            np.abs(contributions[:, :count]).sum(axis=0, dtype=np.float64).tolist(),
            len(features),
        )

    def save(self, attributes: Mapping[str, str], *, names: Sequence[str] | None = None) -> bytes:
        """UBJSON, which XGBoost reads too. With `names`, XGBoost itself refuses other features, or another order of them."""
        self.booster.set_attr(**attributes)
        if names is not None:
            self.booster.feature_names = booster_names(names)
        return bytes(self.booster.save_raw(raw_format="ubj"))

    def _matrix(self, features: Features) -> xgb.DMatrix:
        return _matrix(Cases(features, np.empty(0)), self.booster.feature_names)


def booster_names(names: Sequence[str]) -> list[str]:
    """Names that XGBoost takes for features: it allows no `[`, `]` or `<`, so a name that holds one of them gets its position behind it."""
    return [f"{_NOT_ALLOWED.sub('_', name)}#{at}" if _NOT_ALLOWED.search(name) else name for at, name in enumerate(names)]


def _matrix(cases: Cases, names: Sequence[str] | None = None) -> xgb.DMatrix:
    import xgboost as xgb

    features = np.ascontiguousarray(cases.features, dtype=np.float32)
    labels = cases.labels if cases.labels.size else None
    return xgb.DMatrix(features, label=labels, weight=cases.weights, nthread=1, feature_names=None if names is None else list(names))


def _stop_when(stop: Stop) -> Any:
    import xgboost as xgb

    class StopWhenAsked(xgb.callback.TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            return stop()

    return StopWhenAsked()
