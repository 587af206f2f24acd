"""`chronos indicators`: from a file of prices to a dataset with indicators and targets, and its manifest."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chronos_assets.cli.common import emit, json_option, say
from chronos_assets.cli.inspect import parse_formats
from chronos_assets.cli.manifest import proposal_hinted, with_proposal
from chronos_assets.domain.slug import Slug
from chronos_assets.errors import UsageError
from chronos_assets.settings import load_settings

if TYPE_CHECKING:
    from chronos_assets.pipeline.indicators import IndicatorFile
    from chronos_assets.pipeline.upkeep.manifests import NewManifest

_DEFAULT_TARGETS = "return-1,return-5"


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The CSV file to write.")
@click.option("--set", "of_set", default="tssb-like", show_default=True, metavar="NAME", help="demo or tssb-like; docs/INDICATORS.md.")
@click.option(
    "--targets",
    default=_DEFAULT_TARGETS,
    show_default=True,
    metavar="NAMES",
    help="Targets, separated by commas: return-N (percent, from the next open on) and atr-N (in units of ATR), for N of 1, 5, 10 bars.",
)
@click.option("--preset", metavar="NAME", help="Read FILE as a known layout, such as mt5; docs/PRESETS.md lists them.")
@click.option("--format", "formats", multiple=True, metavar="KEY=VALUE", help="What FILE itself does not say, as in `chronos inspect`.")
@click.option("--accept-proposal", is_flag=True, help="If FILE is refused, declare what `chronos inspect FILE` proposes.")
@click.option("--slug", help="Slug of the dataset; from the output's name and the spacing of its bars by default.")
@click.option("--no-manifest", is_flag=True, help="Write the CSV file only.")
@click.option("--force", is_flag=True, help="Write over an output and a manifest of the same name.")
@json_option
def indicators(file: Path, output: Path, of_set: str, targets: str, as_json: bool, **options: Any) -> None:
    """Compute indicators and targets from the prices in FILE, and write the manifest of the dataset."""
    from chronos_assets.domain.bars_spec import BarsSpec, ColumnsSpec
    from chronos_assets.domain.indicators import SETS, TARGETS
    from chronos_assets.domain.strict import nearest, parse_strict
    from chronos_assets.pipeline.indicators import write_indicators
    from chronos_assets.pipeline.upkeep.manifests import new_manifest
    from chronos_assets.views.documents import WrittenIndicators

    names = [name.strip() for name in targets.split(",") if name.strip()]
    for what, given, known in (("--set", [of_set], SETS), ("--targets", names, TARGETS)):
        for name in given:
            if name not in known:
                close = nearest(name, known)
                raise UsageError(
                    f"{what}: there is no {name!r}",
                    code="unknown_name",
                    expected=f"one of {', '.join(known)}",
                    hint=f"Did you mean {close!r}?" if close else "",
                )
    slug = None if options["slug"] is None else str(Slug.parse(options["slug"]))
    spec = parse_strict(BarsSpec, {"format": parse_formats(options["formats"], options["preset"])}, error=UsageError, what="the call")
    if options["accept_proposal"]:
        spec = with_proposal(file, spec)
    with proposal_hinted(file, told=not options["accept_proposal"]):
        written = write_indicators(file, spec, output, of_set=of_set, targets=names, force=options["force"])
    if written.left_out:
        say(f"warning: the prices have no Volume: left out {', '.join(written.left_out)}")
    made = None
    if not options["no_manifest"]:
        own = BarsSpec(columns=ColumnsSpec(), target_horizon=written.target_horizon)
        made = new_manifest(output, load_settings(), own, slug=slug, force=options["force"])
    document = _document(written, made)
    emit(WrittenIndicators(**document), as_json, lambda _: _text(document))


def _document(written: IndicatorFile, made: NewManifest | None) -> dict[str, Any]:
    return {
        "output": str(written.path),
        "rows": written.rows,
        "bars_read": written.source.rows,
        "indicators": written.indicators,
        "left_out": written.left_out,
        "target_horizon": written.target_horizon,
        "dataset": None if made is None else made.path.stem,
        "manifest": None if made is None else str(made.path),
    }


def _text(document: dict[str, Any]) -> str:
    horizons = ", ".join(f"{name} (horizon {bars})" for name, bars in document["target_horizon"].items()) or "no target"
    lines = [
        f"wrote {document['output']}: {document['rows']} bars ({document['bars_read'] - document['rows']} at the start left out), "
        f"{len(document['indicators'])} indicators, {horizons}"
    ]
    if document["manifest"] is None:
        return "\n".join([*lines, f"next: chronos manifest new {shlex.quote(document['output'])}"])
    return "\n".join([*lines, f"wrote {document['manifest']}", f"next: chronos run {document['dataset']}"])
