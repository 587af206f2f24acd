"""What a fold leaves as files: its model (UBJSON), and its validation predictions and targets (one .npy of float64,
shape (3, cases): row offsets, predictions, targets).

Files are named by the fold's key, so runs that share a fold share its files. Each is written under a temporary name and renamed; the
model comes last, so where a model lies its validation file lies too.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chronos_assets.errors import StoreError

FOLDER = "walkforward"


@dataclass(frozen=True)
class ValidationCases:
    """A fold's validation part: row offsets from the fold's first row, predictions and targets, each of shape (cases,)."""

    offsets: NDArray[np.int64]
    predictions: NDArray[np.float64]
    targets: NDArray[np.float64]


class FoldArtifacts:
    """The folder of fold artifacts below the stores' artifacts folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def name(self, key: str) -> str:
        """Path of a fold's model, relative to the artifacts folder; kept in `walkforward_folds.artifact`."""
        return f"{FOLDER}/{key[:2]}/{key}.ubj"

    def exists(self, artifact: str | None) -> bool:
        """Whether both files of a fold are there."""
        return artifact is not None and (self._root / artifact).is_file() and (self._root / artifact).with_suffix(".npy").is_file()

    def save(self, key: str, model: bytes, cases: ValidationCases) -> str:
        """Write both files; returns `name(key)`."""
        artifact = self.name(key)
        path = self._root / artifact
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{key}.{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            np.save(file, np.stack([cases.offsets.astype(np.float64), cases.predictions, cases.targets]))
        temporary.replace(path.with_suffix(".npy"))
        temporary.write_bytes(model)
        temporary.replace(path)
        return artifact

    def model(self, artifact: str) -> bytes:
        """The model's UBJSON."""
        return self._existing(self._root / artifact).read_bytes()

    def validation(self, artifact: str) -> ValidationCases:
        """The validation predictions and targets."""
        offsets, predictions, targets = np.load(self._existing((self._root / artifact).with_suffix(".npy")), allow_pickle=False)
        return ValidationCases(offsets.astype(np.int64), predictions, targets)

    def size(self, artifact: str) -> int:
        """Bytes of both files; 0 for one that is gone."""
        path = self._root / artifact
        return sum(file.stat().st_size for file in (path, path.with_suffix(".npy")) if file.is_file())

    def remove(self, artifact: str) -> None:
        """Delete both files; one that is gone already is no error."""
        path = self._root / artifact
        path.unlink(missing_ok=True)
        path.with_suffix(".npy").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()  # only where it is empty

    @staticmethod
    def _existing(path: Path) -> Path:
        if not path.is_file():
            raise StoreError(
                "a fold's artifact is gone", code="artifact_missing", file=str(path), hint="Retire the run and train it again."
            )
        return path
