"""Find code that nothing uses: `python3 bootstrap.py run python .ci/dead_code.py` lists it and exits 1 if there is any.

vulture finds definitions whose name nothing else says. The product is read without its tests, so that code which only a test uses is
found too; the tests are read with the product. Named queries (`storage/sql/`) that no code names are found as well.

Beside Python's own names count as said: `module:Name` in tables such as `LEARNERS`, and `class: Name` in Dagster's YAML files.
Fields of documents and rows are left out: whoever reads the document uses them. Of variables only CONSTANTS are judged.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from vulture.core import Item, Vulture

PROJECT = Path(__file__).resolve().parent.parent
PRODUCT = ("chronos_assets", "benchmarks", ".ci", "requirements", "bootstrap.py")
TESTS = "chronos_assets_tests"
QUERIES = PROJECT / "chronos_assets" / "storage" / "sql"
KINDS = {"function", "method", "property", "class", "import", "unreachable_code"}

# What a framework calls by the decorator.
DECORATORS = [
    "@router.*",  # FastAPI: routes and pages
    "@field_validator",  # pydantic
    "@model_validator",
    "@*.command",  # click
    "@pytest.fixture",
]

# What something outside our Python calls by its name. Each with who calls it; an entry that is no longer needed is an error.
CALLED_FROM_OUTSIDE = {
    "convert": "click, of a type of arguments",
    "format_commands": "click, to lay out `chronos --help`",
    "settings_customise_sources": "pydantic-settings",
    "after_iteration": "XGBoost, after each boosting round",
    "config_type": "Dagster, of a configurable class",
    "from_config_value": "Dagster, of a configurable class",
    "supports_check_run_worker_health": "Dagster's run monitoring",
    "check_run_worker_health": "Dagster's run monitoring",
    "writable": "zipfile, of the stream that it writes to",
    "pytest_configure": "pytest",
    "pytest_collection_modifyitems": "pytest",
    "pytest_sessionfinish": "pytest",
    "pytest_sessionstart": "pytest",
    "handle_starttag": "html.parser",
    "do_GET": "http.server",
    "do_POST": "http.server",
    "log_message": "http.server",
    "Broken": "Nearest's catalogue in a test names it",
    "yield": "makes a function that only raises a generator",
}

_TABLE_ENTRY = re.compile(r"[\w.]+:(\w+)")
_YAML_CLASS = re.compile(r"^\s*class: (\w+)\s*$", re.MULTILINE)
_QUERY = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def main() -> int:
    """Print what is dead."""
    needed: set[str] = set()
    dead = [*_dead(PRODUCT, needed), *(line for line in _dead((*PRODUCT, TESTS), needed) if line.startswith(TESTS)), *_dead_queries()]
    dead += [f"{Path(__file__).name}: {name!r} is used or gone; take it off the list" for name in CALLED_FROM_OUTSIDE.keys() - needed]
    for line in dead:
        sys.stdout.write(f"{line}\n")
    return 1 if dead else 0


def _dead(roots: Iterable[str], needed: set[str]) -> Iterator[str]:
    """One line per unused definition below `roots`; names saved by `CALLED_FROM_OUTSIDE` go into `needed`."""
    vulture = Vulture(ignore_names=["test_*", "Test*"], ignore_decorators=DECORATORS)
    vulture.scavenge([str(PROJECT / root) for root in roots])
    vulture.used_names.update(_named_in_text())
    for item in vulture.get_unused_code():
        name = "yield" if _is_generator_mark(item) else item.name
        if not _is_judged(item):
            continue
        if name in CALLED_FROM_OUTSIDE:
            needed.add(name)
            continue
        yield f"{Path(item.filename).resolve().relative_to(PROJECT)}:{item.first_lineno}: {item.message}"


def _is_judged(item: Item) -> bool:
    return item.typ in KINDS or (item.typ == "variable" and item.name.isupper())


def _is_generator_mark(item: Item) -> bool:
    line = Path(item.filename).read_text(encoding="utf-8").splitlines()[item.last_lineno - 1]
    return item.typ == "unreachable_code" and line.strip() == "yield"


def _named_in_text() -> set[str]:
    """Names that strings of the product (`module:Name`) and Dagster's files (`class: Name`) say."""
    names: set[str] = set()
    for file in (PROJECT / "chronos_assets").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and (entry := _TABLE_ENTRY.fullmatch(node.value)):
                names.add(entry[1])
    for file in PROJECT.glob("*.yaml"):
        names.update(_YAML_CLASS.findall(file.read_text(encoding="utf-8")))
    return names


def _dead_queries() -> Iterator[str]:
    said = {
        node.value
        for file in (PROJECT / "chronos_assets").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    for file in sorted(QUERIES.glob("*.sql")):
        for name in _QUERY.findall(file.read_text(encoding="utf-8")):
            if name not in said:
                yield f"{file.relative_to(PROJECT)}: unused query {name!r}"


if __name__ == "__main__":
    sys.exit(main())
