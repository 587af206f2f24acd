"""Write the pages that are made from the code: `python3 bootstrap.py run python .ci/pages.py`. A test compares them.

| page | made from |
|---|---|
| docs/SETTINGS.md | `settings.py` |
| docs/CLI.md | `--help` of every command |
| tables of learners and selectors in docs/WALKFORWARD.md | `domain/learners.py`, `domain/selectors.py` and the classes they name |
| docs/INDICATORS.md | `domain/indicators.py` |
| docs/PRESETS.md | `domain/presets.py`, `FormatSpec` in `domain/bars_spec.py` |
| docs/storage/QUESTDB_INGESTION.md | `storage/tables.py` |
| docs/storage/postgres_schema.sql, docs/storage/POSTGRES.md | `storage/schema.py` |

Words about a setting, command, table or index are beside its code; here is only how they are laid out. `--check` writes nothing and exits
1 if a page differs.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from sqlalchemy import Index, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from chronos_assets.cli.config_template import sections
from chronos_assets.domain.bars_spec import FormatSpec
from chronos_assets.domain.indicators import SETS, TARGETS
from chronos_assets.domain.learners import LEARNERS
from chronos_assets.domain.parts import Catalogue, documentation_row
from chronos_assets.domain.presets import PRESETS
from chronos_assets.domain.selectors import SELECTORS
from chronos_assets.domain.strict_yaml import flow
from chronos_assets.settings import PREFIX, Settings
from chronos_assets.storage.schema import METADATA
from chronos_assets.storage.tables import TABLES, TIMESTAMP, TableSpec

PROJECT = Path(__file__).resolve().parent.parent
DOCS = PROJECT / "docs"
COMMAND = "python3 bootstrap.py run python .ci/pages.py"
NOTE = f"<!-- Written by `{COMMAND}`; do not edit. -->"
# Defaults that depend on the machine, in words.
MACHINE_DEFAULTS = {
    "home": "one folder per project below your user data directory",
    "cache": "`chronos_assets` below your user cache directory",
    "exports_dir": "`exports/` of the project",
    "workers": "number of CPUs",
}
PROGRAMS = (
    ("chronos", "chronos_assets.cli.main", "chronos"),
    ("chronosflow_export", "chronos_assets.cli.export", "export"),
    ("validate_dataset", "chronos_assets.cli.validate", "validate"),
)
HELP_WIDTH = 110


def pages() -> dict[Path, str]:
    """Every generated page and its text."""
    return {
        DOCS / "SETTINGS.md": settings_page(),
        DOCS / "CLI.md": cli_page(),
        DOCS / "WALKFORWARD.md": walkforward_page(),
        DOCS / "INDICATORS.md": indicators_page(),
        DOCS / "PRESETS.md": presets_page(),
        DOCS / "storage" / "QUESTDB_INGESTION.md": questdb_page(),
        DOCS / "storage" / "postgres_schema.sql": postgres_schema(),
        DOCS / "storage" / "POSTGRES.md": postgres_page(),
    }


def main() -> int:
    """Write or check the pages."""
    differing = [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in differing:
            print(f"{path.relative_to(PROJECT)} is not what the code says: run `{COMMAND}`", file=sys.stderr)
        return 1 if differing else 0
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"written: {', '.join(str(path.relative_to(PROJECT)) for path in differing) or 'nothing new'}")
    return 0


# Learners and selectors


def walkforward_page() -> str:
    """The page as it is, with the rows of its two tables of parts from their classes."""
    text = (DOCS / "WALKFORWARD.md").read_text(encoding="utf-8")
    catalogues: tuple[Catalogue[Any], ...] = (LEARNERS, SELECTORS)
    for catalogue in catalogues:
        rows = "".join(f"{documentation_row(catalogue.find(name), catalogue.field)}\n" for name in catalogue.names)
        table = re.compile(rf"(^\| {catalogue.what} \|.*\n\|[-|]+\|\n)(?:\|.*\n)*", re.MULTILINE)
        text, found = table.subn(lambda match, rows=rows: match[1] + rows, text)
        assert found == 1, f"docs/WALKFORWARD.md needs one table headed `| {catalogue.what} |`"
    return text


# Settings


def settings_page() -> str:
    """Every setting by section: variable, default, what it may hold, what it is for."""
    lines = [
        "# Settings",
        NOTE,
        "",
        "Every setting is an environment variable. `chronos config show` prints the value of each and where it came from; secrets are "
        "masked.",
        "A value that cannot be used ends the command with exit status 2 and the name of the variable.",
    ]
    for title, names in sections():
        lines += ["", f"## {title}", "", "| variable | default | takes | what it is for |", "|---|---|---|---|"]
        for name in names:
            field = Settings.model_fields[name]
            cells = (f"`{PREFIX}{name.upper()}`", _default(name, field), _takes(field), field.description or "")
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _default(name: str, field: FieldInfo) -> str:
    if field.default_factory is not None:
        return MACHINE_DEFAULTS[name]
    if field.default is None or field.default == ():
        return "none"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _takes(field: FieldInfo) -> str:
    kind = next((part for part in (*get_args(field.annotation), field.annotation) if part is not type(None)), str)
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(field.annotation))
    if get_origin(field.annotation) is tuple:
        kind = get_args(field.annotation)[0]
        return f"list of {'folders' if kind is Path else 'words'}"
    words = {bool: "`true`, `false`", int: "whole number", float: "number", Path: "path", SecretStr: "secret", str: "text"}[kind]
    bounds = [f"{sign} {value}" for sign, key in ((">", "gt"), (">=", "ge"), ("<=", "le")) if (value := _bound(field, key)) is not None]
    return f"{words}, {' and '.join(bounds)}" if bounds else words


def _bound(field: FieldInfo, key: str) -> Any:
    return next((getattr(rule, key) for rule in field.metadata if getattr(rule, key, None) is not None), None)


# Commands


def cli_page() -> str:
    """`--help` of every command."""
    lines = [
        "# Commands",
        NOTE,
        "",
        "Results go to stdout, progress to stderr; `--json` prints one JSON document. Exit status: 0 done, 1 failed, 2 usage, 3 input "
        "refused or",
        "validation failed, 4 a service cannot be reached, 130 interrupted.",
    ]
    for name, command in commands():
        context = click.Context(
            command, info_name=name, terminal_width=HELP_WIDTH, max_content_width=HELP_WIDTH, help_option_names=["-h", "--help"]
        )
        text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
        lines += ["", f"## {name}", "", "```", text, "```"]
    return "\n".join(lines) + "\n"


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, a group before its members."""
    for name, module, attribute in PROGRAMS:
        yield from _with_members(name, getattr(__import__(module, fromlist=[attribute]), attribute))


def _with_members(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for member in command.list_commands(context):
            found = command.get_command(context, member)
            assert found is not None
            yield from _with_members(f"{name} {member}", found)


# Indicators


def indicators_page() -> str:
    """Every set of indicators and every target, with formulas and sources."""
    lines = [
        "# Indicators from prices alone",
        NOTE,
        "",
        *_wrapped(
            "Two commands take a file of prices to trades. The first computes indicators and targets and writes the manifest, with the "
            "horizon of each target; the second runs the whole lineage."
        ),
        "",
        "```bash",
        "chronos indicators btc_1h_prices.csv -o exports/btc_1h.csv    # add --preset, --format or --accept-proposal for a vendor's file",
        "chronos run btc_1h_v1",
        "```",
        "",
        *_wrapped(
            "The prices need Open, High, Low and Close; without Volume the indicators that use it are left out. Times are in UTC. The "
            "first bars, in which a window is not yet full, are left out. New columns are rounded to eight decimals; prices are written in "
            "full. Appended bars change no line that was written. Memory is bounded, whatever the number of bars."
        ),
        "",
        *_wrapped(
            "C, O, H, L, V are close, open, high, low and volume of bar t, C[n] is the close n bars earlier, and ATR(n) is the mean over n "
            "bars of max(H, C[1]) - min(L, C[1]); log ATR is that mean of logarithms. An indicator uses its own bar and earlier ones only: "
            "a test changes all later bars and compares to the last bit."
        ),
    ]
    for name, chosen in SETS.items():
        lines += ["", f"## --set {name}", "", "| indicator | formula | source |", "|---|---|---|"]
        lines += [f"| `{item.name}` | {item.formula.replace('|', chr(92) + '|')} | {item.source} |" for item in chosen]
    lines += ["", "## --targets", "", "| option | column | formula | `target_horizon` |", "|---|---|---|---|"]
    lines += [f"| `{option}` | `{target.name}` | {target.formula} | {target.horizon} |" for option, target in TARGETS.items()]
    return "\n".join(lines) + "\n"


# Presets


def presets_page() -> str:
    """Every key of `format`, and every preset with its keys."""
    lines = [
        "# Files as vendors write them",
        NOTE,
        "",
        *_wrapped(
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
        *_wrapped(
            "With a declared `date` (any but yyyymmdd), `date_i` and `time_i` of the bars are those in UTC. An offset in a cell, or Unix "
            "time, says by itself when a bar is; a file in which some times have an offset and others none is refused. Daily bars keep the "
            "date that is written, or that of the declared `timezone`. `--format` takes the same keys as KEY=VALUE; lists are separated by "
            "`;`, and marks may be written as words (`decimal=comma`, `thousands=point`)."
        ),
        "",
        "## Presets",
        "",
        *_wrapped(
            "A preset is nothing but values for these keys; each of them can be overridden beside it: "
            "`format: {preset: mt5, timezone: Europe/Athens}`. A file may lack columns that only the preset renames."
        ),
    ]
    for name, preset in PRESETS.items():
        lines += ["", f"### {name}", "", *_wrapped(f"{preset.about}."), "", "```yaml", f"format: {flow(dict(preset.format))}", "```"]
        if preset.cannot_know:
            lines += ["", *_wrapped(f"Such a file does not say {'; nor '.join(preset.cannot_know)}.")]
    return "\n".join(lines) + "\n"


# QuestDB


def questdb_page() -> str:
    """Every QuestDB table: what it holds, its columns and keys, how a row of it is written and how it is read."""
    lines = [
        "# QuestDB: what is written, and how to read it",
        NOTE,
        "",
        *_wrapped(
            "All tables are WAL tables, partitioned by year, with nanosecond timestamps in UTC and DEDUP keys: sending the same rows "
            "twice leaves one copy, and a row with the same keys replaces the whole old row. They are created before the first write, "
            "never by the server itself. A null is left out of the line. Names and types are a contract with other programs: columns "
            "are added, never renamed or removed."
        ),
        "",
        "## Read through the registry, never the table alone",
        "",
        *_wrapped(
            "QuestDB has no row delete and acknowledges rows before they are visible, so a table may hold rows that are half written, "
            "stale or replaced. The registry in Postgres names the tag and the range of bars that were compared in full with their "
            "source. Read in two steps:"
        ),
        "",
        "```sql",
        "-- 1. Postgres: what is published for the slug",
        "SELECT questdb_tag, first_bar_ts, last_bar_ts FROM indicator_datasets WHERE dataset_id = 'btc_4h_v1';",
        "-- 2. QuestDB: exactly that tag and that range, both ends included",
        f"SELECT * FROM indicator_bars WHERE dataset = '<questdb_tag>' AND \"{TIMESTAMP}\" BETWEEN '<first_bar_ts>' AND '<last_bar_ts>';",  # noqa: S608
        "```",
        "",
        *_wrapped(
            "Runs and simulations are read by their id, if `status` of their row in Postgres (`walkforward_runs`, `simulation_runs`) "
            "is `completed`. In Python `storage.datasets.read_bars` does both steps; `GET` requests of `chronos serve` do them too."
        ),
    ]
    for spec in TABLES:
        lines += _questdb_table(spec)
    return "\n".join(lines) + "\n"


def _questdb_table(spec: TableSpec) -> list[str]:
    doubles = "one per indicator, target and price column, added when a dataset first has it" if not spec.doubles else ""
    rows = [("tag (SYMBOL)", spec.symbols, ""), ("LONG", spec.longs, ""), ("DOUBLE", spec.doubles, doubles)]
    listed = [f"| {kind} | {', '.join(f'`{name}`' for name in names) or words or 'none'} |" for kind, names, words in rows]
    return [
        "",
        f"## {spec.name}",
        "",
        *_wrapped(spec.about),
        "",
        "| columns | |",
        "|---|---|",
        *listed,
        f"| DEDUP keys | `{TIMESTAMP}`, {', '.join(f'`{name}`' for name in spec.keys)} |",
        "",
        "```sql",
        _broken(spec.ddl()),
        "```",
        "",
        "A row as ILP (over HTTP `POST /write`, over TCP the same text; the last number is the timestamp in nanoseconds):",
        "",
        "```",
        ilp_line(spec),
        "```",
    ]


def ilp_line(spec: TableSpec) -> str:
    """A row of the table as a line of ILP, made from the example in its definition."""
    example = dict(spec.example)
    moment = example.pop(TIMESTAMP)
    tags = "".join(f",{name}={example.pop(name)}" for name in spec.symbols if name in example)
    fields = ",".join(f"{name}={value}i" if isinstance(value, int) else f"{name}={value}" for name, value in example.items())
    return f"{spec.name}{tags} {fields} {moment}"


def _broken(ddl: str) -> str:
    head, _, rest = ddl.partition(" (")
    columns, _, tail = rest.partition(") TIMESTAMP(")
    return f"{head} (\n    {columns.replace(', ', f',{chr(10)}    ')}\n) TIMESTAMP({tail};"


# Postgres


def postgres_schema() -> str:
    """The registry's tables as SQL, as the migrations leave them."""
    dialect = postgresql.dialect()
    parts = [
        f"-- The registry's schema, as the migrations leave it. Written by `{COMMAND}`; do not edit.",
        "-- `chronos` makes it by itself (storage/migrations); this file is for reading. POSTGRES.md says what each table and index is "
        "for.",
    ]
    for table in METADATA.sorted_tables:
        parts.append(str(CreateTable(table).compile(dialect=dialect)).strip().replace("\t", "    ").replace(" \n", "\n") + ";")
        parts += [str(CreateIndex(index).compile(dialect=dialect)).strip() + ";" for index in sorted(table.indexes, key=_name)]
    return "\n\n".join(parts) + "\n"


def postgres_page() -> str:
    """What each table and index of the registry is for."""
    lines = [
        "# Postgres: the registry",
        NOTE,
        "",
        *_wrapped(
            "Postgres keeps what is known about datasets, runs and simulations; QuestDB keeps their rows. The schema is in "
            "[postgres_schema.sql](postgres_schema.sql); `storage/migrations` makes it, step by step, when a command first opens the "
            "stores, and the table `chronos_schema_version` says how far it is. Times are UTC. Dagster's own records are in a database "
            "of their own."
        ),
    ]
    for table in METADATA.sorted_tables:
        lines += _postgres_table(table)
    return "\n".join(lines) + "\n"


def _postgres_table(table: Table) -> list[str]:
    keys = ", ".join(f"`{column.name}`" for column in table.primary_key.columns)
    references = [f"`{key.parent.name}` -> `{key.target_fullname}`" for key in sorted(table.foreign_keys, key=lambda k: k.parent.name)]
    lines = ["", f"## {table.name}", "", *_wrapped(about(table)), "", f"Primary key: {keys}."]
    lines += [f"References: {', '.join(references)}."] if references else []
    if table.indexes:
        lines += ["", "| index | on | serves |", "|---|---|---|"]
        lines += [f"| `{index.name}` | {_columns(index)} | {about(index)} |" for index in sorted(table.indexes, key=_name)]
    return lines


def about(item: Table | Index) -> str:
    """The words beside the definition."""
    words = item.info.get("about")
    if not words:
        raise LookupError(f"{item.name} in storage/schema.py has no info={{'about': ...}}: say in one sentence what it is for")
    return str(words)


def _columns(index: Index) -> str:
    found = re.search(r"\((.*)\)", str(CreateIndex(index).compile(dialect=postgresql.dialect())))
    assert found is not None
    return f"`{found[1]}`"


def _name(item: Index) -> str:
    return str(item.name)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 140)


if __name__ == "__main__":
    sys.exit(main())
