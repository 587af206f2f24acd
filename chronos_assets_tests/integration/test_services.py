"""The embedded servers as a user meets them: started once, shared, found again, stopped."""

from __future__ import annotations

import psycopg
import requests

from chronos_assets import services
from chronos_assets.services import Connections
from chronos_assets.settings import Settings


def test_both_servers_answer_with_the_given_credentials(servers: Connections) -> None:
    """What `connect` returns is enough to talk to both stores."""
    auth = (servers.questdb_user or "", servers.questdb_password or "")
    answer = requests.get(f"{servers.questdb_url}/exec", params={"query": "select 1"}, auth=auth, timeout=10)
    assert answer.json()["dataset"] == [[1]]
    with psycopg.connect(servers.postgres_dsn) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("chronos",)


def test_a_second_connect_shares_the_running_servers(servers: Connections, settings: Settings) -> None:
    """Whoever connects with the same home gets the same servers, and starts nothing."""
    before = {entry.name: entry.pid for entry in services.status(settings)}
    assert services.connect(settings) == servers
    assert services.connect(settings, start=False) == servers
    assert {entry.name: entry.pid for entry in services.status(settings)} == before
