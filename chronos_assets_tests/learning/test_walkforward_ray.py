"""Ray and threads: the same run, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from chronos_assets.domain.fold_layout import Layout
from chronos_assets.domain.folds import plan_folds
from chronos_assets.errors import ServiceUnavailableError, UsageError
from chronos_assets.learning.executors.catalogue import open_executor
from chronos_assets.learning.executors.ray import RayExecutor
from chronos_assets.learning.executors.threads import ThreadExecutor
from chronos_assets.learning.training import FoldFailure, FoldResult, FoldSpec
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.settings import load_settings
from chronos_assets.storage.runs import get_folds, read_predictions
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.learning.test_training import make_data, make_recipe
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile

# Ray's own deprecations and the sockets that its shutdown leaves to the garbage collector are none of this test's business.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_a_cluster_that_is_not_there_is_one_clear_error() -> None:
    """An address where no Ray answers is a server that cannot be reached (exit 4), and the message names the setting."""
    executor = open_executor(load_settings(executor="ray", workers=2, ray_address="ray://127.0.0.1:1"))
    with pytest.raises(ServiceUnavailableError, match="CHRONOS_RAY_ADDRESS"):
        next(iter(executor.map(make_data(), [])))


def test_a_cluster_is_reached_from_outside_by_its_client_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address for nodes of the cluster is refused on a machine that is none, with the one to use; Ray would abort the process."""
    monkeypatch.setattr("psutil.process_iter", lambda _: iter([]))
    executor = open_executor(load_settings(executor="ray", ray_address="gpu-host:6379"))
    with pytest.raises(UsageError, match="CHRONOS_RAY_ADDRESS=ray://gpu-host:10001"):
        next(iter(executor.map(make_data(), [])))


def test_a_cluster_is_used_whole_unless_somebody_says_how_much() -> None:
    """Folds under way follow the cluster's CPUs, not this machine's; a local Ray and a setting follow the setting."""
    assert RayExecutor(None).workers is None
    cluster = {"executor": "ray", "ray_address": "ray://127.0.0.1:1"}
    assert [open_executor(load_settings(**one)).workers for one in (cluster, cluster | {"workers": 3})] == [None, 3]
    assert open_executor(load_settings(executor="ray", workers=3)).workers == 3


@pytest.fixture(scope="module")
def ray_of_two() -> Iterator[RayExecutor]:
    """One local Ray with two workers for the tests of this module; nothing of it is left afterwards."""
    executor, before = RayExecutor(2), {child.pid for child in psutil.Process().children(recursive=True)}
    with executor.session():
        yield executor
        new = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
        left = [child for child in new if any(word in " ".join(child.cmdline()) for word in ("/ray/", "ray::"))]
        assert left
    _, alive = psutil.wait_procs(left, timeout=300)
    assert alive == []


def test_ray_equals_threads_bit_for_bit(ray_of_two: RayExecutor) -> None:
    """A local Ray with two workers gives the models, predictions and thresholds of threads, failures too."""
    data, recipe = make_data(rows=500), make_recipe(transform="standardize")
    data.targets[:200] = float("nan")
    specs = [FoldSpec(fold, fold.split(0.8), str(fold.number), recipe) for fold in plan_folds(Layout("rolling", 150, 20, 40, 4), 500)]
    threads = {r.fold.number: r for r in ThreadExecutor(2).map(data, specs)}
    rays = {r.fold.number: r for r in ray_of_two.map(data, specs)}
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


def test_a_run_on_ray_is_the_run_on_threads(stores: Stores, unique_slug: str, ray_of_two: RayExecutor) -> None:
    """The whole use case on Ray stores the predictions, thresholds, metrics and keys that it stores on threads."""
    bars, twin = make_bars(160), unique_slug.replace("_1d_", "ray_1d_")
    found = []
    for slug, executor in ((unique_slug, ThreadExecutor(2)), (twin, ray_of_two)):
        publish(stores, slug, bars)
        result = run_walkforward(slug, small_profile(), stores, horizon=3, horizon_assumed=False, executor=executor)
        folds = [(f.fold_number, f.fold_key, f.thresholds, f.metrics, f.best_score) for f in get_folds(stores.postgres, result.run_id)]
        found.append((result.folds_trained, folds, read_predictions(stores, result.run_id).rows()))
    assert found[0] == found[1]
    assert found[0][0] == 9
