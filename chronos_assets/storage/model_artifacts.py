"""The model of a live fold as an artifact: named by its id alone, trusted by the SHA-256 that its row keeps."""

from __future__ import annotations

import hashlib
import re
from uuid import UUID

from chronos_assets.errors import FileError
from chronos_assets.storage.artifacts.store import ArtifactStore

FOLDER = "models"
_MODEL = re.compile(rf"{FOLDER}/../([0-9a-f-]{{36}})\.model", re.ASCII)


class ModelArtifacts:
    """The models in a store of artifacts."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    @staticmethod
    def place(model_id: str) -> str:
        """The name of a model's artifact; raises `ValueError` for a text that is no id."""
        name = str(UUID(model_id))
        return f"{FOLDER}/{name[:2]}/{name}.model"

    def save(self, model_id: str, content: bytes) -> str:
        """Write a model and wait until it is durable; gives its SHA-256 (64 hex digits). Raises `FileError`."""
        self._store.put({self.place(model_id): content})
        return hashlib.sha256(content).hexdigest()

    def load(self, model_id: str, sha256: str) -> bytes:
        """The bytes of a model; raises `FileError` unless they are those that were stored."""
        place = self.place(model_id)
        hint = "Run the same `chronos model train` again: it makes the file again, to the same bits."
        content = self._store.read(place)
        if content is None:
            raise FileError("the file of a model is gone", code="model_missing", file=self._store.address(place), hint=hint)
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise FileError(
                "the file of a model is damaged: it is not what was stored",
                code="model_damaged",
                expected=f"SHA-256 {sha256}",
                found=f"SHA-256 {found}",
                hint=hint,
                file=self._store.address(place),
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
        names = (entry.name for entry in self._store.list(FOLDER))
        return sorted(found[1] for name in names if (found := _MODEL.fullmatch(name)) and _is_id(found[1]))

    def remove(self, model_id: str) -> int:
        """Delete the file of a model; returns its bytes, 0 if it was gone already."""
        return self._store.delete(self.place(model_id))

    def remove_abandoned(self) -> int:
        """Remove what killed writers left half-written; call it while nobody writes. Returns how many files went."""
        return self._store.remove_abandoned(FOLDER)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
