"""Properties of plans and thresholds that hold for every input."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_assets.domain.fold_layout import Layout
from chronos_assets.domain.folds import plan_folds
from chronos_assets.domain.metrics import profit_factor, signal_metrics
from chronos_assets.domain.thresholds import least_cases, optimal_cut

sizes = st.integers(1, 60)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[Layout, int]:
    test = draw(sizes)
    layout = Layout(
        window=draw(st.sampled_from(["rolling", "anchored"])),
        train=draw(sizes),
        test=test,
        step=test + draw(st.integers(0, 20)),
        gap=draw(st.integers(0, 12)),
        initial_offset=draw(st.integers(0, 30)),
    )
    return layout, draw(st.integers(0, 600))


@settings(deadline=None)
@given(layouts())
def test_train_and_test_never_overlap_and_the_gap_holds(case: tuple[Layout, int]) -> None:
    """In every fold the test window begins `gap` rows after the train window, and all rows lie inside the dataset."""
    layout, rows = case
    for fold in plan_folds(layout, rows):
        assert 0 <= layout.initial_offset <= fold.train_start < fold.train_end
        assert fold.test_start - fold.train_end == layout.gap
        assert fold.test_start < fold.test_end <= rows


@settings(deadline=None)
@given(layouts())
def test_every_planned_test_bar_is_predicted_once(case: tuple[Layout, int]) -> None:
    """Test windows of different folds share no bar, and with step = test they leave none out between them."""
    layout, rows = case
    bars = [row for fold in plan_folds(layout, rows) for row in range(fold.test_start, fold.test_end)]
    assert len(bars) == len(set(bars))
    if layout.step == layout.test and bars:
        assert bars == list(range(bars[0], bars[-1] + 1))


@settings(deadline=None)
@given(layouts())
def test_no_complete_fold_is_left_out(case: tuple[Layout, int]) -> None:
    """The number of folds is the greatest whose last test window ends inside the dataset."""
    layout, rows = case
    plan = plan_folds(layout, rows)
    assert isinstance(layout.step, int)
    one_more = plan_folds(layout, rows + layout.step)
    assert one_more[: len(plan)] == plan
    if plan:
        assert len(one_more) == len(plan) + 1


@settings(deadline=None)
@given(layouts(), st.floats(0.05, 0.95))
def test_validation_is_embargoed(case: tuple[Layout, int], ratio: float) -> None:
    """Fitted and validation rows lie inside the train window, apart by at least the gap wherever both have rows."""
    layout, rows = case
    for fold in plan_folds(layout, rows):
        split = fold.split(ratio)
        assert fold.train_start == split.fit_start <= split.fit_end <= split.val_start <= split.val_end == fold.train_end
        assert split.fit_end == split.fit_start or split.val_start - split.fit_end == layout.gap


cases = st.lists(
    st.tuples(st.integers(-6, 6).map(float), st.one_of(st.integers(-5, 5).map(float), st.sampled_from([0.1, -0.1, 0.2, 0.3, -0.3]))),
    max_size=40,
)


def brute_force(pairs: list[tuple[float, float]], min_fraction: float) -> float | None:
    """Try every cut at an observed prediction, by the definition."""
    best: tuple[float, int] | None = None
    chosen = None
    for cut in sorted({prediction for prediction, _ in pairs}):
        kept = [ret for prediction, ret in pairs if prediction >= cut]
        factor, _ = profit_factor(kept)
        if len(kept) < least_cases(len(pairs), min_fraction) or factor is None or not factor > 1 + 1e-12:
            continue
        better = best is None or (factor > best[0] * (1 + 1e-12) if not math.isinf(best[0]) else False)
        if better:  # cuts come with fewer and fewer cases: equal factors keep the earlier, larger one
            best, chosen = (factor, len(kept)), cut
    return chosen


@settings(max_examples=300, deadline=None)
@given(cases, st.sampled_from([0.05, 0.07, 0.2, 0.5, 1.0]))
def test_optimal_threshold_equals_brute_force(pairs: list[tuple[float, float]], min_fraction: float) -> None:
    """The threshold found by one sort is the one found by trying every cut; ties, infinities and sides that are off included."""
    predictions, returns = (np.array(column, dtype=np.float64) for column in (zip(*pairs, strict=True) if pairs else ([], [])))
    assert optimal_cut(predictions, returns, min_fraction) == brute_force(pairs, min_fraction)


@settings(deadline=None)
@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=8), max_size=8))
def test_pooled_sums_do_not_depend_on_folds(folds: list[list[float]]) -> None:
    """Pooling gives the same numbers in whatever order the folds come."""
    forward, backward = ([value for fold in order for value in fold] for order in (folds, folds[::-1]))
    a, b = signal_metrics(forward), signal_metrics(backward)
    assert (a.n_signals, a.signal_sum, a.hit_rate, a.profit_factor, a.no_losses) == (
        b.n_signals,
        b.signal_sum,
        b.hit_rate,
        b.profit_factor,
        b.no_losses,
    )
