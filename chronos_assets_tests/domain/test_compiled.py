"""Compiled loops are compiled again if anything that they are made of has changed, in whatever file it is."""

from __future__ import annotations

from types import FunctionType
from typing import Any

from chronos_assets.domain.compiled import fingerprint
from chronos_assets.domain.simulation import exits, kernel, permutation


def with_globals(compiled: Any, **changes: Any) -> FunctionType:
    """The Python function behind `compiled`, with other values for some of the names that it uses."""
    function = compiled.py_func
    return FunctionType(function.__code__, {**function.__globals__, **changes}, function.__name__)


def test_the_loop_is_stamped_with_the_exit_rules_that_it_inlines() -> None:
    """Another rule, or another code for a reason, gives the loop another stamp; the same ones give the same."""
    loop = kernel.trade_bars
    assert fingerprint(loop.py_func) == fingerprint(with_globals(loop))
    assert fingerprint(with_globals(loop, decided_exit=exits.may_decide)) != fingerprint(loop.py_func)
    assert fingerprint(with_globals(loop, STOPS=(exits.STOP,))) != fingerprint(loop.py_func)


def test_the_trade_test_is_stamped_with_the_loop_that_it_runs() -> None:
    """The permutation test holds a compiled copy of the loop, so it changes with it."""
    test = permutation.permuted_totals
    assert fingerprint(with_globals(test, trade_bars=kernel.next_event)) != fingerprint(test.py_func)


def test_numba_compares_the_stamp() -> None:
    """The fingerprint is part of what numba compares with the code that it keeps on disk."""
    rule: Any = exits.decided_exit
    assert rule._cache._cache_file._source_stamp[1] == fingerprint(rule.py_func)
