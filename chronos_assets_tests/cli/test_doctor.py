"""`chronos doctor`: every part answers for itself, and what is down does not hide the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from chronos_assets.cli.doctor import PARTS, doctor
from chronos_assets.errors import UsageError
from chronos_assets.settings import environment_of, load_settings
from chronos_assets.storage.artifacts.opening import open_artifacts
from chronos_assets.storage.diagnosis import DOCTOR, examine_artifacts
from chronos_assets.storage.pooling import require_sessions, shares_sessions
from chronos_assets.storage.postgres import Connection, Postgres
from chronos_assets.storage.stores import Stores


def examined(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    """Exit status, and (health, found) of every part."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    outcome = CliRunner().invoke(doctor, ["--json"], catch_exceptions=False)
    parts: dict[str, list[tuple[str, str]]] = {}
    for one in json.loads(outcome.stdout)["findings"]:
        assert one["remedy"] or one["health"] == "ok"
        parts.setdefault(one["part"], []).append((one["health"], one["found"]))
    assert parts.keys() == PARTS.keys()
    return outcome.exit_code, parts


def test_every_part_of_a_running_place_is_well(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions, clocks, locks, schema, room and a file that comes back are all told."""
    status, parts = examined(monkeypatch, environment_of(stores.settings))
    healths = {health for found in parts.values() for health, _ in found}
    assert (status, healths & {"failed", "unreachable"}) == (0, set())
    told = {part: " | ".join(text for _, text in found) for part, found in parts.items()}
    assert "sessions hold locks" in told["postgres"]
    assert "QuestDB" in told["questdb"]
    assert "read again by range" in told["artifacts"]
    assert "xgboost" in told["executor"]
    assert not list(stores.artifacts.list(DOCTOR))


def test_what_is_down_is_named_and_the_rest_is_still_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without servers, and with a cluster that nobody runs: status 4, a remedy each, nothing started."""
    environment = {"CHRONOS_HOME": str(tmp_path / "home"), "CHRONOS_EXECUTOR": "ray", "CHRONOS_RAY_ADDRESS": "ray://127.0.0.1:1"}
    status, parts = examined(monkeypatch, environment)
    healths = {part: [health for health, _ in found] for part, found in parts.items()}
    down = {part: ["unreachable"] for part in PARTS}
    assert (status, healths) == (4, down | {"artifacts": ["ok"]})
    assert not (tmp_path / "home" / "services").exists()


def test_artifacts_in_a_bucket_make_the_round_trip(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put, read by range, listed and deleted; a bucket that is not there is unreachable, with what to do."""
    settings = load_settings(artifacts=bucket, home=tmp_path / "home", cache=tmp_path)
    store = open_artifacts(settings)
    (found,) = examine_artifacts(store)
    assert (found.health, list(store.list())) == ("ok", [])
    assert found.found.endswith(bucket)
    _, parts = examined(monkeypatch, {"CHRONOS_HOME": str(tmp_path / "home"), "CHRONOS_ARTIFACTS": "s3://no-such-bucket/a"})
    ((health, words),) = parts["artifacts"]
    assert (health, "the bucket of the artifacts does not exist" in words) == ("unreachable", True)


class OneSession(Postgres):
    """As a pooler in transaction mode looks from here: every connection is served by the same session."""

    def __init__(self, dsn: str, session: Connection) -> None:
        super().__init__(dsn)
        self._session = session
        self.behind_pooler = True  # the process that let us in is not the one that answers

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """The one session."""
        yield self._session


def test_a_pooler_that_shares_sessions_is_refused(stores: Stores) -> None:
    """The lock of one command would be another's: nothing is opened; the campaign benchmarks.faults.pooler asks a real PgBouncer."""
    assert not shares_sessions(stores.postgres)
    with stores.postgres.connection() as session:
        pooled = OneSession("postgresql://u:p@pooler.example:6432/chronos", session)
        with pytest.raises(UsageError, match="pool_mode = session"):
            require_sessions(pooled)
