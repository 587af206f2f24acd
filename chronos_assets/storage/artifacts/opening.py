"""Which store of artifacts the settings ask for."""

from __future__ import annotations

import hashlib

from chronos_assets.artifacts_address import ArtifactsAddress
from chronos_assets.settings import Settings
from chronos_assets.storage.artifacts.files import FileArtifacts
from chronos_assets.storage.artifacts.range_cache import RangeCache
from chronos_assets.storage.artifacts.s3 import S3Artifacts
from chronos_assets.storage.artifacts.store import ArtifactStore


def open_artifacts(settings: Settings, *, cached: bool = True) -> ArtifactStore:
    """The store of artifacts; nothing is read or written yet. Without `cached`, what is read of a bucket is not kept on this machine.

    Raises `UsageError` if what it needs is not installed.
    """
    if settings.artifacts is None:
        return FileArtifacts(settings.artifacts_dir)
    address = ArtifactsAddress.parse(settings.artifacts)
    if address.folder is not None:
        return FileArtifacts(address.folder)
    name = hashlib.sha256(str(address).encode()).hexdigest()[:16]
    cache = RangeCache(settings.cache / "artifacts" / f"{name}.sqlite" if cached else None)
    return S3Artifacts(address.bucket, address.prefix, journals=settings.artifacts_dir, cache=cache)
