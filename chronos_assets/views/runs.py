"""Walk-forward runs as readers see them: pages, one run with its folds, importance, and what differs between runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl

from chronos_assets.domain.lfs.honesty import FeatureOrigin
from chronos_assets.domain.lfs.shares import SLICES, share_over_time, slice_edges
from chronos_assets.domain.statistics.significance import sign_test
from chronos_assets.errors import NotPublishedError, UsageError
from chronos_assets.pipeline.upkeep.retire import run_spaces
from chronos_assets.pipeline.walkforward.summary import remarks
from chronos_assets.storage.listing import RUNS, RUNS_WITH_IMPORTANCE, After, fold_sums, list_page
from chronos_assets.storage.postgres import Postgres, Row
from chronos_assets.storage.queries import query
from chronos_assets.storage.reading import NOTHING_STORED
from chronos_assets.storage.run_standings import RunStanding, beside_runs
from chronos_assets.storage.runs import FoldRecord, get_folds, get_run
from chronos_assets.storage.stores import Stores
from chronos_assets.views import documents as doc
from chronos_assets.views.liveness import dead_runs, with_dead_runs
from chronos_assets.views.pages import Page, after_of, cursor_of

NEWEST_FIRST = "-created_at"
COMPARED = range(2, 9)
# Rows that one export of the list holds at most.
MOST_EXPORTED = 100_000


def list_runs(
    postgres: Postgres, filters: Mapping[str, Any], *, sort: str = NEWEST_FIRST, limit: int = 100, cursor: str | None = None
) -> Page[doc.Run]:
    """A page of runs without their feature importance. `filters`: those of `storage.listing.RUNS`; None does not count."""
    after = after_of(cursor, sort)
    try:
        dead = dead_runs(postgres) if filters.get("status") else None
        page = list_page(postgres, RUNS, filters, sort=sort, limit=limit, after=after, dead=sorted(dead or ()))
    except NotPublishedError as error:
        if error.code != NOTHING_STORED:
            raise
        return Page([], 0)
    return Page(_runs(postgres, page.rows, dead), page.total, cursor_of(sort, page.next))


def table_of_runs(postgres: Postgres, filters: Mapping[str, Any]) -> pl.DataFrame:
    """All runs that `filters` choose, the newest first, one row each, with their pooled metrics as columns (`both.profit_factor`)."""
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = list_runs(postgres, filters, limit=500, cursor=cursor)
        rows += [_table_row(run) for run in page.items]
        cursor = page.cursor
        if cursor is None or len(rows) >= MOST_EXPORTED:
            return pl.DataFrame(rows, infer_schema_length=None) if rows else pl.DataFrame(schema={"run_id": pl.String})


def _table_row(run: doc.Run) -> dict[str, Any]:
    metrics = run.summary_metrics or {}
    names = ("run_id", "dataset_id", "target_column", "status", "folds_present", "folds_planned", "duration_ms", "device", "code_version")
    row: dict[str, Any] = {name: getattr(run, name) for name in names} | {"created_at": run.created_at}
    for side in ("long", "short", "both"):
        for key in ("n_signals", "hit_rate", "signal_sum", "profit_factor"):
            value = (metrics.get(side) or {}).get(key)
            row[f"{side}.{key}"] = None if value is None else float(value)
    baseline = ((metrics.get("baseline") or {}).get("both") or {}).get("profit_factor")
    return row | {"baseline.profit_factor": None if baseline is None else float(baseline)}


def list_runs_with_space(
    stores: Stores, slug: str | None, *, limit: int, before: str | None = None, current: bool | None = None
) -> list[doc.RunWithSpace]:
    """The newest runs (older than run `before`), with their importance and what they take in space. `current`: as `list_runs` filters."""
    filters = {"dataset": slug, "current": current}
    try:
        with stores.postgres.opened() as postgres:
            after = None if before is None else _behind(get_run(postgres, before).created_at, before)
            page = list_page(postgres, RUNS_WITH_IMPORTANCE, filters, sort=NEWEST_FIRST, limit=limit, after=after)
            return _with_space(replace(stores, postgres=postgres), _runs(postgres, page.rows))
    except NotPublishedError as error:
        if error.code != NOTHING_STORED:
            raise
        return []


def run_with_space(stores: Stores, run_id: str) -> doc.RunWithSpace:
    """One run with its importance and what it takes in space; raises `NotPublishedError`."""
    row = vars(get_run(stores.postgres, run_id))
    return _with_space(stores, _runs(stores.postgres, [row]))[0]


def read_run(postgres: Postgres, run_id: str, *, importance: bool = False) -> doc.Run:
    """One run; raises `NotPublishedError` with the nearest id."""
    (run,) = _runs(postgres, [vars(get_run(postgres, run_id))])
    if importance or run.summary_metrics is None:
        return run
    metrics = {name: value for name, value in run.summary_metrics.items() if name != "feature_importance"}
    return run.model_copy(update={"summary_metrics": metrics})


def read_run_detail(postgres: Postgres, run_id: str, *, folds: bool = True) -> doc.RunDetail:
    """A run with its folds, the simulations made from it, and what a reader should stop at."""
    run = read_run(postgres, run_id)
    with postgres.connection() as connection:
        rows = connection.execute(query("simulation_list"), {"run_id": run.run_id}).fetchall()
    return doc.RunDetail(
        run=run,
        folds=_folds(get_folds(postgres, run.run_id)) if folds else [],
        simulations=[doc.SimulationName(**{**row, "simulation_id": str(row["simulation_id"])}) for row in rows],
        warnings=warnings_of(run),
        links=run_links(run),
    )


def run_links(run: doc.Run) -> dict[str, str]:
    """Where what belongs to a run is served."""
    base = f"/api/walkforward/runs/{run.run_id}"
    return {
        "self": base,
        "predictions": f"{base}/predictions",
        "importance": f"{base}/importance",
        "chosen-features": f"{base}/chosen-features",
        "simulations": f"/api/tradesim/runs?run={run.run_id}",
        "dataset": f"/api/datasets/{run.dataset_id}",
        "events": f"/api/events?topics=run:{run.run_id}",
    }


def running_lines(postgres: Postgres, runs: Sequence[doc.Run]) -> dict[str, list[float]]:
    """The running signal sum of each run, fold after fold; a run without folds is left out."""
    found = fold_sums(postgres, [run.run_id for run in runs]) if runs else {}
    return {run_id: list(itertools.accumulate(sums)) for run_id, sums in found.items()}


def warnings_of(run: doc.Run) -> list[doc.Warn]:
    """What a reader of the run should stop at."""
    summary, found = run.summary_metrics or {}, []
    if error := summary.get("error"):
        found.append({"code": str(error.get("code", "failed")), "message": str(error.get("message", ""))})
    if run.walk_config.get("horizon_assumed"):
        message = f"no manifest declares how far {run.target_column} looks ahead: {run.walk_config.get('horizon', 1)} bar was assumed"
        found.append({"code": "target_horizon_assumed", "message": message})
    if (origin := FeatureOrigin.of(run.walk_config)) is not None:
        found += origin.warnings
    if run.superseded_by is not None:
        message = f"run {run.superseded_by} is the current one of profile {run.profiles[0]}"
        found.append({"code": "superseded", "message": message})
    if "folds_without_long" in summary:
        found += remarks(summary)
    return [doc.Warn(**one) for one in found]


def read_importance(postgres: Postgres, run_id: str) -> list[doc.Importance]:
    """Pooled importance of the features of a run, the most important one first; empty before the run is complete."""
    run = read_run(postgres, run_id, importance=True)
    found: dict[str, dict[str, Any]] = (run.summary_metrics or {}).get("feature_importance") or {}
    return ranked({name: (one["gain"], one["splits"], one["shap"]) for name, one in found.items()})


def read_chosen_features(postgres: Postgres, run_id: str, slices: int = SLICES) -> doc.ChosenFeatures:
    """How often each feature was chosen by the folds of a run, in all and over time, as far as folds are stored."""
    run = read_run(postgres, run_id)
    folds = [fold for fold in get_folds(postgres, run.run_id) if "features" in fold.metrics]
    names = [name for name in run.feature_columns if any(name in fold.metrics["features"] for fold in folds)]
    flags = np.array([[name in fold.metrics["features"] for name in names] for fold in folds], dtype=np.bool_).reshape(
        len(folds), len(names)
    )
    shares = share_over_time(flags, slices) if folds else np.empty((0, len(names)))
    chosen = [doc.ChosenFeature(feature=name, folds=int(flags[:, v].sum()), shares=shares[:, v].tolist()) for v, name in enumerate(names)]
    return doc.ChosenFeatures(
        folds=len(folds),
        slices=[_fold_slice(folds[start:end]) for start, end in itertools.pairwise(slice_edges(len(folds), slices))],
        features=sorted(chosen, key=lambda one: (-one.folds, one.feature)),
    )


def _fold_slice(folds: Sequence[FoldRecord]) -> doc.FoldSlice:
    first, last = folds[0], folds[-1]
    assert first.test_start_ts is not None
    assert last.test_end_ts is not None
    return doc.FoldSlice(
        first_fold=first.fold_number,
        last_fold=last.fold_number,
        first_unix=int(first.test_start_ts.timestamp()),
        end_unix=int(last.test_end_ts.timestamp()),
        folds=len(folds),
    )


def ranked(found: Mapping[str, tuple[float, int, float]]) -> list[doc.Importance]:
    """Importance by feature as documents, by falling SHAP, then gain."""
    order = sorted(found.items(), key=lambda item: (-item[1][2], -item[1][0], item[0]))
    return [
        doc.Importance(feature=name, gain=gain, splits=splits, shap=shap, rank=rank)
        for rank, (name, (gain, splits, shap)) in enumerate(order, 1)
    ]


def compare_runs(postgres: Postgres, run_ids: Sequence[str], *, everything: bool = False) -> doc.Comparison:
    """What differs between 2 to 8 runs in what was asked for (`everything`: what is the same too), their metrics and their folds."""
    if len(run_ids) not in COMPARED or len(set(run_ids)) != len(run_ids):
        raise UsageError("the comparison takes 2 to 8 different runs", code="compare_count", found=len(run_ids))
    runs = [read_run(postgres, run_id) for run_id in run_ids]
    flat = [_flat(_request(run)) for run in runs]
    paths = list(dict.fromkeys(itertools.chain.from_iterable(flat)))
    differs = [path for path in paths if any(path not in one or one[path] != flat[0].get(path) for one in flat)]
    return doc.Comparison(
        differs=[
            doc.Difference(path=path, values={run.run_id: one.get(path) for run, one in zip(runs, flat, strict=True)})
            for path in (paths if everything else differs)
        ],
        same=len(paths) - len(differs),
        metrics=[doc.RunMetrics(run_id=run.run_id, status=run.status, metrics=run.summary_metrics or {}) for run in runs],
        folds=_against_first([run.run_id for run in runs], [_sums_by_bars(get_folds(postgres, run.run_id)) for run in runs]),
    )


def common_folds(details: Sequence[doc.RunDetail], side: str) -> list[tuple[datetime, datetime, list[float | None]]]:
    """First and last test time of every fold of the runs, and the signal sum of `side` of each run that has this fold."""
    found = [_sums_by_bars(detail.folds, side) for detail in details]
    spans = sorted(set().union(*found))
    return [(start, end, [sums.get((start, end)) for sums in found]) for start, end in spans]


def _sums_by_bars(folds: Sequence[FoldRecord] | Sequence[doc.Fold], side: str = "both") -> dict[tuple[datetime, datetime], float]:
    """Signal sums by the times that a fold's test begins and ends at: folds of two runs are the same if they test the same bars."""
    return {
        (fold.test_start_ts, fold.test_end_ts): float(((fold.metrics or {}).get(side) or {}).get("signal_sum") or 0.0)
        for fold in folds
        if fold.test_start_ts is not None and fold.test_end_ts is not None
    }


def _against_first(run_ids: Sequence[str], sums: Sequence[Mapping[tuple[datetime, datetime], float]]) -> list[doc.FoldComparison]:
    found = []
    for run_id, own in zip(run_ids[1:], sums[1:], strict=True):
        pairs = [(own[span], sums[0][span]) for span in own.keys() & sums[0].keys()]
        better, worse = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
        found.append(
            doc.FoldComparison(
                run_id=run_id,
                against=run_ids[0],
                folds=len(pairs),
                better=better,
                worse=worse,
                difference=math.fsum(a - b for a, b in pairs),
                p_value=sign_test(better, worse),
            )
        )
    return found


def _request(run: doc.Run) -> dict[str, Any]:
    names = (
        "dataset_id",
        "target_column",
        "feature_columns",
        "hyperparameters",
        "walk_config",
        "dataset_checksum",
        "code_version",
        "device",
    )
    return {name: getattr(run, name) for name in names}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _runs(postgres: Postgres, rows: Sequence[Row], dead: set[str] | None = None) -> list[doc.Run]:
    ids = [str(row["run_id"]) for row in rows]
    present, standings, found = beside_runs(postgres, ids, [str(row["run_id"]) for row in rows if row["status"] == "running"])
    return [
        doc.Run(
            **{
                **row,
                "run_id": str(row["run_id"]),
                "folds_present": present.get(str(row["run_id"]), 0),
                "folds_planned": row["walk_config"].get("folds_planned"),
                "bars": row["walk_config"].get("rows"),
                **standing_fields(standings.get(str(row["run_id"]), RunStanding())),
            }
        )
        for row in with_dead_runs(postgres, rows, found if dead is None else dead)
    ]


def standing_fields(standing: RunStanding) -> dict[str, Any]:
    """What a document says of the standing of a run among the runs of its profiles."""
    return {"profiles": list(standing.profiles), "current": bool(standing.current_of), "superseded_by": standing.superseded_by}


def _with_space(stores: Stores, runs: Sequence[doc.Run]) -> list[doc.RunWithSpace]:
    spaces = run_spaces(stores, [run.run_id for run in runs])
    return [doc.RunWithSpace(**run.model_dump(), space=doc.RunSpace(**asdict(spaces[run.run_id]))) for run in runs]


def fold_document(fold: FoldRecord, running_sum: float | None = None) -> doc.Fold:
    """A fold's row as a document."""
    return doc.Fold(**{**vars(fold), "thresholds": fold.thresholds or {}, "metrics": fold.metrics or {}, "running_sum": running_sum})


def _folds(records: Sequence[FoldRecord]) -> list[doc.Fold]:
    return [fold_document(fold, total) for fold, total in zip(records, running_sums(records), strict=True)]


def running_sums(folds: Sequence[FoldRecord]) -> list[float]:
    """Sum of the signals of both sides up to and with each fold."""
    return list(itertools.accumulate(float(((fold.metrics or {}).get("both") or {}).get("signal_sum") or 0.0) for fold in folds))


def _behind(created_at: datetime, run_id: str) -> After:
    return After(created_at, str(UUID(run_id)))
