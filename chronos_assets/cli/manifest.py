"""`chronos manifest`: write a manifest for a file, renew the checksum of one."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chronos_assets.cli.common import emit, json_option, say
from chronos_assets.cli.inspect import parse_formats
from chronos_assets.cli.slug_argument import slug_argument
from chronos_assets.errors import BarsError, RefusedError, UsageError
from chronos_assets.settings import Settings, load_settings
from chronos_assets.storage.dashboard_address import dagster_url

if TYPE_CHECKING:
    from chronos_assets.domain.bars_spec import BarsSpec
    from chronos_assets.pipeline.upkeep.manifests import NewManifest, Refreshed


@click.group()
def manifest() -> None:
    """Write a manifest for a file, or refresh its checksum."""


_exports = click.option("--exports", type=click.Path(path_type=Path), help="Folder of the manifests (default: CHRONOS_EXPORTS_DIR).")


@manifest.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--slug", help="Slug of the dataset; from the file's name and the spacing of its bars by default.")
@_exports
@click.option("--preset", metavar="NAME", help="Read FILE as a known layout, such as mt5; docs/PRESETS.md lists them.")
@click.option("--format", "formats", multiple=True, metavar="KEY=VALUE", help="What the file itself does not say, as in `chronos inspect`.")
@click.option("--target", "targets", multiple=True, metavar="GLOB", help="A further target, besides TGT* and target*.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="A column to leave out.")
@click.option("--accept-proposal", is_flag=True, help="If FILE is refused, declare what `chronos inspect FILE` proposes.")
@click.option("--no-copy", is_flag=True, help="Refuse a file outside the exports folder and the data roots instead of copying it.")
@click.option("--force", is_flag=True, help="Write over a manifest (and a copied file) of the same name.")
@json_option
def new(file: Path, slug: str | None, exports: Path | None, formats: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Write `exports/<slug>.yaml` for FILE: its checksum and what was found in it."""
    from chronos_assets.domain.bars_spec import BarsSpec
    from chronos_assets.domain.strict import parse_strict
    from chronos_assets.pipeline.upkeep.manifests import new_manifest
    from chronos_assets.views.documents import NewManifest as NewManifestDocument

    columns = {"targets": list(options["targets"]), "exclude": list(options["exclude"])}
    spec = parse_strict(
        BarsSpec, {"format": parse_formats(formats, options["preset"]), "columns": columns}, error=UsageError, what="the call"
    )
    if options["accept_proposal"]:
        spec = with_proposal(file, spec)
    settings = _settings(exports)
    with proposal_hinted(file, told=not options["accept_proposal"]):
        written = new_manifest(file, settings, spec, slug=slug, copy=not options["no_copy"], force=options["force"])
    document = _new_document(written, settings)
    emit(NewManifestDocument(**document), as_json, lambda _: _new_text(document))
    for warning in written.report.warnings:
        say(f"warning: {warning.code}: {warning.message}")


@contextlib.contextmanager
def proposal_hinted(file: Path, *, told: bool) -> Iterator[None]:
    """If FILE is refused, its refusal says where a proposal is found (unless one was asked for: not `told`)."""
    try:
        yield
    except BarsError as error:
        if told:
            error.hint = f"{error.hint} `chronos inspect {shlex.quote(str(file))}` proposes a declaration if one reads the file.".strip()
        raise


def with_proposal(file: Path, spec: BarsSpec) -> BarsSpec:
    """The spec with what is proposed for a file that it does not read; raises the file's refusal if there is no single proposal."""
    from chronos_assets.domain.bars_spec import FormatSpec
    from chronos_assets.domain.strict_yaml import flow
    from chronos_assets.ingest import normalize
    from chronos_assets.ingest.proposal import propose

    try:
        normalize(file, spec, None)
    except RefusedError as refusal:
        found = propose(file, spec)
        if found is None or found.only is None:
            refusal.hint = f"There is no single proposal to accept: `chronos inspect {shlex.quote(str(file))}` says what would decide."
            raise
        only = found.only
        say(f"declared: format: {flow(only.format)}")
        for unknown in only.cannot_know:
            say(f"warning: the file does not say {unknown}")
        return spec.model_copy(update={"format": FormatSpec.model_validate(only.format | spec.format.written())})
    return spec


@manifest.command()
@slug_argument()
@_exports
@click.option("--dry-run", is_flag=True, help="Show what changed and leave the manifest as it is.")
@json_option
def refresh(slug: str, exports: Path | None, dry_run: bool, as_json: bool) -> None:
    """Show what changed in the file of SLUG and put its checksum into the manifest."""
    from chronos_assets.pipeline.upkeep.manifests import refresh_manifest
    from chronos_assets.views.documents import RefreshedManifest

    result = refresh_manifest(slug, _settings(exports), write=not dry_run)
    document = _refresh_document(result, dry_run=dry_run)
    emit(RefreshedManifest(**document), as_json, lambda _: _refresh_text(document))


def _settings(exports: Path | None) -> Settings:
    return load_settings() if exports is None else load_settings(exports_dir=exports)


def _new_document(written: NewManifest, settings: Settings) -> dict[str, Any]:
    return {
        "dataset": written.path.stem,
        "manifest": str(written.path),
        "copied_to": None if written.copied_to is None else str(written.copied_to),
        "report": written.report.as_dict(),
        "taken_by": dagster_url(settings),
    }


def _new_text(document: dict[str, Any]) -> str:
    report = document["report"]
    lines = [
        f"wrote {document['manifest']}: {report['rows']} bars of {report['granularity']}, {report['first_bar']} to {report['last_bar']}"
    ]
    if document["copied_to"]:
        lines.append(f"copied the file to {document['copied_to']}")
    targets = [column["name"] for column in report["columns"] if column["role"] == "target"]
    if targets:
        others = f"; {len(targets) - 1} more can be named under `walkforward`" if len(targets) > 1 else ""
        lines.append(f"trained on target {targets[0]}{others}")
    else:
        lines.append("no target: nothing can be trained; name one with --target")
    if document["taken_by"]:
        lines.append(f"chronos dev is on ({document['taken_by']}): its sensor takes the dataset within a minute")
        return "\n".join([*lines, f"next: chronos run {document['dataset']} --follow"])
    return "\n".join([*lines, f"next: chronos run {document['dataset']}"])


def _refresh_document(result: Refreshed, *, dry_run: bool) -> dict[str, Any]:
    change = result.change
    return {
        "dataset": result.path.stem,
        "manifest": str(result.path),
        "unchanged": result.unchanged,
        "written": not (dry_run or result.unchanged),
        "old_checksum": result.old_checksum,
        "checksum": result.checksum,
        "rows": result.report.rows,
        "change": None if change is None else {**vars(change), "only_growth": change.only_growth, "text": change.sentences()},
    }


def _refresh_text(document: dict[str, Any]) -> str:
    if document["unchanged"]:
        return f"{document['dataset']}: the file is the one in the manifest; nothing to do"
    change = document["change"]
    lines = change["text"] if change else [f"what was there before is not at hand; the file now holds {document['rows']} bars"]
    done = "checksum renewed" if document["written"] else "dry run, manifest left as it is"
    return "\n".join(
        [
            f"{document['dataset']}: {done} ({document['old_checksum'][:19]}... -> {document['checksum'][:19]}...)",
            *(f"  {line}" for line in lines),
        ]
    )
