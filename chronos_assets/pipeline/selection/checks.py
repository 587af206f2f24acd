"""Whether what a finished selection keeps agrees: the sets of its cases, the counts of its permutations, and its row per feature."""

from __future__ import annotations

import numpy as np

from chronos_assets.domain.lfs.permutations import p_values
from chronos_assets.storage.lfs import get_lfs, get_lfs_features
from chronos_assets.storage.lfs_artifacts import LfsArtifacts
from chronos_assets.storage.stores import Stores


def recount(stores: Stores, lfs_id: str) -> list[str]:
    """What differs between files and rows of a selection, in words; empty if nothing does.

    Counts are made again from the sets of the cases, p-values from the counts of the permutations.
    """
    record = get_lfs(stores.postgres, lfs_id)
    artifacts = LfsArtifacts(stores.artifacts, record.lfs_id, len(record.feature_columns))
    sets, done = artifacts.sets(), artifacts.done()
    wanted = int(record.config["permutations"])
    found = [] if sorted(done) == list(range(1, wanted + 1)) else [f"{len(done)} of {wanted} permutations are there"]
    members = sets["selected"].explode().drop_nulls().to_numpy()
    counts = np.bincount(members, minlength=len(record.feature_columns)).astype(np.int64)
    p = p_values(counts, np.stack([done[r] for r in sorted(done)])) if done else None
    for feature in get_lfs_features(stores.postgres, record.lfs_id):
        if feature.excluded is not None:
            continue
        v = feature.feature_no
        again = (int(counts[v]), *((None, None) if p is None else (float(p[0][v]), float(p[1][v]))))
        kept = (feature.selected_count, feature.p_solo, feature.p_unbiased)
        if kept != again:
            found.append(f"{feature.feature}: count and p-values are {kept}, the files give {again}")
    return found
