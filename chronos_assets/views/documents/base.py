"""Base of every document, and the words that several of them share."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Status = Literal["queued", "running", "completed", "failed", "cancelled"]
Mode = Literal["long", "short", "dual"]
Side = Literal["long", "short"]
Json = dict[str, Any]


class Document(BaseModel):
    """Base of every document. A class is built when its first document is made: a command needs few of the many."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True, defer_build=True)


class Warn(Document):
    """Something a reader should stop at: a stable `code` and a sentence."""

    code: str
    message: str


class Failure(Document):
    """What `--json` prints in place of a result: `code`, `message`, `hint`, `expected`, `found`, and where it was."""

    error: Json
