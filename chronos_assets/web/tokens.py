"""The token of the API: who has it may read. Wrong ones are slowed down per address; the token itself is never logged or shown."""

from __future__ import annotations

import enum
import hashlib
import hmac
import secrets
import threading
import time
from collections import deque
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers

WRONG_TRIES, TRIES_SECONDS = 10, 60.0
# Addresses that are remembered for their wrong tries: an attacker with many must not fill the memory.
MOST_ADDRESSES = 10_000
LOGIN = "/login"
OPEN_PATHS = frozenset({"/api/health", LOGIN})
OPEN_FOLDER = "/static/"
COOKIE = "chronos_session"
SESSION_SECONDS = 12 * 3600


class Verdict(enum.Enum):
    """What becomes of a request."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    TOO_MANY = "too many wrong tries"


class TokenCheck:
    """Compares what requests bring with the token; without a token everybody may ask. `open_paths` need none."""

    def __init__(self, token: str | None, open_paths: frozenset[str] = OPEN_PATHS) -> None:
        self._token, self._open_paths = token, open_paths
        self._key = secrets.token_bytes(32)  # a restart ends every session
        self._wrong: dict[str, deque[float]] = {}
        self._guard = threading.Lock()

    @property
    def needed(self) -> bool:
        """Whether there is a token at all."""
        return self._token is not None

    def judge(self, path: str, headers: Headers, address: str) -> Verdict:
        """Whether a request to `path` from `address` may go on."""
        if self._token is None or path in self._open_paths or path.startswith(OPEN_FOLDER) or self._session(headers):
            return Verdict.ALLOWED
        if self._tries(address) >= WRONG_TRIES:
            return Verdict.TOO_MANY
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            return Verdict.REFUSED
        return self.try_token(given.strip(), address)

    def try_token(self, given: str, address: str) -> Verdict:
        """Whether `given` is the token; a wrong one counts against `address`."""
        if self._token is None:
            return Verdict.ALLOWED
        if self._tries(address) >= WRONG_TRIES:
            return Verdict.TOO_MANY
        if hmac.compare_digest(given.encode(), self._token.encode()):
            return Verdict.ALLOWED
        self._count(address)
        return Verdict.REFUSED

    def session(self) -> str:
        """The value of the cookie of a person who gave the token: a time and its signature. It does not hold the token."""
        expires = str(int(time.time()) + SESSION_SECONDS)
        return f"{expires}.{self._signed(expires)}"

    def _session(self, headers: Headers) -> bool:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        expires, _, signature = (morsel.value if morsel else "").partition(".")
        if not (expires.isascii() and expires.isdigit() and len(expires) < 12):
            return False
        return hmac.compare_digest(signature.encode(), self._signed(expires).encode()) and time.time() < int(expires)

    def _signed(self, text: str) -> str:
        assert self._token is not None
        return hmac.new(self._key + self._token.encode(), text.encode(), hashlib.sha256).hexdigest()

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
