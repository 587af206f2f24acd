"""`/runs/{id}/folds/{n}`: one fold, with its predictions against the target, thresholds, ROC and importance."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import polars as pl
from fastapi import APIRouter, Path, Request, Response

from chronos_assets.storage.runs import read_predictions
from chronos_assets.views import folds as views
from chronos_assets.views import runs as run_views
from chronos_assets.views.charts import histogram_chart, scatter_chart
from chronos_assets.web.context import stores_of
from chronos_assets.web.pages.rendering import page

router = APIRouter(prefix="/runs", include_in_schema=False)


@router.get("/{run_id}/folds/{number}")
def show_fold(request: Request, run_id: str, number: Annotated[int, Path(ge=0, le=2**31)]) -> Response:
    """One fold of a run."""
    stores = stores_of(request)
    run, fold = run_views.read_run(stores.postgres, run_id), views.read_fold(stores, run_id, number)
    tested = read_predictions(stores, run.run_id, [number])
    x, y = (tested[name].fill_null(np.nan).to_numpy() for name in ("prediction", "target_value"))
    marks = [float(value) for value in (fold.thresholds.get("long"), fold.thresholds.get("short")) if value is not None]
    charts = {"scatter": scatter_chart(x, y, marks, label=f"Predictions of {len(x)} test bars against their target")}
    for name, found in (("validation", fold.validation_predictions), ("test", fold.test_predictions)):
        if found is not None:
            charts[name] = histogram_chart(found.edges, found.counts, marks, label=f"Predictions of the {name} bars")
    if fold.roc:
        false, true = (np.array([getattr(point, name) for point in fold.roc]) for name in ("false_positive_rate", "true_positive_rate"))
        charts["roc"] = scatter_chart(false, true, [], label=f"ROC curve, area {fold.auc:.3f}", joined=True)
    # What a long signal on the bar returns: the target, or 2y - 1 of a 0/1 target.
    binary = bool((run.summary_metrics or {}).get("binary_target"))
    gain = 2.0 * pl.col("target_value") - 1.0 if binary else pl.col("target_value")
    rows = tested.with_columns(gain=gain.fill_nan(None)).to_dicts()
    finite = [float(value) for value in [*x, *marks] if np.isfinite(value)]
    ends = [min(finite), max(finite)] if finite else []
    return page(request, "fold.html", run=run, fold=fold, charts=charts, rows=rows, ends=ends)
