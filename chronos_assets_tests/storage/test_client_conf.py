"""The QuestDB client string, and names and literals on their way into SQL."""

from __future__ import annotations

import base64

import pytest

from chronos_assets.errors import StoreError, UsageError
from chronos_assets.storage.client_string import parse_client_string
from chronos_assets.storage.identifiers import quote_identifier, quote_literal
from chronos_assets.storage.questdb_http import HttpReader
from chronos_assets.storage.questdb_tables import TABLES
from chronos_assets.storage.questdb_write import check_conf


def test_the_scheme_chooses_the_transport_and_the_port() -> None:
    """http and https are ILP over HTTP, tcp and tcps over TCP, each with its usual port."""
    assert (parse_client_string("http::addr=a;").transport, parse_client_string("http::addr=a;").address) == ("ilp-http", "a:9000")
    assert (parse_client_string("tcps::addr=b:19;").transport, parse_client_string("tcps::addr=b:19;").address) == ("ilp-tcp", "b:19")


def test_flushing_is_ours_to_decide_and_the_rest_stays() -> None:
    """Flush settings are replaced, others kept, semicolons in values doubled again, and no option twice."""
    conf = parse_client_string("http::addr=a:1;username=u;password=p;;w;auto_flush_rows=7;retry_timeout=5;")
    text = conf.for_batches(2000)
    assert "password=p;;w;" in text
    assert "retry_timeout=5;" in text
    assert text.count("auto_flush_rows=") == 1
    assert "auto_flush_rows=2000;" in text
    assert "protocol_version=2;" in parse_client_string("tcp::addr=a;").for_batches(10)


def test_no_secret_shows() -> None:
    """Neither `repr` nor a refusal shows a value."""
    assert "hush" not in repr(parse_client_string("http::addr=a;password=hush;"))
    for bad in (
        "ftp::addr=a;password=hush;",
        "http:addr=hush;",
        "http::password=hush;",
        "http::addr=a;hush;",
        "http::addr=a;password=x;hush=1;",
    ):
        with pytest.raises(UsageError) as refusal:
            parse_client_string(bad)
        assert "hush" not in str(refusal.value)


def test_an_option_that_the_client_would_overlook_is_refused_with_the_nearest_one() -> None:
    """The client takes unknown words without a sound, and a mistyped password would be no password."""
    with pytest.raises(UsageError, match="Did you mean 'password'"):
        parse_client_string("http::addr=a;username=u;pasword=p;")


@pytest.mark.parametrize("option", ["request_timeout=soon", "tls_verify=maybe", "retry_timeout=-1", "password=a\nb", "protocol_version=x"])
def test_an_option_that_the_client_refuses_is_a_usage_error(option: str) -> None:
    """Whatever the client raises for it, before anything is connected to."""
    with pytest.raises(UsageError, match="client string cannot be used"):
        check_conf(parse_client_string(f"http::addr=127.0.0.1:1;username=u;{option};"))


@pytest.mark.parametrize("name", ["macd", "_x", "A1", "a" * 63])
def test_plain_names_are_quoted(name: str) -> None:
    """Names of letters, digits and '_' go into double quotes."""
    assert quote_identifier(name) == f'"{name}"'


@pytest.mark.parametrize("name", ["", "1a", "a-b", 'a"b', "a b", "a" * 64, "é", "a;drop", "a\n"])
def test_other_names_are_refused(name: str) -> None:
    """Nothing else is ever put into SQL as a name."""
    with pytest.raises(StoreError):
        quote_identifier(name)


def test_literals_are_quoted_by_one_function() -> None:
    """Quotes are doubled, control characters refused."""
    assert quote_literal("o'clock") == "'o''clock'"
    for bad in ("a\0b", "a\nb", "\x7f"):
        with pytest.raises(StoreError):
            quote_literal(bad)


def test_every_table_has_dedup_keys_without_source_and_granularity() -> None:
    """A changed source would leave an old row beside the new one."""
    for table in TABLES:
        assert "DEDUP UPSERT KEYS" in table.ddl()
        assert {"source", "granularity"}.isdisjoint(table.keys)
        assert set(table.keys) <= set(table.types)


def test_a_password_may_have_any_letters() -> None:
    """User and password go out as UTF-8, and do not show."""
    reader = HttpReader("http://127.0.0.1:1", "u", "\u043f\u0430\u0440\u043e\u043b\u044c")
    header = reader._headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(header).decode() == "u:\u043f\u0430\u0440\u043e\u043b\u044c"
    assert header not in repr(reader)
