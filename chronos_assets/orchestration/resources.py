"""The one resource: settings, stores, manifests and a way to report progress. Thin: it opens things and decides nothing.

Opened once per process and shared by the steps that run there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from functools import cached_property
from typing import TYPE_CHECKING

from chronos_assets.domain.slug import Slug
from chronos_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from chronos_assets.orchestration.failures import StepContext
    from chronos_assets.pipeline.export.normalize import NormalizedBars
    from chronos_assets.pipeline.progress import Progress
    from chronos_assets.pipeline.walkforward.request import WalkforwardRequest
    from chronos_assets.services import Connections
    from chronos_assets.storage.manifest_files import LoadedManifest
    from chronos_assets.storage.stores import Stores

LOG_EVERY_SECONDS = 10.0
# Resolved walk-forward requests that one process remembers.
REQUESTS_KEPT = 32


class Workplace:
    """What every asset and check works with. Tests and the command line give their own settings, connections or reporter."""

    def __init__(
        self, settings: Settings | None = None, *, connections: Connections | None = None, reporter: Callable[[str], Progress] | None = None
    ) -> None:
        self._settings = settings
        self._connections = connections
        self._reporter = reporter
        self._lock = threading.Lock()
        self._stores: Stores | None = None
        self._resolved: dict[Hashable, WalkforwardRequest] = {}

    def report_to(self, reporter: Callable[[str], Progress]) -> None:
        """Report progress of each slug to `reporter(slug)` from now on, instead of the run's log."""
        self._reporter = reporter

    @cached_property
    def settings(self) -> Settings:
        """Read from the environment unless given."""
        return self._settings or load_settings()

    @property
    def stores(self) -> Stores:
        """QuestDB, Postgres and artifacts; embedded servers that do not run are started."""
        from chronos_assets.services import connect
        from chronos_assets.storage.stores import open_stores

        with self._lock:
            if self._stores is None:
                self._stores = open_stores(self._connections or connect(self.settings), self.settings)
            return self._stores

    def manifest(self, slug: str) -> LoadedManifest:
        """The manifest of `slug`, as it lies there now."""
        from chronos_assets.storage.manifest_files import load_manifest, manifest_path

        return load_manifest(manifest_path(self.settings.exports_dir, Slug.parse(slug)), data_roots=self.settings.data_roots)

    def normalized(self, loaded: LoadedManifest) -> NormalizedBars:
        """What the asset `normalized_bars` made of the file; raises `NotPublishedError` if it has not read the file as it is now."""
        from chronos_assets.pipeline.export.normalize import find_normalized

        return find_normalized(loaded, self.settings, published=self.published_checksum(loaded.manifest.dataset))

    def published_checksum(self, slug: str) -> str | None:
        """Checksum of the file that the registry names."""
        from chronos_assets.storage.datasets import find_dataset

        record = find_dataset(self.stores.postgres, slug)
        return record.checksum if record else None

    def resolved(self, inputs: Hashable, resolve: Callable[[], WalkforwardRequest]) -> WalkforwardRequest:
        """What `resolve` made of the same `inputs` before in this process, else what it makes now. Only the latest are kept."""
        with self._lock:
            known = self._resolved.get(inputs)
        if known is None:
            known = resolve()
            with self._lock:
                self._resolved[inputs] = known
                while len(self._resolved) > REQUESTS_KEPT:
                    del self._resolved[next(iter(self._resolved))]
        return known

    def progress(self, context: StepContext) -> Progress:
        """Where a use case reports how far it is: to the command line that started it, else to the run's log now and then."""
        return self._reporter(context.partition_key) if self._reporter else _LoggedProgress(context)


class _LoggedProgress:
    """One line per stage in the run's log, then one every ten seconds."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._stage = ""
        self._last = 0.0

    def __call__(self, stage: str, done: int, total: int | None, detail: str = "") -> None:
        now = time.monotonic()
        if stage == self._stage and now - self._last < LOG_EVERY_SECONDS:
            return
        self._stage, self._last = stage, now
        of = f" of {total:,}" if total else ""
        self._context.log.info("%s: %s%s %s", stage, f"{done:,}", of, detail)
