"""What a Local Feature Selection leaves as files: the set of every case, and the counts of every permutation.

While a selection runs, each permutation is appended to a journal, one record of int64: its number, its counts, and a checksum. A record
that was cut off or damaged ends the journal. The whole counts become a Parquet file when the selection ends.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.errors import StoreError
from chronos_assets.storage.atomic_write import replacing

Ints = npt.NDArray[np.int64]
FOLDER = "lfs"


class LfsArtifacts:
    """The files of one selection below the artifacts' folder; `features` is the number of its feature columns."""

    def __init__(self, root: Path, lfs_id: str, features: int) -> None:
        folder = root / FOLDER
        self.sets_path = folder / f"{lfs_id}.parquet"
        self.counts_path = folder / f"{lfs_id}-permutations.parquet"
        self._journal = folder / f"{lfs_id}-permutations.journal"
        self._width = features + 2

    def save_sets(self, sets: pl.DataFrame) -> None:
        """Write the cases: `row`, `timestamp_unix`, `class` (int64) and `selected` (list of feature numbers)."""
        self.sets_path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.sets_path) as file:
            sets.write_parquet(file)

    def has_sets(self) -> bool:
        """Whether the cases' sets are there."""
        return self.sets_path.is_file()

    def is_whole(self) -> bool:
        """Whether sets and counts are there, as a selection leaves them when it ends."""
        return self.has_sets() and self.counts_path.is_file()

    def sets(self) -> pl.DataFrame:
        """The cases' sets, as `save_sets` wrote them; raises `StoreError` if they are gone."""
        if not self.has_sets():
            raise StoreError(
                "the sets of a feature selection are gone",
                code="artifact_missing",
                file=str(self.sets_path),
                hint="Run the same `chronos lfs` command again.",
            )
        return pl.read_parquet(self.sets_path)

    def append(self, r: int, counts: Ints) -> None:
        """Add the counts of permutation `r`, one per feature column."""
        with self._journal.open("ab", buffering=0) as file:
            file.write(_record(r, counts))

    def done(self) -> dict[int, Ints]:
        """Counts by permutation number, from the file or else the journal."""
        if self.counts_path.is_file():
            frame = pl.read_parquet(self.counts_path)
            return dict(zip(frame["r"].to_list(), frame.drop("r").to_numpy().astype(np.int64), strict=True))
        return {int(record[0]): record[1:-1].astype(np.int64) for record in self._whole_records()}

    def resume(self) -> dict[int, Ints]:
        """`done`, after which permutations can be appended: a record that was cut off is removed from the journal."""
        found = self.done()
        if self.counts_path.is_file():  # an attempt that was cancelled had finished these
            with replacing(self._journal) as file:
                file.writelines(_record(r, counts) for r, counts in found.items())
            self.counts_path.unlink()
        elif self._journal.is_file():
            os.truncate(self._journal, len(found) * 8 * self._width)
        return found

    def _whole_records(self) -> Ints:
        if not self._journal.is_file():
            return np.empty((0, self._width), np.int64)
        content, size = self._journal.read_bytes(), 8 * self._width
        records = np.frombuffer(content[: len(content) // size * size], dtype="<i8").reshape(-1, self._width)
        whole = next((i for i, record in enumerate(records) if record[-1] != _checksum(record[:-1])), len(records))
        return records[:whole].astype(np.int64)

    def finish(self, counts: Mapping[int, Ints]) -> None:
        """Write all counts as Parquet (`r`, then one int64 column per feature number: `f0`, `f1`, ...) and remove the journal."""
        order = sorted(counts)
        matrix = np.stack([counts[r] for r in order]) if order else np.empty((0, self._width - 2), np.int64)
        columns = {"r": np.array(order, dtype=np.int64)} | {f"f{v}": matrix[:, v] for v in range(matrix.shape[1])}
        with replacing(self.counts_path) as file:
            pl.DataFrame(columns).write_parquet(file)
        self._journal.unlink(missing_ok=True)


def _record(r: int, counts: Ints) -> bytes:
    record = np.concatenate([[r], counts]).astype("<i8")
    return np.append(record, _checksum(record)).astype("<i8").tobytes()


def _checksum(record: Ints) -> int:
    return zlib.crc32(np.ascontiguousarray(record, dtype="<i8").tobytes())
