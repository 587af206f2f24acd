"""What a request for a selection starts from: the `lfs` profile of the dataset's manifest with changes, and how far its targets look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.domain.profiles.variants import change_profile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.errors import ManifestError
from chronos_assets.pipeline.selection.request import LfsRequest, plan_lfs
from chronos_assets.pipeline.walkforward.run import HorizonOf
from chronos_assets.storage.manifest_files import LoadedManifest
from chronos_assets.storage.stores import Stores


@dataclass(frozen=True)
class LfsSetup:
    """A profile, the walk-forward profile whose tests it must not see, the horizon of each target, and that of its own if it is given."""

    profile: LfsProfile
    walkforward: WalkforwardProfile
    horizon_of: HorizonOf
    horizon: int | None = None

    def plan(self, slug: str, stores: Stores) -> LfsRequest:
        """The request, resolved against the published dataset; raises `ProfileError` for what does not fit it."""
        return plan_lfs(slug, self.profile, stores, horizon_of=self.horizon_of, walkforward=self.walkforward, horizon=self.horizon)


def lfs_setup(
    loaded: LoadedManifest | None, slug: str, changes: Mapping[str, Any], *, name: str = "default", horizon: int | None = None
) -> LfsSetup:
    """`lfs` profile `name` of the manifest with `changes`; raises `ProfileError` for those that no profile takes.

    A published dataset needs no manifest here: without one, everything has its default. `horizon` declares how many bars ahead the target
    looks, instead of the manifest; without both it is assumed to be 1.
    """
    if loaded is None and name != "default":
        raise ManifestError(f"there is no manifest of {slug} to take profile {name!r} from", code="manifest_missing", slug=slug)
    profile = LfsProfile() if loaded is None else loaded.manifest.lfs_profile(name)
    changed = change_profile(profile, changes, what="the lfs profile")
    if loaded is None:
        return LfsSetup(changed, WalkforwardProfile(), lambda _: (1, True), horizon)
    return LfsSetup(changed, loaded.manifest.walkforward_profile(), loaded.manifest.horizon, horizon)
