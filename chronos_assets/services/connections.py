"""Where the two stores are and how to get in: the one value that the rest of the house takes from `services`.

Here too: what a QuestDB client string (`storage.client_string` takes it apart) and a Postgres address from the settings mean. Nothing here
opens a connection or starts a process. Passwords never show in `repr`, and never in an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from chronos_assets.errors import UsageError
from chronos_assets.settings import Settings
from chronos_assets.storage.client_string import parse_client_string, split_address

QUESTDB = "questdb"
POSTGRES = "postgres"
DEFAULT_HTTP_PORT = 9000
LOOPBACK_HOSTS = ("127.0.0.1", "localhost")
DAGSTER_DATABASE = "dagster"
_CONF = "CHRONOS_QUESTDB_CONF"


@dataclass(frozen=True)
class Connections:
    """Addresses and credentials of both stores. `embedded` names those that we run ourselves; `questdb_pid` is the process of ours."""

    questdb_conf: str = field(repr=False)
    questdb_http: str
    questdb_user: str | None
    questdb_password: str | None = field(repr=False)
    postgres_dsn: str = field(repr=False)
    embedded: frozenset[str] = frozenset()
    questdb_pid: int | None = field(default=None, compare=False)

    @property
    def questdb_url(self) -> str:
        """Base address for reading: `https` if the client string says so, else `http`."""
        return f"{parse_client_string(self.questdb_conf).read_scheme}://{self.questdb_http}"


@dataclass(frozen=True)
class QuestDBAddress:
    """How to get into one QuestDB: the part of `Connections` that is about it."""

    conf: str = field(repr=False)
    http: str
    user: str | None
    password: str | None = field(repr=False)


def embeds_questdb(settings: Settings) -> bool:
    """Whether QuestDB is the embedded one: no client string is set, or one to its TCP listener, which the settings open."""
    if settings.questdb_conf is None:
        return True
    parsed = parse_client_string(settings.questdb_conf.get_secret_value(), setting=_CONF)
    return parsed.scheme == "tcp" and parsed.host in LOOPBACK_HOSTS and settings.questdb_ilp_tcp and not settings.questdb_http


def through_listener(embedded: QuestDBAddress, settings: Settings, listener: int | None) -> QuestDBAddress:
    """`embedded`, written to by the client string of the settings if there is one; `listener` is the port of its TCP listener.

    Raises `UsageError` if the string leads elsewhere.
    """
    if settings.questdb_conf is None:
        return embedded
    conf = settings.questdb_conf.get_secret_value().strip()
    port = parse_client_string(conf, setting=_CONF).port
    if port != listener:
        raise UsageError(
            "CHRONOS_QUESTDB_CONF does not lead to the TCP listener of the embedded QuestDB",
            code="questdb_listener",
            expected=f"tcp::addr=127.0.0.1:{listener};" if listener else None,
            found=f"port {port}",
            hint="" if listener else "It runs without one: `chronos services stop`, then start, opens it.",
        )
    return QuestDBAddress(conf if conf.endswith(";") else f"{conf};", embedded.http, embedded.user, embedded.password)


def remote_questdb(settings: Settings) -> QuestDBAddress:
    """How to get into the QuestDB that the settings name."""
    assert settings.questdb_conf is not None
    conf = settings.questdb_conf.get_secret_value().strip()
    parsed = parse_client_string(conf, setting=_CONF)
    user = parsed.options.get("username") if parsed.over_http else None
    password = parsed.options.get("password") if parsed.over_http else None
    if settings.questdb_http:
        host, port = split_address(settings.questdb_http, DEFAULT_HTTP_PORT, setting="CHRONOS_QUESTDB_HTTP")
    elif parsed.over_http:
        host, port = parsed.host, parsed.port
    else:
        raise UsageError(
            f"CHRONOS_QUESTDB_CONF is {parsed.scheme}::, which can only write, and no address for reading is set",
            code="questdb_http_missing",
            hint="Set CHRONOS_QUESTDB_HTTP=host:9000 (and CHRONOS_QUESTDB_USER, CHRONOS_QUESTDB_PASSWORD if it asks for them); for the "
            "embedded server on 127.0.0.1 set CHRONOS_QUESTDB_ILP_TCP=true instead.",
        )
    if settings.questdb_user:
        user = settings.questdb_user
    if settings.questdb_password is not None:
        password = settings.questdb_password.get_secret_value()
    return QuestDBAddress(conf if conf.endswith(";") else f"{conf};", f"{host}:{port}", user, password)


def remote_postgres(settings: Settings) -> str:
    """The Postgres address that the settings name, checked for its shape."""
    assert settings.postgres_dsn is not None
    dsn = as_postgres_url(settings.postgres_dsn.get_secret_value().strip())
    _check_postgres_url(dsn, "CHRONOS_POSTGRES_DSN")
    return dsn


def as_postgres_url(dsn: str) -> str:
    """A Postgres address as a URL, also if it is given as libpq's `host=... password=...`; as it is if it cannot be read."""
    if "://" in dsn or "=" not in dsn:
        return dsn
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    except ProgrammingError:
        return dsn
    user, password = (quote(parts.pop(name, ""), safe="") for name in ("user", "password"))
    host, port, database = parts.pop("host", "localhost"), parts.pop("port", "5432"), parts.pop("dbname", "")
    secret = f":{password}" if password else ""
    where = f"{'[' + host + ']' if ':' in host else host}:{port}"
    if host.startswith("/"):
        where, parts = "", parts | {"host": host, "port": port}
    query = f"?{urlencode(parts)}" if parts else ""
    return f"postgresql://{f'{user}{secret}@' if user else ''}{where}/{quote(database, safe='')}{query}"


def dagster_postgres_url(connections: Connections, settings: Settings) -> str:
    """The SQLAlchemy address of Dagster's own storage.

    Embedded: the database `dagster` beside ours. Remote: the setting `dagster_postgres_url`, else our database. The driver is always
    psycopg2, the only one that dagster-postgres speaks.
    """
    if settings.dagster_postgres_url is not None:
        url = settings.dagster_postgres_url.get_secret_value().strip()
        _check_postgres_url(url, "CHRONOS_DAGSTER_POSTGRES_URL")
        return _with_driver(url)
    database = DAGSTER_DATABASE if POSTGRES in connections.embedded else None
    return _with_driver(connections.postgres_dsn, database=database)


def mask_url(text: str) -> str:
    """A Postgres address with its password, wherever it stands in it, as asterisks (all of it where it cannot be read)."""
    try:
        parts = urlsplit(text)
        readable = parts.scheme != "" and "://" in text and (parts.port is None or parts.port > 0)
    except ValueError:
        return "***"
    if not readable or "@" in f"{parts.path}{parts.query}{parts.fragment}":
        return "***"  # an unquoted character in the password has cut the address in the wrong place
    userinfo, at, host = parts.netloc.rpartition("@")
    if at and ":" in userinfo:
        userinfo = f"{userinfo.partition(':')[0]}:***"
    query = urlencode([(k, "***" if "pass" in k.lower() else v) for k, v in parse_qsl(parts.query)], safe="*/")
    return urlunsplit((parts.scheme, f"{userinfo}{at}{host}", parts.path, query, ""))


def _check_postgres_url(url: str, setting: str) -> None:
    expected = "postgresql://user:password@host:5432/database, or host=... port=... user=... password=... dbname=..."
    try:
        parts = urlsplit(url)
        well_formed = bool(parts.port is None or parts.port) and bool(parts.hostname or "host=" in parts.query)
    except ValueError:
        well_formed = False
        parts = urlsplit("")
    scheme = parts.scheme.partition("+")[0]
    # An @, or another mark that cuts an address in two, has to be written as %40 in a password: else its rest is taken for the host.
    cut_short = "@" in parts.path or parts.netloc.count("@") > 1
    if not well_formed or cut_short or scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
        hint = "In the password of a URL write % as %25, @ as %40, / as %2F, : as %3A, ? as %3F, # as %23."
        raise UsageError(f"{setting} is not a Postgres address", code="postgres_dsn_invalid", expected=expected, hint=hint)


def _with_driver(url: str, *, database: str | None = None) -> str:
    parts = urlsplit(url)
    path = f"/{quote(database)}" if database else f"/{quote(unquote(parts.path.lstrip('/')))}"
    return urlunsplit(("postgresql+psycopg2", parts.netloc, path, parts.query, ""))
