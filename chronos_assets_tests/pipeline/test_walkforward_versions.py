"""What trained a fold is told by who trained it: workers with other versions are refused, and every fold keeps its own."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import xgboost
from psycopg.types.json import Jsonb

import chronos_assets
from chronos_assets.errors import FoldsFailedError, VersionsDifferError
from chronos_assets.learning.executors.ray import RayExecutor
from chronos_assets.learning.executors.threads import ThreadExecutor
from chronos_assets.learning.training import FoldData, FoldFailure, FoldResult, FoldSpec
from chronos_assets.pipeline.validation.run import validate_run
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.storage.runs import begin_run, count_predictions, get_folds, get_run, list_runs
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile

# Ray's own deprecations and the sockets that its shutdown leaves to the garbage collector are none of this test's business.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def prepare_worker(path: str) -> Callable[[], None]:
    """What a worker does before its first task: it takes the product from another place and finds another XGBoost."""

    def before() -> None:
        import sys

        sys.path.insert(0, path)
        import xgboost

        xgboost.__version__ = "3.1.3"

    return before


@pytest.fixture
def other_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayExecutor]:
    """A local Ray whose workers import a copy of the product with one line of `domain/thresholds.py` changed, beside another XGBoost."""
    import ray

    package = Path(chronos_assets.__file__).parent
    copy = tmp_path / "elsewhere" / package.name
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    changed = copy / "domain" / "thresholds.py"
    text = changed.read_text(encoding="utf-8")
    changed.write_text(text.replace("EQUAL_WITHIN = 1e-12", "EQUAL_WITHIN = 1e-3"), encoding="utf-8")
    assert changed.read_text(encoding="utf-8") != text
    monkeypatch.chdir(tmp_path)  # Ray puts the driver's folder first on its workers' path
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env={"worker_process_setup_hook": prepare_worker(str(copy.parent))},
    )
    yield RayExecutor(1)
    ray.shutdown()


def test_a_worker_with_other_versions_is_refused_before_anything_is_written(
    stores: Stores, unique_slug: str, other_ray: RayExecutor
) -> None:
    """A real Ray worker with another XGBoost and other training code: the run is refused by name of both, and 0 rows are written."""
    publish(stores, unique_slug, make_bars(150))
    with pytest.raises(VersionsDifferError) as refused:
        run_walkforward(unique_slug, small_profile(), stores, horizon=3, horizon_assumed=False, executor=other_ray)
    assert refused.value.exit_code == 3
    assert f"xgboost {xgboost.__version__}, sources " in str(refused.value.expected)
    assert "xgboost 3.1.3, sources " in str(refused.value.found)
    assert list_runs(stores.postgres, unique_slug) == []
    run_id = run_walkforward(unique_slug, small_profile(), stores, horizon=3, horizon_assumed=False, executor=ThreadExecutor(2)).run_id
    assert count_predictions(stores, [run_id]) == {run_id: 8 * 10}


class LateWorker(ThreadExecutor):
    """Threads, among them one that joined after the first look and says another XGBoost of every third fold that it trained."""

    def map(self, data: FoldData, specs: Iterable[FoldSpec]) -> Generator[FoldResult | FoldFailure]:
        for result in super().map(data, specs):
            late = isinstance(result, FoldResult) and result.fold.number % 3 == 0
            yield replace(result, versions=result.versions | {"xgboost": "3.1.3"}) if late else result  # type: ignore[type-var,union-attr]


def test_a_result_of_other_versions_is_not_stored(stores: Stores, unique_slug: str) -> None:
    """A fold whose worker tells other versions fails by name; the others are kept, and the same request trains just that fold again."""
    publish(stores, unique_slug, make_bars(150))
    with pytest.raises(FoldsFailedError, match=r"trains with xgboost 3\.1\.3; expected xgboost"):
        run_walkforward(unique_slug, small_profile(), stores, horizon=3, horizon_assumed=False, executor=LateWorker(2))
    (run,) = list_runs(stores.postgres, unique_slug)
    assert [fold.fold_number for fold in get_folds(stores.postgres, run.run_id)] == [1, 2, 4, 5, 7]
    again = run_walkforward(unique_slug, small_profile(), stores, horizon=3, horizon_assumed=False, executor=ThreadExecutor(2))
    assert (again.run_id, again.folds_trained, again.status) == (run.run_id, 3, "completed")


def test_every_fold_keeps_the_versions_that_trained_it(stores: Stores, unique_slug: str) -> None:
    """Folds say training code, XGBoost, NumPy and sources, also where they were copied, and validation compares them with the run's."""
    whole = make_bars(170, trailing_nulls=0)
    publish(stores, unique_slug, whole.head(150))
    first = run_walkforward(unique_slug, small_profile(), stores, horizon=3, horizon_assumed=False)
    publish(stores, unique_slug, whole)
    second = run_walkforward(unique_slug, small_profile(), stores, horizon=3, horizon_assumed=False)
    assert second.folds_copied == 8
    for run_id in (first.run_id, second.run_id):
        for fold in get_folds(stores.postgres, run_id):
            assert fold.versions is not None
            assert (fold.versions["xgboost"], fold.versions["numpy"]) == (xgboost.__version__, numpy.__version__)
            assert len(fold.versions["sources"]) == 12
    check = "folds were trained with the versions that the run names"
    assert {c.name: c.passed for c in validate_run(second.run_id, stores).checks}[check] is True
    with stores.postgres.connection() as connection:
        connection.execute(
            "UPDATE walkforward_folds SET versions = versions || %s WHERE run_id = %s AND fold_number = 2",
            [Jsonb({"xgboost": "3.1.3"}), second.run_id],
        )
    report = validate_run(second.run_id, stores)
    assert [c.name for c in report.checks if c.passed is False] == [check]
    assert (report.findings[0]["fold"], "xgboost 3.1.3" in str(report.findings[0]["found"])) == (2, True)


def test_a_stored_request_names_its_run_whatever_the_profile_says(stores: Stores, unique_slug: str) -> None:
    """The id computed again from a run's row is the run's, with every kind of key set, and another one once a key is changed in the row."""
    from chronos_assets.pipeline.validation.folds import identity_findings
    from chronos_assets.pipeline.walkforward.run import plan_request

    publish(stores, unique_slug, make_bars(260))
    requests = [
        {"weight_column": "FEAT_3", "weight_half_life": 40.0, "target_transform": "tanh", "tanh_k": 2.0, "baseline": "ridge"},
        {"features": ["feat_*", "!feat_2"], "window": "anchored", "initial_offset": 5, "start_fold": 1, "end_fold": 4, "step": 12},
        {"model": {"lambda": 3, "monotone": {"feat_*": 1, "feat_1": -1}, "min_child_weight": 1e22}, "val_split_ratio": 0.7},
        {"train_size": None, "test_size": None, "train": "2M", "test": "1M", "gap": 3, "thresholds": {"method": "percentile"}},
        {"model": {"learner": "ridge", "alpha": 1e-3}},
    ]
    ids = set()
    for changes in requests:
        request = plan_request(unique_slug, small_profile(**changes), stores, horizon=3, horizon_assumed=False)
        begin_run(stores.postgres, request.row("test"))
        run = get_run(stores.postgres, request.run_id)
        assert identity_findings(run) == [], changes
        ids.add(run.run_id)
        changed = replace(run, walk_config=run.walk_config | {"val_split_ratio": 0.75})
        assert [finding.what for finding in identity_findings(changed)] == ["run_id of the stored request"]  # type: ignore[union-attr]
    assert len(ids) == len(requests)
