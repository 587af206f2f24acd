"""docs/PRESETS.md, from `domain/presets.py` and `FormatSpec`."""

from __future__ import annotations

from chronos_assets.domain.bars_spec import FormatSpec
from chronos_assets.domain.presets import PRESETS
from chronos_assets.domain.strict_yaml import flow
from written_pages.common import NOTE, wrapped


def presets_page() -> str:
    """Every key of `format`, and every preset with its keys."""
    lines = [
        "# Files as vendors write them",
        NOTE,
        "",
        *wrapped(
            "`chronos inspect FILE` proposes the keys that read a file which it refuses. Write them into `format` of the manifest, or into "
            "`ohlcv_format` of a simulation profile for the manifest's `ohlcv_file`. Nothing is read undeclared: without the key the file "
            "is refused."
        ),
        "",
        "```bash",
        "chronos inspect prices.csv                        # why it is refused, and what reads it",
        "chronos manifest new prices.csv --accept-proposal # writes the manifest with what was proposed",
        "chronos inspect prices.csv --preset mt5 --format timezone=Europe/Athens",
        "chronos inspect --preset mt5 --show               # the keys of a preset",
        "```",
        "",
        "## Keys of `format`",
        "",
        "| key | default | what it says |",
        "|---|---|---|",
    ]
    for name, field in FormatSpec.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "none" if default in (None, [], {}) else f"`{default}`"
        lines.append(f"| `{name}` | {shown} | {(field.description or '').replace('|', chr(92) + '|')} |")
    lines += [
        "",
        *wrapped(
            "With a declared `date` (any but yyyymmdd), `date_i` and `time_i` of the bars are those in UTC. An offset in a cell, or Unix "
            "time, says by itself when a bar is; a file in which some times have an offset and others none is refused. Daily bars keep the "
            "date that is written, or that of the declared `timezone`. `--format` takes the same keys as KEY=VALUE; lists are separated by "
            "`;`, and marks may be written as words (`decimal=comma`, `thousands=point`)."
        ),
        "",
        "## Presets",
        "",
        *wrapped(
            "A preset is nothing but values for these keys; each of them can be overridden beside it: "
            "`format: {preset: mt5, timezone: Europe/Athens}`. A file may lack columns that only the preset renames."
        ),
    ]
    for name, preset in PRESETS.items():
        lines += ["", f"### {name}", "", *wrapped(f"{preset.about}."), "", "```yaml", f"format: {flow(dict(preset.format))}", "```"]
        if preset.cannot_know:
            lines += ["", *wrapped(f"Such a file does not say {'; nor '.join(preset.cannot_know)}.")]
    return "\n".join(lines) + "\n"
