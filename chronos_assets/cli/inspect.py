"""`chronos inspect`: what a file holds, or why it is refused, with no manifest and no server."""

from __future__ import annotations

import shlex
import textwrap
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chronos_assets.cli.common import json_option, print_json
from chronos_assets.errors import ChronosError, RefusedError, UsageError

if TYPE_CHECKING:
    from chronos_assets.domain.bars_spec import BarsSpec

_SHOWN = 12
_WIDTH = 110


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--preset", metavar="NAME", help="Read FILE as a known layout, such as mt5 or tradingview; docs/PRESETS.md lists them.")
@click.option("--show", is_flag=True, help="Print the keys of --preset (of all presets without it) and read no file.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="KEY=VALUE",
    help="What the file itself does not say: time_format=hhmm, time=hh, delimiter=tab, timezone=America/New_York, market=BTC, "
    "bar_time=close, date=iso, header=2; a bare hhmm, hhmmss, hh, minutes, none, comma, tab, semicolon, pipe or blanks will do. Repeat it, "
    "or use commas; or write the keys as in a manifest: '{date: iso, rename: {time: Date}}'.",
)
@click.option("--granularity", help="Interval of the bars, such as 4h; found from their spacing by default.")
@click.option("--target", "targets", multiple=True, metavar="GLOB", help="A further target, besides TGT* and target*.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="A column to leave out.")
@json_option
def inspect(
    *,
    file: Path | None,
    preset: str | None,
    show: bool,
    formats: tuple[str, ...],
    granularity: str | None,
    targets: tuple[str, ...],
    exclude: tuple[str, ...],
    as_json: bool,
) -> int:
    """Say what an indicator FILE holds, or why it is refused (exit 3)."""
    if show:
        _show(preset, as_json=as_json)
        return 0
    if file is None:
        raise UsageError("there is no FILE to inspect", code="file_missing", hint="Name a file, or use --show to see the presets.")
    from chronos_assets.domain.bars_spec import BarsSpec
    from chronos_assets.domain.strict import parse_strict
    from chronos_assets.ingest import normalize

    given = {
        "granularity": granularity,
        "format": parse_formats(formats, preset),
        "columns": {"targets": list(targets), "exclude": list(exclude)},
    }
    spec = parse_strict(BarsSpec, given, error=UsageError, what="the call")
    try:
        document = accepted(normalize(file, spec, None).as_dict())
    except RefusedError as error:
        document = refused(error) | {"proposal": proposed(file, spec)}
    from chronos_assets.views.documents import Inspection

    if as_json:
        print_json(Inspection(**document))
    else:
        given_again = again({"--preset": (preset,) if preset else (), "--format": formats, "--target": targets, "--exclude": exclude})
        click.echo(_text(file, document, given_again), err=not document["accepted"])
    return 0 if document["accepted"] else RefusedError.exit_code


def parse_formats(formats: tuple[str, ...], preset: str | None = None) -> dict[str, Any]:
    """`--format` values (and `--preset`) as keys of FormatSpec; a bare value names its key by itself, a block in braces is YAML."""
    from chronos_assets.domain.bars_spec import DELIMITERS

    found: dict[str, Any] = {} if preset is None else {"preset": preset}
    for block in (text for text in formats if text.lstrip().startswith("{")):
        found |= _block(block)
    formats = tuple(text for text in formats if not text.lstrip().startswith("{"))
    bare = (
        dict.fromkeys(("hhmm", "hhmmss", "none"), "time_format")
        | dict.fromkeys(("hh", "minutes"), "time")
        | dict.fromkeys(DELIMITERS, "delimiter")
        | dict.fromkeys(("open", "close"), "bar_time")
    )
    for part in (piece.strip() for text in formats for piece in text.split(",")):
        key, separator, value = part.partition("=")
        if separator:
            found[key.strip()] = value.strip()
        elif part.lower() in bare:
            found[bare[part.lower()]] = part.lower()
        elif part:
            raise UsageError(
                f"--format {part!r} is not understood", code="format_option", expected=f"KEY=VALUE, or one of {', '.join(bare)}"
            )
    return found


def _block(text: str) -> dict[str, Any]:
    """A `format` as a manifest has it: `{date: iso, rename: {time: Date}}`."""
    from chronos_assets.domain.strict_yaml import YamlProblem, load_yaml

    try:
        found = load_yaml(text)
    except YamlProblem as error:
        raise UsageError(f"--format is not valid YAML: {error.problem}", code="format_option", found=text[:100]) from None
    if not isinstance(found, dict):
        raise UsageError("--format in braces is not a mapping of keys to values", code="format_option", found=text[:100])
    return found


def proposed(file: Path, spec: BarsSpec) -> dict[str, Any] | None:
    """What to declare so that the refused FILE is read, as JSON; None if nothing that could be declared reads it."""
    from chronos_assets.ingest.proposal import propose

    found = propose(file, spec)
    if found is None:
        return None
    readings = [
        {
            "format": reading.format,
            "rows": reading.report.rows,
            "granularity": reading.report.granularity,
            "first_bars": [vars(bar) for bar in reading.first_bars],
            "last_bars": [vars(bar) for bar in reading.last_bars],
            "cannot_know": reading.cannot_know,
        }
        for reading in found.readings
    ]
    nearest = None if found.nearest is None else {"format": found.nearest[0], "refusal": str(found.nearest[1])}
    return {"only": found.only is not None, "readings": readings, "decides": found.decides() or None, "nearest": nearest}


def accepted(report: dict[str, Any]) -> dict[str, Any]:
    """The JSON document of a file that was taken: the report, with all columns in the order of the file."""
    columns = [*report.pop("keys"), *report.pop("columns"), *report.pop("excluded")]
    columns.sort(key=lambda column: column["position"])
    return {"accepted": True, **report, "columns": columns, "error": None, "proposal": None}


def refused(error: ChronosError) -> dict[str, Any]:
    """The JSON document of a file that was refused."""
    message = str(error).removesuffix(error.hint).strip()
    problem = {"row": None, "column": None, **error.as_dict(), "message": message, "summary": error.message}
    return {
        "accepted": False,
        "rows": None,
        "first_bar": None,
        "last_bar": None,
        "granularity": None,
        "columns": [],
        "warnings": [],
        "error": problem,
    }


def _show(name: str | None, *, as_json: bool) -> None:
    """The keys of one preset or of all, as a manifest writes them."""
    from chronos_assets.domain.bars_spec import FormatSpec
    from chronos_assets.domain.presets import PRESETS
    from chronos_assets.domain.strict import parse_strict
    from chronos_assets.domain.strict_yaml import flow

    if name is not None:
        parse_strict(FormatSpec, {"preset": name}, error=UsageError, what="the call")
    shown = PRESETS if name is None else {name: PRESETS[name]}
    if as_json:
        from chronos_assets.views.documents import Preset, Presets

        print_json(Presets(**{key: Preset.model_validate(preset) for key, preset in shown.items()}))
        return
    for key, preset in shown.items():
        click.echo(f"# {key}: {preset.about}")
        click.echo(f"format: {flow(dict(preset.format))}")
        for unknown in preset.cannot_know:
            click.echo(f"#   such a file does not say {unknown}")


def _text(file: Path, document: dict[str, Any], given: str) -> str:
    if not document["accepted"]:
        said = f"refused: {document['error']['message']} {document['error']['hint'] or ''}".strip()
        return "\n".join([said, *_proposal_text(file, document["proposal"], given)])
    roles = Counter(column["role"] for column in document["columns"])
    written = document["delimiter"] or document["file_kind"]
    lines = [
        f"{file.name}: accepted",
        f"  bars      {document['rows']} of {document['granularity'] or 'unknown interval'}",
        f"  time      {document['first_bar']} to {document['last_bar']}",
        f"  columns   {', '.join(f'{count} {role}' for role, count in roles.items())}",
        f"  written   {document['file_kind']}, {written}, time {document['time_format']}, zone {document['timezone']}",
        f"  gaps      {document['gaps']} ({document['missing_bars']} bars), {document['unexpected_gaps']} of them unexpected",
    ]
    for role, label in (("target", "targets"), ("feature", "features"), ("price", "prices"), ("key", "keys"), ("excluded", "left out")):
        lines += _named(label, [column["name"] for column in document["columns"] if column["role"] == role])
    if document["market"]:
        lines.append(f"  market    {document['market']}")
    empty = [f"{c['name']} {c['nulls']}" for c in document["columns"] if c["nulls"]]
    if empty:
        more = f" and {len(empty) - _SHOWN} more" if len(empty) > _SHOWN else ""
        lines.append(f"  nulls     {', '.join(empty[:_SHOWN])}{more}")
    lines += [f"  warning   {warning['code']}: {warning['message']}" for warning in document["warnings"]]
    return "\n".join([*lines, f"next: chronos manifest new {shlex.quote(str(file))}{given}"])


def _proposal_text(file: Path, proposal: dict[str, Any] | None, given: str) -> list[str]:
    """The proposal in words: the block to paste and what comes of it, or what would decide between several."""
    from chronos_assets.domain.strict_yaml import flow

    if proposal is None:
        return []
    readings, nearest = proposal["readings"], proposal["nearest"]
    if nearest is not None:
        return ["", f"nearest: format: {flow(nearest['format'])}", f"  reads its cells, but: {nearest['refusal']}"]
    lines = ["", "Declared like this, every row is read:"]
    if not proposal["only"]:
        lines = ["", f"{len(readings)} declarations read every row, and the bars differ. What decides: {proposal['decides']}."]
    for reading in readings:
        lines += [
            f"  format: {flow(reading['format'])}",
            f"    {reading['rows']} bars of {reading['granularity'] or 'unknown interval'}, in UTC:",
        ]
        bars = (
            [*reading["first_bars"], None, *reading["last_bars"]]
            if reading["rows"] > 2 * len(reading["first_bars"])
            else reading["first_bars"]
        )
        for bar in bars:
            values = "" if bar is None else "  ".join(f"{name} {'-' if v is None else f'{v:.10g}'}" for name, v in bar["values"].items())
            lines.append("    ..." if bar is None else f"    {bar['time']}  {values}")
        lines += [f"    the file does not say {unknown}" for unknown in reading["cannot_know"]]
    quoted = shlex.quote(str(file))
    if proposal["only"]:
        return [*lines, f"next: chronos manifest new {quoted}{given} --accept-proposal"]
    block = shlex.quote(flow(readings[0]["format"]))
    return [*lines, f"next: chronos manifest new {quoted}{given} --format {block}, with the block that is right"]


def _named(label: str, names: list[str]) -> list[str]:
    """All names of a role, over as many lines as they take."""
    lines = textwrap.wrap(", ".join(names), _WIDTH, break_long_words=False, break_on_hyphens=False)
    return [f"  {label if n == 0 else '':<9} {line}" for n, line in enumerate(lines)]


def again(options: dict[str, tuple[str, ...]]) -> str:
    """Options of this call that the next command needs as well."""
    return "".join(f" {option} {shlex.quote(value)}" for option, values in options.items() for value in values)
