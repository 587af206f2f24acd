"""`validate_dataset`: do the stores still hold what was published, and do they agree on a run? Exit code 3 on any difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from chronos_assets.cli.common import emit, json_option, run_command, say
from chronos_assets.cli.progress import Reporter
from chronos_assets.cli.slug_argument import slug_argument
from chronos_assets.errors import ChronosError, UsageError, ValidationFailedError
from chronos_assets.settings import load_settings

if TYPE_CHECKING:
    from chronos_assets.settings import Settings
    from chronos_assets.storage.manifest_files import LoadedManifest
    from chronos_assets.views.documents import Validation


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@slug_argument(required=False)
@click.option("--run", "run_id", help="Validate this walk-forward run instead of a dataset.")
@click.option("--fold", "folds", type=click.IntRange(min=0), multiple=True, help="Only this fold of the run (repeatable).")
@json_option
def validate(slug: str | None, run_id: str | None, folds: tuple[int, ...], as_json: bool) -> int:
    """Compare dataset SLUG, or a run, in both stores."""
    from chronos_assets import services
    from chronos_assets.pipeline.validation.dataset import validate_dataset, validate_run
    from chronos_assets.storage.ids import full_id
    from chronos_assets.storage.stores import open_stores
    from chronos_assets.views.documents import Validation

    if (slug is None) == (run_id is None):
        raise UsageError("name one dataset or one run", code="usage_subject", expected="SLUG, or --run RUN_ID")
    if folds and run_id is None:
        raise UsageError("--fold goes with --run", code="usage_fold")
    settings = load_settings()
    stores = open_stores(services.connect(settings, progress=say), settings, say)
    if run_id is not None:
        name = full_id(stores.postgres, "run", run_id)
        with Reporter(f"run {name[:8]}") as progress:
            report = validate_run(name, stores, list(folds) or None, progress=progress)
    else:
        assert slug is not None
        with Reporter(slug) as progress:
            report = validate_dataset(slug, stores, loaded=_manifest(settings, slug), progress=progress)
    emit(Validation(**report.as_dict()), as_json, _text)
    return 0 if report.passed else ValidationFailedError.exit_code


def main() -> None:
    """Entry point of `validate_dataset`."""
    run_command(validate)


def _manifest(settings: Settings, slug: str) -> LoadedManifest | None:
    """The dataset's manifest if there is a readable one."""
    from chronos_assets.storage.manifest_files import load_manifest, manifest_path

    path = manifest_path(settings.exports_dir, slug)
    if not path.is_file():
        return None
    try:
        return load_manifest(path, data_roots=settings.data_roots)
    except ChronosError as error:
        say(f"the manifest is left out: {error}")
        return None


def _text(document: Validation) -> str:
    words = {True: "ok    ", False: "FAILED", None: "-     "}
    lines = []
    for check in document.checks:
        line = f"{words[check.passed]} {check.name}"
        if check.passed is False:
            line += f": expected {check.expected}, found {check.found}"
        elif check.passed is None:
            line += f": not looked at, {check.found}"
        lines.append(line)
    lines += [f"       {finding}" for finding in document.findings]
    unasked = sum(check.passed is None for check in document.checks)
    words_of = {"agrees": "agrees", "partly": f"agrees partly: {unasked} questions could not be asked", "differs": "DIFFERS"}
    verdict = words_of[document.verdict]
    return "\n".join([*lines, f"{document.kind} {document.subject} {verdict} ({document.seconds:.1f} s)"])
