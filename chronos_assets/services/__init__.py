"""The embedded QuestDB and Postgres: install, start, stop; or the addresses of servers elsewhere.

Used by the command line, Dagster's resources and the tests. The rest of the house takes `Connections` and asks no further.
"""

from chronos_assets.services.connections import Connections, dagster_postgres_url
from chronos_assets.services.homes import RunningHome, running_homes, stop_all
from chronos_assets.services.status import ServiceStatus, status
from chronos_assets.services.workplace import connect
from chronos_assets.services.workplace import start_servers as start
from chronos_assets.services.workplace import stop_servers as stop

__all__ = [
    "Connections",
    "RunningHome",
    "ServiceStatus",
    "connect",
    "dagster_postgres_url",
    "running_homes",
    "start",
    "status",
    "stop",
    "stop_all",
]
