"""Local Feature Selections as readers see them: lists, one with its features, shares over time, pairs, the null, and the cases."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import polars as pl

from chronos_assets.domain.lfs.permutations import mark_of, needs_caution
from chronos_assets.domain.lfs.shares import SLICES, Flags, membership, pairs, share_over_time, slice_edges
from chronos_assets.errors import NotPublishedError, UsageError
from chronos_assets.storage.lfs import LfsFeature, LfsRecord, count_tries, get_lfs, get_lfs_features
from chronos_assets.storage.lfs import list_lfs as list_records
from chronos_assets.storage.lfs_artifacts import LfsArtifacts
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.reading import NOTHING_STORED
from chronos_assets.storage.stores import Stores
from chronos_assets.views import documents as doc
from chronos_assets.views.liveness import with_dead_selections

FEATURE_SORTS = ("pct", "p_solo", "p_unbiased", "feature")


def list_selections(
    postgres: Postgres, dataset: str | None = None, *, target: str | None = None, status: str | None = None
) -> list[doc.LfsRun]:
    """Selections, newest first; one whose process is gone is shown as failed."""
    try:
        records = list_records(postgres, dataset, target=target)
    except NotPublishedError as error:
        if error.code != NOTHING_STORED:
            raise
        return []
    runs = _runs(postgres, records)
    return [run for run in runs if status is None or run.status == status]


def read_selection(postgres: Postgres, lfs_id: str) -> doc.LfsSelection:
    """One selection; raises `NotPublishedError` with the nearest id. While it runs, its p-values are those of the permutations done."""
    record = get_lfs(postgres, lfs_id)
    (run,) = _runs(postgres, [record])
    summary = run.summary_metrics or {}
    return doc.LfsSelection(
        run=run.model_copy(update={"tries": count_tries(postgres, record.dataset_id, record.target_column)}),
        features=[_feature(feature) for feature in get_lfs_features(postgres, record.lfs_id)],
        warnings=[doc.Warn(**one) for one in summary.get("warnings", [])],
    )


def choose_features(selection: doc.LfsSelection, *, sort: str = "-pct", max_p: float | None = None) -> list[tuple[int, doc.LfsFeature]]:
    """Features with their rank by share, in the order of `sort` (`-`: falling; those without a value last), unbiased p at most `max_p`."""
    key = sort.removeprefix("-")
    if key not in FEATURE_SORTS:
        raise UsageError(f"features have no sort key {key!r}", code="sort_unknown", expected=f"one of {', '.join(FEATURE_SORTS)}")
    ranked = [
        (k, one) for k, one in enumerate(selection.features, 1) if max_p is None or (one.p_unbiased is not None and one.p_unbiased <= max_p)
    ]
    known = [one for one in ranked if getattr(one[1], key) is not None]
    known.sort(key=lambda one: getattr(one[1], key), reverse=sort.startswith("-"))
    return known + [one for one in ranked if getattr(one[1], key) is None]


def table_of_features(features: Sequence[tuple[int, doc.LfsFeature]]) -> pl.DataFrame:
    """Ranked features as a table: `rank`, `feature`, `selected_count`, `pct`, `p_solo`, `p_unbiased`, `mark`, `caution`, `excluded`."""
    names = ("feature", "selected_count", "pct", "p_solo", "p_unbiased", "mark", "caution", "excluded")
    schema = dict(zip(names, (pl.String, pl.Int64, pl.Float64, pl.Float64, pl.Float64, pl.String, pl.Boolean, pl.String), strict=True))
    rows = [{"rank": rank, **{name: getattr(one, name) for name in names}} for rank, one in features]
    return pl.DataFrame(rows, schema={"rank": pl.Int64, **schema})


def read_shares(stores: Stores, lfs_id: str, slices: int = SLICES) -> doc.LfsShares:
    """Share of the cases that chose each feature, by slices of about equal numbers of cases in time order."""
    record, sets = _sets(stores, lfs_id)
    shares = share_over_time(_flags(record, sets), slices)
    rows, times = sets["row"].to_numpy(), sets["timestamp_unix"].to_numpy()
    spans = [
        doc.LfsSlice(
            first_row=int(rows[start]),
            last_row=int(rows[end - 1]),
            first_unix=int(times[start]),
            last_unix=int(times[end - 1]),
            cases=int(end - start),
        )
        for start, end in itertools.pairwise(slice_edges(sets.height, slices))
    ]
    order = [feature for feature in get_lfs_features(stores.postgres, record.lfs_id) if feature.excluded is None]
    return doc.LfsShares(
        slices=spans, features=[doc.LfsFeatureShares(feature=f.feature, shares=shares[:, f.feature_no].tolist()) for f in order]
    )


def read_pairs(stores: Stores, lfs_id: str, *, limit: int | None = None) -> list[doc.LfsPair]:
    """Pairs of features that cases chose together, the most frequent first."""
    record, sets = _sets(stores, lfs_id)
    names = record.feature_columns
    return [
        doc.LfsPair(first=names[p.u], second=names[p.v], together=p.together, pct=100 * p.together / sets.height, lift=p.lift)
        for p in pairs(_flags(record, sets))[:limit]
    ]


def read_cases(stores: Stores, lfs_id: str) -> pl.DataFrame:
    """The cases: `row`, `timestamp_unix`, `class` (int64), `selected` (list of feature numbers, positions in `feature_columns`)."""
    return _sets(stores, lfs_id)[1]


def read_null(stores: Stores, lfs_id: str) -> doc.LfsNull:
    """Shares (in percent of the cases) under the permutations done so far."""
    record, sets = _sets(stores, lfs_id)
    done = LfsArtifacts(stores.artifacts, record.lfs_id, len(record.feature_columns)).done()
    numbers = sorted(done)
    shares = 100 * np.stack([done[r] for r in numbers]) / sets.height if numbers else np.empty((0, len(record.feature_columns)))
    return doc.LfsNull(
        permutations=numbers,
        best=shares.max(axis=1).tolist(),
        features=[doc.LfsFeatureNull(feature=name, pct=shares[:, v].tolist()) for v, name in enumerate(record.feature_columns)],
    )


def _runs(postgres: Postgres, records: list[LfsRecord]) -> list[doc.LfsRun]:
    return [doc.LfsRun(**row) for row in with_dead_selections(postgres, [vars(record) for record in records])]


def _feature(feature: LfsFeature) -> doc.LfsFeature:
    caution = feature.pct is not None and needs_caution(feature.pct, feature.p_solo)
    return doc.LfsFeature(**vars(feature), mark=mark_of(feature.p_unbiased), caution=caution)


def _sets(stores: Stores, lfs_id: str) -> tuple[LfsRecord, pl.DataFrame]:
    record = get_lfs(stores.postgres, lfs_id)
    return record, LfsArtifacts(stores.artifacts, record.lfs_id, len(record.feature_columns)).sets()


def _flags(record: LfsRecord, sets: pl.DataFrame) -> Flags:
    lists = sets["selected"].to_list()
    widest = max(max((len(numbers) for numbers in lists), default=1), 1)
    chosen = np.full((len(lists), widest), -1, dtype=np.int64)
    for case, numbers in enumerate(lists):
        chosen[case, : len(numbers)] = numbers
    return membership(chosen, len(record.feature_columns))
