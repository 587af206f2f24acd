"""Which HTTP requests a web server of this product answers: rules on the `Host` and `Origin` headers, values in and values out.

A browser lets any web page send requests to a server on the user's own machine. Two headers tell such a request from the user's own:
`Host` is the name that the browser looked up (a foreign name means that its owner points it at this machine, DNS rebinding), `Origin` the
page that asks. Servers apply these rules before anything else; what they answer is theirs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})  # `none`: typed into the address bar


@dataclass(frozen=True)
class AllowedHosts:
    """The host names that a server answers to. `any_address`: every IP address as well, for a server that listens on all of them."""

    names: frozenset[str]
    any_address: bool = False

    @classmethod
    def of(cls, bound: str, further: Iterable[str] = ()) -> AllowedHosts:
        """Those of a server bound to `bound`: the loopback names, the address itself, and `further` names."""
        everywhere = is_wildcard(bound)
        own = [] if everywhere else [bound]
        return cls(frozenset({"localhost", *(_bare(name) for name in (*own, *further))}), everywhere)

    def allow(self, header: str) -> bool:
        """Whether a request with this `Host` header is meant for this server; ports do not count, tunnels change them."""
        split = _split(f"http://{header}")
        if split is None:
            return False
        name = split[0]
        return name in self.names or is_loopback(name) or (self.any_address and _address(name) is not None)


def is_loopback(host: str) -> bool:
    """Whether `host` is the loopback, by name or address."""
    address = _address(_bare(host))
    return _bare(host) == "localhost" or (address is not None and address.is_loopback)


def is_wildcard(host: str) -> bool:
    """Whether a server bound to `host` listens on every address of the machine."""
    address = _address(_bare(host))
    return host == "" or (address is not None and address.is_unspecified)


def reachable_host(host: str) -> str:
    """The host of an address at which this machine itself reaches a server that is bound to `host`."""
    if is_wildcard(host):
        return "[::1]" if ":" in host else "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def same_origin(origin: str, host: str) -> bool:
    """Whether the page at `origin` came from the server that its browser calls `host`; the scheme may differ behind a TLS proxy."""
    scheme = origin.partition("://")[0].lower()
    page, server = _split(origin), _split(f"{scheme}://{host}")
    return scheme in _DEFAULT_PORTS and page is not None and page == server


def from_own_page(method: str, host: str, *, origin: str | None, referer: str | None, site: str | None, mode: str | None) -> bool:
    """Whether a request comes from the server's own page, or from a program that is no browser.

    `origin`, `referer`, `site` (`Sec-Fetch-Site`) and `mode` (`Sec-Fetch-Mode`) are headers, None if absent; `method` is the HTTP method,
    or `WEBSOCKET`. Browsers send `Origin` with everything that can change something. A link on another page may be followed.
    """
    if origin is not None:
        return same_origin(origin, host)
    changes = method not in _SAFE_METHODS
    if site is not None and site not in _OWN_SITES:
        return not changes and mode == "navigate"
    return not changes or referer is None or same_origin(referer, host)


def _split(url: str) -> tuple[str, int] | None:
    """Name and port of a URL, the port of its scheme if it names none; None if it is malformed."""
    try:
        parts = urlsplit(url)
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or "@" in parts.netloc:
        return None
    return _bare(name), _DEFAULT_PORTS.get(parts.scheme, 0) if port is None else port


def _bare(name: str) -> str:
    return name.strip("[]").rstrip(".").lower()


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
