"""A small seeded sample of the fuzz campaign in benchmarks/ingest: mutated files get an answer, never a traceback or half a file."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "ingest" / "fuzz.py"


@pytest.mark.parametrize("part", range(4))
def test_mutated_files_get_an_answer(part: int, tmp_path: Path) -> None:
    """Every mutated file is a dataset or one of our errors, quickly, and leaves nothing half-written."""
    module_spec = importlib.util.spec_from_file_location("ingest_fuzz", SCRIPT)
    assert module_spec is not None
    assert module_spec.loader is not None
    fuzz = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(fuzz)
    outcomes = {fuzz.answer(77_000_000 + part * 1_000 + i, tmp_path, deep=i % 20 == 0) for i in range(60)}
    assert "dataset" in outcomes
    assert len(outcomes) > 5
