"""Packs of folds: those that no fold needs go, and those that are mostly dead or small are written together into new ones.

A pack that was replaced stays until the next time, so that a process which has read its name from a row still finds its folds in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from chronos_assets.errors import FileError
from chronos_assets.storage.fold_artifacts import FoldArtifacts, FoldFiles
from chronos_assets.storage.retention import pack_members, packs_in_use, packs_of, replace_pack
from chronos_assets.storage.runs import files_lock
from chronos_assets.storage.stores import Stores

PACKS_PER_QUERY = 1_000
# A pack of which less is needed is written again without the rest.
LEAST_NEEDED = 0.5
# Small packs come from nights that train a few folds. So many together make one.
SMALL_BYTES, SMALL_PACKS = 2_000_000, 16
PACK_BYTES = 32_000_000
RESTED = timedelta(hours=1)


def remove_unneeded(stores: Stores, only: Sequence[str] | None = None) -> int:
    """Remove packs (of `only`, by default of all) that no fold needs; call it under `files_lock`. Returns bytes."""
    artifacts = FoldArtifacts(stores.artifacts)
    packs = sorted(artifacts.packs()) if only is None else sorted(only)
    freed = 0
    for start in range(0, len(packs), PACKS_PER_QUERY):
        part = packs[start : start + PACKS_PER_QUERY]
        freed += sum(artifacts.remove_pack(pack) for pack in sorted(set(part) - packs_in_use(stores.postgres, part)))
    return freed


def rewrite_packs(stores: Stores, slug: str | None = None, *, rested: timedelta = RESTED) -> int:
    """Write packs (of one dataset, or of all) that are mostly dead, or small and many, again in fewer ones; returns how many were replaced.

    Packs younger than `rested` stay: their run may be going on. Takes `files_lock` for each new pack, so that folds are stored in between.
    A pack with a damaged member stays as it is.
    """
    artifacts = FoldArtifacts(stores.artifacts)
    needed = packs_of(stores.postgres, slug)
    before = datetime.now(UTC) - rested
    sizes = {pack: entry.size for pack, entry in artifacts.packs().items() if pack in needed and entry.modified <= before}
    members = pack_members(stores.postgres, sorted(sizes))
    return sum(_rewrite(stores, artifacts, group) for group in groups_to_rewrite(sizes, members))


def groups_to_rewrite(sizes: Mapping[str, int], members: Mapping[str, Sequence[FoldFiles]]) -> Iterator[list[str]]:
    """Packs to be written again, in groups that make one new pack each. `sizes`: bytes of each pack; `members`: the folds that need it."""
    needed = {pack: sum(one.bytes for one in folds) for pack, folds in members.items() if pack in sizes}
    sparse = {pack for pack, size in needed.items() if size < LEAST_NEEDED * sizes[pack]}
    small = {pack for pack in needed if sizes[pack] < SMALL_BYTES}
    group: list[str] = []
    for pack in sorted(sparse | (small if len(small) >= SMALL_PACKS else set())):
        if group and sum(needed[one] for one in (*group, pack)) > PACK_BYTES:
            yield group
            group = []
        group.append(pack)
    if group:
        yield group


def _rewrite(stores: Stores, artifacts: FoldArtifacts, group: Sequence[str]) -> int:
    """Write the needed folds of packs as one new pack, and let their rows name it; returns how many packs were replaced."""
    with files_lock(stores.postgres):
        whole: list[FoldFiles] = []
        contents: dict[str, bytes] = {}
        replaced = 0
        for folds in pack_members(stores.postgres, group).values():
            try:
                contents |= artifacts.contents(folds)
            except FileError:
                continue  # validation names it, and the next run that needs its folds trains them again
            whole += folds
            replaced += 1
        if whole:
            replace_pack(stores.postgres, whole, artifacts.put_pack(contents))
    return replaced
