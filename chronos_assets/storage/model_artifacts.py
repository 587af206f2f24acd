"""The file of a live fold's model: named by its id alone, trusted by the SHA-256 that its row keeps."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from uuid import UUID

from chronos_assets.errors import FileError
from chronos_assets.storage.atomic_write import remove_abandoned, write_files
from chronos_assets.storage.privacy import OWNER_FILE

FOLDER = "models"


class ModelArtifacts:
    """The folder of models below the stores' artifacts folder."""

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER

    def path(self, model_id: str) -> Path:
        """Where the file of a model is kept; raises `ValueError` for a text that is no id."""
        name = str(UUID(model_id))
        return self._folder / name[:2] / f"{name}.model"

    def save(self, model_id: str, content: bytes) -> str:
        """Write a model and wait until the disk has it; gives its SHA-256 (64 hex digits). Raises `FileError`."""
        write_files({self.path(model_id): content}, mode=OWNER_FILE)
        return hashlib.sha256(content).hexdigest()

    def load(self, model_id: str, sha256: str) -> bytes:
        """The bytes of a model; raises `FileError` unless they are those that were stored."""
        path = self.path(model_id)
        hint = "Run the same `chronos model train` again: it makes the file again, to the same bits."
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise FileError("the file of a model is gone", code="model_missing", file=str(path), hint=hint) from None
        except OSError as error:
            raise FileError(f"the file of a model cannot be read: {error.strerror}", code="read_failed", file=str(path)) from error
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise FileError(
                "the file of a model is damaged: it is not what was stored",
                code="model_damaged",
                expected=f"SHA-256 {sha256}",
                found=f"SHA-256 {found}",
                hint=hint,
                file=str(path),
            )
        return content

    def is_whole(self, model_id: str, sha256: str) -> bool:
        """Whether the file is there and is what was stored."""
        try:
            self.load(model_id, sha256)
        except FileError:
            return False
        return True

    def ids(self) -> list[str]:
        """Ids of all models that have a file here."""
        return sorted(path.stem for path in self._folder.glob("*/*.model") if _is_id(path.stem))

    def remove(self, model_id: str) -> int:
        """Delete the file of a model; returns its bytes, 0 if it was gone already."""
        path = self.path(model_id)
        size = path.stat().st_size if path.is_file() else 0
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()  # only if it is empty
        return size

    def remove_abandoned(self) -> int:
        """Remove what killed writers left half-written; call it while nobody writes. Returns how many files went."""
        return remove_abandoned(self._folder.glob("*/"), older_than_seconds=0)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
