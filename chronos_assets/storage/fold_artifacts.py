"""What a fold leaves: its model (UBJSON), and its validation predictions and targets (one .npy of float64, shape (3, cases): row offsets,
predictions, targets).

Folds that are stored together share one pack, in which each is found by its key; so runs that share a fold share its bytes, and nothing
that a table says becomes a path. Older programs kept two files for each fold, named by its key: those are read as before.
A pack is durable before the row that names it commits. The row keeps SHA-256 and size of both; no byte is parsed before they agree.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chronos_assets.errors import FileError
from chronos_assets.storage.artifacts import packs
from chronos_assets.storage.artifacts.store import ArtifactStore, Entry

FOLDER, PACKS = "walkforward", "walkforward/packs"
MODEL, CASES = ".ubj", ".npy"
READERS = 4
# What one reader holds in memory while it verifies folds, unless one fold is larger.
READ_AT_ONCE_BYTES = 16_000_000
_PACK = re.compile(rf"{PACKS}/([0-9a-f]{{64}})\.pack", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{16,128}", re.ASCII)
_HINT = "Run the walk-forward again: it trains the folds whose files are missing or damaged."
# whole: model and cases are what was stored; unrecorded: stored by an older program, which kept no hash of them.
State = Literal["whole", "missing", "damaged", "unrecorded"]


@dataclass(frozen=True)
class ValidationCases:
    """A fold's validation part: row offsets from the fold's first row, predictions and targets, each of shape (cases,)."""

    offsets: NDArray[np.int64]
    predictions: NDArray[np.float64]
    targets: NDArray[np.float64]


@dataclass(frozen=True)
class FoldFiles:
    """What the registry says of a fold's model and cases: the key that names them, SHA-256 (64 hex digits) and bytes of each.

    `pack`: the pack that holds both; None for two files of an older program.
    """

    fold_key: str | None
    artifact_sha256: str | None = None
    artifact_bytes: int | None = None
    validation_sha256: str | None = None
    validation_bytes: int | None = None
    pack: str | None = None

    @property
    def recorded(self) -> bool:
        """Whether hashes are known, so that the files can be trusted at all."""
        return self.artifact_sha256 is not None and self.validation_sha256 is not None

    @property
    def bytes(self) -> int:
        """Bytes of both, as far as they are recorded."""
        return (self.artifact_bytes or 0) + (self.validation_bytes or 0)

    def due(self, kind: str) -> tuple[str | None, int | None]:
        """SHA-256 and bytes of the model (`MODEL`) or the cases (`CASES`)."""
        return (self.artifact_sha256, self.artifact_bytes) if kind == MODEL else (self.validation_sha256, self.validation_bytes)


class FoldArtifacts:
    """The folds in a store of artifacts."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store

    def save(self, folds: Mapping[str, tuple[bytes, ValidationCases]]) -> dict[str, FoldFiles]:
        """Write folds (key -> model, cases) as one pack and wait until it is durable; gives what is to be recorded.

        Raises `FileError`.
        """
        if not folds:
            return {}
        contents = {key: (model, _encoded(cases)) for key, (model, cases) in folds.items()}
        assert all(_KEY.fullmatch(key) for key in contents), sorted(contents)
        pack = self.put_pack({key + kind: part for key, both in contents.items() for kind, part in zip((MODEL, CASES), both, strict=True)})
        return {
            key: FoldFiles(key, _sha256(model), len(model), _sha256(cases), len(cases), pack) for key, (model, cases) in contents.items()
        }

    def put_pack(self, members: Mapping[str, bytes]) -> str:
        """Write a pack of models and cases (key and kind -> content) and wait until it is durable; gives its name. Raises `FileError`."""
        pack, parts = packs.encode(members)
        self._store.put({place_of_pack(pack): b"".join(parts)})
        return pack

    def state(self, files: FoldFiles) -> State:
        """Whether model and cases of a fold are what was stored; reads them in full."""
        return self._states([files])[0]

    def states(self, files: Iterable[FoldFiles]) -> list[State]:
        """`state` of each; several packs, or files of an older program, at once."""
        known = list(files)
        by_pack: dict[str | None, list[int]] = {}
        for number, one in enumerate(known):
            by_pack.setdefault(one.pack, []).append(number)
        single = by_pack.pop(None, [])
        parts = [*by_pack.values(), *([number] for number in single)]
        found: dict[int, State] = {}
        with ThreadPoolExecutor(READERS, thread_name_prefix="fold-files") as pool:
            for numbers, states in zip(parts, pool.map(lambda part: self._states([known[n] for n in part]), parts), strict=True):
                found |= dict(zip(numbers, states, strict=True))
        return [found[number] for number in range(len(known))]

    def model(self, files: FoldFiles) -> bytes:
        """The model's UBJSON; raises `FileError` unless it is the one that was stored."""
        return self._checked(files, MODEL)

    def validation(self, files: FoldFiles) -> ValidationCases:
        """The validation predictions and targets; raises `FileError` unless they are those that were stored."""
        offsets, predictions, targets = np.load(io.BytesIO(self._checked(files, CASES)), allow_pickle=False)
        return ValidationCases(offsets.astype(np.int64), predictions, targets)

    def contents(self, files: Sequence[FoldFiles]) -> dict[str, bytes]:
        """Models and cases of folds as members of a pack (key and kind -> content); raises `FileError` unless they are what was stored."""
        return {f"{one.fold_key}{kind}": self._checked(one, kind) for one in files for kind in (MODEL, CASES)}

    def size(self, files: FoldFiles) -> int:
        """Bytes that a fold takes in its pack, or of its two files; 0 for one that is gone, or whose key is none."""
        if files.pack is not None:
            return files.bytes
        return sum(self._store.size(place) or 0 for kind in (MODEL, CASES) if (place := place_of_file(files.fold_key, kind)))

    def packs(self) -> dict[str, Entry]:
        """The packs that are here, with the bytes of each and when it was written."""
        return {found[1]: entry for entry in self._store.list(PACKS) if (found := _PACK.fullmatch(entry.name))}

    def remove_pack(self, pack: str) -> int:
        """Delete a pack; returns its bytes, 0 for one that is gone already."""
        return self._store.delete(place_of_pack(pack)) if packs.is_pack(pack) else 0

    def single_keys(self) -> list[str]:
        """Keys of all folds of which an older program kept a file here."""
        names = (entry.name for entry in self._store.list(FOLDER))
        found = {match[1] for name in names if (match := re.fullmatch(rf"{FOLDER}/../(.+)(\{MODEL}|\{CASES})", name))}
        return sorted(key for key in found if _KEY.fullmatch(key))

    def remove_single(self, key: str | None) -> int:
        """Delete both files of an older program; returns their bytes. A text that is no key has none."""
        places = (place_of_file(key, kind) for kind in (MODEL, CASES))
        return sum(self._store.delete(place) for place in places if place)

    def remove_abandoned(self) -> int:
        """Remove what killed writers left half-written; call it while nobody writes (`runs.files_lock`). Returns how many files went."""
        return self._store.remove_abandoned(FOLDER)

    def _states(self, files: Sequence[FoldFiles]) -> list[State]:
        """`state` of each fold; all are of one pack, or there is one fold."""
        found: list[State] = []
        for part in _batches(files):
            try:
                found += map(_state, part, self._read(part))
            except FileError:
                found += ["damaged"] * len(part)
        return found

    def _read(self, files: Sequence[FoldFiles], kinds: Sequence[str] = (MODEL, CASES)) -> list[list[bytes | None]]:
        """Model and cases of each fold as they are found, None for one that is gone; all folds are of one pack, or there is one fold."""
        pack = files[0].pack
        if pack is None:
            places = [[place_of_file(one.fold_key, kind) for kind in kinds] for one in files]
            return [[None if place is None else self._store.read(place) for place in both] for both in places]
        place = place_of_pack(pack)
        index = packs.read_index(self._store, place, pack) if packs.is_pack(pack) else None
        members = [index.get(f"{one.fold_key}{kind}") if index else None for one in files for kind in kinds]
        found = packs.read_members(self._store, place, [member for member in members if member]) if any(members) else None
        contents = iter(found or ())
        both = [None if member is None or found is None else next(contents) for member in members]
        return [both[i : i + len(kinds)] for i in range(0, len(both), len(kinds))]

    def _checked(self, files: FoldFiles, kind: str) -> bytes:
        """The model or the cases of a fold, which are those that the registry knows."""
        content = self._read([files], [kind])[0][0]
        place = self._place(files, kind)
        if content is None:
            raise FileError("what a fold left is gone", code="artifact_missing", file=place or "none", hint=_HINT)
        sha256, size = files.due(kind)
        if sha256 is None:
            raise FileError(
                "a fold was stored by an older program, which kept no hash of its files",
                code="artifact_unrecorded",
                file=place,
                hint="Run the walk-forward again: it trains such folds again and records their hashes.",
            )
        if not _is_as_stored(files, kind, content):
            raise FileError(
                "what a fold left is damaged: it is not what was stored",
                code="artifact_damaged",
                expected=f"{size} bytes with SHA-256 {sha256}",
                found=f"{len(content)} bytes" if len(content) != size else f"SHA-256 {_sha256(content)}",
                hint=_HINT,
                file=place,
            )
        return content

    def _place(self, files: FoldFiles, kind: str) -> str:
        """What a person is told of where the model or the cases of a fold are."""
        if files.pack is None:
            place = place_of_file(files.fold_key, kind)
            return "" if place is None else self._store.address(place)
        return f"{self._store.address(place_of_pack(files.pack))}, member {files.fold_key}{kind}" if packs.is_pack(files.pack) else ""


def place_of_pack(pack: str) -> str:
    """The name of a pack's artifact."""
    return f"{PACKS}/{pack}.pack"


def place_of_file(key: str | None, kind: str) -> str | None:
    """The name of a fold's model or cases as an older program kept them; None for a text that is no key."""
    return f"{FOLDER}/{key[:2]}/{key}{kind}" if key is not None and _KEY.fullmatch(key) else None


def label(files: FoldFiles) -> str | None:
    """The artifact that holds a fold's model: what `walkforward_folds.artifact` shows to people, and nobody opens."""
    if files.pack is None:
        return place_of_file(files.fold_key, MODEL)
    return place_of_pack(files.pack) if packs.is_pack(files.pack) else None


def _batches(files: Sequence[FoldFiles]) -> Iterator[list[FoldFiles]]:
    """Folds in parts of about `READ_AT_ONCE_BYTES`."""
    part: list[FoldFiles] = []
    held = 0
    for one in files:
        if part and held + one.bytes > READ_AT_ONCE_BYTES:
            yield part
            part, held = [], 0
        part.append(one)
        held += one.bytes
    if part:
        yield part


def _state(files: FoldFiles, contents: Sequence[bytes | None]) -> State:
    if any(content is None for content in contents):
        return "missing"
    if not files.recorded:
        return "unrecorded"
    whole = (content is not None and _is_as_stored(files, kind, content) for kind, content in zip((MODEL, CASES), contents, strict=True))
    return "whole" if all(whole) else "damaged"


def _is_as_stored(files: FoldFiles, kind: str, content: bytes) -> bool:
    sha256, size = files.due(kind)
    return len(content) == size and _sha256(content) == sha256


def _encoded(cases: ValidationCases) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.stack([cases.offsets.astype(np.float64), cases.predictions, cases.targets]))
    return buffer.getvalue()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
