"""Ids and fold keys by construction: every field counts unless it is named, and a new field with a default renames nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from pydantic import BaseModel, Field

from chronos_assets.domain.identity import IDENTITY_DEFAULT, identity_of
from chronos_assets.domain.learners import LEARNERS
from chronos_assets.domain.profiles import simulation as simulation_profile
from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.selectors import SELECTORS
from chronos_assets.domain.strict import StrictModel
from chronos_assets.learning import keys, versions
from chronos_assets.learning.keys import FoldKeys
from chronos_assets.learning.learners.ridge import Ridge
from chronos_assets.learning.learners.xgboost import XGBoost
from chronos_assets.learning.selectors.all_features import AllFeatures
from chronos_assets.learning.training import FoldData, Recipe
from chronos_assets.pipeline.simulation.run import simulation_id_of
from chronos_assets.pipeline.walkforward import request as walkforward_request
from chronos_assets.pipeline.walkforward.request import name_run
from chronos_assets_tests.learning.test_training import FOLD, make_data, make_recipe
from chronos_assets_tests.support.nearest_learner import Nearest

# What may be left out of each id. A further name needs a reason beside the id, and a line here.
LEFT_OUT = {
    "run_id": {"baseline", "features.candidates"},
    "fold_key": {"selector.candidates"},
    "simulation_id": {"modes", "walkforward", "ohlcv_format"},
}
DEFAULTS_FILE = Path(__file__).with_name("identity_defaults.json")


def changes_of(model: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a model and of the models inside it, with a copy of the model in which that field alone has another value."""
    is_model = isinstance(model, BaseModel)
    for name in type(model).model_fields if is_model else [field.name for field in fields(model)]:
        value = getattr(model, name)
        others = changes_of(value, f"{name}.") if isinstance(value, BaseModel) else [(name, another(value))]
        for path, other in others:
            changed = model.model_copy(update={name: other}) if is_model else replace(model, **{name: other})
            yield prefix + path, changed


def another(value: Any) -> Any:
    """Another value of the same kind; nobody validates it."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, dict):
        return {**value, "further": 1}
    if isinstance(value, (list, tuple)):
        return [*value, "further"]
    return 1 if value is None else f"{value} further"


def run_id_of(profile: WalkforwardProfile) -> str:
    return name_run(dataset="btc_1d_v1", content="c", profile=profile, features=("a", "b"), horizon=3, code_version="training 2")


def key_of(recipe: Recipe, data: FoldData | None = None) -> str:
    return FoldKeys(data or make_data(), recipe).key(FOLD, FOLD.split(0.8))


def simulation_of(profile: SimulationProfile) -> str:
    return simulation_id_of("run", "long", profile, "prices")


@dataclass(frozen=True)
class Named:
    """One kind of id: the models it is made of, and what it may ignore."""

    models: list[Any]
    name: Callable[[Any], str]
    ignored: dict[str, str]


def kinds() -> dict[str, Named]:
    profiles = [WalkforwardProfile.model_validate({"model": {"learner": name}}) for name in LEARNERS.names]
    profiles += [WalkforwardProfile.model_validate({"features": {"select": name}}) for name in SELECTORS.names]
    recipes = [make_recipe(learner=profile.model, selector=profile.features) for profile in profiles]
    levels = {"stop_loss": {"percent": 2.0}, "trailing_stop": {"atr": 2.0}, "take_profit": {"percent": 2.0}}
    simulations = [SimulationProfile(), SimulationProfile.model_validate({"exits": levels})]
    return {
        "run_id": Named(profiles, run_id_of, dict(walkforward_request.IGNORED)),
        "fold_key": Named(recipes, key_of, dict(keys.IGNORED)),
        "simulation_id": Named(simulations, simulation_of, dict(simulation_profile.IGNORED)),
    }


@pytest.mark.parametrize("kind", ["run_id", "fold_key", "simulation_id"])
def test_every_field_counts_unless_it_is_named(kind: str) -> None:
    """Each field of profiles, recipes, learners and selectors changes the id, except exactly those on the list, which each exist."""
    named = kinds()[kind]
    silent: set[str] = set()
    for model in named.models:
        before = named.name(model)
        changed = {path: named.name(other) != before for path, other in changes_of(model)}
        assert len(changed) > 8
        silent |= {path for path, differs in changed.items() if not differs}
    assert silent == set(named.ignored) == LEFT_OUT[kind]
    assert all(len(reason) > 15 for reason in named.ignored.values())


def test_every_array_of_a_fold_counts() -> None:
    """A key changes with each array that folds share, so one that is added must enter it too."""
    data, recipe = replace(make_data(), weights=np.ones(300)), make_recipe()
    before = key_of(recipe, data)
    for field in fields(FoldData):
        values = getattr(data, field.name).copy()
        values[3] = 9.0
        assert key_of(recipe, replace(data, **{field.name: values})) != before, field.name


def test_a_new_field_with_a_default_renames_nothing() -> None:
    """A key that is added to a profile, a learner or a recipe leaves ids as they were, until somebody sets it."""

    class Wider(WalkforwardProfile):
        warm_up: int = 5

    assert run_id_of(Wider()) == run_id_of(WalkforwardProfile())
    assert run_id_of(Wider(warm_up=6)) != run_id_of(WalkforwardProfile())

    class Wiser(Ridge):
        degree: int = 1

    plain, changed = (WalkforwardProfile().model_copy(update={"model": learner}) for learner in (Ridge(), Wiser(degree=2)))
    assert run_id_of(plain) == run_id_of(plain.model_copy(update={"model": Wiser()})) != run_id_of(changed)

    @dataclass(frozen=True)
    class Richer(Recipe):
        warm_start: bool = False

    parts = {field.name: getattr(make_recipe(), field.name) for field in fields(Recipe)}
    assert key_of(Richer(**parts)) == key_of(make_recipe()) != key_of(Richer(**parts, warm_start=True))


def test_a_default_that_changes_renames_what_relied_on_it() -> None:
    """With its old value kept, a new default gives another identity, and the old value named gives the old one."""

    class Before(StrictModel):
        share: float = 0.05

    class Inner(StrictModel):
        share: float = Field(0.10, json_schema_extra={IDENTITY_DEFAULT: 0.05})

    class Outer(StrictModel):
        inner: Inner = Field(default_factory=Inner)

    assert identity_of(Before()) == identity_of(Inner(share=0.05)) == {}
    assert identity_of(Inner()) == identity_of(Before(share=0.10)) == {"share": 0.10}
    assert identity_of(Outer()) == {"inner": {"share": 0.10}}


def test_a_part_of_another_kind_is_never_taken_for_the_default() -> None:
    """A learner whose own defaults are untouched is told from the default learner, and from nothing at all."""
    learners = [XGBoost(), Ridge(), Nearest(), XGBoost(reg_alpha=3.0), Ridge(alpha=3.0)]
    profiles = [WalkforwardProfile().model_copy(update={"model": learner}) for learner in learners]
    assert len({run_id_of(profile) for profile in profiles}) == len(learners)
    assert len({identity_of(profile)["model"]["learner"] for profile in profiles[1:3]}) == 2
    assert run_id_of(profiles[0]) == run_id_of(WalkforwardProfile())
    assert len({key_of(make_recipe(learner=learner)) for learner in learners}) == len(learners)


def test_versions_that_decide_a_result_are_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training code, learner, selector and the learner's libraries change a key; NumPy does for the learner that names it alone."""

    def key_with(target: Any, name: str, recipe: Recipe) -> str:
        with monkeypatch.context() as other:
            other.setattr(target, name, "9.9")
            return key_of(recipe)

    trees, line = make_recipe(), make_recipe(learner=Ridge())
    decisive = [(versions, "TRAINING_CODE_VERSION"), (XGBoost, "version"), (AllFeatures, "version"), (xgboost, "__version__")]
    assert all(key_with(target, name, trees) != key_of(trees) for target, name in decisive)
    assert key_with(np, "__version__", trees) == key_of(trees)
    assert key_with(np, "__version__", line) != key_of(line) == key_with(xgboost, "__version__", line)


def test_the_order_of_monotone_patterns_counts() -> None:
    """Patterns are resolved to features before the id is made, so that two orders that mean different things are two runs."""
    names = ("RSI_S", "RSI_L")

    def match(pattern: str) -> set[str]:
        return {name for name in names if pattern in ("RSI*", name)}

    one, other = ({"RSI*": 1, "RSI_L": -1}, {"RSI_L": -1, "RSI*": 1})
    first, second = (XGBoost.model_validate({"monotone": order}).on_features(names, match) for order in (one, other))
    assert (first.monotone, second.monotone) == ({"RSI_S": 1, "RSI_L": -1}, {"RSI_S": 1, "RSI_L": 1})
    profile = WalkforwardProfile()
    assert run_id_of(profile.model_copy(update={"model": first})) != run_id_of(profile.model_copy(update={"model": second}))


def identity_defaults() -> dict[str, Any]:
    """The value of every field that an id leaves out, by model."""
    models: list[Any] = [WalkforwardProfile(), SimulationProfile(), make_recipe()]
    models += [WalkforwardProfile.model_validate({"model": {"learner": name}}).model for name in LEARNERS.names]
    models += [SELECTORS.parse({"select": name}) for name in SELECTORS.names]
    found: dict[str, Any] = {}
    while models:
        model = models.pop()
        kind = type(model)
        if kind.__name__ in found or not isinstance(model, BaseModel):
            models += [] if isinstance(model, BaseModel) else [getattr(model, f.name) for f in fields(model) if is_model(model, f.name)]
            continue
        models += [getattr(model, name) for name in kind.model_fields if is_model(model, name)]
        found[kind.__name__] = {name: default_of(kind, name) for name in kind.model_fields if not is_model(model, name)}
    return found


def is_model(model: Any, name: str) -> bool:
    return isinstance(getattr(model, name), BaseModel)


def default_of(kind: type[BaseModel], name: str) -> Any:
    info = kind.model_fields[name]
    extra = info.json_schema_extra
    return extra[IDENTITY_DEFAULT] if isinstance(extra, dict) and IDENTITY_DEFAULT in extra else info.get_default(call_default_factory=True)


def test_no_default_changes_unseen() -> None:
    """Ids leave defaults out, so a default that changes must keep its old value for them.

    If this fails because you changed a default: add `json_schema_extra={"identity_default": OLD}` to its field. If you added a field or a
    part: add its line to identity_defaults.json.
    """
    assert json.loads(json.dumps(identity_defaults())) == json.loads(DEFAULTS_FILE.read_text(encoding="utf-8"))
    required = [field.name for field in fields(Recipe) if field.default is dataclasses.MISSING]
    given = {field.name: field.default for field in fields(Recipe) if field.name not in required}
    assert given == {"device": "cpu", "transform": "none", "tanh_k": 1.0, "weight_half_life": None}
