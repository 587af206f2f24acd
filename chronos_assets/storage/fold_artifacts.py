"""What a fold leaves as files: its model (UBJSON), and its validation predictions and targets (one .npy of float64,
shape (3, cases): row offsets, predictions, targets).

Files are named by the fold's key alone, so runs that share a fold share its files, and nothing else that a table says becomes a path.
Both are on the disk before the row that names them commits. The row keeps SHA-256 and size of each; no byte is parsed before they agree.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chronos_assets.errors import FileError
from chronos_assets.storage.atomic_write import remove_abandoned, write_files
from chronos_assets.storage.privacy import OWNER_FILE

FOLDER = "walkforward"
READERS = 4
_KEY = re.compile(r"[0-9a-f]{16,128}", re.ASCII)
_HINT = "Run the walk-forward again: it trains the folds whose files are missing or damaged."
# whole: both files are what was stored; unrecorded: stored by an older program, which kept no hash of them.
State = Literal["whole", "missing", "damaged", "unrecorded"]


@dataclass(frozen=True)
class ValidationCases:
    """A fold's validation part: row offsets from the fold's first row, predictions and targets, each of shape (cases,)."""

    offsets: NDArray[np.int64]
    predictions: NDArray[np.float64]
    targets: NDArray[np.float64]


@dataclass(frozen=True)
class FoldFiles:
    """What the registry says of a fold's two files: the key that names them, SHA-256 (64 hex digits) and bytes of each."""

    fold_key: str | None
    artifact_sha256: str | None = None
    artifact_bytes: int | None = None
    validation_sha256: str | None = None
    validation_bytes: int | None = None

    @property
    def recorded(self) -> bool:
        """Whether hashes are known, so that the files can be trusted at all."""
        return self.artifact_sha256 is not None and self.validation_sha256 is not None


class FoldArtifacts:
    """The folder of fold artifacts below the stores' artifacts folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @staticmethod
    def label(key: str) -> str:
        """Path of a fold's model, relative to the artifacts folder; a label in `walkforward_folds.artifact`, never opened."""
        return f"{FOLDER}/{key[:2]}/{key}.ubj"

    def path(self, key: str | None) -> Path | None:
        """Where the model of `key` is kept; None for a text that is no key, which has no files."""
        return self._root / self.label(key) if key is not None and _KEY.fullmatch(key) else None

    def save(self, folds: Mapping[str, tuple[bytes, ValidationCases]]) -> dict[str, FoldFiles]:
        """Write the files of folds (key -> model, cases) and wait until the disk has all of them; gives what is to be recorded.

        Raises `FileError`.
        """
        contents: dict[Path, bytes] = {}
        recorded: dict[str, FoldFiles] = {}
        for key, (model, cases) in folds.items():
            path = self.path(key)
            assert path is not None, key
            arrays = _encoded(cases)
            contents |= {path: model, path.with_suffix(".npy"): arrays}
            recorded[key] = FoldFiles(key, _sha256(model), len(model), _sha256(arrays), len(arrays))
        write_files(contents, mode=OWNER_FILE)
        return recorded

    def state(self, files: FoldFiles) -> State:
        """Whether both files of a fold are what was stored; reads them in full."""
        path = self.path(files.fold_key)
        if path is None:
            return "missing"
        if not files.recorded:
            return "unrecorded" if path.is_file() and path.with_suffix(".npy").is_file() else "missing"
        try:
            self.model(files)
            self._checked(path.with_suffix(".npy"), files.validation_sha256, files.validation_bytes)
        except FileError as error:
            return "missing" if error.code == "artifact_missing" else "damaged"
        return "whole"

    def states(self, files: Iterable[FoldFiles]) -> list[State]:
        """`state` of each, several at once."""
        with ThreadPoolExecutor(READERS, thread_name_prefix="fold-files") as pool:
            return list(pool.map(self.state, files))

    def model(self, files: FoldFiles) -> bytes:
        """The model's UBJSON; raises `FileError` unless it is the one that was stored."""
        return self._checked(self.path(files.fold_key), files.artifact_sha256, files.artifact_bytes)

    def validation(self, files: FoldFiles) -> ValidationCases:
        """The validation predictions and targets; raises `FileError` unless they are those that were stored."""
        path = self.path(files.fold_key)
        content = self._checked(path and path.with_suffix(".npy"), files.validation_sha256, files.validation_bytes)
        offsets, predictions, targets = np.load(io.BytesIO(content), allow_pickle=False)
        return ValidationCases(offsets.astype(np.int64), predictions, targets)

    def size(self, key: str | None) -> int:
        """Bytes of both files; 0 for one that is gone."""
        path = self.path(key)
        return 0 if path is None else sum(file.stat().st_size for file in (path, path.with_suffix(".npy")) if file.is_file())

    def keys(self) -> list[str]:
        """Keys of all folds that have a file here."""
        found = {path.stem for pattern in ("*/*.ubj", "*/*.npy") for path in (self._root / FOLDER).glob(pattern)}
        return sorted(key for key in found if _KEY.fullmatch(key))

    def remove(self, key: str | None) -> None:
        """Delete both files; one that is gone already is no error, and a text that is no key has none."""
        path = self.path(key)
        if path is None:
            return
        path.unlink(missing_ok=True)
        path.with_suffix(".npy").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()  # only if it is empty

    def remove_abandoned(self) -> int:
        """Remove what killed writers left half-written; call it while nobody writes (`runs.files_lock`). Returns how many files went."""
        return remove_abandoned((self._root / FOLDER).glob("*/"), older_than_seconds=0)

    @staticmethod
    def _checked(path: Path | None, sha256: str | None, size: int | None) -> bytes:
        """The bytes of a file, which are those that the registry knows."""
        if path is None or not path.is_file():
            raise FileError("a file of a fold is gone", code="artifact_missing", file=str(path or "none"), hint=_HINT)
        if sha256 is None:
            raise FileError(
                "a fold was stored by an older program, which kept no hash of its files",
                code="artifact_unrecorded",
                file=str(path),
                hint="Run the walk-forward again: it trains such folds again and records their hashes.",
            )
        try:
            found_size = path.stat().st_size
            content = path.read_bytes() if found_size == size else b""
        except OSError as error:
            raise FileError(f"a file of a fold cannot be read: {error.strerror}", code="read_failed", file=str(path)) from error
        if found_size != size or _sha256(content) != sha256:
            raise FileError(
                "a file of a fold is damaged: it is not what was stored",
                code="artifact_damaged",
                expected=f"{size} bytes with SHA-256 {sha256}",
                found=f"{found_size} bytes" if found_size != size else f"SHA-256 {_sha256(content)}",
                hint=_HINT,
                file=str(path),
            )
        return content


def _encoded(cases: ValidationCases) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.stack([cases.offsets.astype(np.float64), cases.predictions, cases.targets]))
    return buffer.getvalue()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
