"""What Postgres says to somebody whom it does not let in, as one error of ours."""

from __future__ import annotations

import pytest

from chronos_assets.storage.postgres_errors import said_by_postgres

_AT = 'connection failed: connection to server at "10.0.0.5", port 5432 failed: '
CASES = [
    (f'{_AT}FATAL:  password authentication failed for user "me"', "postgres_denied", 1, "refused the user or password"),
    (f"{_AT}fe_sendauth: no password supplied", "postgres_denied", 1, "refused the user or password"),
    (f'{_AT}FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "me", no encryption', "postgres_denied", 1, "no pg_hba.conf entry"),
    (f'{_AT}FATAL:  pg_hba.conf rejects connection for host "10.0.0.9"', "postgres_denied", 1, "pg_hba.conf rejects"),
    (f'{_AT}FATAL:  role "me" is not permitted to log in', "postgres_denied", 1, "is not permitted to log in"),
    (f'{_AT}FATAL:  Peer authentication failed for user "me"', "postgres_denied", 1, "Peer authentication failed"),
    (
        f'{_AT}FATAL:  permission denied for database "x"\nDETAIL:  User does not have CONNECT privilege.',
        "postgres_denied",
        1,
        "permission",
    ),
    (f'{_AT}FATAL:  database "x" is not currently accepting connections', "postgres_denied", 1, "not currently accepting"),
    (f'{_AT}FATAL:  database "x" does not exist', "postgres_database_missing", 1, "no such database"),
    (f"{_AT}FATAL:  sorry, too many clients already", "postgres_connections", 4, "takes no more connections"),
    (f"{_AT}FATAL:  the database system is starting up", "postgres_unreachable", 4, "starting up"),
    (f"{_AT}Connection refused", "postgres_unreachable", 4, "Connection refused"),
]


@pytest.mark.parametrize(("text", "code", "exit_code", "words"), CASES)
def test_a_server_that_lets_nobody_in_is_told_in_its_own_words(text: str, code: str, exit_code: int, words: str) -> None:
    """Only a wrong password is called one; a server that is not there, or not ready, is another thing than one that refuses."""
    error = said_by_postgres(text, "", operational=True, address="10.0.0.5:5432/x")
    assert (error.code, error.exit_code) == (code, exit_code)
    assert words in str(error)
