"""What Postgres answers when it says no, as one error of ours: what happened, and what to do next.

A server that is there and refuses (exit code 1) and one that cannot be reached, or is too busy right now (exit code 4), are two different
things. No error shows a password or the connection string.
"""

from __future__ import annotations

import re

import psycopg

from chronos_assets.errors import ChronosError, ServiceUnavailableError, StoreError, UsageError

_WHERE = "Check CHRONOS_POSTGRES_DSN, or --postgres."
_SERVICES = "`chronos services status` shows the embedded servers; `chronos config show` the addresses in use."
# A connection that fails carries no SQLSTATE: only the server's words say that it was there, and why it refused.
_WRONG_PASSWORD = ("password authentication failed", "no password supplied")
_SERVERS_WORDS = re.compile(r"FATAL:\s+(.+)")
_NOT_READY = ("is starting up", "is shutting down", "is in recovery", "not yet accepting connections")
_FULL_HOUSE = ("too many clients", "too many connections", "remaining connection slots")
_STRING_INVALID = re.compile(r"invalid (\w+) value|invalid (port) number|(service)\b.* not found|connection option \"(\w+)\"")
# SQLSTATE -> code, message, hint
_REFUSALS = {
    "25006": (
        "postgres_read_only",
        "Postgres is read-only and took no change",
        "It is a standby, or default_transaction_read_only is on for the server, the database or the user: connect to the primary, or "
        "turn that off, then run the command again.",
    ),
    "57014": (
        "postgres_cancelled",
        "Postgres ended a statement before it was done",
        "Raise statement_timeout for this user or database (`ALTER ROLE ... SET statement_timeout = ...`), or run the command again when "
        "the server is less busy.",
    ),
    "55P03": ("postgres_lock_timeout", "Postgres gave up waiting for a lock", "Raise lock_timeout, or run the command again."),
    "53100": ("postgres_disk_full", "the disk of Postgres is full", "Free space there, then run the command again: it goes on."),
    "53200": ("postgres_out_of_memory", "Postgres has no memory left", "Free memory on its machine, then run the command again."),
    "42501": (
        "postgres_forbidden",
        "the user may not do that in Postgres",
        "Grant the user all rights on the database and its schema public, or name another user in CHRONOS_POSTGRES_DSN.",
    ),
}
_OTHER = (
    "postgres_refused",
    "Postgres refused a statement",
    "The log of the Postgres server says more; the usual cause is a table that was changed by hand.",
)


def as_ours(error: psycopg.Error, address: str) -> ChronosError:
    """`error` as one of ours; `address` is where it came from, without user and password."""
    text = str(error).strip() or type(error).__name__
    return said_by_postgres(text, error.sqlstate or "", operational=isinstance(error, psycopg.OperationalError), address=address)


def said_by_postgres(text: str, state: str, *, operational: bool, address: str) -> ChronosError:
    """The same from the words of any driver, the SQLSTATE (empty if there is none), and whether it calls the error operational."""
    first_line = text.splitlines()[0]
    refused_at_the_door = _at_the_door(text, state, address)
    if refused_at_the_door is not None:
        return refused_at_the_door
    invalid = _STRING_INVALID.search(first_line)
    if invalid and not state:
        name = next(filter(None, invalid.groups()))
        return UsageError(f"the Postgres connection string has a wrong value for {name}", code="postgres_dsn_invalid", hint=_WHERE)
    if operational and (not state or state.startswith(("08", "57P"))):
        found = None if "password" in first_line else first_line[:200]
        return ServiceUnavailableError(
            "Postgres cannot be reached", code="postgres_unreachable", found=found, hint=_SERVICES, address=address
        )
    code, message, hint = _REFUSALS.get(state, _OTHER)
    return StoreError(message, code=code, found=first_line[:300], hint=hint, address=address)


def _at_the_door(text: str, state: str, address: str) -> ChronosError | None:
    """What a server says to somebody whom it does not let in; None if it did."""
    if state == "53300" or (not state and any(words in text for words in _FULL_HOUSE)):
        return ServiceUnavailableError(
            "Postgres takes no more connections",
            code="postgres_connections",
            hint="End programs that hold some, or raise max_connections (or the user's or database's limit); then run the command again.",
            address=address,
        )
    if state == "28P01" or (not state and any(words in text for words in _WRONG_PASSWORD)):
        return StoreError("Postgres refused the user or password", code="postgres_denied", hint=_WHERE, address=address)
    if state == "3D000" or ("FATAL:  database" in text and "does not exist" in text):
        hint = f"Create it there (`CREATE DATABASE ...`), or name another one. {_WHERE}"
        return StoreError("Postgres has no such database", code="postgres_database_missing", hint=hint, address=address)
    return _refused_connection(text, state, address)


def _refused_connection(text: str, state: str, address: str) -> StoreError | None:
    """A server that answers and lets nobody in for another reason than the password: in its own words, which hold no password."""
    words = _SERVERS_WORDS.findall(text)
    if not (state.startswith("28") or (words and not state)) or any(waiting in text for waiting in _NOT_READY):
        return None
    reason = words[-1] if words else text.splitlines()[0]
    hint = f"Its pg_hba.conf and the rights of the role decide that. {_WHERE}"
    return StoreError("Postgres refused the connection", code="postgres_denied", found=reason[:300], hint=hint, address=address)
