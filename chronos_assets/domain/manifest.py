"""The manifest `exports/<slug>.yaml`: what a dataset is, where its file lies, and what is to be run on it.

Only four keys are required. Unknown keys name the nearest known one, YAML errors name their line. `storage.manifest_files` reads the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from chronos_assets.domain.bars_spec import BarsSpec, ColumnsSpec, FormatSpec
from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.domain.profiles.live import LiveProfile
from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.retention import Keep
from chronos_assets.domain.slug import Slug, granularity_seconds
from chronos_assets.domain.strict import StrictModel
from chronos_assets.domain.strict_yaml import YamlProblem, load_yaml
from chronos_assets.errors import ChronosError, ManifestError

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
    keep: Keep | None = None
    walkforward: dict[str, WalkforwardProfile] = Field(default_factory=dict)
    simulation: dict[str, SimulationProfile] = Field(default_factory=dict)
    lfs: dict[str, LfsProfile] = Field(default_factory=dict)
    live: LiveProfile = LiveProfile()

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

    @property
    def live_profile_name(self) -> str:
        """The walk-forward profile that the live model continues: the one named, else `default`, else the first."""
        usual = DEFAULT_PROFILE if DEFAULT_PROFILE in self.walkforward or not self.walkforward else next(iter(self.walkforward))
        return self.live.profile or usual

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


def has_checksum(data: Mapping[str, Any]) -> bool:
    """Whether the mapping of a manifest has a well-formed `checksum`."""
    return _CHECKSUM.fullmatch(str(data.get("checksum"))) is not None


def parse_yaml(text: str, file: str) -> dict[str, Any]:
    """The mapping in `text`, which `file` holds; raises `ManifestError` with the line of a mistake."""
    try:
        data = load_yaml(text)
    except YamlProblem as error:
        raise ManifestError(f"the manifest is not valid YAML: {error.problem}", code="manifest_yaml", file=file, line=error.line) from None
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise ManifestError("the manifest is not a mapping of keys to values", code="manifest_yaml", found=type(data).__name__, file=file)
    return data
