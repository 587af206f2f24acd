"""Where the list of features of a profile comes from, if it says so: a Local Feature Selection of the same dataset (`features_from`).

A run keeps which rows the selection saw, so that whoever reads the run learns whether its features were chosen on rows that it tests.
"""

from __future__ import annotations

from collections.abc import Sequence

from chronos_assets.domain.lfs.honesty import FeatureOrigin
from chronos_assets.errors import ProfileError
from chronos_assets.storage.datasets import DatasetRecord, read_bars
from chronos_assets.storage.lfs import LfsRecord, find_lfs
from chronos_assets.storage.lfs_artifacts import LfsArtifacts
from chronos_assets.storage.stores import Stores


def find_origin(stores: Stores, record: DatasetRecord, lfs_id: str, features: Sequence[str], *, first_test_row: int) -> FeatureOrigin:
    """The selection that `features` come from, as a run whose tests begin at `first_test_row` keeps it.

    Raises `ProfileError` for an unknown selection, one of another dataset, one that did not look at all of `features`, or one of other bars
    than the dataset has now; `FileError` if the dataset changed since and the file that could tell whether it only grew is gone.
    """
    selection = find_lfs(stores.postgres, lfs_id)
    if selection is None:
        raise ProfileError(
            "features_from names a feature selection that is not there",
            code="features_from_unknown",
            found=lfs_id,
            hint=f"`chronos selections list {record.dataset_id}` shows those that are; the same `chronos lfs` request has the same id.",
            slug=record.dataset_id,
        )
    if selection.dataset_id != record.dataset_id:
        raise ProfileError(
            "features_from names a feature selection of another dataset",
            code="features_from_foreign",
            expected=f"a selection of {record.dataset_id}",
            found=f"{lfs_id} of {selection.dataset_id}",
            slug=record.dataset_id,
        )
    others = [name for name in features if name not in selection.feature_columns]
    if others:
        raise ProfileError(
            "features_from names a feature selection that did not look at all of the features",
            code="features_from_other",
            expected="features among those of the selection",
            found=", ".join(others[:10]) + (f" and {len(others) - 10} more" if len(others) > 10 else ""),
            hint="Take them out of `features`, or leave out `features_from`.",
            slug=record.dataset_id,
        )
    if selection.content_hash != record.content_hash:
        _require_same_rows(stores, record, selection)
    config = selection.config
    return FeatureOrigin(int(config["start_row"]), int(config["end_row"]), int(config["horizon"]), first_test_row)


def _require_same_rows(stores: Stores, record: DatasetRecord, selection: LfsRecord) -> None:
    """Refuse a selection whose rows are other bars by now. Bars that were appended move none."""
    sets = LfsArtifacts(stores.artifacts, selection.lfs_id, len(selection.feature_columns)).sets()
    rows, times = sets["row"].to_numpy(), sets["timestamp_unix"].to_numpy()
    now = read_bars(stores, record, [])["timestamp_unix"].to_numpy()
    if len(rows) and (rows[-1] >= len(now) or (now[rows] != times).any()):
        raise ProfileError(
            "features_from names a feature selection that was made on other bars: the dataset was replaced since",
            code="features_from_moved",
            found=f"row {rows[0]:,} of {selection.lfs_id} is another bar now, or gone",
            hint="Select again, and name the new selection.",
            slug=record.dataset_id,
        )
