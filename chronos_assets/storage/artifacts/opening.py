"""Which store of artifacts the settings ask for."""

from __future__ import annotations

from chronos_assets.settings import Settings
from chronos_assets.storage.artifacts.files import FileArtifacts
from chronos_assets.storage.artifacts.store import ArtifactStore


def open_artifacts(settings: Settings) -> ArtifactStore:
    """The store of artifacts; nothing is read or written yet."""
    return FileArtifacts(settings.artifacts_dir)
