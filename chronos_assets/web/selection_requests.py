"""Requests for Local Feature Selections, as the API and the form take them: resolved, launched over Dagster, cancelled.

This is the only place in the web server that writes; it does so through connections of its own, the others cannot write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import Request
from pydantic import Field

from chronos_assets.domain.profiles.lfs import LfsProfile
from chronos_assets.domain.slug import MAX_LENGTH
from chronos_assets.errors import ManifestError, ProfileError
from chronos_assets.settings import Settings
from chronos_assets.storage.datasets import get_dataset
from chronos_assets.storage.lfs import find_lfs, get_lfs
from chronos_assets.storage.manifest_files import load_manifest, manifest_path
from chronos_assets.storage.postgres import Postgres
from chronos_assets.storage.reading import ReadingPostgres
from chronos_assets.views import documents as doc
from chronos_assets.views.selections import read_selection
from chronos_assets.web.context import stores_of

if TYPE_CHECKING:
    from chronos_assets.pipeline.selection.launch import Submission
    from chronos_assets.pipeline.selection.request import LfsRequest
    from chronos_assets.storage.manifest_files import LoadedManifest

SLUG_PATTERN = r"^[a-z0-9][a-z0-9_-]*$"


class LfsOrder(LfsProfile):
    """A request for a selection: the dataset, and what differs from profile `default` of its manifest."""

    dataset: str = Field(pattern=SLUG_PATTERN, max_length=MAX_LENGTH, description="A published dataset.")


def submit(request: Request, order: Mapping[str, Any], *, requested_by: str) -> Submission:
    """Resolve an order and launch it, if it is neither complete nor on its way.

    Raises `NotPublishedError` for an unknown dataset, `ProfileError` that names the key for what cannot be used, also for what only the
    bars tell (too few cases, more permutations than there are), `ManifestError` if nothing tells Dagster how to read the dataset, and
    `ServiceUnavailableError` (`dagster_unreachable`) if Dagster is down.
    """
    from chronos_assets.pipeline.selection.launch import submit_lfs
    from chronos_assets.pipeline.selection.run import read_cases

    planned, loaded = plan(request, order)
    if loaded is None:
        _require_completed(request, planned)
    stores, dagster_url = stores_of(request), request.app.state.dagster_url()
    return submit_lfs(planned, _writer(request), dagster_url, check=lambda: read_cases(planned, stores), requested_by=requested_by)


def plan(request: Request, order: Mapping[str, Any]) -> tuple[LfsRequest, LoadedManifest | None]:
    """The order resolved against its dataset, and the dataset's manifest if there is one."""
    from chronos_assets.pipeline.selection.profiles import lfs_setup

    stores, slug = stores_of(request), _dataset(order)
    get_dataset(stores.postgres, slug)
    loaded = _manifest(stores.settings, slug)
    changes = {name: value for name, value in order.items() if name != "dataset"}
    return lfs_setup(loaded, slug, changes).plan(slug, stores), loaded


def estimate(request: Request, order: Mapping[str, Any]) -> dict[str, Any]:
    """What an order would compute: cases, classes, seconds, the smallest possible p-value, and the `status` of an equal request, if any.

    Raises as `submit`, but needs neither a manifest nor Dagster.
    """
    from chronos_assets.pipeline.selection.run import preview

    planned, _ = plan(request, order)
    stores = stores_of(request)
    known = find_lfs(stores.postgres, planned.lfs_id)
    found = preview(planned, stores).as_json()
    p = 1 / (1 + found["permutations"]) if found["permutations"] else None
    return found | {"smallest_p": p, "status": None if known is None else known.status}


def cancel(request: Request, lfs_id: str) -> str:
    """Ask a selection to stop; one that is over stays as it is. Returns its whole id; raises `NotPublishedError` if there is none."""
    from chronos_assets.pipeline.selection.launch import cancel_lfs

    get_lfs(stores_of(request).postgres, lfs_id)
    return cancel_lfs(lfs_id, _writer(request), request.app.state.dagster_url()).lfs_id


def followed(request: Request, lfs_id: str) -> doc.LfsSubmission:
    """A selection as it is now, with where to follow it."""
    selection, dagster = read_selection(stores_of(request).postgres, lfs_id), request.app.state.dagster_url()
    run, base = selection.run, f"/api/lfs/runs/{lfs_id}"
    links = {
        "self": base,
        "events": f"/api/events?topics=lfs:{lfs_id}",
        "dagster": f"{dagster}/runs/{run.dagster_run_id}" if dagster and run.dagster_run_id else None,
    }
    return doc.LfsSubmission(run=run, warnings=selection.warnings, links=links)


def _dataset(order: Mapping[str, Any]) -> str:
    slug = order.get("dataset")
    if slug is None:
        raise ProfileError("the request lacks the key 'dataset'", code="missing_key")
    if not isinstance(slug, str):
        raise ProfileError("the request: dataset: a name is needed", code="invalid_value", found=repr(slug)[:200])
    if "\0" in slug or not slug.isascii():
        raise ProfileError("the request: dataset: this is no name of a dataset", code="invalid_value", found=repr(slug)[:200])
    return slug


def _manifest(settings: Settings, slug: str) -> LoadedManifest | None:
    path = manifest_path(settings.exports_dir, slug)
    return load_manifest(path, data_roots=settings.data_roots) if path.exists() else None


def _require_completed(request: Request, planned: LfsRequest) -> None:
    """Raise unless the answer is there: Dagster reads the manifest, and there is none."""
    from chronos_assets.pipeline.selection.launch import command_of

    known = find_lfs(stores_of(request).postgres, planned.lfs_id)
    if known is None or known.status != "completed":
        slug = planned.record.dataset_id
        raise ManifestError(
            f"there is no manifest of {slug}, and Dagster needs it",
            code="manifest_missing",
            hint=f"`{command_of(planned)}` needs none.",
            slug=slug,
        )


def _writer(request: Request) -> Postgres:
    """The registry, through connections that can write."""
    postgres = stores_of(request).postgres
    return postgres.for_writing() if isinstance(postgres, ReadingPostgres) else postgres
