"""One fold as readers see it: its row, its importance, its predictions as histograms, and how well they rank the target's sign."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from chronos_assets.errors import FileError, NotPublishedError
from chronos_assets.storage.fold_artifacts import FoldArtifacts
from chronos_assets.storage.queries import query
from chronos_assets.storage.runs import FoldRecord, RunRecord, fold_from, get_folds, get_run, read_predictions
from chronos_assets.storage.stores import Stores
from chronos_assets.views import documents as doc
from chronos_assets.views.runs import fold_document, ranked, running_sums

BINS = 20
Floats = npt.NDArray[np.float64]


def read_fold(stores: Stores, run_id: str, number: int) -> doc.FoldDetail:
    """A fold of a run; raises `NotPublishedError` if the run or the fold is not stored."""
    run = get_run(stores.postgres, run_id)
    with stores.postgres.connection() as connection:
        row = connection.execute(query("fold_get"), {"run_id": run.run_id, "fold_number": number}).fetchone()
    if row is None:
        raise NotPublishedError(
            f"run {run.run_id} has stored no fold {number}", code="fold_unknown", hint="Folds are counted from 0; the run lists its own."
        )
    fold = fold_from(row)
    folds = get_folds(stores.postgres, run.run_id)
    sums = dict(zip((one.fold_number for one in folds), running_sums(folds), strict=True))
    tested = read_predictions(stores, run.run_id, [number])
    predictions, targets = (tested[name].fill_null(np.nan).to_numpy() for name in ("prediction", "target_value"))
    points, area = roc(predictions, targets)
    return doc.FoldDetail(
        **fold_document(fold, sums.get(number)).model_dump(),
        importance=_importance(fold, run),
        validation_predictions=_validation(stores, fold),
        test_predictions=histogram(predictions),
        roc=points,
        auc=area,
    )


def histogram(values: Floats) -> doc.Histogram | None:
    """Counts of the finite values in equal bins from the smallest to the largest; None without any."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    counts, edges = np.histogram(finite, bins=BINS)
    return doc.Histogram(edges=edges.tolist(), counts=counts.tolist())


def roc(predictions: Floats, targets: Floats) -> tuple[list[doc.RocPoint], float | None]:
    """Receiver operating characteristic of predicting that the target is above 0, and the area under it (ties count half).

    Empty and None if all targets have one sign. Source: Fawcett, "An introduction to ROC analysis" (2006), algorithm 1.
    """
    known = np.isfinite(predictions) & np.isfinite(targets)
    scores, positive = predictions[known], targets[known] > 0
    if positive.all() or not positive.any():
        return [], None
    order = np.argsort(-scores, kind="stable")
    scores, positive = scores[order], positive[order]
    ends = np.r_[np.flatnonzero(np.diff(scores)), len(scores) - 1]  # cases of equal score are let through together
    true = np.cumsum(positive)[ends] / positive.sum()
    false = np.cumsum(~positive)[ends] / (~positive).sum()
    area = float(np.trapezoid(np.r_[0.0, true], np.r_[0.0, false]))
    cuts: list[float | None] = [None, *scores[ends].tolist()]
    rates = zip(cuts, [0.0, *false.tolist()], [0.0, *true.tolist()], strict=True)
    return [doc.RocPoint(threshold=cut, false_positive_rate=f, true_positive_rate=t) for cut, f, t in rates], area


def _importance(fold: FoldRecord, run: RunRecord) -> list[doc.Importance]:
    if not fold.importance:
        return []
    rows = max(1, int(fold.importance["rows"]))
    parts = zip(run.feature_columns, *(fold.importance[name] for name in ("total_gain", "splits", "shap_sum")), strict=False)
    return ranked({name: (gain / splits if splits else 0.0, int(splits), shap / rows) for name, gain, splits, shap in parts})


def _validation(stores: Stores, fold: FoldRecord) -> doc.Histogram | None:
    """Predictions of the validation part; None if this machine does not have the fold's files, or not as they were stored."""
    try:
        return histogram(FoldArtifacts(stores.artifacts).validation(fold.files).predictions)
    except FileError:
        return None
