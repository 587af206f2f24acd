"""What a command works on: the stores that the settings name, and the manifest of a dataset."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from chronos_assets.cli.common import say

if TYPE_CHECKING:
    from chronos_assets.settings import Settings
    from chronos_assets.storage.manifest_files import LoadedManifest
    from chronos_assets.storage.stores import Stores


def open_stores_of(settings: Settings | None = None) -> Stores:
    """The stores that the settings (else those of the environment) name, embedded ones started if needed."""
    from chronos_assets import services
    from chronos_assets.settings import load_settings
    from chronos_assets.storage.stores import open_stores

    settings = settings or load_settings()
    return open_stores(services.connect(settings, progress=say), settings, say)


def find_manifest(settings: Settings, slug: str, given: Path | None) -> LoadedManifest | None:
    """The dataset's manifest; None if none was given and none lies in its place."""
    from chronos_assets.storage.manifest_files import load_manifest, manifest_path

    path = given or manifest_path(settings.exports_dir, slug)
    if given is None and not path.exists():
        return None
    return load_manifest(path, data_roots=settings.data_roots)


def require_manifests(settings: Settings, slugs: Iterable[str]) -> None:
    """Refuse a dataset whose manifest is missing or wrong before anything is started for it; raises `ManifestError`."""
    from chronos_assets.storage.manifest_files import load_manifest, manifest_path

    for slug in slugs:
        load_manifest(manifest_path(settings.exports_dir, slug), data_roots=settings.data_roots)


def open_for_reading() -> Stores:
    """The stores that the settings name, for reading only; embedded ones are started if they do not run."""
    from chronos_assets import services
    from chronos_assets.settings import load_settings
    from chronos_assets.storage.reading import open_reading

    settings = load_settings()
    return open_reading(services.connect(settings, progress=say), settings)
