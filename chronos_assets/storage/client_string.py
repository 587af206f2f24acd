"""The QuestDB client string (`http::addr=host:9000;username=u;password=p;`): taken apart in this one place, and put together for a sender.

The scheme chooses the transport. What we decide ourselves (when batches are flushed) replaces what the string says about it;
everything else goes to the client as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from chronos_assets.domain.strict import nearest
from chronos_assets.errors import UsageError

Transport = Literal["ilp-http", "ilp-tcp"]
_TRANSPORTS: dict[str, Transport] = {"http": "ilp-http", "https": "ilp-http", "tcp": "ilp-tcp", "tcps": "ilp-tcp"}
_DEFAULT_PORTS = {"ilp-http": 9000, "ilp-tcp": 9009}
_OURS = frozenset({"auto_flush", "auto_flush_rows", "auto_flush_bytes", "auto_flush_interval"})
_ACCESS = frozenset({"username", "password", "token", "token_x", "token_y", "tls_verify", "tls_ca", "tls_roots", "tls_roots_password"})
_LIMITS = frozenset({"auth_timeout", "request_timeout", "retry_timeout", "request_min_throughput", "retry_max_backoff_millis"})
_BUFFERS = frozenset({"init_buf_size", "max_buf_size", "max_name_len"})
_HARMLESS = frozenset({"username", "protocol_version", "bind_interface", "tls_verify", "tls_ca", "tls_roots"}) | _OURS | _LIMITS | _BUFFERS
# The client takes any other word without a sound, also a mistyped `pasword`.
_OPTIONS = frozenset({"addr", "bind_interface", "protocol_version"}) | _OURS | _ACCESS | _LIMITS | _BUFFERS
# Rows of a thousand columns would overflow the client's buffer (100 MiB) long before a batch is full.
FLUSH_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class ClientString:
    """A client string in parts; `options` are those besides `addr`. `repr` shows no secret."""

    scheme: str
    host: str
    port: int
    options: dict[str, str] = field(repr=False)

    @property
    def transport(self) -> Transport:
        return _TRANSPORTS[self.scheme]

    @property
    def over_http(self) -> bool:
        """Whether the address that takes rows also answers queries."""
        return self.transport == "ilp-http"

    @property
    def address(self) -> str:
        """`host:port` that the client sends to."""
        return f"{self.host}:{self.port}"

    @property
    def read_scheme(self) -> str:
        return "https" if self.scheme in {"https", "tcps"} else "http"

    def for_batches(self, rows: int) -> str:
        """The string for a sender that sends `rows` rows a request and never by the clock."""
        options = {"addr": self.address} | {k: v for k, v in self.options.items() if k not in _OURS}
        options |= {"auto_flush_rows": str(rows), "auto_flush_bytes": str(FLUSH_BYTES), "auto_flush_interval": "off"}
        if self.transport == "ilp-tcp":
            # Over TCP nothing is negotiated; version 2 sends doubles as they are, version 1 as text.
            options.setdefault("protocol_version", "2")
        return f"{self.scheme}::" + "".join(f"{k}={v.replace(';', ';;')};" for k, v in options.items())


def parse_client_string(text: str, *, setting: str = "the QuestDB client string", any_option: bool = False) -> ClientString:
    """Take `scheme::addr=host:port;key=value;...` apart (`;;` in a value stands for `;`).

    Options that the client does not know are refused unless `any_option`. Raises `UsageError` that names the setting and the fault, never
    the string itself: it may hold a password.
    """
    scheme, separator, rest = text.strip().partition("::")
    if not separator or scheme not in _TRANSPORTS:
        raise _invalid(setting, f"its scheme is not one of {', '.join(_TRANSPORTS)}")
    options = dict(_pairs(rest, setting))
    address = options.pop("addr", "")
    if not any_option:
        _refuse_unknown(options, setting)
    if not address:
        raise _invalid(setting, "it names no server, as addr=HOST:PORT does")
    host, port = split_address(address, _DEFAULT_PORTS[_TRANSPORTS[scheme]], setting=f"{setting} (addr)")
    return ClientString(scheme, host, port, options)


def split_address(address: str, default_port: int, *, setting: str) -> tuple[str, int]:
    """`host:port`, `host` or `[v6]:port` in parts; raises `UsageError` that names the setting."""
    host, _, port = address.rpartition(":") if ":" in address.rpartition("]")[2] else (address, "", str(default_port))
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or any(c in bare for c in "/@ ") or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        # user:password@host:port is what a URL would hold here
        found = None if "@" in address else address
        raise UsageError(f"{setting} is not an address", code="address_invalid", expected="host:port", found=found)
    return host, int(port)


def mask_client_string(text: str) -> str:
    """A client string with every secret as asterisks (all of it if it cannot be read)."""
    try:
        parsed = parse_client_string(text, any_option=True)
    except UsageError:
        return "***"
    # Any option that is not known to be harmless is masked: a mistyped `pasword` holds a password all the same.
    options = "".join(f"{key}={value if key in _HARMLESS else '***'};" for key, value in parsed.options.items())
    return f"{parsed.scheme}::addr={parsed.address};{options}"


def _refuse_unknown(options: dict[str, str], setting: str) -> None:
    for unknown in options.keys() - _OPTIONS:
        # Its name is not told: it may be the rest of a password that was cut at a semicolon.
        close = nearest(unknown, _OPTIONS)
        raise UsageError(
            f"{setting} has an option that the client does not know",
            code="questdb_conf_invalid",
            expected=", ".join(sorted(_OPTIONS)),
            hint=(f"Did you mean {close!r}? " if close else "") + "A semicolon inside a password is written twice.",
        )


def _pairs(text: str, setting: str) -> list[tuple[str, str]]:
    """`key=value;` pairs; a doubled semicolon stands for one inside a value."""
    pairs = []
    for part in text.replace(";;", "\0").split(";"):
        if not part.strip():
            continue
        key, separator, value = part.partition("=")
        if not separator or not key.strip().isidentifier():
            raise _invalid(setting, "a part of it is not KEY=VALUE")
        pairs.append((key.strip(), value.replace("\0", ";")))
    return pairs


def _invalid(setting: str, why: str) -> UsageError:
    return UsageError(
        f"{setting} cannot be used: {why}",
        code="questdb_conf_invalid",
        expected="http::addr=HOST:PORT;username=USER;password=...; (or https, tcp, tcps)",
    )
