"""The QuestDB client string (`http::addr=host:9000;username=u;password=p;`): taken apart, and put together for one sender.

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
# The client takes any other word without a sound, also a mistyped `pasword`.
_OPTIONS = frozenset({"addr", "bind_interface", "protocol_version"}) | _OURS | _ACCESS | _LIMITS | _BUFFERS
# Rows of a thousand columns would overflow the client's buffer (100 MiB) long before a batch is full.
FLUSH_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class ClientConf:
    """A client string in parts; `repr` shows no secret."""

    scheme: str
    options: dict[str, str] = field(repr=False)

    @property
    def transport(self) -> Transport:
        return _TRANSPORTS[self.scheme]

    @property
    def address(self) -> str:
        """`host:port` that the client sends to."""
        host = self.options["addr"]
        has_port = ":" in host.rsplit("]", 1)[-1]
        return host if has_port else f"{host}:{_DEFAULT_PORTS[self.transport]}"

    @property
    def read_scheme(self) -> str:
        return "https" if self.scheme in {"https", "tcps"} else "http"

    def for_batches(self, rows: int) -> str:
        """The string for a sender that sends `rows` rows a request and never by the clock."""
        options = {k: v for k, v in self.options.items() if k not in _OURS}
        options |= {"auto_flush_rows": str(rows), "auto_flush_bytes": str(FLUSH_BYTES), "auto_flush_interval": "off"}
        if self.transport == "ilp-tcp":
            # Over TCP nothing is negotiated; version 2 sends doubles as they are, version 1 as text.
            options.setdefault("protocol_version", "2")
        return f"{self.scheme}::" + "".join(f"{k}={v.replace(';', ';;')};" for k, v in options.items())


def parse_conf(text: str) -> ClientConf:
    """Take a client string apart; raises `UsageError` that never shows its values."""
    scheme, separator, rest = text.strip().partition("::")
    if not separator or scheme not in _TRANSPORTS:
        found = f"scheme {scheme[:12]!r}" if separator and scheme.isalnum() else "no scheme"
        raise UsageError(
            "the QuestDB client string cannot be used",
            code="questdb_conf_invalid",
            expected="http::addr=HOST:PORT;username=USER;password=...; (or https, tcp, tcps)",
            found=found,
        )
    options = dict(_pairs(rest))
    for unknown in options.keys() - _OPTIONS:
        # Its name is not told: it may be the rest of a password that was cut at a semicolon.
        close = nearest(unknown, _OPTIONS)
        raise UsageError(
            "the QuestDB client string has an option that the client does not know",
            code="questdb_conf_invalid",
            expected=", ".join(sorted(_OPTIONS)),
            hint=(f"Did you mean {close!r}? " if close else "") + "A semicolon inside a password is written twice.",
        )
    if not options.get("addr"):
        raise UsageError("the QuestDB client string names no server", code="questdb_conf_invalid", expected="addr=HOST:PORT;")
    return ClientConf(scheme, options)


def _pairs(text: str) -> list[tuple[str, str]]:
    """`key=value;` pairs; a doubled semicolon stands for one inside a value."""
    pairs = []
    for part in text.replace(";;", "\0").split(";"):
        if not part.strip():
            continue
        key, separator, value = part.partition("=")
        if not separator or not key.strip().replace("_", "").isalnum():
            raise UsageError(
                "the QuestDB client string cannot be used", code="questdb_conf_invalid", expected="KEY=VALUE; pairs after the scheme"
            )
        pairs.append((key.strip(), value.replace("\0", ";")))
    return pairs
