"""Documents about Local Feature Selections: requests, features, shares over time, pairs, permutations."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from chronos_assets.views.documents.base import Document, Json, Status, Warn


class LfsRun(Document):
    """One row of `lfs_runs`; `tries` counts the selections on the same dataset and target: the more, the less the best of them says."""

    lfs_id: str
    dataset_id: str
    target_column: str
    feature_columns: list[str]
    config: Json
    status: Status
    requested_by: str | None
    dagster_run_id: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    duration_ms: int | None
    progress: Json | None
    summary_metrics: Json | None
    dataset_checksum: str | None
    questdb_tag: str | None
    content_hash: str | None
    code_version: str | None
    device: str | None
    tries: int | None = None


class LfsFeature(Document):
    """One feature of a selection. `mark` goes by `p_unbiased`; `caution`: chosen often, and about as often under permuted targets."""

    feature: str
    feature_no: int
    selected_count: int | None
    pct: float | None
    p_solo: float | None
    p_unbiased: float | None
    mark: Literal["strong", "good", "weak", "noise"] | None
    caution: bool
    excluded: str | None


class LfsSelection(Document):
    """A selection with its features, the most often chosen one first."""

    run: LfsRun
    features: list[LfsFeature]
    warnings: list[Warn]


class LfsDetail(LfsSelection):
    """A selection with where what belongs to it is served."""

    links: dict[str, str]


class LfsSubmission(Document):
    """What became of a request for a selection, and where to follow it. `dagster` is null if no run of Dagster belongs to it."""

    run: LfsRun
    warnings: list[Warn]
    links: dict[str, str | None]


class LfsSlice(Document):
    """A stretch of cases in time order."""

    first_row: int
    last_row: int
    first_unix: int
    last_unix: int
    cases: int


class LfsFeatureShares(Document):
    """Share (0..1) of the cases of each slice that chose a feature."""

    feature: str
    shares: list[float]


class LfsShares(Document):
    """Shares over time: slices, and one list of shares per feature in the order of the table."""

    slices: list[LfsSlice]
    features: list[LfsFeatureShares]


class LfsPair(Document):
    """Two features that cases chose together: how many, and how often against independent choices (`lift` 1: as often)."""

    first: str
    second: str
    together: int
    pct: float
    lift: float


class LfsFeatureNull(Document):
    """Share (percent of the cases) of one feature under each permutation."""

    feature: str
    pct: list[float]


class LfsNull(Document):
    """Shares under permutations: numbers of the permutations done, the share of the feature chosen most often in each, and all of them."""

    permutations: list[int]
    best: list[float]
    features: list[LfsFeatureNull]


class LfsPreview(Document):
    """What a request would do: its cases and classes, and about how many seconds it would take."""

    lfs_id: str
    dataset: str
    target: str
    rows: tuple[int, int]
    first_test_row: int
    features: int
    constant: list[str]
    cases: int
    left_out: int
    left_out_by_column: dict[str, int]
    classes: list[Json]
    permutations: int
    seconds: float
    warnings: list[Warn]
