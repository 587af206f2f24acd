"""Who is told about a failed run: the log always, a webhook and a mailbox if the settings name them.

A sink that fails is logged and stops no other.
"""

from __future__ import annotations

import logging
import re
import smtplib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.message import EmailMessage

import requests

from chronos_assets.settings import Settings

TIMEOUT_SECONDS = 10
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Alert:
    """One failed run in words. `message` is the check's own line, or that of the error."""

    slug: str
    step: str
    message: str
    run_id: str
    why: str

    def line(self) -> str:
        """All of it in one line."""
        who, where, why = self.slug or "a run", self.step or "start", self.why or "asked for by hand"
        return f"{who} failed at {where}: {self.message} (run {self.run_id[:8]}, {why})"


Sink = Callable[[Alert], None]


def send(alert: Alert, sinks: list[Sink]) -> None:
    """Give `alert` to each sink."""
    for sink in sinks:
        try:
            sink(alert)
        except Exception as error:
            # its text may hold the URL, which is a secret
            logger.warning("an alert could not be sent (%s): %s", getattr(sink, "__name__", "sink"), type(error).__name__)


def sinks_of(settings: Settings) -> list[Sink]:
    """The sinks that the settings ask for."""
    return [sink for make in SINKS if (sink := make(settings)) is not None]


def log_sink(alert: Alert) -> None:
    """One line at level ERROR."""
    logger.error(alert.line())


def webhook_sink(url: str) -> Sink:
    """POST of a JSON document; `text` is the line, as chat services expect it."""

    def webhook(alert: Alert) -> None:
        requests.post(url, json={"text": alert.line(), **asdict(alert)}, timeout=TIMEOUT_SECONDS).raise_for_status()

    return webhook


def host_and_port(text: str) -> tuple[str, int]:
    """`host`, `host:port` or `[IPv6]:port`, with 25 if no port is named."""
    host, _, port = text.rpartition(":") if re.fullmatch(r".+:\d+", text) and (text.count(":") == 1 or text[0] == "[") else (text, "", "25")
    return host.strip("[]"), int(port)


def mail_sink(settings: Settings) -> Sink:
    """A mail whose subject is the message."""

    def mail(alert: Alert) -> None:
        mail_message = EmailMessage()
        mail_message["Subject"] = f"{alert.slug}: {alert.message}"[:200].replace("\n", " ")
        mail_message["From"], mail_message["To"] = settings.alert_email_from, settings.alert_email_to
        mail_message.set_content(alert.line())
        host, port = host_and_port(settings.alert_smtp)
        with smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS) as server:
            if settings.alert_smtp_user and settings.alert_smtp_password:
                server.starttls()
                server.login(settings.alert_smtp_user, settings.alert_smtp_password.get_secret_value())
            server.send_message(mail_message)

    return mail


# Each makes its sink from the settings, or None if they do not ask for it.
SINKS: tuple[Callable[[Settings], Sink | None], ...] = (
    lambda _settings: log_sink,
    lambda settings: webhook_sink(settings.alert_webhook.get_secret_value()) if settings.alert_webhook else None,
    lambda settings: mail_sink(settings) if settings.alert_email_to else None,
)
