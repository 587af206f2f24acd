"""How functions are compiled by numba: once per machine, cached on disk, and without the interpreter lock.

Numba keeps what it compiled until the function's own file changes. But compiled code contains the functions that it calls, and the
constants that it names, from whatever file. So the stamp that numba compares gets a fingerprint of all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeVar

import numba
from numba.core.dispatcher import Dispatcher

Compiled = TypeVar("Compiled", bound=Callable[..., Any])
# A function that neither makes nor keeps an array goes without numba's counting of references (an option with a private name),
# which would cost the loop over the bars a third of its time.
LEAN: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False}


def jit(function: Compiled) -> Compiled:
    """Compile `function`."""
    return _stamped(numba.njit(function, cache=True, nogil=True))  # type: ignore[no-any-return]


def bare(function: Compiled) -> Compiled:
    """`jit` without the counting of references."""
    return _stamped(numba.njit(function, **LEAN))  # type: ignore[no-any-return]


def inline(function: Compiled) -> Compiled:
    """`bare`, put into its callers."""
    return _stamped(numba.njit(function, **LEAN, forceinline=True))  # type: ignore[no-any-return]


def _stamped(dispatcher: Any) -> Any:
    """The compiled function, whose cache on disk is not used if anything that it is made of has changed."""
    cached = dispatcher._cache._cache_file
    cached._source_stamp = (cached._source_stamp, fingerprint(dispatcher.py_func))
    return dispatcher


def fingerprint(function: FunctionType) -> str:
    """Digest of the code of `function`, of all compiled functions that it reaches, and of the constants that they name."""
    return hashlib.sha256("\n".join(_made_of(function, set())).encode()).hexdigest()


def _made_of(function: FunctionType, seen: set[FunctionType]) -> Iterator[str]:
    seen.add(function)
    code = function.__code__
    yield f"{code.co_code.hex()} {[one for one in code.co_consts if not isinstance(one, CodeType)]} {code.co_names}"
    named = [function.__globals__.get(name) for name in code.co_names]
    modules = [one for one in named if isinstance(one, ModuleType) and one.__name__.startswith("chronos_assets.")]
    named += [getattr(module, name, None) for module in modules for name in code.co_names]
    for name, one in zip(code.co_names * (1 + len(modules)), named, strict=True):
        if isinstance(one, Dispatcher):
            if one.py_func not in seen:
                yield from _made_of(one.py_func, seen)
        elif isinstance(one, bool | int | float | str | tuple):
            yield f"{name}={one!r}"
