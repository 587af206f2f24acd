"""Wrong inputs, flipped bytes and other futures: how many get through."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from benchmarks.figures import Figure, none_of
from benchmarks.models.workplace import FEATURES, HORIZON, profile_of, walked
from chronos_assets.learning.keys import FoldKeys
from chronos_assets.learning.training import FoldResult, FoldSpec, train_fold
from chronos_assets.pipeline.models.train import open_fold
from chronos_assets.pipeline.walkforward.data import make_recipe, read_run_data
from chronos_assets.pipeline.walkforward.run import plan_request
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.walkforward_data import make_bars
from chronos_assets_tests.support.wrong_inputs import WRONG
from chronos_bundle import Bundle, BundleError

KINDS = list(WRONG.values())
AS_FRAMES = (lambda inputs: inputs, pd.DataFrame, pl.DataFrame, lambda inputs: pl.DataFrame(inputs).to_arrow())


def window() -> dict[str, Any]:
    """The bars of the live window, as columns that may be changed."""
    rows = make_bars(97).tail(5)
    features = {name: rows[name].fill_null(np.nan).to_numpy(writable=True) for name in FEATURES}
    return {"timestamp_unix": rows["timestamp_unix"].to_numpy(writable=True), **features}


def wrong_inputs(bundle: Bundle, count: int, random: np.random.Generator) -> tuple[int, int]:
    """Perturbed inputs, each with one to three changes: how many were predicted, and how many failed by something else than a refusal."""
    silent = other = 0
    for turn in range(count):
        inputs: Any = window()
        chosen = [turn % len(KINDS), *random.integers(0, len(KINDS), int(random.integers(0, 3)))]
        for kind in chosen:
            try:
                changed = KINDS[kind](inputs, FEATURES[int(random.integers(len(FEATURES)))])
            except (AttributeError, KeyError, TypeError, ValueError):
                continue  # an earlier change took away what this one changes
            inputs = changed
            if not isinstance(inputs, dict):
                break
        try:
            bundle.predict(inputs)
            silent += 1
        except BundleError:
            pass
        except Exception as error:
            other += 1
            print(f"      {[list(WRONG)[kind] for kind in chosen]}: {type(error).__name__}: {error}"[:160], flush=True)
    return silent, other


def permuted(bundle: Bundle, count: int, random: np.random.Generator) -> int:
    """Inputs in another order and of another kind: how many predictions differ by a bit."""
    due, differing = bundle.predict(window()), 0
    for turn in range(count):
        inputs = window()
        names = list(inputs)
        random.shuffle(names)
        differing += bundle.predict(AS_FRAMES[turn % len(AS_FRAMES)]({name: inputs[name] for name in names})) != due
    return differing


def flipped(path: Path, copy: Path, count: int, random: np.random.Generator) -> Iterator[tuple[str, int, int]]:
    """Each file of a bundle with one bit flipped, `count` times and at both ends: its name, flips, and how many were opened."""
    shutil.copytree(path, copy)
    for file in sorted(copy.iterdir()):
        content = file.read_bytes()
        places = [0, len(content) - 1, *random.integers(0, len(content), count).tolist()]
        opened = 0
        for at in places:
            changed = bytearray(content)
            changed[at] ^= 1 << int(random.integers(8))
            file.write_bytes(bytes(changed))
            opened += _opens(copy)
        file.write_bytes(content)
        yield file.name, len(places), opened
    shutil.rmtree(copy)


def _opens(path: Path) -> bool:
    try:
        Bundle.open(path)
    except BundleError:
        return False
    return True


def futures(bundle: Bundle, count: int, random: np.random.Generator) -> int:
    """Bars behind a bar changed or taken away: how many predictions of the bars up to it change."""
    due, changed = bundle.predict(window()), 0
    for turn in range(count):
        last, inputs = int(random.integers(0, 5)), window()
        for name in FEATURES:
            inputs[name][last + 1 :] = random.normal(size=4 - last) * 10.0 ** random.integers(-3, 4)
        given = {name: values[: last + 1] for name, values in inputs.items()} if turn % 2 else inputs
        changed += bundle.predict(given)[: last + 1] != due[: last + 1]
    return changed


def trained_on_futures(stores: Stores, count: int, random: np.random.Generator) -> int:
    """Every bar and target behind the training rows replaced: how many live models are not the same bytes with the same thresholds."""
    slug, profile = "futures_1d_v1", profile_of()
    walked(stores, slug, profile)
    request = plan_request(slug, profile, stores, horizon=HORIZON, horizon_assumed=False)
    data = read_run_data(stores, request)
    training = open_fold(request, data).training
    split, recipe = training.split(profile.val_split_ratio), make_recipe(request, data)

    def train(arrays: Any) -> tuple[Any, ...]:
        result = train_fold(arrays, FoldSpec(training, split, FoldKeys(arrays, recipe).key(training, split), recipe))
        assert isinstance(result, FoldResult)
        return result.key, result.model, result.thresholds, result.val_predictions.tobytes()

    due, differing = train(data.arrays), 0
    for _ in range(count):
        features, targets = data.arrays.features.copy(), data.arrays.targets.copy()
        behind = len(features) - training.train_end
        features[training.train_end :] = random.normal(size=(behind, features.shape[1])) * 10.0 ** random.integers(-3, 4)
        targets[training.train_end :] = random.normal(size=behind)
        differing += train(replace(data.arrays, features=features, targets=targets)) != due
    return differing


def figures(stores: Stores, paths: dict[str, Path], folder: Path, *, perturbations: int, flips: int, seed: int) -> Iterator[Figure]:
    """All of this module, for a bundle of each learner."""
    for learner, path in paths.items():
        bundle, random = Bundle.open(path), np.random.default_rng(seed)
        silent, other = wrong_inputs(bundle, perturbations, random)
        yield none_of(f"wrong inputs, {learner}", silent, perturbations, "predicted")
        yield none_of(f"wrong inputs, {learner}", other, perturbations, "ended by another error than a refusal")
        yield none_of(
            f"columns in another order and frame, {learner}", permuted(bundle, perturbations // 10, random), perturbations // 10, "differ"
        )
        yield none_of(f"future bars changed, {learner}", futures(bundle, perturbations, random), perturbations, "predictions changed")
        for name, count, opened in flipped(path, folder / f"flipped-{learner}", flips, random):
            yield none_of(f"one bit flipped in {name}, {learner}", opened, count, "opened")
    differing = trained_on_futures(stores, perturbations, np.random.default_rng(seed))
    yield none_of("bars behind the training rows changed", differing, perturbations, "live models differ")
