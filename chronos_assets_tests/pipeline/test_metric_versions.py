"""Metrics carry a version: a new one makes nothing wrong that was stored before it, and what a version has may not be missing."""

from __future__ import annotations

from typing import Any

import pytest

from chronos_assets.domain.metrics import METRIC_NAMES, METRICS_VERSION, SignalMetrics
from chronos_assets.pipeline.walkforward.checks import recompute_run_metrics
from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.pipeline.walkforward.summary import SUMMARY_NAMES, summarize
from chronos_assets.storage.runs import get_folds, get_run, read_predictions
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile

DAMAGES = [
    ("walkforward_folds", "metrics = metrics #- '{long,median}'", "metrics of long"),
    ("walkforward_folds", "metrics = metrics || '{\"version\": 99}'", "metrics of long"),
    ("walkforward_folds", "metrics = jsonb_set(metrics, '{both,sharpe}', '1')", "metrics of both"),
    ("walkforward_runs", "summary_metrics = summary_metrics - 'samples_test'", "summary samples_test"),
    ("walkforward_runs", "summary_metrics = summary_metrics #- '{short,std}'", "summary short"),
    ("walkforward_runs", "summary_metrics = summary_metrics || '{\"metrics_version\": 99}'", "summary metrics_version"),
]


def test_a_new_metric_makes_no_stored_fold_wrong(stores: Stores, unique_slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folds and summaries stored by version 1 agree with a program that knows a further metric; a missing or invented one does not."""
    publish(stores, unique_slug, make_bars(150))
    run_id = run_walkforward(unique_slug, small_profile(), stores, horizon=3, horizon_assumed=False).run_id
    run = get_run(stores.postgres, run_id)
    again = summarize(stores, run_id, run.feature_columns, read_predictions(stores, run_id), binary=False)
    assert METRIC_NAMES[METRICS_VERSION] == set(SignalMetrics.__dataclass_fields__)
    assert SUMMARY_NAMES[METRICS_VERSION] == again.keys() - {"metrics_version"}
    assert {fold.metrics["version"] for fold in get_folds(stores.postgres, run_id)} == {METRICS_VERSION}
    plain = SignalMetrics.as_json

    def with_skewness(self: SignalMetrics) -> dict[str, Any]:
        return plain(self) | {"skewness": 0.25}

    with monkeypatch.context() as later:
        later.setattr(SignalMetrics, "as_json", with_skewness)
        later.setitem(METRIC_NAMES, METRICS_VERSION + 1, METRIC_NAMES[METRICS_VERSION] | {"skewness"})
        later.setitem(SUMMARY_NAMES, METRICS_VERSION + 1, SUMMARY_NAMES[METRICS_VERSION])
        assert recompute_run_metrics(stores, run_id) == []
    for table, damage, what in DAMAGES:
        column = damage.split(" = ")[0]
        one = " AND fold_number = 2" if table == "walkforward_folds" else ""
        with stores.postgres.connection() as connection:
            (before,) = connection.execute(f"SELECT {column} AS kept FROM {table} WHERE run_id = %s{one}", [run_id]).fetchall()  # type: ignore[arg-type]
            connection.execute(f"UPDATE {table} SET {damage} WHERE run_id = %s{one}", [run_id])  # type: ignore[arg-type]
            assert what in {finding.what for finding in recompute_run_metrics(stores, run_id)}, damage
            connection.execute(f"UPDATE {table} SET {column} = %s::text::jsonb WHERE run_id = %s{one}", [_text(before["kept"]), run_id])  # type: ignore[arg-type]
    assert recompute_run_metrics(stores, run_id) == []


def _text(value: Any) -> str:
    import json

    return json.dumps(value)
