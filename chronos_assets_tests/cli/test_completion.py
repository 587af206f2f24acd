"""What the shell offers after TAB, and what a suggestion may be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chronos_assets.domain.strict import nearest
from chronos_assets_tests.support.commands import run_program


def offered(line: str, **environment: str) -> list[str]:
    own = {**os.environ, **environment, "_CHRONOS_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    answer = run_program(env=own, check=True)
    return [text.partition(",")[2] for text in answer.stdout.splitlines() if text]


def test_commands_datasets_and_parameters_are_offered(tmp_path: Path) -> None:
    """Names of commands, slugs of manifests, dotted keys of the profile; where no server runs, ids are not offered and nothing fails."""
    (tmp_path / "btc_4h_v1.yaml").touch()
    (tmp_path / "eth_4h_v1.yaml").touch()
    exports = {"CHRONOS_EXPORTS_DIR": str(tmp_path)}
    assert offered("chronos ru") == ["run", "runs"]
    assert offered("chronos run b", **exports) == ["btc_4h_v1"]
    assert offered("chronos folds btc_4h_v1 --set model.et", **exports) == ["model.eta="]
    assert offered("chronos simulate x --set costs.comm", **exports) == ["costs.commission_fraction=", "costs.commission_fixed="]
    assert offered("chronos runs show 12") == []


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("on_chnage", ["on_change", "source"], "on_change"),
        ("etta", ["eta", "seed"], "eta"),
        ("zzz", ["eta", "size"], None),
        ("learning", ["rounds", "early_stopping"], None),
        ("6f1d0c52-9d0e", ["a1b2c3d4-e5f6-4a5b-8c7d-9e0f1a2b3c4d"], None),
    ],
)
def test_a_suggestion_is_near(name: str, known: list[str], meant: str | None) -> None:
    """A typo is answered with what was meant; something else entirely is answered with nothing."""
    assert nearest(name, known) == meant
