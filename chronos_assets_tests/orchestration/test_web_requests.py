"""The rules on Host and Origin, and the guard before Dagster's web application: another page's request never gets through."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from click.testing import CliRunner

from chronos_assets.cli.dev import dev
from chronos_assets.domain.web_requests import AllowedHosts, from_own_page, is_loopback, same_origin
from chronos_assets.errors import UsageError
from chronos_assets.orchestration.request_guard import RequestGuard

DELETE = "mutation+%7B+deleteRun%28runId%3A%22x%22%29+%7B+__typename+%7D+%7D"


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost", "LOCALHOST:80", "localhost.", "[::1]:3000", "127.0.0.9"])
def test_loopback_names_are_answered_at_any_port(host: str) -> None:
    """A tunnel or a free port changes the port, never whose server it is."""
    assert AllowedHosts.of("127.0.0.1").allow(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.1",
        "",
        "a@localhost",
        "evil.example@127.0.0.1",
        "[::1",
        "x:y",
    ],
)
def test_foreign_names_are_not_answered(host: str) -> None:
    """A name that its owner points at this machine stays a foreign name."""
    assert not AllowedHosts.of("127.0.0.1").allow(host)


def test_a_server_on_all_addresses_answers_addresses_and_named_hosts_only() -> None:
    """An address cannot be rebound, a name can: names have to be listed."""
    allowed = AllowedHosts.of("0.0.0.0", ["chronos.lan"])
    assert [allowed.allow(host) for host in ("10.0.0.1:3000", "chronos.lan", "[fe80::1]", "evil.example")] == [True, True, True, False]
    assert AllowedHosts.of("10.0.0.1").allow("10.0.0.1:3000")
    assert not AllowedHosts.of("10.0.0.1").allow("10.0.0.2:3000")


def test_what_counts_as_loopback() -> None:
    """Names of this machine for itself, in either family; nothing that another machine can reach."""
    assert [is_loopback(h) for h in ("localhost", "127.0.0.1", "::1", "[::1]", "0.0.0.0", "::", "", "10.0.0.1")] == [True] * 4 + [False] * 4


def test_an_origin_is_scheme_free_and_port_exact() -> None:
    """A page on another port of the same machine is another page; a proxy that ends TLS is not."""
    assert same_origin("http://localhost:3000", "localhost:3000")
    assert same_origin("https://chronos.lan", "chronos.lan")
    for origin in ("http://localhost:8000", "null", "", "file://", "http://evil.example", "http://localhost:3000@evil.example"):
        assert not same_origin(origin, "localhost:3000"), origin


def test_links_may_be_followed_and_programs_may_ask() -> None:
    """A cross-site navigation by GET and a request without browser headers pass; a cross-site script, form or image does not."""

    def passes(method: str, site: str | None = None, mode: str | None = None, referer: str | None = None) -> bool:
        return from_own_page(method, "localhost", origin=None, referer=referer, site=site, mode=mode)

    assert passes("GET", "cross-site", "navigate")
    assert passes("POST")
    assert passes("WEBSOCKET", "same-origin", "websocket")
    assert not passes("GET", "cross-site", "no-cors")
    assert not passes("POST", "cross-site", "navigate")
    assert not passes("POST", "same-site", "cors")
    assert not passes("POST", referer="http://evil.example/page")


def answered(method: str, path: str, query: str = "", kind: str = "http", **headers: str) -> Any:
    """The status of an answer (of a websocket: `accepted` or `closed`), and its headers."""
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"} if kind == "websocket" else {"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    pairs = {"host": "localhost:3000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in pairs.items() if value]
    scope = {"type": kind, "method": method, "path": path, "query_string": query.encode(), "headers": raw}
    asyncio.run(RequestGuard(app, AllowedHosts.of("127.0.0.1"))(scope, receive, send))
    return sent[0].get("status", sent[0]["type"].removeprefix("websocket.")), dict(sent[0].get("headers") or [])


@pytest.mark.parametrize("path", ["/graphql", "/graphql/"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "query", [f"query={DELETE}", f"query=%7Bversion%7D&query={DELETE}", "query=subscription+%7B+x+%7D", f"a=1&query={DELETE}&b"]
)
def test_nothing_is_changed_by_get(method: str, path: str, query: str) -> None:
    """A link that carries a mutation is refused, also if it stands behind a harmless query."""
    assert answered(method, path, query)[0] == 405


def test_what_the_ui_and_programs_send_passes() -> None:
    """Queries by GET, JSON by POST from the own page, files, and subscriptions over a websocket."""
    assert answered("GET", "/graphql", "query=%7Bversion%7D")[0] == 200
    assert answered("GET", "/runs/1", f"query={DELETE}")[0] == 200
    assert answered("POST", "/graphql", content_type="application/json; charset=utf-8", origin="http://localhost:3000")[0] == 200
    assert answered("POST", "/graphql", content_type="application/json")[0] == 200
    assert answered("WEBSOCKET", "/graphql", kind="websocket", origin="http://localhost:3000")[0] == "accept"
    headers = answered("GET", "/")[1]
    assert headers[b"x-frame-options"] == b"DENY"


@pytest.mark.parametrize(
    ("method", "kind", "headers", "status"),
    [
        ("POST", "http", {"origin": "http://evil.example", "content_type": "application/json"}, 403),
        ("POST", "http", {"origin": "null", "content_type": "application/json"}, 403),
        ("POST", "http", {"origin": "http://localhost:8000", "content_type": "application/json"}, 403),
        ("POST", "http", {"sec_fetch_site": "cross-site", "content_type": "application/json"}, 403),
        ("POST", "http", {"content_type": "text/plain"}, 415),
        ("POST", "http", {"content_type": "application/x-www-form-urlencoded"}, 415),
        ("POST", "http", {}, 415),
        ("GET", "http", {"host": "evil.example"}, 421),
        ("GET", "http", {"host": ""}, 421),
        ("GET", "http", {"origin": "http://evil.example"}, 403),
        ("WEBSOCKET", "websocket", {"origin": "http://evil.example"}, "close"),
        ("WEBSOCKET", "websocket", {"host": "evil.example", "origin": "http://evil.example"}, "close"),
    ],
)
def test_what_another_page_sends_is_refused(method: str, kind: str, headers: dict[str, str], status: Any) -> None:
    """A foreign host, a foreign page, a form: each is refused by a status of its own, a websocket before it is accepted."""
    assert answered(method, "/graphql", kind=kind, **headers)[0] == status


def test_reports_of_assets_are_guarded_too() -> None:
    """Dagster's other writing addresses take no request of another page."""
    assert answered("POST", "/report_asset_materialization/indicator_bars", origin="http://evil.example")[0] == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.lan"])
def test_an_address_that_others_reach_needs_an_explicit_word(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """`chronos dev` binds to anything but the loopback only with `--expose`; without, it starts nothing and says why."""
    monkeypatch.setenv("CHRONOS_DAGSTER_HOST", host)
    outcome = CliRunner().invoke(dev, [])
    assert isinstance(outcome.exception, UsageError)
    assert outcome.exception.code == "dagster_exposed"
    assert "--expose" in outcome.exception.hint
