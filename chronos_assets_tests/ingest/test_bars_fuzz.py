"""Small seeded samples of the fuzz campaigns in benchmarks/ingest: mutated files and manifests get an answer, never a traceback."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "ingest"


def campaign(name: str) -> ModuleType:
    """The script of the long campaign."""
    spec = importlib.util.spec_from_file_location(f"ingest_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("part", range(4))
def test_mutated_files_get_an_answer(part: int, tmp_path: Path) -> None:
    """Every mutated file is a dataset or one of our errors, quickly, and leaves nothing half-written."""
    fuzz = campaign("fuzz")
    outcomes = {fuzz.answer(77_000_000 + part * 1_000 + i, tmp_path, deep=i % 20 == 0) for i in range(60)}
    assert "dataset" in outcomes
    assert len(outcomes) > 5


def test_mutated_manifests_get_an_answer(tmp_path: Path) -> None:
    """Every mutated manifest is a manifest or one of our errors, quickly, and a good one beside it is found."""
    fuzz = campaign("fuzz_manifests")
    outcomes = [fuzz.answer(88_000_000 + i, tmp_path, beside=i % 25 == 0) for i in range(120)]
    assert {"manifest", "manifest_yaml", "unknown_key", "invalid_value"} <= set(outcomes)
