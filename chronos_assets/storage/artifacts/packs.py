"""A pack: one artifact that holds many members behind an index, each of which can be read by its range.

    magic, length of the index (8 bytes, little-endian), the index (JSON), the members' contents one after the other

The index lists each member's name, bytes and SHA-256 in the order of the contents. A pack is named by the SHA-256 of its index, so equal
members make the same pack, an index is verified by the name that led to it, and a pack never changes.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chronos_assets.errors import FileError
from chronos_assets.storage.artifacts.store import ArtifactStore

MAGIC = b"CHRONOS PACK 1\n\0"
_HEAD = len(MAGIC) + 8
# What is read first: the whole index of a pack of a few hundred members.
_FIRST_READ = 1 << 16
# A longer index is none of ours: a damaged length must not reserve the memory that it names.
_LONGEST_INDEX = 1 << 26
_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII)
_INDEXES_KEPT = 64


@dataclass(frozen=True)
class Member:
    """A member's place in its pack, from the pack's first byte, and the SHA-256 of its content."""

    start: int
    size: int
    sha256: str


Index = Mapping[str, Member]


def is_pack(name: str | None) -> bool:
    """Whether a text can be the name of a pack."""
    return name is not None and _NAME.fullmatch(name) is not None


def encode(members: Mapping[str, bytes]) -> tuple[str, list[bytes]]:
    """The name of the pack of `members`, and its content in parts."""
    rows = [[name, len(content), hashlib.sha256(content).hexdigest()] for name, content in members.items()]
    index = json.dumps(rows, separators=(",", ":")).encode()
    return hashlib.sha256(index).hexdigest(), [MAGIC, len(index).to_bytes(8, "little"), index, *members.values()]


def read_index(store: ArtifactStore, place: str, pack: str) -> Index | None:
    """The members of pack `pack`, which is kept under the name `place`; None if it is gone. Raises `FileError` if it is damaged."""
    return _Reading(store, place).index(pack)


@dataclass(frozen=True)
class _Reading:
    """One place of a store; equal ones share the indexes that were read."""

    store: ArtifactStore
    place: str

    def index(self, pack: str) -> Index | None:
        try:
            return _read_index(self, pack)
        except _GoneError:
            return None


class _GoneError(Exception):
    """A pack is not there: nothing to keep in the cache."""


@functools.lru_cache(maxsize=_INDEXES_KEPT)
def _read_index(reading: _Reading, pack: str) -> Index:
    store, place = reading.store, reading.place
    found = store.read_ranges(place, [(0, _FIRST_READ)])
    if found is None:
        raise _GoneError
    head = found[0]
    length = int.from_bytes(head[len(MAGIC) : _HEAD], "little")
    content = head[_HEAD : _HEAD + length]
    if head.startswith(MAGIC) and len(content) < length <= _LONGEST_INDEX and len(head) == _FIRST_READ:
        content += (store.read_ranges(place, [(_FIRST_READ, _HEAD + length - _FIRST_READ)]) or [b""])[0]
    if not head.startswith(MAGIC) or hashlib.sha256(content).hexdigest() != pack:
        raise FileError(
            "a pack is damaged: its index is not what was stored",
            code="artifact_damaged",
            expected=f"an index with SHA-256 {pack}",
            found=f"SHA-256 {hashlib.sha256(content).hexdigest()}" if head.startswith(MAGIC) else "no pack",
            file=store.address(place),
        )
    members: dict[str, Member] = {}
    start = _HEAD + length
    for name, size, sha256 in json.loads(content):
        members[name] = Member(start, size, sha256)
        start += size
    return members


def read_members(store: ArtifactStore, place: str, members: Sequence[Member]) -> list[bytes] | None:
    """The contents of members, as they are found there; None if the pack is gone."""
    return store.read_ranges(place, [(member.start, member.size) for member in members])
