"""Normalize one dataset: its file against its checksum, then bars into an Arrow file that is kept by what went into it.

The checksum is verified before a byte is parsed. The Arrow file is found again by checksum, reading rules and version of the reader, so the
same file is read once, whoever asks.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
from pydantic import ValidationError

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.domain.strict import nearest
from chronos_assets.errors import ManifestError, NotPublishedError, SourceChangedError
from chronos_assets.ingest.reading import Progress, normalize
from chronos_assets.ingest.report import BarsReport
from chronos_assets.ingest.source import file_checksum
from chronos_assets.settings import Settings
from chronos_assets.storage.atomic_write import remove_abandoned, write_file
from chronos_assets.storage.file_digests import Digests
from chronos_assets.storage.manifest_files import LoadedManifest

READER_VERSION = 6
"""Raised when the same file would give other bars or another report."""


@dataclass(frozen=True)
class NormalizedBars:
    """Where the normalized bars of a dataset lie, and what is known of them."""

    path: Path
    report: BarsReport


def normalize_dataset(
    loaded: LoadedManifest,
    settings: Settings,
    *,
    published: Callable[[], str | None] | None = None,
    progress: Progress | None = None,
    afresh: bool = False,
) -> NormalizedBars:
    """Normalized bars of a dataset, from its file or, if nothing changed, from an earlier reading.

    A file that differs from the manifest's checksum is refused (`SourceChangedError`) unless `on_change: grow`, or `published()` names its
    checksum as the one in the registry. `report.checksum` is always that of the file as it was read. `afresh`: read the file even if its
    checksum is remembered.
    """
    checksum = file_checksum(loaded.source_path) if afresh else source_checksum(loaded, settings)
    _refuse_change(loaded, checksum, published)
    path = _arrow_path(loaded, settings, checksum)
    report = _cached(path)
    if report is None:
        remove_abandoned([path.parent])
        report = normalize(loaded.source_path, loaded.manifest.bars_spec(), path, progress)
        if report.checksum != checksum:
            path.unlink(missing_ok=True)
            raise _changed(loaded, report.checksum, "the file changed while it was read", "Wait until it is written, then try again.")
        _refuse_unknown_horizons(loaded, report)  # bars that are refused are never found by a later step
        _write_report(path, report)
    else:
        _refuse_unknown_horizons(loaded, report)
    return NormalizedBars(path, report)


def find_normalized(loaded: LoadedManifest, settings: Settings, *, published: str | None) -> NormalizedBars:
    """What `normalize_dataset` made of the file as it is now; nothing is read again. `published`: the checksum in the registry.

    Raises `NotPublishedError` (`not_normalized`) if the file has not been normalized, or has changed since, and `SourceChangedError` as
    `normalize_dataset` does.
    """
    checksum = source_checksum(loaded, settings)
    _refuse_change(loaded, checksum, lambda: published)
    path = _arrow_path(loaded, settings, checksum)
    report = _cached(path)
    if report is None:
        raise NotPublishedError(
            "the file is not normalized as it is now",
            code="not_normalized",
            hint="Materialize normalized_bars first.",
            slug=loaded.manifest.dataset,
            file=str(loaded.source_path),
        )
    return NormalizedBars(path, report)


def _arrow_path(loaded: LoadedManifest, settings: Settings, checksum: str) -> Path:
    """Where the bars of this content, read by the rules of the manifest, are kept."""
    key = cache_key(checksum, loaded.manifest.bars_spec(), loaded.source_path.name)
    return settings.artifacts_dir / "bars" / loaded.manifest.dataset / f"{key}.arrow"


def source_checksum(loaded: LoadedManifest, settings: Settings) -> str:
    """`sha256:<64 hex>` of the source file, remembered by its size and times: the steps of a run read an unchanged file once."""
    digests = Digests.of_home(settings.home)
    try:
        digest = digests.of(loaded.source_path, read=lambda path: file_checksum(path).removeprefix("sha256:"))
    except OSError:
        return file_checksum(loaded.source_path)  # says in words of its own what is wrong with the file
    digests.save()
    return f"sha256:{digest}"


def cached_bars(loaded: LoadedManifest, settings: Settings) -> NormalizedBars | None:
    """Bars that were normalized from the file whose checksum stands in the manifest, by whatever rules, where they are still kept."""
    folder = settings.artifacts_dir / "bars" / loaded.manifest.dataset
    for path in sorted(folder.glob("*.arrow"), key=lambda path: path.stat().st_mtime, reverse=True):
        report = _cached(path)
        if report is not None and report.checksum == loaded.manifest.checksum:
            return NormalizedBars(path, report)
    return None


def cache_key(checksum: str, spec: BarsSpec, name: str) -> str:
    """Name of the Arrow file of this content under these rules (a file's name can decide what its Time column means)."""
    told = json.dumps([READER_VERSION, checksum, spec.model_dump(mode="json"), name], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _refuse_change(loaded: LoadedManifest, checksum: str, published: Callable[[], str | None] | None) -> None:
    manifest = loaded.manifest
    if checksum == manifest.checksum or manifest.on_change == "grow":
        return
    if published is not None and published() == checksum:
        return
    raise _changed(
        loaded,
        checksum,
        "the file differs from the checksum in its manifest",
        f"`chronos manifest refresh {manifest.dataset}` shows what changed and takes it; `on_change: grow` takes appended bars by itself.",
    )


def _changed(loaded: LoadedManifest, found: str, message: str, hint: str) -> SourceChangedError:
    return SourceChangedError(
        message,
        code="source_changed",
        expected=loaded.manifest.checksum,
        found=found,
        hint=hint,
        slug=loaded.manifest.dataset,
        file=str(loaded.source_path),
    )


def _refuse_unknown_horizons(loaded: LoadedManifest, report: BarsReport) -> None:
    targets = report.by_role("target")
    known = {name.casefold() for name in targets} | {"default"}
    for name in loaded.manifest.target_horizon:
        if name.casefold() not in known:
            close = nearest(name, targets)
            raise ManifestError(
                f"target_horizon names {name!r}, which is not a target of the file",
                code="horizon_unknown",
                expected=f"one of {', '.join(targets[:10])}" if targets else "a target",
                hint=f"Did you mean {close!r}?" if close else "",
                slug=loaded.manifest.dataset,
                file=str(loaded.path),
            )


def _report_path(path: Path) -> Path:
    return path.with_suffix(".json")


def report_of(path: Path) -> BarsReport | None:
    """What was said of the file that an Arrow file was made from; None if that is not kept."""
    with contextlib.suppress(OSError, ValidationError):
        return BarsReport.model_validate_json(_report_path(path).read_bytes())
    return None


def _cached(path: Path) -> BarsReport | None:
    report = report_of(path)
    return report if report is not None and path.is_file() and _opens(path) else None


def _opens(path: Path) -> bool:
    """Whether the file has its end, where Arrow says what is in it: one that a full disk or a power cut has cut short is made again."""
    try:
        with pa.memory_map(str(path)) as file:
            pa.ipc.open_file(file)
    except (OSError, ValueError):
        return False
    return True


def _write_report(path: Path, report: BarsReport) -> None:
    write_file(_report_path(path), report.model_dump_json(indent=1).encode())
