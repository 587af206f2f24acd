"""`chronosflow_export`: manifests in, verified and registered datasets out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import SecretStr

from chronos_assets.cli.common import emit, json_option, run_command, say
from chronos_assets.cli.progress import Reporter
from chronos_assets.cli.slug_argument import slug_argument
from chronos_assets.errors import ChronosError, UsageError, ValidationFailedError
from chronos_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from chronos_assets.pipeline.export.types import ExportOptions
    from chronos_assets.storage.manifest_files import LoadedManifest
    from chronos_assets.views.documents import Export, ExportFailure, ExportPlan

# Never connected to: with it in the settings, no Postgres is started for an export that has no use for one.
_NO_POSTGRES = "postgresql://nobody@127.0.0.1:1/none"
Exporter = Callable[["LoadedManifest", Reporter], dict[str, Any]]


@dataclass(frozen=True)
class Request:
    """The flags of one call."""

    slug: str | None
    everything: bool
    manifest: Path | None
    questdb: str | None
    postgres: str | None
    registry: bool
    batch_rows: int | None
    transport: str | None
    verify: str
    tolerance: tuple[str, ...]
    replace: bool
    dry_run: bool
    as_json: bool


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@slug_argument(required=False)
@click.option("--all", "everything", is_flag=True, help="Export every manifest of the exports folder; a bad one does not stop the rest.")
@click.option("--manifest", type=click.Path(path_type=Path, dir_okay=False), help="Manifest to use instead of exports/SLUG.yaml.")
@click.option("--questdb", metavar="CONF", help="QuestDB client string; its scheme chooses the transport (http:: or tcp::).")
@click.option("--postgres", metavar="DSN", help="Postgres of the registry.")
@click.option("--no-registry", is_flag=True, help="Write and verify only; nothing is registered.")
@click.option("--batch-rows", type=click.IntRange(1, 100_000), help="Rows in one request (default: 2000).")
@click.option("--transport", type=click.Choice(["ilp-http", "ilp-tcp"]), help="Refuse a client string of another transport.")
@click.option("--verify", type=click.Choice(["full", "sample"]), default="full", help="sample: the first 100 rows; it never registers.")
@click.option(
    "--tolerance",
    multiple=True,
    metavar="[COLUMN=][rel:]X",
    help="Largest difference that passes: absolute, or relative as rel:X; for all columns or one. Repeatable. Default: exact.",
)
@click.option("--replace", is_flag=True, help="Write everything under a fresh tag and publish it as a new revision.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; write nothing.")
@json_option
def export(as_json: bool, no_registry: bool, **flags: Any) -> int:
    """Normalize, write, audit and publish dataset SLUG, or all of them."""
    request = Request(registry=not no_registry, as_json=as_json, **flags)
    _check(request)
    settings = _settings(request)
    options = _options(request)
    paths = list(_manifests(request, settings))
    exporter = _dry_exporter(settings, request, options) if request.dry_run else _exporter(settings, request, options)
    documents = [_one(path, settings, exporter, request) for path in paths]
    return _tell(documents, request)


def main() -> None:
    """Entry point of `chronosflow_export`."""
    run_command(export)


def _check(request: Request) -> None:
    """Refuse combinations of flags that say two things."""
    named = request.slug is not None or request.manifest is not None
    if named == request.everything:
        raise UsageError("name one dataset, or say --all", code="usage_dataset", expected="SLUG, --manifest FILE, or --all")
    if request.postgres is not None and not request.registry:
        raise UsageError("--postgres and --no-registry contradict each other", code="usage_registry")


def _settings(request: Request) -> Settings:
    changes: dict[str, Any] = {}
    if request.questdb is not None:
        changes["questdb_conf"] = SecretStr(request.questdb)
    if request.postgres is not None:
        changes["postgres_dsn"] = SecretStr(request.postgres)
    if not request.registry:
        changes["postgres_dsn"] = SecretStr(_NO_POSTGRES)
    return load_settings(**changes)


def _options(request: Request) -> ExportOptions:
    from chronos_assets.domain.audit import parse_tolerance
    from chronos_assets.pipeline.export.types import ExportOptions

    return ExportOptions(
        batch_rows=request.batch_rows,
        transport=request.transport,
        verify="sample" if request.verify == "sample" else "full",
        tolerance=parse_tolerance(request.tolerance),
        replace=request.replace,
    )


def _manifests(request: Request, settings: Settings) -> Iterator[Path]:
    from chronos_assets.storage.manifest_files import find_manifests, manifest_path

    if request.everything:
        found = find_manifests(settings.exports_dir)
        if not found:
            say(f"there is no manifest in {settings.exports_dir}")
        yield from found
    elif request.manifest is not None:
        yield request.manifest
    else:
        assert request.slug is not None
        yield manifest_path(settings.exports_dir, request.slug)


def _exporter(settings: Settings, request: Request, options: ExportOptions) -> Exporter:
    """Opens the stores once and exports into them."""
    from chronos_assets import services
    from chronos_assets.pipeline.export.dataset import run_export
    from chronos_assets.pipeline.export.normalize import normalize_dataset
    from chronos_assets.pipeline.export.unregistered import export_unregistered
    from chronos_assets.pipeline.export.write import check_transport
    from chronos_assets.storage.stores import open_questdb, open_stores

    connections = services.connect(settings, progress=say)
    if request.registry:
        stores = open_stores(connections, settings, say)
        check_transport(options, stores.questdb.transport)
        return lambda loaded, progress: run_export(loaded, stores, settings, options=options, progress=progress).as_dict()
    questdb = open_questdb(connections)
    check_transport(options, questdb.transport)

    def unregistered(loaded: LoadedManifest, progress: Reporter) -> dict[str, Any]:
        normalized = normalize_dataset(loaded, settings, progress=progress)
        return export_unregistered(loaded, normalized, questdb, settings, options=options, progress=progress).as_dict()

    return unregistered


def _dry_exporter(settings: Settings, request: Request, options: ExportOptions) -> Exporter:
    """Looks at servers that run; starts none."""
    from chronos_assets import services
    from chronos_assets.errors import ServiceUnavailableError
    from chronos_assets.pipeline.export.dry_run import dry_run
    from chronos_assets.storage.postgres import Postgres
    from chronos_assets.storage.questdb import QuestDB

    questdb = postgres = None
    try:
        found = services.connect(settings, start=False)
    except ServiceUnavailableError as error:
        say(f"the plan is made from the file alone: {error}")
    else:
        questdb = QuestDB(found.questdb_conf, found.questdb_http, found.questdb_user, found.questdb_password)
        postgres = Postgres(found.postgres_dsn) if request.registry else None
    return lambda loaded, progress: dry_run(
        loaded, settings, questdb, postgres, registry=request.registry, options=options, progress=progress
    )


def _one(path: Path, settings: Settings, exporter: Exporter, request: Request) -> dict[str, Any]:
    """Export one manifest; with --all an error of ours becomes part of the document."""
    from chronos_assets.storage.manifest_files import load_manifest

    try:
        loaded = load_manifest(path, data_roots=settings.data_roots)
        if request.slug is not None and loaded.manifest.dataset != request.slug:
            raise UsageError(
                "the manifest is about another dataset", code="usage_dataset", expected=request.slug, found=loaded.manifest.dataset
            )
        with Reporter(loaded.manifest.dataset) as progress:
            document = exporter(loaded, progress)
    except ChronosError as error:
        if not request.everything:
            raise
        document = {"dataset": path.stem, "published": False, "error": error.as_dict(), "exit_code": error.exit_code}
        say(f"{path.stem}: error: {error}")
        return document
    audit = document.get("audit")
    document["exit_code"] = 0 if audit is None or audit["passed"] else ValidationFailedError.exit_code
    if request.everything:
        say(_line(document))
    return document


def _tell(documents: list[dict[str, Any]], request: Request) -> int:
    from chronos_assets.views.documents import ExportAll

    worst = max((document["exit_code"] for document in documents), default=0)
    if request.everything:
        total = sum(document.get("rows_written", 0) for document in documents)
        failed = sum(document["exit_code"] != 0 for document in documents)
        summary = ExportAll(datasets=[_typed(document) for document in documents], rows_written=total, exit_code=worst)
        emit(summary, request.as_json, lambda _: f"{len(documents)} datasets, {total:,} rows written, {failed} failed")
        return worst
    emit(_typed(documents[0]), request.as_json, lambda _: _line(documents[0]))
    if worst:
        say(f"error: {_line(documents[0])}")
    return worst


def _typed(document: dict[str, Any]) -> Export | ExportPlan | ExportFailure:
    from chronos_assets.views.documents import Export, ExportFailure, ExportPlan

    if "error" in document:
        return ExportFailure(**document)
    return ExportPlan(**document) if document.get("dry_run") else Export(**document)


def _line(document: dict[str, Any]) -> str:
    """What happened to one dataset, in one line."""
    name, audit = document["dataset"], document.get("audit")
    if document.get("dry_run"):
        return f"{name}: would write {document['rows_to_write']:,} of {document['rows_total']:,} rows under {document['questdb_tag']}"
    if document["unchanged"] and document["published"]:
        looked = f"{audit['rows_compared']:,} of {document['rows_total']:,} rows verified again" if audit else "not verified"
        return f"{name}: unchanged, {looked}, published as revision {document['revision']}"
    wrote = f"{document['rows_written']:,} of {document['rows_total']:,} rows written over {document['transport']}"
    if audit is not None and not audit["passed"]:
        return f"{name}: {wrote}; the audit failed: {_reasons(audit)}; nothing was registered"
    seconds = sum(document["seconds"].values())
    state = f"published as revision {document['revision']}" if document["published"] else "verified, not registered"
    return f"{name}: {wrote}, {state} under {document['questdb_tag']} ({seconds:.1f} s)"


def _reasons(audit: dict[str, Any]) -> str:
    from chronos_assets.domain.audit_report import AuditReport, ColumnDifference

    columns = [ColumnDifference(**column) for column in audit["columns"]]
    return AuditReport(**{**audit, "columns": columns}).summary
