"""The manifest `exports/<slug>.yaml`: what a dataset is, where its file lies, and what is to be run on it.

Only four keys are required. A manifest is read once, at the edge: unknown keys name the nearest known one, YAML errors name their line, and
the path of the source can leave neither the folder of the manifest nor the configured data roots.
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
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from chronos_assets.domain.bars_spec import BarsSpec, ColumnsSpec, FormatSpec
from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.slug import Slug, granularity_seconds
from chronos_assets.domain.strict import StrictModel, parse_strict
from chronos_assets.domain.strict_yaml import YamlProblem, load_yaml
from chronos_assets.errors import ChronosError, ManifestError

MAX_MANIFEST_BYTES = 1 << 20
DEFAULT_PROFILE = "default"
_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")
_PROFILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_P = TypeVar("_P", bound=StrictModel)
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,99}")


class Manifest(StrictModel):
    """One manifest, as it was written; every optional key has a default that suits the dataset."""

    dataset: str
    source_file: str
    granularity: str
    checksum: str
    on_change: Literal["refuse", "grow"] = "refuse"
    source: str = "chronosflow"
    format: FormatSpec = FormatSpec()
    columns: ColumnsSpec = ColumnsSpec()
    target_horizon: dict[str, int] = Field(default_factory=dict)
    ohlcv_file: str | None = None
    walkforward: dict[str, WalkforwardProfile] = Field(default_factory=dict)
    simulation: dict[str, SimulationProfile] = Field(default_factory=dict)
    lfs: dict[str, LfsProfile] = Field(default_factory=dict)

    @field_validator("dataset")
    @classmethod
    def _slug_rule(cls, value: str) -> str:
        try:
            Slug.parse(value)
        except ChronosError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("granularity")
    @classmethod
    def _interval_rule(cls, value: str) -> str:
        try:
            granularity_seconds(value)
        except ChronosError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("checksum")
    @classmethod
    def _checksum_form(cls, value: str) -> str:
        if not _CHECKSUM.fullmatch(value):
            raise ValueError("a checksum is sha256: and 64 hex digits in lower case; `chronos manifest refresh SLUG` writes it")
        return value

    @field_validator("source")
    @classmethod
    def _source_form(cls, value: str) -> str:
        if not _SOURCE.fullmatch(value):
            raise ValueError("a source is a short word of letters, digits and _ . : / @ -")
        return value

    @field_validator("target_horizon")
    @classmethod
    def _horizons(cls, value: dict[str, int]) -> dict[str, int]:
        for target, bars in value.items():
            if not 1 <= bars <= 100_000:
                raise ValueError(f"target_horizon.{target} is {bars}; a horizon is 1 to 100000 bars")
        return value

    @field_validator("walkforward", "simulation", "lfs")
    @classmethod
    def _profile_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not _PROFILE_NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a valid profile name: use letters, digits and _ . -, at most 63")
        return value

    @model_validator(mode="after")
    def _one_interval(self) -> Manifest:
        if self.granularity != self.slug.granularity:
            raise ValueError(f"granularity is {self.granularity}, but the slug says {self.slug.granularity}")
        return self

    @cached_property
    def slug(self) -> Slug:
        """The dataset's slug, in parts."""
        return Slug.parse(self.dataset)

    def horizon(self, target: str) -> tuple[int, bool]:
        """Bars that `target` looks ahead, and whether that is assumed (declared neither for it nor as `default`)."""
        by_fold = {name.casefold(): bars for name, bars in self.target_horizon.items()}
        bars = by_fold.get(target.casefold(), by_fold.get("default"))
        return (1, True) if bars is None else (bars, False)

    def walkforward_profile(self, name: str = DEFAULT_PROFILE) -> WalkforwardProfile:
        """The named walk-forward profile; `default` always exists."""
        if name == DEFAULT_PROFILE and name not in self.walkforward:
            return WalkforwardProfile()
        return _named(self.walkforward, name, "walkforward", self.dataset)

    def simulation_profile(self, name: str = DEFAULT_PROFILE) -> SimulationProfile:
        """The named simulation profile; `default` always exists."""
        if name == DEFAULT_PROFILE and name not in self.simulation:
            return SimulationProfile()
        return _named(self.simulation, name, "simulation", self.dataset)

    def lfs_profile(self, name: str = DEFAULT_PROFILE) -> LfsProfile:
        """The named profile of Local Feature Selection; `default` always exists."""
        if name == DEFAULT_PROFILE and name not in self.lfs:
            return LfsProfile()
        return _named(self.lfs, name, "lfs", self.dataset)

    def bars_spec(self) -> BarsSpec:
        """What the reader of bars is told by this manifest."""
        return BarsSpec(granularity=self.granularity, format=self.format, columns=self.columns, target_horizon=self.target_horizon)


def _named(profiles: dict[str, _P], name: str, what: str, slug: str) -> _P:
    try:
        return profiles[name]
    except KeyError:
        known = ", ".join(sorted({*profiles, DEFAULT_PROFILE}))
        raise ManifestError(
            f"the manifest has no {what} profile {name!r}", code="profile_unknown", expected=f"one of {known}", slug=slug
        ) from None


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
    data = parse_yaml(text, path)
    if replace_checksum is not None and not _CHECKSUM.fullmatch(str(data.get("checksum"))):
        data = {**data, "checksum": replace_checksum}
    manifest = parse_strict(Manifest, data, error=ManifestError, what="the manifest", file=str(path))
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


def parse_yaml(text: str, path: Path) -> dict[str, Any]:
    """The mapping in `text`; raises `ManifestError` with the line of a mistake."""
    try:
        data = load_yaml(text)
    except YamlProblem as error:
        raise ManifestError(
            f"the manifest is not valid YAML: {error.problem}", code="manifest_yaml", file=str(path), line=error.line
        ) from None
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise ManifestError(
            "the manifest is not a mapping of keys to values", code="manifest_yaml", found=type(data).__name__, file=str(path)
        )
    return data


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
