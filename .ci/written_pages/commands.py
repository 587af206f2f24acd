"""docs/CLI.md, from `--help` of every command."""

from __future__ import annotations

from collections.abc import Iterator

import click

from written_pages.common import NOTE

PROGRAMS = (
    ("chronos", "chronos_assets.cli.main", "chronos"),
    ("chronosflow_export", "chronos_assets.cli.export", "export"),
    ("validate_dataset", "chronos_assets.cli.validate", "validate"),
)
HELP_WIDTH = 110


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
