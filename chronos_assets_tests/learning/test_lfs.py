"""Local Feature Selection: the example by hand, cases and classes, what it finds and does not find, permutations, its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chronos_assets.cli.lfs import parse_rows
from chronos_assets.domain.lfs.cases import classes_of, make_cases
from chronos_assets.domain.lfs.permutations import PermutedClasses, mark_of, needs_caution, p_values, require_permutations
from chronos_assets.domain.lfs.shares import membership, pairs, share_over_time
from chronos_assets.domain.profiles.lfs import LfsParameters, LfsProfile
from chronos_assets.domain.strict import parse_strict
from chronos_assets.errors import ProfileError, UsageError
from chronos_assets.learning.selectors import lfs_kernel as kernel
from chronos_assets.learning.selectors import local_features
from chronos_assets.learning.selectors.lfs import select
from chronos_assets.learning.selectors.local_features import LocalFeatures
from chronos_assets_tests.support import lfs_reference
from chronos_assets_tests.support.lfs_case import interaction, random_problem, regimes, run, sets_of


def names(count: int) -> list[str]:
    return [f"F{v}" for v in range(count)]


def test_the_example_of_the_documentation() -> None:
    """a = (1, 2, 4), b = (2, 5, 9), K = 2: {0}, then {1} by a swap at 1/3, then {1, 2} by an addition at 4/9."""
    a, b = [1.0, 2.0, 4.0], [2.0, 5.0, 9.0]
    assert lfs_reference.path(a, b, 2) == [{0}, {1}, {1, 2}]
    assert lfs_reference.candidates(a, b, 2, 2) == [{1}, {1, 2}]


def test_one_case_of_the_documentation_by_hand() -> None:
    """Four cases, two features: weights, sums, path and qualities of the first case in both passes, as docs/LFS.md works them out."""
    z, classes, far = np.array([[0.0, 0], [1, 3], [2, 4], [3, 1]]), np.array([0, 0, 1, 1]), np.exp(-1)
    zt, same, scratch = np.ascontiguousarray(z.T), classes == classes[0], np.empty(4)
    flags, ints = np.empty(2, np.bool_), np.empty((3, 4), np.int64)
    later = np.empty(4)
    chosen_before = np.array([[0]]), np.array([1]), np.array([4.0])
    kernel.case_weights(zt, 0, same, *chosen_before, scratch, np.empty((2, 4)), later, np.zeros(1, np.uint8))
    assert later == pytest.approx([0, 1, 1, far])
    first = np.array([0.0, 1, 1, 1])
    for weights, b, qualities in ((first, (13, 17), (4, 2)), (later, (4 + 9 * far, 16 + far), (1 + 3 * far, 1 + far))):
        within, between = np.empty(2), np.empty(2)
        kernel.sums_within_and_between(z, 0, same, weights, within, between)
        assert within.tolist() == [1, 9]
        assert between == pytest.approx(b)
        events, reached = np.empty((7, 2), np.int64), np.empty(7)
        assert kernel.walk(within, between, 1, flags, events, reached) == 2
        assert events[:2].tolist() == [[-1, 0], [0, 1]]
        for v, wanted in enumerate(qualities):
            kernel.squared_distances(zt, 0, np.array([v]), 1, scratch)
            scratch[0] = np.inf
            kernel.ranking(scratch, ints[0], ints[1], ints[2], np.empty((kernel.DIGITS, kernel.RADIX), np.int64))
            assert kernel.quality(scratch, 0, same, weights, ints[0]) == pytest.approx(wanted)
    assert sets_of(select(z, classes, LfsParameters(max_kept=1, iterations=2, beta_trials=4)))[0] == {0}


def test_equal_target_values_stay_in_one_class() -> None:
    """Cuts fall at positions floor(c N / C) - 1; equal cuts merge, and a cut at the maximum is dropped."""
    classes, bounds = classes_of(np.array([5.0, 1.0, 4.0, 2.0, 3.0, 6.0]), 3)
    assert classes.tolist() == [2, 0, 1, 0, 1, 2]
    assert [(b.low, b.high, b.n) for b in bounds] == [(1, 2, 2), (3, 4, 2), (5, 6, 2)]
    classes, bounds = classes_of(np.array([0.0, 0.0, 0.0, 0.0, 1.0, 2.0]), 3)
    assert classes.tolist() == [0, 0, 0, 0, 1, 1]
    classes, bounds = classes_of(np.array([0.0, 1.0, 1.0, 1.0, 1.0, 1.0]), 4)
    assert [b.n for b in bounds] == [1, 5]
    assert [b.n for b in classes_of(np.ones(6), 4)[1]] == [6]


def test_rows_that_lack_a_value_are_left_out_and_counted() -> None:
    """A row without target or feature is no case; the counts say which column costs how many, and a constant column is named."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(100, 3)), rng.normal(size=100)
    x[:5, 0], y[-3:], x[:, 1] = np.nan, np.nan, 4.0
    cases = make_cases(x, y, names(3), "TGT", bins=2)
    assert (cases.n, cases.left_out, cases.left_out_by_column) == (92, 8, {"TGT": 3, "F0": 5})
    assert (cases.rows[0], cases.rows[-1], cases.constant, cases.features.tolist()) == (5, 96, (1,), [0, 2])
    assert np.allclose(cases.z.mean(axis=0), 0)
    assert np.allclose(cases.z.std(axis=0), 1)


def test_huge_features_do_not_overflow() -> None:
    """Features near the largest double are standardized as their small copies are."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(80, 2)), rng.normal(size=80)
    assert np.allclose(make_cases(1e300 * x, y, names(2), "TGT", bins=2).z, make_cases(x, y, names(2), "TGT", bins=2).z)


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda x, y: x[:45].__setitem__((slice(None), 0), np.nan), "lfs_rows_missing", None),
        (lambda x, y: y.__setitem__(slice(None), 1.0), "lfs_one_class", "two classes"),
        (lambda x, y: y.__setitem__(slice(None), np.r_[np.zeros(65), np.ones(15)]), "lfs_class_too_small", "65, 15"),
        (lambda x, y: x.__setitem__(slice(None), 1.0), "lfs_all_constant", "constant"),
        (lambda x, y: x.__setitem__((slice(0, 35), 1), np.nan), "lfs_too_few_cases", "45"),
    ],
)
def test_rows_that_cannot_be_judged_are_refused(change: Any, code: str, said: str | None) -> None:
    """Too few cases, too small a class, one class, mostly missing rows, constant features: each is refused by its own code."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(80, 2)), rng.normal(size=80)
    change(x, y)
    with pytest.raises(ProfileError) as caught:
        make_cases(x, y, names(2), "TGT", bins=2)
    assert caught.value.code == code
    assert said is None or said in str(caught.value)
    if code in {"lfs_rows_missing", "lfs_too_few_cases"}:
        assert "Column F" in caught.value.hint


def test_a_duplicate_shares_the_count_of_its_twin() -> None:
    """Of two equal features, a case that keeps one feature takes the lower number; one that keeps more may take both."""
    x, y = interaction(150, 4, 1)
    _, alone = run(x, y, max_kept=1, iterations=2)
    _, twins = run(np.column_stack([x, x[:, 0]]), y, max_kept=1, iterations=2)
    assert np.array_equal(twins[:4], alone)
    assert twins[4] == 0.0


def test_one_feature_per_case_and_shares_that_add_up() -> None:
    """With K = 1 each case keeps one feature; shares always add up to 100 times the mean number kept."""
    x, y = interaction(150, 6, 2)
    found, pct = run(x, y, max_kept=1, iterations=2)
    assert set(found.sizes) == {1}
    found, pct = run(x, y, max_kept=4, iterations=2)
    assert pct.sum() == pytest.approx(100 * found.sizes.mean())


def test_an_interaction_is_found() -> None:
    """Of 12 features, the two whose product the target follows are chosen most often, and later passes make that clearer."""
    x, y = interaction(400, 12, 0)
    _, first = run(x, y, max_kept=3, iterations=1)
    _, last = run(x, y, max_kept=3, iterations=3)
    assert set(np.argsort(-last)[:2]) == {0, 1}
    assert last[:2].min() - last[2:].max() > first[:2].min() - first[2:].max()


@pytest.mark.parametrize("seed", range(2))
def test_features_of_two_regimes_are_found_in_their_own_half(seed: int) -> None:
    """Both lead, each is chosen at least 1.3 times as often in the half that it rules, and noise stays below 20 %."""
    x, y = regimes(seed)
    found, pct = run(x, y, bins=2, max_kept=2, iterations=3)
    assert set(np.argsort(-pct)[:2]) == {0, 1}
    assert pct[2:].max() < 20
    halves = share_over_time(membership(found.chosen, 8), 2)
    assert halves[0, 0] > 1.3 * halves[1, 0]
    assert halves[1, 1] > 1.3 * halves[0, 1]


def test_a_permutation_is_the_same_whenever_it_is_asked_for() -> None:
    """Number r is one permutation, whatever came before; cyclic ones keep the order of time and are all different."""
    classes = np.arange(90) // 30
    for kind in ("cyclic", "complete"):
        permuted = PermutedClasses(classes, kind, seed=7, horizon=3)  # type: ignore[arg-type]
        assert np.array_equal(permuted(5), PermutedClasses(classes, kind, seed=7, horizon=3)(5))  # type: ignore[arg-type]
        assert sorted(permuted(5)) == sorted(classes)
        assert len({permuted(r).tobytes() for r in range(1, 20)}) == 19
        assert not np.array_equal(permuted(5), PermutedClasses(classes, kind, seed=8, horizon=3)(5))  # type: ignore[arg-type]
    named = PermutedClasses(np.arange(90), "cyclic", seed=7, horizon=3)
    first = [int(named(r)[0]) for r in range(1, 86)]
    assert len(set(first)) == 85
    assert {90 - f for f in first} == set(range(3, 88))
    with pytest.raises(ProfileError, match="permutations <= 85"):
        require_permutations(86, "cyclic", cases=90, horizon=3)
    require_permutations(10_000, "complete", cases=90, horizon=3)


def test_p_values_and_marks_by_hand() -> None:
    """Ties count against the feature, the divisor is m + 1, and marks go by the unbiased p-value."""
    found = p_values(np.array([5, 3]), np.array([[5, 0], [1, 4], [0, 3]]))
    assert found is not None
    assert found[0].tolist() == [2 / 4, 3 / 4]
    assert found[1].tolist() == [2 / 4, 4 / 4]
    assert p_values(np.array([5, 3]), np.empty((0, 2), np.int64)) is None
    assert [mark_of(p) for p in (0.01, 0.05, 0.2, 0.21, None)] == ["strong", "good", "weak", "noise", None]
    assert [needs_caution(21, 0.31), needs_caution(20, 0.9), needs_caution(21, 0.3), needs_caution(50, None)] == [True, False, False, False]


def test_shares_over_time_and_pairs() -> None:
    """Shares count within each slice; a pair's lift is how often both were chosen against independent choices."""
    flags = membership(np.array([[0, 1], [0, -1], [1, 2], [0, 1]]), 3)
    assert share_over_time(flags, 2).tolist() == [[1.0, 0.5, 0.0], [0.5, 1.0, 0.5]]
    found = [(p.u, p.v, p.together, p.lift) for p in pairs(flags)]
    assert found == [(0, 1, 2, pytest.approx(2 * 4 / 9)), (1, 2, 1, pytest.approx(1 * 4 / 3))]


def test_a_watch_is_told_early_and_stops_the_selection() -> None:
    """Cases done only grow up to all of all passes; what the watch raises comes out, on one thread and on two."""
    x, y = interaction(300, 6, 3)
    told: list[tuple[int, int]] = []
    classes, _ = classes_of(y, 3)
    select(x, classes, LfsParameters(iterations=2), watch=lambda done, total: told.append((done, total)))
    assert told[-1] == (600, 600)
    assert [done for done, _ in told] == sorted(done for done, _ in told)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for threads in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            select(x, classes, LfsParameters(iterations=2), threads=threads, watch=interrupt)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bins": 11}, "bins"),
        ({"max_kept": 0}, "max_kept"),
        ({"iterations": 11}, "iterations"),
        ({"beta_trials": 101}, "beta_trials"),
        ({"permutations": 10_001}, "permutations"),
        ({"permutation": "shuffle"}, "permutation"),
        ({"start_row": 10, "end_row": 10}, "end_row 10 must be greater than start_row 10"),
        ({"features": []}, "at least one pattern"),
        ({"beta_trails": 3}, "Did you mean 'beta_trials'?"),
        ({"monte_carlo_trials": 500}, "Nothing is random except permutations"),
        ({"solver": "highs"}, "Nothing is random except permutations"),
    ],
)
def test_parameters_out_of_range_are_refused(given: dict[str, Any], said: str) -> None:
    """Every parameter has its range; the original's random ones are refused with the reason."""
    with pytest.raises(ProfileError) as caught:
        parse_strict(LfsProfile, given, error=ProfileError, what="the lfs profile")
    assert said in str(caught.value)


def test_rows_of_the_command_are_half_open() -> None:
    """`A:B` is start and end, either may be left out, and anything else is a usage error that says the form."""
    assert parse_rows("10:200") == {"start_row": 10, "end_row": 200}
    assert parse_rows(":200") == {"start_row": 0, "end_row": 200}
    assert parse_rows("10:") == {"start_row": 10, "end_row": "all"}
    assert parse_rows(None) == {}
    for wrong in ("10", "ten:", "-1:5"):
        with pytest.raises(UsageError, match="expected A:B"):
            parse_rows(wrong)


def test_the_same_rows_are_selected_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The most often chosen are kept. A baseline on the same rows takes what was chosen; another value or parameter is selected anew."""
    x, y = interaction(80, 5, 1)
    features, names = x.astype(np.float32), [f"F{v}" for v in range(5)]
    calls: list[int] = []

    def counted(*given: Any, **options: Any) -> Any:
        calls.append(1)
        return select(*given, **options)

    monkeypatch.setattr(local_features, "select", counted)
    monkeypatch.setattr(local_features, "_CHOSEN", local_features._Chosen(most=2))
    selector = LocalFeatures(keep=2, bins=2, iterations=2)
    first = selector.choose(features, y, names=names, stop=None)
    counts = run(features.astype(np.float64), y, bins=2, iterations=2)[0].counts(5)
    assert first.tolist() == sorted(np.argsort(-counts, kind="stable")[:2].tolist())
    first[:] = -1  # a caller that writes into it harms no other
    again = selector.choose(features.copy(), y.copy(), names=names, stop=None)
    assert len(calls) == 1
    assert again.min() >= 0
    changed = features.copy()
    changed[7, 3] += 1
    selector.choose(changed, y, names=names, stop=None)
    LocalFeatures(keep=1, bins=2, iterations=2).choose(features, y, names=names, stop=None)
    assert len(calls) == 3
    selector.choose(features, y, names=names, stop=None)  # pushed out by the two since
    assert len(calls) == 4


def test_a_case_at_work_stops_at_once() -> None:
    """The compiled pass looks at `stopped` within a case too: it returns with the case unfinished, in every pass."""
    z, classes, parameters = random_problem(2)
    k = min(parameters["max_kept"], z.shape[1])
    zr, zt = np.ascontiguousarray(z), np.ascontiguousarray(z.T)
    for sets, sizes in ((np.empty((0, k), np.int64), np.empty(0, np.int64)), (np.zeros((1, k), np.int64), np.ones(1, np.int64))):
        for stopped in (0, 1):
            chosen, chosen_sizes = np.full((len(z), k), -1), np.zeros(len(z), np.int64)
            flag, times = np.full(1, stopped, np.uint8), np.full(len(sizes), float(len(z)))
            found = kernel.run_cases(zt, zr, classes, sets, sizes, times, k, 5, 0, 3, chosen, chosen_sizes, flag)
            assert (found > 0, (chosen_sizes[:3] > 0).all()) == (stopped == 0, stopped == 0)
