"""How functions are compiled by numba: once per machine, cached on disk, and without the interpreter lock."""

from __future__ import annotations

import numba

jit = numba.njit(cache=True, nogil=True)
