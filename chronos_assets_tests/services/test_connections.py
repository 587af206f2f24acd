"""What the addresses in the settings mean, and that no password gets out of them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronos_assets.errors import UsageError
from chronos_assets.services import Connections, connect, dagster_postgres_url
from chronos_assets.services.connections import (
    QuestDBAddress,
    as_postgres_url,
    embeds_questdb,
    mask_url,
    remote_postgres,
    remote_questdb,
    through_listener,
)
from chronos_assets.settings import Settings, load_settings
from chronos_assets.storage.client_string import mask_client_string, parse_client_string, split_address

SECRET = "s3cr;t"
DSN = "postgresql://me:s3cret@db.example:5433/bars?sslmode=require&sslpassword=s3cret"


def settings(**values: Any) -> Settings:
    return load_settings(**values)


def test_a_client_string_is_taken_apart() -> None:
    """Scheme, address and options are found, and a doubled semicolon belongs to the value."""
    parsed = parse_client_string("http::addr=host:9001;username=u;password=s3cr;;t;auto_flush=off;")
    assert (parsed.scheme, parsed.host, parsed.port) == ("http", "host", 9001)
    assert parsed.options == {"username": "u", "password": SECRET, "auto_flush": "off"}


@pytest.mark.parametrize(
    ("conf", "host", "port"),
    [("http::addr=h;", "h", 9000), ("https::addr=h", "h", 9000), ("tcp::addr=h;", "h", 9009), ("tcps::addr=[::1]:1;", "[::1]", 1)],
)
def test_the_port_has_the_default_of_its_scheme(conf: str, host: str, port: int) -> None:
    """An address without a port gets QuestDB's usual one for HTTP or for ILP."""
    parsed = parse_client_string(conf)
    assert (parsed.host, parsed.port) == (host, port)


@pytest.mark.parametrize(
    "conf",
    [
        "",
        "host:9000",
        "ftp::addr=h;password=s3cret;",
        "http::password=s3cret;",
        "http::addr=h:port;password=s3cret;",
        "http::addr=u:s3cret@h:9000;",
        "http::addr=h:70000;",
        "http::addr=h;password s3cret;",
        "http:addr=h;password=s3cret",
    ],
)
def test_a_malformed_client_string_is_a_usage_error_without_its_password(conf: str) -> None:
    """The message names the setting and what is expected, and nothing that could be secret."""
    with pytest.raises(UsageError, match="CHRONOS_QUESTDB_CONF") as caught:
        parse_client_string(conf, setting="CHRONOS_QUESTDB_CONF")
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in str(caught.value.as_dict())


@pytest.mark.parametrize("address", ["", ":9000", "h:0", "h:x", "user@h:1", "h/x:1", "a b:1"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """What is not host:port is a usage error that names the setting."""
    with pytest.raises(UsageError, match="CHRONOS_QUESTDB_HTTP"):
        split_address(address, 9000, setting="CHRONOS_QUESTDB_HTTP")


def test_an_http_client_string_also_says_where_to_read() -> None:
    """With http:: the same address and credentials serve writing and reading."""
    remote = remote_questdb(settings(questdb_conf="http::addr=h:9001;username=u;password=p"))
    assert (remote.conf, remote.http, remote.user, remote.password) == ("http::addr=h:9001;username=u;password=p;", "h:9001", "u", "p")


def test_own_settings_for_reading_win() -> None:
    """Address and credentials for reading may differ from those for writing."""
    remote = remote_questdb(
        settings(questdb_conf="https::addr=h;username=u;password=p;", questdb_http="r:1", questdb_user="v", questdb_password="q")
    )
    assert (remote.http, remote.user, remote.password) == ("r:1", "v", "q")


def test_a_tcp_client_string_takes_the_reading_address_from_the_settings() -> None:
    """tcp:: can only write, so where to read must be set, and its credentials (which are keys) are not used for reading."""
    conf = "tcp::addr=h:9009;username=key;token=abc;"
    remote = remote_questdb(settings(questdb_conf=conf, questdb_http="h"))
    assert (remote.http, remote.user, remote.password) == ("h:9000", None, None)
    with pytest.raises(UsageError, match="can only write") as caught:
        remote_questdb(settings(questdb_conf=conf))
    assert "CHRONOS_QUESTDB_HTTP" in caught.value.hint


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:p@s3cret@h/db",
        "host=h password=s3cret",
        "mysql://u:s3cret@h/db",
        "postgresql://u:s3cret@h:port/db",
        "postgresql://u:s3cret@h",
        "postgresql:///",
    ],
)
def test_a_malformed_postgres_address_is_a_usage_error_without_its_password(dsn: str) -> None:
    """Only an address with host and database is taken."""
    with pytest.raises(UsageError, match="CHRONOS_POSTGRES_DSN") as caught:
        remote_postgres(settings(postgres_dsn=dsn))
    assert "s3cret" not in str(caught.value)


def test_remote_stores_are_connected_without_starting_anything(tmp_path: Any) -> None:
    """With both addresses set nothing embedded is started, and no folder is made."""
    home = tmp_path / "home"
    connections = connect(settings(home=home, questdb_conf="http::addr=h:9001;", postgres_dsn=DSN))
    assert connections.embedded == frozenset()
    assert (connections.questdb_http, connections.questdb_url, connections.postgres_dsn) == ("h:9001", "http://h:9001", DSN)
    assert not home.exists()


def test_a_malformed_remote_address_is_said_before_the_other_store_is_started(tmp_path: Any) -> None:
    """A usage error comes first; no server has been started for it."""
    home = tmp_path / "home"
    with pytest.raises(UsageError):
        connect(settings(home=home, questdb_conf="nonsense"))
    assert not home.exists()


def test_connections_do_not_print_passwords() -> None:
    """Neither repr nor str of the connections shows a password or an address that holds one."""
    connections = Connections("http::addr=h;password=s3cret;", "h:9000", "u", "s3cret", DSN)
    assert "s3cret" not in f"{connections!r} {connections}"
    assert "s3cret" not in repr(parse_client_string("http::addr=h;password=s3cret;"))


def test_reading_is_encrypted_where_writing_is() -> None:
    """https:: and tcps:: give an https address for reading."""
    assert Connections("https::addr=h;", "h:1", None, None, DSN).questdb_url == "https://h:1"
    assert Connections("tcps::addr=h;", "h:1", None, None, DSN).questdb_url == "https://h:1"


def test_dagster_has_its_own_database_on_the_embedded_server() -> None:
    """Embedded: the database `dagster`, through psycopg2."""
    connections = Connections("http::addr=h;", "h:1", None, None, "postgresql://u:p@127.0.0.1:5/chronos", frozenset({"postgres"}))
    assert dagster_postgres_url(connections, settings()) == "postgresql+psycopg2://u:p@127.0.0.1:5/dagster"


def test_dagster_shares_a_remote_database_unless_it_is_given_another() -> None:
    """Remote: our database with its options, or that of the setting; psycopg2 in both cases."""
    connections = Connections("http::addr=h;", "h:1", None, None, DSN)
    assert dagster_postgres_url(connections, settings()) == DSN.replace("postgresql://", "postgresql+psycopg2://")
    given = settings(dagster_postgres_url="postgres://u:p%40@h/meta")
    assert dagster_postgres_url(connections, given) == "postgresql+psycopg2://u:p%40@h/meta"
    with pytest.raises(UsageError, match="CHRONOS_DAGSTER_POSTGRES_URL"):
        dagster_postgres_url(connections, settings(dagster_postgres_url="sqlite:///x"))


def test_masks_keep_the_address_and_hide_the_secret() -> None:
    """What `config show` prints is recognizable, and holds no password."""
    assert mask_url(DSN) == "postgresql://me:***@db.example:5433/bars?sslmode=require&sslpassword=***"
    assert mask_url("host=h password=s3cret") == "***"
    for unreadable in (
        "postgresql://u:p[@h/db",
        "postgresql://u:p/w@h/db",
        "postgresql://u:1/w@h/db",
        "postgresql://u:1?w@h/db",
        "postgresql://u:1#w@h/db",
        "s3cret",
    ):
        assert mask_url(unreadable) == "***"
    assert mask_client_string("http::addr=h:1;username=u;password=s3cr;;t;") == "http::addr=h:1;username=u;password=***;"
    assert mask_client_string("http::addr=h:1;pasword=s3cret;retry_timeout=5;") == "http::addr=h:1;pasword=***;retry_timeout=5;"
    assert mask_client_string("http::password=s3cret") == "***"


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20))
def test_no_password_survives_its_mask(tail: str) -> None:
    """Whatever characters a password has, written as it has to be or as it must not be, no part of it is shown."""
    password = f"S3CRET{tail}"
    for dsn in (
        f"postgresql://u:{quote(password, safe='')}@h/db",
        f"postgresql://u:{password}@h/db",
        f"postgresql://h/db?password={password}",
    ):
        assert "S3CRET" not in mask_url(dsn)
    assert "S3CRET" not in mask_client_string(f"http::addr=h;username=u;password={password.replace(';', ';;')};")


def test_a_postgres_address_may_be_given_as_keys_and_values() -> None:
    """libpq's other form leads to the same place, whatever characters the password has; a URL stays as it is."""
    text = r"host=db.example port=6000 user=u password='p@ss/w o\'rd' dbname=chronos sslmode=require"
    assert as_postgres_url(text) == "postgresql://u:p%40ss%2Fw%20o%27rd@db.example:6000/chronos?sslmode=require"
    assert as_postgres_url("postgresql://u:p@h/d?sslmode=require") == "postgresql://u:p@h/d?sslmode=require"
    assert as_postgres_url("host=h password=hush dbname") == "host=h password=hush dbname"


def test_a_tcp_client_string_to_the_embedded_listener_reads_where_the_embedded_server_says() -> None:
    """With the listener opened by the settings, tcp:: on the loopback means the embedded server; its port must be the listener's."""
    here = "tcp::addr=127.0.0.1:9009;"
    assert embeds_questdb(settings(questdb_conf=here, questdb_ilp_tcp=True))
    for others in ({"questdb_ilp_tcp": False}, {"questdb_http": "r:9000"}, {"questdb_conf": "tcp::addr=h:9009;"}):
        assert not embeds_questdb(settings(**{"questdb_conf": here, "questdb_ilp_tcp": True, **others}))
    embedded = QuestDBAddress("http::addr=127.0.0.1:1;", "127.0.0.1:1", "u", "p")
    through = through_listener(embedded, settings(questdb_conf=here, questdb_ilp_tcp=True), 9009)
    assert (through.conf, through.http, through.user, through.password) == (here, "127.0.0.1:1", "u", "p")
    for listener in (9010, None):
        with pytest.raises(UsageError, match="does not lead to the TCP listener"):
            through_listener(embedded, settings(questdb_conf=here, questdb_ilp_tcp=True), listener)
