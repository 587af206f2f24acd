"""Commands that errors, pages and warnings tell people to type exist, with the options that they are told with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import chronos_assets
from chronos_assets.cli.export import export
from chronos_assets.cli.main import chronos
from chronos_assets.cli.validate import validate

PROGRAMS: dict[str, click.Command] = {"chronos": chronos, "chronosflow_export": export, "validate_dataset": validate}
PACKAGE = Path(chronos_assets.__file__).parent
TOLD = re.compile(rf"`((?:{'|'.join(PROGRAMS)}) [^`\n]+)`")


def texts(path: Path) -> Iterator[str]:
    """The texts of a source; what is put into them when they are told is X."""
    if path.suffix != ".py":
        yield path.read_text(encoding="utf-8")
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    within = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        if id(node) in within:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def hinted() -> list[str]:
    """Every command between backquotes in the product."""
    files = [path for pattern in ("*.py", "*.html") for path in PACKAGE.rglob(pattern)]
    return sorted({line for path in files for text in texts(path) for line in TOLD.findall(text)})


HINTED = hinted()


@pytest.mark.parametrize("line", HINTED)
def test_a_hinted_command_exists_with_its_options(line: str) -> None:
    """`chronosflow_export SLUG --replace` has that option; `chronos run SLUG --replace` would be wrong."""
    program, *words = line.replace("[", " ").replace("]", " ").split()
    command = PROGRAMS[program]
    while isinstance(command, click.Group) and words and words[0] not in {"...", "X"} and not words[0].startswith("-"):
        named = {name: command.get_command(click.Context(command), name) for name in words[0].split("|")}  # `datasets list|show`
        assert None not in named.values(), f"{line}: not all of {list(named)} exist"
        command, words = next(one for one in named.values() if one is not None), words[1:]
    if isinstance(command, click.Group):
        return
    options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
    asked = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    assert set(asked) <= options, f"{line}: {sorted(set(asked) - options)}"


def test_hints_are_found() -> None:
    """So none of them is left out by chance."""
    assert any(line.startswith("chronosflow_export") and "--replace" in line for line in HINTED)
    assert len(HINTED) > 60
