"""Publish: the third step of an export. One transaction under the slug's lock; where its outcome is unknown, look before trying again.

A COMMIT whose answer was lost may have happened or not. The lock of the lost connection is free only when the server has ended that
session, so once we hold the lock again, what the registry says is final.
"""

from __future__ import annotations

import time

from chronos_assets.errors import ChronosError, ConflictError, ServiceUnavailableError
from chronos_assets.pipeline.export.source import Source
from chronos_assets.pipeline.progress import Progress
from chronos_assets.storage.audits import AuditRecord, is_published, publish
from chronos_assets.storage.datasets import DatasetRecord, find_dataset, lock_key
from chronos_assets.storage.postgres import Connection, Postgres

TRIES = 5
RELOCK_SECONDS = 30.0


def publish_audited(source: Source, postgres: Postgres, connection: Connection, audit: AuditRecord, progress: Progress) -> DatasetRecord:
    """Publish `audit` on `connection`, which holds the slug's lock; raises as `storage.audits.publish` does."""
    progress("publish", 0, 1)
    source = source.placed_as(audit)
    try:
        record = _publish_once(source, postgres, connection, audit)
    except ServiceUnavailableError as error:
        record = _look_and_try_again(source, postgres, audit, error, progress)
    progress("publish", 1, 1)
    return record


def _publish_once(source: Source, postgres: Postgres, connection: Connection, audit: AuditRecord) -> DatasetRecord:
    with postgres.wrapped():
        return publish(connection, audit, source.publication)


def _look_and_try_again(source: Source, postgres: Postgres, audit: AuditRecord, lost: ChronosError, progress: Progress) -> DatasetRecord:
    for attempt in range(TRIES):
        progress("publish", 0, 1, "the connection was lost; looking whether it was published")
        try:
            with postgres.session_lock(lock_key(source.slug), wait_seconds=RELOCK_SECONDS, what=f"dataset {source.slug}") as connection:
                record = find_dataset(postgres, source.slug)
                if record is not None and is_published(record, audit):
                    return record
                return _publish_once(source, postgres, connection, audit)
        except (ServiceUnavailableError, ConflictError) as error:
            if isinstance(error, ConflictError) and error.code != "locked":
                raise
            time.sleep(0.2 * 2**attempt)
    raise ServiceUnavailableError(
        "Postgres was lost while the dataset was published, and it is not known whether it was",
        code="publication_unknown",
        hint="Run the same command again: it finds out, and publishes the dataset if it is not yet published.",
        slug=source.slug,
    ) from lost
