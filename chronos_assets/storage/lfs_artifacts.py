"""What a Local Feature Selection leaves as files: the set of every case, and the counts of every permutation.

While a selection runs, each permutation is appended to a journal, one record of int64: its number, its counts, and a checksum. A record
that was cut off or damaged ends the journal. The whole counts become a Parquet file when the selection ends. A record is on the disk before
the permutation counts as done.
"""

from __future__ import annotations

import hashlib
import io
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.errors import FileError
from chronos_assets.storage.atomic_write import append, naming, write_files

Ints = npt.NDArray[np.int64]
FOLDER = "lfs"
_HINT = "Run the same `chronos lfs` command again: it makes what is missing or damaged."


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
        write_files({self.sets_path: _parquet(sets)})

    def has_sets(self) -> bool:
        """Whether the cases' sets are there and can be read."""
        try:
            self.sets()
        except FileError:
            return False
        return True

    def digests(self) -> dict[str, str]:
        """SHA-256 of the files that a selection leaves, by name; one that is gone is left out."""
        return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in self._files().items() if path.is_file()}

    def remove_damaged(self, digests: Mapping[str, str]) -> None:
        """Delete the files that are not those of `digests`."""
        found = self.digests()
        for name, path in self._files().items():
            if found.get(name) != digests.get(name):
                path.unlink(missing_ok=True)

    def _files(self) -> dict[str, Path]:
        return {"sets": self.sets_path, "permutations": self.counts_path}

    def sets(self) -> pl.DataFrame:
        """The cases' sets, as `save_sets` wrote them; raises `FileError` if they are gone or damaged."""
        return _read(self.sets_path, "the sets of a feature selection")

    def append(self, r: int, counts: Ints) -> None:
        """Add the counts of permutation `r`, one per feature column. They are on the disk on return."""
        append(self._journal, _record(r, counts))

    def done(self) -> dict[int, Ints]:
        """Counts by permutation number, from the file or else the journal; raises `FileError` if the file is damaged."""
        if self.counts_path.is_file():
            frame = _read(self.counts_path, "the permutations of a feature selection")
            return dict(zip(frame["r"].to_list(), frame.drop("r").to_numpy().astype(np.int64), strict=True))
        return {int(record[0]): record[1:-1].astype(np.int64) for record in self._whole_records()}

    def remove(self) -> None:
        """Delete all files of the selection; one that is gone already is no error."""
        for path in (self.sets_path, self.counts_path, self._journal):
            with naming(path):
                path.unlink(missing_ok=True)

    def resume(self) -> dict[int, Ints]:
        """`done`, after which permutations can be appended: a record that was cut off is removed from the journal."""
        try:
            found = self.done()
        except FileError:  # a damaged file tells nothing
            self.counts_path.unlink()
            found = self.done()
        if self.counts_path.is_file():  # an attempt that was cancelled had finished these
            write_files({self._journal: b"".join(_record(r, counts) for r, counts in found.items())})
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
        write_files({self.counts_path: _parquet(pl.DataFrame(columns))})
        self._journal.unlink(missing_ok=True)


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _read(path: Path, what: str) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except FileNotFoundError:
        raise FileError(f"{what} are gone", code="artifact_missing", file=str(path), hint=_HINT) from None
    except (pl.exceptions.PolarsError, OSError) as error:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise FileError(f"{what} are damaged", code="artifact_damaged", file=str(path), found=said, hint=_HINT) from error


def _record(r: int, counts: Ints) -> bytes:
    record = np.concatenate([[r], counts]).astype("<i8")
    return np.append(record, _checksum(record)).astype("<i8").tobytes()


def _checksum(record: Ints) -> int:
    return zlib.crc32(np.ascontiguousarray(record, dtype="<i8").tobytes())
