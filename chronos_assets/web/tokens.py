"""The token of the API: who has it may read. Wrong ones are slowed down per address; the token itself is never logged or shown."""

from __future__ import annotations

import enum
import hmac
import threading
import time
from collections import deque

from starlette.datastructures import Headers

WRONG_TRIES, TRIES_SECONDS = 10, 60.0
# Addresses that are remembered for their wrong tries: an attacker with many must not fill the memory.
MOST_ADDRESSES = 10_000
OPEN_PATHS = frozenset({"/api/health"})
COOKIE = "chronos_session"


class Verdict(enum.Enum):
    """What becomes of a request."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    TOO_MANY = "too many wrong tries"


class TokenCheck:
    """Compares what requests bring with the token; without a token everybody may ask. `open_paths` need none."""

    def __init__(self, token: str | None, open_paths: frozenset[str] = OPEN_PATHS) -> None:
        self._token, self._open_paths = token, open_paths
        self._wrong: dict[str, deque[float]] = {}
        self._guard = threading.Lock()

    def judge(self, path: str, headers: Headers, address: str) -> Verdict:
        """Whether a request to `path` from `address` may go on."""
        if self._token is None or path in self._open_paths:
            return Verdict.ALLOWED
        if self._tries(address) >= WRONG_TRIES:
            return Verdict.TOO_MANY
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            return Verdict.REFUSED
        if hmac.compare_digest(given.strip().encode(), self._token.encode()):
            return Verdict.ALLOWED
        self._count(address)
        return Verdict.REFUSED

    def _tries(self, address: str) -> int:
        with self._guard:
            tries = self._wrong.get(address)
            while tries and time.monotonic() - tries[0] > TRIES_SECONDS:
                tries.popleft()
            if tries is not None and not tries:
                del self._wrong[address]
            return len(tries or ())

    def _count(self, address: str) -> None:
        with self._guard:
            if len(self._wrong) >= MOST_ADDRESSES:
                self._wrong.pop(next(iter(self._wrong)))
            self._wrong.setdefault(address, deque(maxlen=WRONG_TRIES)).append(time.monotonic())
