"""The interval of a proportion, against scipy's own."""

from chronos_assets.domain.statistics.proportion import wilson_interval


def test_wilsons_interval_is_that_of_scipy_to_the_last_digit() -> None:
    from scipy.stats import binomtest  # half a second, which only the process of this file has to pay

    for count in (1, 2, 30, 77, 1001):
        for hits in {0, 1, count // 2, count - 1, count}:
            due = binomtest(hits, count).proportion_ci(0.95, method="wilson")
            assert wilson_interval(hits, count, 0.95) == (due.low, due.high)
