"""Manifests as files: where they lie, how one is read, and which files it may name.

The path of a source can leave neither the folder of the manifest nor the configured data roots.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from chronos_assets.domain.manifest import Manifest, has_checksum, parse_yaml
from chronos_assets.domain.slug import Slug
from chronos_assets.domain.strict import parse_strict
from chronos_assets.errors import ManifestError

MAX_MANIFEST_BYTES = 1 << 20
# Parsed manifests that one process remembers, by their text.
MANIFESTS_KEPT = 128


@dataclass(frozen=True)
class LoadedManifest:
    """A manifest, where it lies, and the files it names, resolved. `manifest_digest` is the SHA-256 of its text."""

    manifest: Manifest
    path: Path
    source_path: Path
    ohlcv_path: Path | None
    manifest_digest: str


def manifest_path(exports_dir: Path, slug: str | Slug) -> Path:
    """Where the manifest of `slug` lies; the slug is checked, so the path cannot leave the folder."""
    return exports_dir / f"{Slug.parse(str(slug))}.yaml"


def find_manifests(exports_dir: Path) -> list[Path]:
    """Manifests below `exports_dir`, by name; hidden files are none. One that cannot be read is among them, so that it is told."""
    if not exports_dir.is_dir():
        return []
    return sorted(path for path in exports_dir.glob("*.yaml") if not path.name.startswith(".") and not path.is_dir())


def load_manifest(path: Path, *, data_roots: Iterable[Path] = (), replace_checksum: str | None = None) -> LoadedManifest:
    """Read the manifest at `path`; raises `ManifestError` that names the key, line or path that is wrong.

    The files it names need not exist yet; their paths are resolved against the folder of the manifest and must stay inside it or one of
    `data_roots`. A checksum that is missing or malformed is refused, or taken to be `replace_checksum` if that is given.
    """
    text = read_manifest_text(path)
    manifest = _parsed(text, str(path), replace_checksum)
    if path.name != f"{manifest.dataset}.yaml":
        raise ManifestError(
            "the manifest's file name differs from its dataset",
            code="manifest_name",
            expected=f"{manifest.dataset}.yaml",
            found=path.name,
            hint="Rename the file, or correct `dataset`.",
            file=str(path),
        )
    roots = [path.parent, *data_roots]
    return LoadedManifest(
        manifest,
        path,
        _inside(manifest.source_file, "source_file", path, roots),
        None if manifest.ohlcv_file is None else _inside(manifest.ohlcv_file, "ohlcv_file", path, roots),
        hashlib.sha256(text.encode()).hexdigest(),
    )


@lru_cache(maxsize=MANIFESTS_KEPT)
def _parsed(text: str, file: str, replace_checksum: str | None) -> Manifest:
    """The manifest in `text`: the steps of a run, and the parts of a night, read an unchanged one many times and parse it once."""
    data = parse_yaml(text, file)
    if replace_checksum is not None and not has_checksum(data):
        data = {**data, "checksum": replace_checksum}
    return parse_strict(Manifest, data, error=ManifestError, what="the manifest", file=file)


def read_manifest_text(path: Path) -> str:
    """The text of the manifest at `path`; raises `ManifestError` if it cannot be read."""
    try:
        data = _read_regular(path)
        if len(data) > MAX_MANIFEST_BYTES:
            raise ManifestError(
                "the manifest is too large", code="manifest_too_large", expected=f"at most {MAX_MANIFEST_BYTES} bytes", file=str(path)
            )
        return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig").read()
    except FileNotFoundError:
        raise ManifestError(
            "there is no such manifest", code="manifest_missing", file=str(path), hint="`chronos manifest new FILE` writes one."
        ) from None
    except UnicodeDecodeError:
        raise ManifestError("the manifest is not UTF-8", code="manifest_encoding", file=str(path)) from None
    except OSError as error:
        raise ManifestError(f"the manifest cannot be read: {error.strerror}", code="manifest_unreadable", file=str(path)) from None


def _read_regular(path: Path) -> bytes:
    """The first bytes of a file, at most one more than a manifest may have; a pipe or device is refused, never waited for."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe without a writer does not hold us up
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ManifestError("the manifest is not a regular file", code="manifest_unreadable", file=str(path))
        return file.read(MAX_MANIFEST_BYTES + 1)


def _inside(relative: str, key: str, manifest: Path, roots: list[Path]) -> Path:
    """The file that `relative` names, symlinks followed; raises if that is outside all of `roots`."""
    where = {"file": str(manifest), "key": key}
    if not relative or "\x00" in relative:
        raise ManifestError(f"{key} is not a path", code="path_invalid", found=repr(relative), **where)
    given = Path(relative)
    if given.is_absolute() or re.match(r"[A-Za-z]:[\\/]|\\\\|~[^\\/]*[\\/]|~$", relative):
        raise ManifestError(
            f"{key} is absolute",
            code="path_absolute",
            found=relative,
            hint="Write it relative to the manifest, or to a folder in CHRONOS_DATA_ROOTS.",
            **where,
        )
    if ".." in re.split(r"[\\/]", relative):
        raise ManifestError(f"{key} holds '..'", code="path_outside", found=relative, **where)
    for root in roots:
        candidate = root / given
        try:
            there = candidate.exists() or candidate.is_symlink()
            real = _links_followed(candidate)
        except (OSError, RuntimeError, UnicodeEncodeError):
            raise ManifestError(f"{key} cannot be resolved", code="path_invalid", found=ascii(relative)[:200], **where) from None
        if there:
            if any(real.is_relative_to(allowed.resolve()) for allowed in roots):
                return real
            raise ManifestError(
                f"{key} is a link that leads outside",
                code="path_outside",
                found=str(real),
                hint="Put the file itself there, or add its folder to CHRONOS_DATA_ROOTS.",
                **where,
            )
    return roots[0].resolve() / given


def _links_followed(path: Path) -> Path:
    """Where `path` leads; raises `OSError` or `RuntimeError` if its links go in a circle."""
    real = path.resolve()
    if real.is_symlink():  # Python 3.13 leaves such a link as it is, where older ones raise
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return real
