"""Local Feature Selection against oracles: HiGHS for the path, a plain NumPy reference for the rest, and what must not change a result."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from chronos_assets.domain.lfs.cases import classes_of, standardized
from chronos_assets.domain.lfs.permutations import offsets, p_values
from chronos_assets.domain.profiles.lfs import LfsParameters
from chronos_assets.learning.selectors.lfs import LfsEngine, select
from chronos_assets.learning.selectors.lfs_kernel import walk
from chronos_assets_tests.support import lfs_reference
from chronos_assets_tests.support.lfs_case import linear_programs, random_problem, run, sets_of

TRIALS = 5


def walked(a: np.ndarray, b: np.ndarray, k: int) -> list[frozenset[int]]:
    """The compiled path as sets."""
    longest = len(a) * len(a) + len(a) + 1
    events, reached = np.empty((longest, 2), np.int64), np.empty(longest)
    found: list[frozenset[int]] = [frozenset()]
    for leaves, enters in events[: walk(a, b, min(k, len(a)), np.empty(len(a), np.bool_), events, reached)]:
        found.append((found[-1] - {int(leaves)}) | {int(enters)})
    return found[1:]


@pytest.mark.parametrize("seed", range(60))
def test_the_path_passes_through_the_optimum_of_every_linear_program(seed: int) -> None:
    """Between two neighbouring vertices of the compiled path lies the optimum that HiGHS finds, whatever the demand on b."""
    a, b, k = linear_programs(seed)
    path = walked(a, b, k)
    assert path == lfs_reference.path(a.tolist(), b.tolist(), k)
    costs, reached = ([float(values[sorted(s)].sum()) for s in path] for values in (a, b))
    for q in range(1, TRIALS + 1):
        needed = q / (TRIALS + 1) * float(np.sort(b)[::-1][:k].sum())
        solved = linprog(a, A_ub=np.vstack([-b, np.ones_like(a), -np.ones_like(a)]), b_ub=[-needed, k, -1], bounds=(0, 1), method="highs")
        after = next(p for p, total in enumerate(reached) if total >= needed - 1e-12)
        share = 0.0 if after == 0 else (needed - reached[after]) / (reached[after] - reached[after - 1])
        best = costs[after] + share * (costs[after] - costs[after - 1])
        assert best == pytest.approx(solved.fun, abs=1e-7)


@pytest.mark.parametrize("seed", range(24))
def test_the_engine_agrees_with_the_reference_case_by_case(seed: int) -> None:
    """Every case ends with the set that the plain NumPy reference gives it, ties and duplicates included, on one thread and on two."""
    z, classes, parameters = random_problem(seed)
    found = select(z, classes, LfsParameters(**parameters))
    assert sets_of(found) == lfs_reference.select(z, classes, **parameters)
    assert np.array_equal(select(z, classes, LfsParameters(**parameters), threads=2).chosen, found.chosen)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_what_names_and_orders_things_changes_nothing(seed: int) -> None:
    """Sets follow cases, features and classes through any renumbering, and an affine change of a feature leaves them as they are."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(70, 5)), rng.normal(size=70)
    parameters = {"max_kept": 2, "iterations": 2}
    sets = sets_of(run(x, y, **parameters)[0])
    order = rng.permutation(70)
    assert sets_of(run(x[order], y[order], **parameters)[0]) == [sets[i] for i in order]
    columns = rng.permutation(5)
    renamed = sets_of(run(x[:, columns], y, **parameters)[0])
    assert [frozenset(int(columns[v]) for v in s) for s in renamed] == sets
    stretched = x.copy()
    stretched[:, 2] = 3 * stretched[:, 2] + 1
    assert sets_of(run(stretched, y, **parameters)[0]) == sets
    z, classes = standardized(x)[0], classes_of(y, 3)[0]
    assert sets_of(select(z, 2 - classes, LfsParameters(**parameters))) == sets


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_tie_stays_a_tie_on_another_scale(seed: int) -> None:
    """Features rounded to a tenth hold equal distances; on another scale they differ in their last bits and still count as equal."""
    rng = np.random.default_rng(seed)
    x, y = np.round(rng.normal(size=(60, 3)), 1), rng.normal(size=60)
    assert sets_of(run(3 * x + 1, y, max_kept=2, iterations=2)[0]) == sets_of(run(x, y, max_kept=2, iterations=2)[0])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), m=st.integers(1, 40))
def test_the_unbiased_p_value_is_never_below_the_solo_one(seed: int, m: int) -> None:
    """1 / (m + 1) <= p_solo <= p_unbiased <= 1, and both count permutations that are at least as good."""
    rng = np.random.default_rng(seed)
    counts, null = rng.integers(0, 6, size=4), rng.integers(0, 6, size=(m, 4))
    found = p_values(counts, null)
    assert found is not None
    solo, unbiased = found
    assert (1 / (m + 1) <= solo).all()
    assert (solo <= unbiased).all()
    assert (unbiased <= 1).all()
    assert solo.tolist() == [(1 + sum(row[v] >= counts[v] for row in null)) / (m + 1) for v in range(4)]
    assert unbiased.tolist() == [(1 + sum(max(row) >= counts[v] for row in null)) / (m + 1) for v in range(4)]


@given(cases=st.integers(50, 400), horizon=st.integers(0, 60))
def test_no_rotation_is_nearer_than_the_horizon(cases: int, horizon: int) -> None:
    """A rotation is never none, and both ways round at least as far as the target looks ahead; all that are far enough are offered."""
    far = [k for k in range(1, cases) if min(k, cases - k) >= max(1, horizon)]
    assert offsets(cases, horizon).tolist() == far


def test_a_selection_is_the_same_from_piece_to_piece() -> None:
    """An engine that selects for one target after another gives each what a fresh one gives it."""
    z, classes, parameters = random_problem(4)
    with LfsEngine(z, LfsParameters(**parameters), threads=2) as engine:
        first, rotated, again = engine.select(classes), engine.select(np.roll(classes, 7)), engine.select(classes)
    assert np.array_equal(first.chosen, again.chosen)
    assert np.array_equal(rotated.chosen, select(z, np.roll(classes, 7), LfsParameters(**parameters)).chosen)
