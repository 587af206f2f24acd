"""Damage in packs of folds, as a disk does it."""

from __future__ import annotations

from pathlib import Path

from chronos_assets.storage.artifacts import packs
from chronos_assets.storage.fold_artifacts import FoldFiles, place_of_pack
from chronos_assets.storage.stores import Stores


def pack_path(stores: Stores, files: FoldFiles) -> Path:
    """The file of the pack that holds a fold."""
    assert files.pack is not None
    return stores.settings.artifacts_dir / place_of_pack(files.pack)


def change_one_bit(stores: Stores, files: FoldFiles, kind: str) -> None:
    """Change a bit in the model (`MODEL`) or the cases (`CASES`) of a fold, within its pack."""
    path, pack = pack_path(stores, files), files.pack or ""
    index = packs.read_index(stores.artifacts, place_of_pack(pack), pack)
    assert index is not None
    member, content = index[f"{files.fold_key}{kind}"], bytearray(path.read_bytes())
    content[member.start + member.size // 2] ^= 1
    path.write_bytes(content)
