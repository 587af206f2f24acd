"""The simulation is compiled ahead: all of it, once, and again after a source changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chronos_assets.cli import compiling

# Simulations of other profiles than the one that was compiled ahead, in the same process: which functions meet types that are new to them?
SIMULATION = """
import gc, json
import numpy as np
from numba.core.registry import CPUDispatcher
from chronos_assets.domain.simulation.compile_ahead import compile_ahead
from chronos_assets.domain.profiles.simulation import SimulationProfile
from chronos_assets.domain.profiles.walkforward import ThresholdProfile
from chronos_assets.domain.simulation.accounting import check_marks
from chronos_assets.domain.simulation.engine import Signals, ranges_of, simulate
from chronos_assets.domain.simulation.permutation import trade_test
from chronos_assets.domain.simulation.prices import price_bars
from chronos_assets.domain.simulation.rules import rules_of
from chronos_assets.domain.statistics.confidence_intervals import bootstrap_intervals
from chronos_assets.domain.statistics.signal_significance import Cases, FoldCases, signal_test

def known():
    ours = [one for one in gc.get_objects() if isinstance(one, CPUDispatcher) and one.__module__.startswith("chronos_assets.domain")]
    return {f"{one.__module__}.{one.__name__}": sorted(map(str, one.signatures)) for one in ours}

compile_ahead()
before = known()
rng = np.random.default_rng(7)
closes = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, 400)))
bars = price_bars(np.arange(400) * 86400, closes, closes * 1.02, closes * 0.98, closes).span(50, 400)
prediction = rng.normal(size=350)
signals = Signals(prediction, np.full(350, 0.5), np.full(350, -0.5), np.zeros(350, dtype=np.int64))
for mode in ("long", "dual"):
    rules = rules_of(SimulationProfile.model_validate({"exits": {"stop_loss": {"atr": 2.0}}}), mode)
    simulation = simulate(bars, signals, rules, atr=ranges_of(bars, rules))
    trade_test(bars, signals, rules, lead=20, permutations=3, seed=1)
    check_marks(simulation.trades, simulation.equity, bars.closes, rules)
    bootstrap_intervals(np.diff(np.log(bars.closes)), 252.0, resamples=3, confidence=0.9, block_bars=None, seed=1)
    simulation.position
rows = np.arange(350)
folds = [FoldCases(*(Cases(rows[part], prediction[part], closes[part]) for part in (slice(0, 200), slice(200, 350))))]
signal_test(folds, ThresholdProfile(), horizon=5, permutations=3, seed=1)
print(json.dumps([sorted(before), sorted(name for name, types in known().items() if types != before[name])]))
"""


def test_nothing_is_left_to_compile_for_a_simulation() -> None:
    """After `compile_ahead`, simulations, their tests and their checks meet compiled functions only."""
    done = subprocess.run([sys.executable, "-c", SIMULATION], check=True, capture_output=True, text=True)
    functions, new = json.loads(done.stdout)
    assert "chronos_assets.domain.simulation.permutation.permuted_totals" in functions
    assert new == []


@pytest.fixture
def domain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A domain of one source, whose compilation is one line."""
    source = tmp_path / "simulation" / "kernel.py"
    source.parent.mkdir()
    source.touch()
    os.utime(source, (1_000, 1_000))
    monkeypatch.setattr(compiling, "DOMAIN", tmp_path)
    monkeypatch.setattr(compiling, "_COMMAND", ["-c", "pass"])
    return source


def test_it_is_compiled_once_and_again_after_a_change(domain: Path) -> None:
    """The note of a compilation holds until a source is newer."""
    with compiling.Compiling() as first:
        assert first._process is not None
        first.wait(lambda *_: None)
    with compiling.Compiling() as second:
        assert second._process is None
        second.wait(lambda *_: None)
    domain.touch()
    later = compiling.note().stat().st_mtime + 10
    os.utime(domain, (later, later))
    assert not compiling.is_compiled()


def test_a_compilation_that_fails_or_is_cut_short_leaves_no_note(domain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run compiles again; a run that ends early ends the process."""
    monkeypatch.setattr(compiling, "_COMMAND", ["-c", "raise SystemExit(1)"])
    with compiling.Compiling() as failed:
        failed.wait(lambda *_: None)
    assert not compiling.note().exists()
    monkeypatch.setattr(compiling, "_COMMAND", ["-c", "import time; time.sleep(600)"])
    with compiling.Compiling() as cut:
        process = cut._process
    assert process is not None
    assert process.poll() is not None
    assert not compiling.note().exists()
