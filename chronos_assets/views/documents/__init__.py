"""The documents that readers are given: frozen, typed, and the same for `--json`, the HTTP API and the pages.

One module per kind of document; every name is importable from here. Names of fields are those of the Postgres columns where a document
is a row. Times are UTC and end in `Z` as JSON; a number that does not exist is null. Fields are added, never renamed or removed:
`schema.json` beside this package is compared by a test.
"""

from __future__ import annotations

from chronos_assets.views.documents.base import Document, Json, Mode, Side, Status, Warn
from chronos_assets.views.documents.datasets import (
    Audit,
    AuditLine,
    Column,
    ColumnStatistics,
    Dataset,
    DatasetDetail,
    DatasetList,
    DatasetReport,
    DatasetSummary,
    TagSpace,
    TargetStatistics,
)
from chronos_assets.views.documents.folds import Fold, FoldDetail, Histogram, Importance, RocPoint
from chronos_assets.views.documents.nights import Night, NightRun
from chronos_assets.views.documents.runs import Comparison, Difference, Run, RunDetail, RunMetrics, RunSpace, RunWithSpace, SimulationName
from chronos_assets.views.documents.selections import (
    LfsDetail,
    LfsFeature,
    LfsFeatureNull,
    LfsFeatureShares,
    LfsNull,
    LfsPair,
    LfsRun,
    LfsSelection,
    LfsShares,
    LfsSlice,
    LfsSubmission,
)
from chronos_assets.views.documents.series import EquityBucket, EquityPoint, MonthlyReturns, Prediction, PredictionBucket
from chronos_assets.views.documents.simulations import Bucket, Judgement, PageTest, Simulation, SimulationDetail
from chronos_assets.views.documents.sweeps import Sweep, SweepDetail, SweepOverfitting, SweepRanked, SweepRow, SweepTrial
from chronos_assets.views.documents.trades import Trace, Trade
from chronos_assets.views.documents.validation import Check, Validation

DOCUMENTS: tuple[type[Document], ...] = (
    DatasetList,
    DatasetReport,
    Dataset,
    DatasetDetail,
    ColumnStatistics,
    TargetStatistics,
    Audit,
    RunWithSpace,
    RunDetail,
    FoldDetail,
    Importance,
    Comparison,
    SimulationDetail,
    Trade,
    EquityPoint,
    EquityBucket,
    Prediction,
    PredictionBucket,
    MonthlyReturns,
    Trace,
    Judgement,
    Sweep,
    SweepDetail,
    Validation,
    Night,
    LfsSelection,
    LfsShares,
    LfsPair,
    LfsNull,
)

__all__ = [
    "DOCUMENTS",
    "Audit",
    "AuditLine",
    "Bucket",
    "Check",
    "Column",
    "ColumnStatistics",
    "Comparison",
    "Dataset",
    "DatasetDetail",
    "DatasetList",
    "DatasetReport",
    "DatasetSummary",
    "Difference",
    "Document",
    "EquityBucket",
    "EquityPoint",
    "Fold",
    "FoldDetail",
    "Histogram",
    "Importance",
    "Json",
    "Judgement",
    "LfsDetail",
    "LfsFeature",
    "LfsFeatureNull",
    "LfsFeatureShares",
    "LfsNull",
    "LfsPair",
    "LfsRun",
    "LfsSelection",
    "LfsShares",
    "LfsSlice",
    "LfsSubmission",
    "Mode",
    "MonthlyReturns",
    "Night",
    "NightRun",
    "PageTest",
    "Prediction",
    "PredictionBucket",
    "RocPoint",
    "Run",
    "RunDetail",
    "RunMetrics",
    "RunSpace",
    "RunWithSpace",
    "Side",
    "Simulation",
    "SimulationDetail",
    "SimulationName",
    "Status",
    "Sweep",
    "SweepDetail",
    "SweepOverfitting",
    "SweepRanked",
    "SweepRow",
    "SweepTrial",
    "TagSpace",
    "TargetStatistics",
    "Trace",
    "Trade",
    "Validation",
    "Warn",
]
