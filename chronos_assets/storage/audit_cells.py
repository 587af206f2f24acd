"""Failing rows and cells of audits as artifacts, so that every host can read what one has found."""

from __future__ import annotations

import io
from pathlib import PurePosixPath

import polars as pl

from chronos_assets.storage.artifacts.store import ArtifactStore, Entry

FOLDER = "audits"


def keep_cells(store: ArtifactStore, slug: str, name: str, cells: pl.DataFrame) -> str:
    """Keep what an audit of dataset `slug` found, as Parquet; gives where it is."""
    place = f"{FOLDER}/{slug}/{name}.parquet"
    buffer = io.BytesIO()
    cells.write_parquet(buffer)
    store.put({place: buffer.getvalue()})
    return store.address(place)


def kept_cells(store: ArtifactStore, slug: str | None = None) -> dict[str, list[Entry]]:
    """What is kept of each dataset (or of one), the newest first."""
    found: dict[str, list[Entry]] = {}
    for entry in store.list(FOLDER if slug is None else f"{FOLDER}/{slug}"):
        found.setdefault(PurePosixPath(entry.name).parent.name, []).append(entry)
    return {dataset: sorted(entries, key=lambda entry: entry.modified, reverse=True) for dataset, entries in found.items()}
