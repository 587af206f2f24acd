"""`chronos datasets list|show|retire`: what is published, what it takes, and how it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from chronos_assets import services
from chronos_assets.cli.common import emit, json_option, say
from chronos_assets.cli.slug_argument import slug_argument
from chronos_assets.cli.workplace import open_for_reading
from chronos_assets.domain.byte_size import byte_size
from chronos_assets.settings import load_settings

if TYPE_CHECKING:
    from chronos_assets.settings import Settings
    from chronos_assets.storage.stores import Stores
    from chronos_assets.views.documents import DatasetList, DatasetReport, TagSpace


@click.group()
def datasets() -> None:
    """List, show or retire published datasets."""


@datasets.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List all published datasets."""
    from chronos_assets.views.datasets import list_summaries

    emit(list_summaries(open_for_reading()), as_json, _list_text)


@datasets.command()
@slug_argument()
@json_option
def show(slug: str, as_json: bool) -> None:
    """Show one dataset: columns, revisions and the space they take, audits, runs."""
    from chronos_assets.views.datasets import report

    emit(report(open_for_reading(), slug), as_json, _show_text)


@datasets.command()
@slug_argument()
@click.option("--with-runs", is_flag=True, help="Also retire the walk-forward runs and simulations that depend on it.")
@json_option
def retire(slug: str, with_runs: bool, as_json: bool) -> None:
    """Take a dataset out of the registry and out of Dagster; its rows stay in QuestDB, out of every reader's reach."""
    from chronos_assets.errors import NotPublishedError
    from chronos_assets.pipeline.upkeep.datasets import retire as retire_dataset
    from chronos_assets.pipeline.upkeep.datasets import retire_unpublished
    from chronos_assets.views.documents import RetiredDataset

    stores = _stores()
    try:
        found = retire_dataset(stores, slug, with_runs=with_runs)
    except NotPublishedError:
        if not (dropped := _drop_partition(stores.settings, slug)):
            raise
        found = retire_unpublished(stores, slug)
    else:
        dropped = _drop_partition(stores.settings, slug)
    found |= {"partition_dropped": dropped, "manifest": _manifest_left(stores.settings, slug)}
    emit(RetiredDataset(**found), as_json, lambda _: _retire_text(found))


def _drop_partition(settings: Settings, slug: str) -> bool:
    """Take the dataset's partition out of Dagster; whether there was one."""
    from chronos_assets.orchestration.instance import open_instance
    from chronos_assets.orchestration.partitions import drop_partition

    with open_instance(settings, captured_output=False) as instance:
        return drop_partition(instance, slug)


def _manifest_left(settings: Settings, slug: str) -> str | None:
    """The manifest that would publish the dataset again, if it still lies in exports/."""
    from chronos_assets.storage.manifest_files import manifest_path

    path = manifest_path(settings.exports_dir, slug)
    return str(path) if path.is_file() else None


def _stores() -> Stores:
    from chronos_assets.storage.stores import open_stores

    settings = load_settings()
    return open_stores(services.connect(settings, progress=say), settings, say)


def _list_text(document: DatasetList) -> str:
    rows = [
        (
            d.dataset,
            f"{d.rows:,}",
            str(d.revision),
            f"{d.first_bar:%Y-%m-%d}",
            f"{d.last_bar:%Y-%m-%d}",
            str(d.features),
            str(len(d.targets)),
        )
        for d in document.datasets
    ]
    if not rows:
        return "no dataset is published"
    table = [("dataset", "bars", "revision", "first", "last", "features", "targets"), *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)


def _show_text(d: DatasetReport) -> str:
    lines = [
        f"{d.dataset}: {d.rows:,} bars of {d.granularity}, {d.first_bar.isoformat()} to {d.last_bar.isoformat()}, source {d.source}",
        f"  revision {d.revision} under {d.questdb_tag}, published {d.updated_at.isoformat()}",
        f"  file {d.checksum}",
        f"  {d.features} features, targets {', '.join(d.targets) or 'none'}, prices {', '.join(d.prices) or 'none'}",
        f"  {d.runs} walk-forward runs, {d.simulations} simulations",
    ]
    lines += [_tag_line(tag) for tag in d.tags]
    lines += [f"  audit {a.audit_id}, {a.started_at:%Y-%m-%dT%H:%M:%S}: {a.mode}, {a.verdict}, {a.questdb_tag}" for a in d.audits]
    return "\n".join([*lines, f"  {d.reclaim}"] if d.reclaim else lines)


def _retire_text(d: dict[str, Any]) -> str:
    gone = f", with {d['runs']} runs and {d['simulations']} simulations" if d["runs"] else ""
    left = f"{d['rows_left']:,} rows (about {byte_size(d['bytes_left'])}) stay in QuestDB."
    where = "the registry" if d["published"] else "Dagster; it was never published"
    again = f"\n{d['manifest']} publishes it again with the next run: delete it if you do not want that" if d["manifest"] else ""
    return f"{d['retired']} is out of {where}{gone}; {left}{again}\n{d['reclaim']}"


def _tag_line(tag: TagSpace) -> str:
    return f"  tag {tag.tag}: {tag.rows:,} rows, about {byte_size(tag.bytes)} ({'in use' if tag.registered else 'old revision'})"
