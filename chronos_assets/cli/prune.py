"""`chronos prune`: retire what the retention policy does not keep. The night does the same at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from chronos_assets.cli.common import emit, json_option, say
from chronos_assets.cli.slug_argument import slug_argument
from chronos_assets.domain.byte_size import byte_size
from chronos_assets.errors import UsageError
from chronos_assets.settings import load_settings

if TYPE_CHECKING:
    from chronos_assets.domain.retention import Keep
    from chronos_assets.views.documents import Prune


@click.command()
@slug_argument(required=False)
@click.option(
    "--keep",
    "keeps",
    multiple=True,
    metavar="KEY=N",
    help="Policy instead of the manifests' and the settings': nights=N, months=N, or both by two options.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@json_option
def prune(slug: str | None, keeps: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Retire superseded runs (of SLUG, or of all datasets) that the retention policy does not keep, with all that depends on them."""
    from chronos_assets import services
    from chronos_assets.orchestration.instance import open_instance
    from chronos_assets.orchestration.nightly.dagster_runs import InstanceRuns
    from chronos_assets.orchestration.nightly.upkeep import run_upkeep
    from chronos_assets.storage.stores import open_stores

    settings = load_settings()
    override = parse_keep(keeps)
    stores = open_stores(services.connect(settings, progress=say), settings, say)
    with open_instance(settings, captured_output=False) as instance:
        document = run_upkeep(stores, InstanceRuns(instance, settings), slug=slug, override=override, dry_run=dry_run)
    emit(document, as_json, _text)


def parse_keep(keeps: tuple[str, ...]) -> Keep | None:
    """`("nights=3", "months=1")` as a policy; None without any. Raises `UsageError`."""
    from chronos_assets.domain.retention import Keep
    from chronos_assets.domain.strict import parse_strict

    if not keeps:
        return None
    values: dict[str, int] = {}
    for text in keeps:
        key, equals, number = text.partition("=")
        if not equals or not number.isdigit():
            raise UsageError(f"--keep {text!r} is not KEY=N", code="keep_invalid", expected="nights=N or months=N")
        values[key] = int(number)
    return parse_strict(Keep, values, error=UsageError, what="--keep")


def _text(document: Prune) -> str:
    would = "would go" if document.dry_run else "went"
    lines = [f"{one.dataset_id}: run {one.run_id} ({', '.join(one.profiles)}), {one.simulations} simulations" for one in document.runs]
    kept = ", ".join(f"{count} {reason}" for reason, count in sorted(document.kept.items())) or "none"
    total = f"{len(document.runs)} runs with {sum(one.simulations for one in document.runs)} simulations, {document.files} files"
    total += f", {document.models} models with their signals" if document.models else ""
    lines += [
        f"{total} and {document.dagster_runs} Dagster runs {would}: {byte_size(document.bytes)} of files",
        f"runs that stay: {kept}",
        *(f"compacted {one.table}: {one.rows_dropped:,} dead rows, {byte_size(one.bytes_freed)} freed" for one in document.compacted),
        *(f"left: {reason}" for reason in document.skipped),
    ]
    return "\n".join(lines)
