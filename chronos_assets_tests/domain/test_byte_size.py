"""Sizes as people read them."""

from __future__ import annotations

import pytest

from chronos_assets.domain.byte_size import byte_size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (2_500_000_000, "2.5 GB"),
        (7e15, "7,000.0 TB"),
    ],
)
def test_sizes_have_decimal_units_and_never_a_thousand_of_one_that_has_a_next(count: float, text: str) -> None:
    """One digit after the point, whole bytes below a kilobyte."""
    assert byte_size(count) == text
