"""What changed since last time: the decision behind the manifest sensor, the nightly schedule and `chronos backfill`.

Content decides, never a file's time: a dataset's content is named by the digests of its manifest and of its files. Digests are
remembered beside the size and times of the file they came from, so that an untouched file is not read again. A file that is still
being written is not looked at. A manifest that cannot be read is reported and harms no other; one that is gone is reported too.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import signal
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

from chronos_assets.errors import ChronosError
from chronos_assets.settings import Settings
from chronos_assets.storage.file_digests import Digests
from chronos_assets.storage.manifest_files import LoadedManifest, find_manifests, load_manifest

QUIET_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Found:
    """One manifest as it lies there. `content` is None if a `problem` says why, or while its file is still being written."""

    slug: str
    content: str | None = None
    problem: str = ""
    settling: bool = False
    checksum: str = ""
    """`sha256:...` of the source file, if there is content."""


@dataclass(frozen=True)
class Known:
    """What was requested last for a slug: its content, and how many requests there have been (no request key is ever used twice).

    `content` is empty once the dataset was retired: the same content is then new again, and the count goes on.
    """

    content: str
    attempt: int


@dataclass(frozen=True)
class Request:
    """One run to ask for, and why."""

    slug: str
    content: str
    attempt: int
    why: str
    checksum: str = ""

    @property
    def run_key(self) -> str:
        """Unique per slug, content and attempt: A, B, A are three keys."""
        return f"{self.slug}:{self.content}:{self.attempt}"


@dataclass(frozen=True)
class Decision:
    """Runs to ask for, what to remember, and what to tell the user."""

    requests: list[Request]
    known: dict[str, Known]
    reports: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    """Slugs that were known and have no manifest any more."""


def decide(found: Iterable[Found], known: Mapping[str, Known], *, force: bool = False, again: Mapping[str, str] | None = None) -> Decision:
    """Pure: a run for each dataset whose content differs from what was requested last (or for all, if forced).

    `again`: slug -> why its unchanged content is to be tried once more.
    """
    remembered, requests, reports = dict(known), [], []
    seen = set()
    for one in found:
        seen.add(one.slug)
        if one.problem:
            reports.append(f"{one.slug}: {one.problem}")
        elif one.settling or one.content is None:
            reports.append(f"{one.slug}: its file is still being written; taken when it is quiet")
        else:
            before = known.get(one.slug)
            why = "forced" if force else _why(before.content if before else "", one.content) or (again or {}).get(one.slug, "")
            if why:
                request = Request(one.slug, one.content, (before.attempt if before else 0) + 1, why, one.checksum)
                requests.append(request)
                remembered[one.slug] = Known(one.content, request.attempt)
    return Decision(requests, remembered, reports, sorted(slug for slug in known.keys() - seen if known[slug].content))


def forget(known: Mapping[str, Known], slugs: Iterable[str]) -> dict[str, Known]:
    """`known` without the content of retired datasets; their counts stay, so that no key comes twice."""
    return {**known, **{slug: Known("", known[slug].attempt) for slug in slugs if slug in known}}


def _why(before: str, now: str) -> str:
    """Why content `now` needs a run, or nothing if it does not."""
    if not before:
        return "new dataset"
    parts = [name for name, old, new in zip(("manifest", "file"), before.split("-"), now.split("-"), strict=True) if old != new]
    return f"{' and '.join(parts)} changed" if parts else ""


def gone_words(slug: str) -> str:
    """What to tell about a dataset whose manifest is gone while it is still published."""
    return f"{slug}: its manifest is gone; the dataset and its partition stay until `chronos datasets retire {slug}`"


def retired_words(slug: str) -> str:
    """What to tell once about a dataset that has neither a manifest nor a place in the registry."""
    return f"{slug}: its manifest is gone and it is not in the registry, so its partition goes; put the manifest back and it runs again"


def skip_words(manifests: int, reports: list[str]) -> str:
    """Why a tick asks for no run: nothing changed, and what could not be taken."""
    many = f"{manifests} manifest{'s' if manifests != 1 else ''}"
    return f"nothing to run in {many}; {'; '.join(reports)}"[:4000] if reports else f"nothing changed in {many}"


def encode_known(known: Mapping[str, Known]) -> str:
    """`known` as a cursor: compact, since it is kept with every tick."""
    return json.dumps({slug: [k.content, k.attempt] for slug, k in sorted(known.items())}, separators=(",", ":"))


def decode_known(cursor: str | None) -> dict[str, Known]:
    """What `encode_known` wrote; nothing is known without a cursor."""
    return {slug: Known(str(content), int(attempt)) for slug, (content, attempt) in json.loads(cursor or "{}").items()}


def survey(settings: Settings, digests: Digests | None = None, *, slugs: Iterable[str] | None = None) -> list[Found]:
    """Look at every manifest (or those of `slugs`) and its files, in alphabetical order."""
    wanted = None if slugs is None else set(slugs)
    digests = digests or Digests.of_home(settings.home)
    paths = [path for path in sorted(find_manifests(settings.exports_dir)) if wanted is None or path.stem in wanted]
    found = [_look(path, settings, digests) for path in paths]
    digests.save()
    return found


def settled_survey(settings: Settings, wanted: Collection[str] | None = None) -> list[Found]:
    """`survey`, once files that were written a moment ago are quiet; one that does not become quiet is told as it is."""
    deadline = time.monotonic() + 2 * settings.manifest_settle_seconds
    found = survey(settings, slugs=wanted)
    while any(one.settling for one in found) and time.monotonic() < deadline:
        time.sleep(QUIET_POLL_SECONDS)
        found = survey(settings, slugs=wanted)
    return found


def _look(path: Path, settings: Settings, digests: Digests) -> Found:
    """What lies at `path`; whatever is wrong with one manifest, our own mistakes included, stops no other."""
    try:
        return _read(path, settings, digests)
    except ChronosError as error:
        return Found(path.stem, problem=str(error))
    except OSError as error:
        return Found(path.stem, problem=f"{path.name}: a file cannot be read: {error.strerror} ({error.filename})")
    except Exception as error:
        return Found(path.stem, problem=f"{path.name}: unexpected {type(error).__name__}: {error}"[:500])


def _read(path: Path, settings: Settings, digests: Digests) -> Found:
    settle_seconds = settings.manifest_settle_seconds
    if _still_written(path, settle_seconds):
        return Found(path.stem, settling=True)
    loaded = load_manifest(path, data_roots=settings.data_roots)
    files = [p for p in (loaded.source_path, loaded.ohlcv_path) if p is not None]
    if any(_still_written(p, settle_seconds) for p in files):
        return Found(path.stem, settling=True)
    sums = [digests.of(p) for p in files]
    if loaded.manifest.on_change == "refuse" and f"sha256:{sums[0]}" != loaded.manifest.checksum:
        return Found(path.stem, problem=_mismatch(loaded))
    return Found(path.stem, content=content_name(loaded, sums), checksum=f"sha256:{sums[0]}")


def content_name(loaded: LoadedManifest, sums: Iterable[str]) -> str:
    """Name of a dataset's content: its manifest, and `sums`, the 64 hex digits of each of its files."""
    files = hashlib.sha256("".join(sums).encode()).hexdigest()[:12]
    return f"{_short(loaded.manifest_digest)}-{files}"


def content_as_read(loaded: LoadedManifest, checksum: str, settings: Settings) -> str:
    """`content_name` if the source was read with `checksum` (`sha256:...`), as the sensor names it."""
    digests = Digests.of_home(settings.home)
    prices = [] if loaded.ohlcv_path is None else [digests.of(loaded.ohlcv_path)]
    return content_name(loaded, [checksum.removeprefix("sha256:"), *prices])


def _mismatch(loaded: LoadedManifest) -> str:
    name, slug = loaded.source_path.name, loaded.manifest.dataset
    return f"{name} differs from the checksum in its manifest; `chronos manifest refresh {slug}` shows what changed and takes it"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def _still_written(path: Path, settle_seconds: float) -> bool:
    """Touched within the last seconds, or held open by somebody who writes: it may not be done."""
    if settle_seconds <= 0:
        return False
    stat = path.stat()
    if not S_ISREG(stat.st_mode):
        return False  # a pipe or device: whoever reads it refuses it
    return time.time() - max(stat.st_mtime, stat.st_ctime) < settle_seconds or _has_writer(path)


def _has_writer(path: Path) -> bool:
    """Whether a process on this machine has the file open for writing, if the system can say so (Linux, a file of ours).

    The kernel grants a read lease only on a file that nobody writes; it is given back at once.
    """
    if sys.platform != "linux":
        return False
    import fcntl  # does not exist on every platform

    with contextlib.suppress(PermissionError), path.open("rb") as file:
        # a writer that opens the file in this very moment sends a signal, which must be one that does nothing
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        try:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            return error.errno == errno.EAGAIN
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
