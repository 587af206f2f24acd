"""What the import contracts cannot see: SQL is written in storage, and nowhere else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import chronos_assets

PRODUCT = Path(chronos_assets.__file__).parent
# `services` creates the databases of the embedded servers before anything of storage can open them.
SQL_ROOMS = {"storage", "services"}
STATEMENT = re.compile(
    r"\s*(SELECT\b.+\bFROM|SELECT\s+\d|INSERT\s+INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM|(CREATE|ALTER|DROP)\s+(TABLE|DATABASE|INDEX))\b",
    re.DOTALL,
)


def statements(path: Path) -> list[str]:
    """Texts of a module that begin as SQL does; f-strings count as their fixed parts, docstrings do not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (prose | inner):
            text = node.value
        else:
            continue
        if STATEMENT.match(text):
            found.append(f"{path.relative_to(PRODUCT)}:{node.lineno}: {text[:60]}")
    return found


def test_sql_is_written_in_storage_only() -> None:
    """A statement in another room is found, whether it is a plain text or put together from parts."""
    elsewhere = [path for path in PRODUCT.rglob("*.py") if path.relative_to(PRODUCT).parts[0] not in SQL_ROOMS]
    assert [line for path in elsewhere for line in statements(path)] == []
    assert statements(PRODUCT / "storage" / "bars_table.py") != []
