"""Local Feature Selections as they are read: the document that the command line, the API and pages show, and the views of one.

Reading writes nothing. Everything that is returned is ready for JSON, but for the frames of cases.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import polars as pl

from chronos_assets.domain.lfs.permutations import mark_of, needs_caution
from chronos_assets.domain.lfs.shares import SLICES, membership, pairs, share_over_time, slice_edges
from chronos_assets.storage.lfs import LfsFeature, LfsRecord, count_tries, get_lfs, get_lfs_features, list_lfs
from chronos_assets.storage.lfs_artifacts import LfsArtifacts
from chronos_assets.storage.stores import Stores

_HIDDEN = {"cancel_requested"}


def list_selections(
    stores: Stores, dataset: str | None = None, *, target: str | None = None, status: str | None = None
) -> list[dict[str, Any]]:
    """Rows of `lfs_runs`, newest first."""
    return [run_json(record) for record in list_lfs(stores.postgres, dataset, target=target, status=status)]


def selection_document(stores: Stores, lfs_id: str) -> dict[str, Any]:
    """`{run, features, warnings}` of one selection; raises `NotPublishedError` for an unknown id.

    `features` holds `{feature, feature_no, selected_count, pct, p_solo, p_unbiased, mark, caution, excluded}`, most often chosen first.
    `run.tries` counts the selections on the same dataset and target: the more were tried, the less the best of them says.
    """
    record = get_lfs(stores.postgres, lfs_id)
    run = run_json(record) | {"tries": count_tries(stores.postgres, record.dataset_id, record.target_column)}
    features = [_feature_json(feature) for feature in get_lfs_features(stores.postgres, record.lfs_id)]
    return {"run": run, "features": features, "warnings": (record.summary_metrics or {}).get("warnings", [])}


def shares_over_time(stores: Stores, lfs_id: str, slices: int = SLICES) -> dict[str, Any]:
    """Share of the cases of each slice that chose each feature.

    `slices`: `{first_row, last_row, first_unix, last_unix, cases}` in time order; `features`: `{feature, shares}` with one share (0..1)
    per slice, in the order of the table.
    """
    record, sets = _sets(stores, lfs_id)
    edges = slice_edges(sets.height, slices)
    shares = share_over_time(_flags(record, sets), slices)
    rows, times = sets["row"].to_numpy(), sets["timestamp_unix"].to_numpy()
    spans = [
        {
            "first_row": int(rows[start]),
            "last_row": int(rows[end - 1]),
            "first_unix": int(times[start]),
            "last_unix": int(times[end - 1]),
            "cases": int(end - start),
        }
        for start, end in itertools.pairwise(edges)
    ]
    order = [feature for feature in get_lfs_features(stores.postgres, record.lfs_id) if feature.excluded is None]
    return {"slices": spans, "features": [{"feature": f.feature, "shares": shares[:, f.feature_no].tolist()} for f in order]}


def chosen_pairs(stores: Stores, lfs_id: str, *, limit: int | None = None) -> list[dict[str, Any]]:
    """Pairs of features that cases chose together: `{first, second, together, pct, lift}`, most often first."""
    record, sets = _sets(stores, lfs_id)
    names = record.feature_columns
    found = pairs(_flags(record, sets))[:limit]
    return [
        {"first": names[p.u], "second": names[p.v], "together": p.together, "pct": 100 * p.together / sets.height, "lift": p.lift}
        for p in found
    ]


def case_sets(stores: Stores, lfs_id: str) -> pl.DataFrame:
    """The cases: `row`, `timestamp_unix`, `class` (int64), `selected` (list of feature numbers, positions in `feature_columns`)."""
    return _sets(stores, lfs_id)[1]


def null_counts(stores: Stores, lfs_id: str) -> dict[str, Any]:
    """Shares (in percent of the cases) under permutations: of the feature chosen most often in each, and of every feature.

    `{permutations, best, features: [{feature, pct}]}`: `best` and each `pct` hold one number per permutation done.
    """
    record, sets = _sets(stores, lfs_id)
    done = LfsArtifacts(stores.artifacts, record.lfs_id, len(record.feature_columns)).done()
    numbers = sorted(done)
    shares = 100 * np.stack([done[r] for r in numbers]) / sets.height if numbers else np.empty((0, len(record.feature_columns)))
    return {
        "permutations": numbers,
        "best": shares.max(axis=1).tolist(),
        "features": [{"feature": name, "pct": shares[:, v].tolist()} for v, name in enumerate(record.feature_columns)],
    }


def run_json(record: LfsRecord) -> dict[str, Any]:
    """A row of `lfs_runs` for JSON; times in ISO 8601."""
    values = {name: value for name, value in vars(record).items() if name not in _HIDDEN}
    return {name: value.isoformat().replace("+00:00", "Z") if name.endswith("_at") and value else value for name, value in values.items()}


def _feature_json(feature: LfsFeature) -> dict[str, Any]:
    chosen = feature.pct is not None and math.isfinite(feature.pct)
    caution = chosen and needs_caution(feature.pct or 0.0, feature.p_solo)
    return vars(feature) | {"mark": mark_of(feature.p_unbiased), "caution": caution}


def _sets(stores: Stores, lfs_id: str) -> tuple[LfsRecord, pl.DataFrame]:
    record = get_lfs(stores.postgres, lfs_id)
    return record, LfsArtifacts(stores.artifacts, record.lfs_id, len(record.feature_columns)).sets()


def _flags(record: LfsRecord, sets: pl.DataFrame) -> np.ndarray:
    lists = sets["selected"].to_list()
    widest = max((len(numbers) for numbers in lists), default=1) or 1
    chosen = np.full((len(lists), widest), -1, dtype=np.int64)
    for case, numbers in enumerate(lists):
        chosen[case, : len(numbers)] = numbers
    return membership(chosen, len(record.feature_columns))
