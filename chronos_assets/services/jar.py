"""The QuestDB server: one jar, pinned by version and SHA-256, fetched once into the user's cache or taken from a setting.

Nothing is used before its digest was compared, and nothing half-fetched ever has the jar's name.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from chronos_assets.errors import FileError, ServiceStartError
from chronos_assets.services.places import cannot_write
from chronos_assets.settings import Settings
from chronos_assets.storage.atomic_write import put_in_place

GROUP = "org.questdb"
ARTIFACT = "questdb"
VERSION = "9.3.4"
SHA256 = "939bc53ab22f93dbaa6545143a6e7c536d4904c07b7f2d381e8eef10436be062"
_ATTEMPTS = 3
_DOWNLOAD_TIMEOUT_SECONDS = 30

Fetch = Callable[[Path], Path]
log = logging.getLogger(__name__)


def questdb_jar(settings: Settings, say: Callable[[str], None], *, fetch: Fetch | None = None) -> Path:
    """The verified jar. `fetch` downloads into a folder and returns the file (default: from Maven Central, through jgo)."""
    if settings.questdb_jar is not None:
        return _given(settings.questdb_jar)
    jar = place(settings)
    if jar.is_file():
        if digest(jar) == SHA256:
            return jar
        say(f"{jar} is damaged; fetching it again")
    else:
        say(f"fetching QuestDB {VERSION} (30 MB, once)")
    return _download(jar, fetch or _from_maven)


def place(settings: Settings) -> Path:
    """Where the jar is, or will be."""
    return settings.questdb_jar or settings.cache / f"questdb-{VERSION}.jar"


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _given(jar: Path) -> Path:
    try:
        found = digest(jar)
    except OSError as error:
        raise ServiceStartError(
            f"the jar that CHRONOS_QUESTDB_JAR names cannot be read: {(error.strerror or str(error)).lower()}",
            code="questdb_jar_unreadable",
            hint="Correct the setting, or unset it to have the jar fetched.",
            file=jar,
        ) from error
    if found != SHA256:
        raise ServiceStartError(
            f"the file that CHRONOS_QUESTDB_JAR names is not the jar of QuestDB {VERSION}",
            code="questdb_jar_mismatch",
            expected=f"sha256:{SHA256}",
            found=f"sha256:{found}",
            hint="Correct the setting, or unset it to have the jar fetched.",
            file=jar,
        )
    return jar


def _download(jar: Path, fetch: Fetch) -> Path:
    try:
        jar.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="download-", dir=jar.parent))
    except OSError as error:
        raise cannot_write(jar.parent, error, setting="CHRONOS_CACHE") from error
    try:
        fetched = _fetch_verified(folder, fetch, jar)
        put_in_place(fetched, jar)
    except FileError as error:
        raise _download_failed(jar, error.__cause__ or error) from error
    except OSError as error:
        raise _download_failed(jar, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return jar


def _fetch_verified(folder: Path, fetch: Fetch, jar: Path) -> Path:
    found = ""
    for attempt in range(_ATTEMPTS):
        target = folder / str(attempt)
        try:
            fetched = fetch(target)
        except (OSError, RuntimeError) as error:
            # requests raises OSError's children; jgo raises RuntimeError if no repository has the file.
            if attempt == _ATTEMPTS - 1:
                raise _download_failed(jar, error) from error
            log.info("attempt %d to fetch the jar failed: %s", attempt + 1, error)
            continue
        found = digest(fetched)
        if found == SHA256:
            return fetched
        log.info("attempt %d fetched a file with digest %s", attempt + 1, found)
    raise ServiceStartError(
        f"what was fetched as QuestDB {VERSION} is not that file, so it was thrown away",
        code="questdb_jar_mismatch",
        expected=f"sha256:{SHA256}",
        found=f"sha256:{found}",
        hint=_OTHER_WAY,
    )


def _from_maven(folder: Path) -> Path:
    from jgo.maven import MavenContext  # needed once per machine only

    context = MavenContext(repo_cache=folder, timeout=_DOWNLOAD_TIMEOUT_SECONDS)
    return Path(context.project(GROUP, ARTIFACT).at_version(VERSION).artifact().resolve())


_OTHER_WAY = (
    "Try again when the network is there (a proxy is taken from HTTPS_PROXY), or fetch "
    f"{GROUP}:{ARTIFACT}:{VERSION} from Maven Central yourself and set CHRONOS_QUESTDB_JAR to the file."
)


def _download_failed(jar: Path, error: BaseException) -> ServiceStartError:
    return ServiceStartError(
        f"QuestDB {VERSION} could not be fetched: {_reason(error)}", code="questdb_download_failed", hint=_OTHER_WAY, cache=jar.parent
    )


def _reason(error: BaseException) -> str:
    """In a few words, without addresses."""
    from requests import exceptions  # needed once per machine only

    if isinstance(error, exceptions.SSLError):
        return "the certificate of the other side is not trusted (REQUESTS_CA_BUNDLE names your own authorities)"
    if isinstance(error, exceptions.ProxyError):
        return "the proxy does not let us through"
    if isinstance(error, exceptions.RequestException):
        return "no connection"
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else "no repository has it"
