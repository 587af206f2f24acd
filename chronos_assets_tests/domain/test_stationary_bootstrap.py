"""The stationary bootstrap against `arch`, bit for bit."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pytest
from arch.bootstrap import StationaryBootstrap, optimal_block_length

from chronos_assets.domain.statistics import stationary_bootstrap

Floats = npt.NDArray[np.float64]
SIZES = (3, 5, 16, 250, 3_773)


def series(n: int, memory: float, seed: int) -> Floats:
    """An autoregression of the first order, whose blocks are the longer the more it remembers."""
    values = np.random.default_rng(seed).normal(0.0003, 0.01, n)
    for k in range(1, n):
        values[k] += memory * values[k - 1]
    return values


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("block", [1.0, 2.5, 17.25])
def test_the_resamples_are_those_of_arch(n: int, block: float) -> None:
    """Every value of every resample, for whole and broken mean blocks."""
    values = series(n, 0.3, n)
    ours = list(stationary_bootstrap.resamples(values, block, 20, seed=7))
    theirs = StationaryBootstrap(block, values, seed=np.random.default_rng(7))  # type: ignore[arg-type]
    expected = [arguments[0].copy() for arguments, _ in theirs.bootstrap(20)]  # type: ignore[union-attr]
    np.testing.assert_array_equal(ours, expected)
    assert all(len(np.unique(path)) <= n for path in ours)


@pytest.mark.parametrize("n", [8, 9, *SIZES[2:]])
@pytest.mark.parametrize("memory", [-0.6, 0.0, 0.3, 0.95])
def test_the_mean_block_is_that_of_arch(n: int, memory: float) -> None:
    """All bits of it, with none, negative and much memory."""
    for seed in range(5):
        values = series(n, memory, seed)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = float(optimal_block_length(values)["stationary"].iloc[0])
            found = stationary_bootstrap.optimal_block(values)
        assert np.float64(found).tobytes() == np.float64(expected).tobytes() or (np.isnan(found) and np.isnan(expected))


@pytest.mark.parametrize("n", [3, 4, 7])
def test_a_handful_of_values_has_a_mean_block(n: int) -> None:
    """Fewer than the lags that are looked at: the block is short, or there is none; arch raises."""
    with np.errstate(all="ignore"):
        found = stationary_bootstrap.optimal_block(series(n, 0.0, 2))
    assert np.isnan(found) or 0.0 <= found <= n


def test_the_more_a_series_remembers_the_longer_its_blocks() -> None:
    """Long blocks keep what hangs together."""
    lengths = [stationary_bootstrap.optimal_block(series(4_000, memory, 1)) for memory in (0.0, 0.5, 0.9)]
    assert lengths == sorted(lengths)
    assert lengths[2] > 4 * lengths[0]
