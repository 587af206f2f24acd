"""Ray and threads: the same run, bit for bit."""

from __future__ import annotations

import psutil
import pytest

from chronos_assets.compute.executor import ThreadExecutor, make_executor
from chronos_assets.compute.ray_executor import RayExecutor
from chronos_assets.compute.training import FoldFailure, FoldResult, FoldSpec
from chronos_assets.domain.folds import Layout, plan_folds
from chronos_assets.errors import DeviceError
from chronos_assets_tests.unit.test_training import make_data, make_recipe

# Ray's own deprecations and the sockets that its shutdown leaves to the garbage collector are none of this test's business.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_ray_equals_threads_bit_for_bit_and_leaves_nothing_behind() -> None:
    """A local Ray with two workers gives the models, predictions and thresholds of threads, failures too, and ends with its processes."""
    data, recipe = make_data(rows=500), make_recipe(transform="standardize")
    data.targets[:200] = float("nan")
    specs = [FoldSpec(fold, fold.split(0.8), str(fold.number), recipe) for fold in plan_folds(Layout("rolling", 150, 20, 40, 4), 500)]
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    threads = {r.fold.number: r for r in ThreadExecutor(2).map(data, specs)}
    rays = {r.fold.number: r for r in RayExecutor(2).map(data, specs)}
    assert rays.keys() == threads.keys()
    for number, mine in threads.items():
        theirs = rays[number]
        if isinstance(mine, FoldFailure) or isinstance(theirs, FoldFailure):
            assert mine == theirs
            continue
        assert (theirs.model, theirs.thresholds, theirs.best_score) == (mine.model, mine.thresholds, mine.best_score)
        assert theirs.predictions.tobytes() == mine.predictions.tobytes()
        assert theirs.val_predictions.tobytes() == mine.val_predictions.tobytes()
        assert theirs.importance == mine.importance
    assert {type(r) for r in rays.values()} == {FoldResult, FoldFailure}
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    _, alive = psutil.wait_procs(left, timeout=10)
    assert alive == []


def test_a_cluster_that_is_not_there_is_one_clear_error() -> None:
    """An address where no Ray answers is a DeviceError that names the setting."""
    executor = make_executor("ray", 2, ray_address="127.0.0.1:1")
    with pytest.raises(DeviceError, match="CHRONOS_RAY_ADDRESS"):
        next(iter(executor.map(make_data(), [])))
