"""What a Local Feature Selection leaves as artifacts: the set of every case, and the counts of every permutation.

While a selection runs, each permutation is appended to a journal, one record of int64: its number, its counts, and a checksum. A record
that was cut off or damaged ends the journal. The whole counts become a Parquet file when the selection ends. A record is on the disk before
the permutation counts as done. The journal is always a file of the machine that works on the selection.
"""

from __future__ import annotations

import hashlib
import io
import os
import zlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.errors import FileError
from chronos_assets.storage.artifacts.store import ArtifactStore
from chronos_assets.storage.atomic_write import append, naming, write_file

Ints = npt.NDArray[np.int64]
FOLDER = "lfs"
_HINT = "Run the same `chronos lfs` command again: it makes what is missing or damaged."


class LfsArtifacts:
    """The artifacts of one selection; `features` is the number of its feature columns."""

    def __init__(self, store: ArtifactStore, lfs_id: str, features: int) -> None:
        self._store = store
        self.sets_place = f"{FOLDER}/{lfs_id}.parquet"
        self.counts_place = f"{FOLDER}/{lfs_id}-permutations.parquet"
        self._journal = store.journals / FOLDER / f"{lfs_id}-permutations.journal"
        self._width = features + 2

    def save_sets(self, sets: pl.DataFrame) -> None:
        """Write the cases: `row`, `timestamp_unix`, `class` (int64) and `selected` (list of feature numbers)."""
        self._store.put({self.sets_place: _parquet(sets)})

    def has_sets(self) -> bool:
        """Whether the cases' sets are there and can be read."""
        try:
            self.sets()
        except FileError:
            return False
        return True

    def digests(self) -> dict[str, str]:
        """SHA-256 of the files that a selection leaves, by name; one that is gone is left out."""
        contents = {name: self._store.read(place) for name, place in self._places().items()}
        return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items() if content is not None}

    def remove_damaged(self, digests: Mapping[str, str]) -> None:
        """Delete the files that are not those of `digests`."""
        found = self.digests()
        for name, place in self._places().items():
            if found.get(name) != digests.get(name):
                self._store.delete(place)

    def _places(self) -> dict[str, str]:
        return {"sets": self.sets_place, "permutations": self.counts_place}

    def sets(self) -> pl.DataFrame:
        """The cases' sets, as `save_sets` wrote them; raises `FileError` if they are gone or damaged."""
        frame = self._frame(self.sets_place, "the sets of a feature selection")
        if frame is None:
            raise FileError(
                "the sets of a feature selection are gone",
                code="artifact_missing",
                file=self._store.address(self.sets_place),
                hint=_HINT,
            )
        return frame

    def append(self, r: int, counts: Ints) -> None:
        """Add the counts of permutation `r`, one per feature column. They are on the disk on return."""
        append(self._journal, _record(r, counts))

    def done(self) -> dict[int, Ints]:
        """Counts by permutation number, from the file or else the journal; raises `FileError` if the file is damaged."""
        frame = self._frame(self.counts_place, "the permutations of a feature selection")
        if frame is not None:
            return dict(zip(frame["r"].to_list(), frame.drop("r").to_numpy().astype(np.int64), strict=True))
        return {int(record[0]): record[1:-1].astype(np.int64) for record in self._whole_records()}

    def remove(self) -> None:
        """Delete all files of the selection; one that is gone already is no error."""
        for place in self._places().values():
            self._store.delete(place)
        with naming(self._journal):
            self._journal.unlink(missing_ok=True)

    def resume(self) -> dict[int, Ints]:
        """`done`, after which permutations can be appended: a record that was cut off is removed from the journal."""
        try:
            found = self.done()
        except FileError:  # a damaged file tells nothing
            self._store.delete(self.counts_place)
            found = self.done()
        if self._store.size(self.counts_place) is not None:  # an attempt that was cancelled had finished these
            write_file(self._journal, b"".join(_record(r, counts) for r, counts in found.items()))
            self._store.delete(self.counts_place)
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
        self._store.put({self.counts_place: _parquet(pl.DataFrame(columns))})
        self._journal.unlink(missing_ok=True)

    def _frame(self, place: str, what: str) -> pl.DataFrame | None:
        """The table of an artifact; None if it is gone. Raises `FileError` if it is damaged."""
        content = self._store.read(place)
        if content is None:
            return None
        try:
            return pl.read_parquet(io.BytesIO(content))
        except (pl.exceptions.PolarsError, OSError) as error:
            said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            where = self._store.address(place)
            raise FileError(f"{what} are damaged", code="artifact_damaged", file=where, found=said, hint=_HINT) from error


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _record(r: int, counts: Ints) -> bytes:
    record = np.concatenate([[r], counts]).astype("<i8")
    return np.append(record, _checksum(record)).astype("<i8").tobytes()


def _checksum(record: Ints) -> int:
    return zlib.crc32(np.ascontiguousarray(record, dtype="<i8").tobytes())
