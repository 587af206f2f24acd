"""What the stores take as readers see it: rows alive and dead, bytes by store, growth per night and where it leads."""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

from chronos_assets.pipeline.upkeep.compaction import table_spaces
from chronos_assets.storage.alive import database_bytes
from chronos_assets.storage.nights import newest_nights
from chronos_assets.storage.stores import Stores
from chronos_assets.views import documents as doc

NIGHTS_COMPARED = 15
NIGHTS_PER_YEAR = 365


def read_space(stores: Stores) -> doc.Space:
    """What everything takes now, and how it grew over the last nights on record."""
    tables = [doc.TableSpace(**vars(one)) for one in table_spaces(stores)]
    questdb, postgres = sum(one.bytes for one in tables), database_bytes(stores.postgres)
    files = folder_bytes(stores.settings.artifacts_dir) + folder_bytes(stores.settings.home / "dagster")
    if stores.settings.artifacts is not None:
        files += sum(entry.size for entry in stores.artifacts.list())
    totals = [
        float(record.document["space"]["total_bytes"])
        for record in newest_nights(stores.postgres, NIGHTS_COMPARED)
        if (record.document.get("space") or {}).get("total_bytes")
    ]
    growth = growth_per_night(totals)
    total = questdb + postgres + files
    return doc.Space(
        tables=tables,
        questdb_bytes=questdb,
        postgres_bytes=postgres,
        files_bytes=files,
        total_bytes=total,
        nights=len(totals),
        bytes_per_night=growth,
        bytes_in_a_year=None if growth is None else max(0.0, total + NIGHTS_PER_YEAR * growth),
    )


def growth_per_night(newest_first: Sequence[float]) -> float | None:
    """Median difference from one night's total to the next one's; None of fewer than two nights.

    The median, because a night on which a table is compacted gives back at once what many nights have left.
    """
    if len(newest_first) < 2:
        return None
    return float(statistics.median(later - earlier for later, earlier in itertools.pairwise(newest_first)))


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; one that goes meanwhile does not count."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118 - many files
            except FileNotFoundError:
                continue
    return total
