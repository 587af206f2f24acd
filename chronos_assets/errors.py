"""Every error of ours.

    ChronosError                     exit 1
    ├── UsageError                   exit 2   the call itself is wrong
    ├── RefusedError                 exit 3   an input that cannot be taken as it is
    │   ├── SlugError                         a dataset slug that breaks the rule
    │   ├── ManifestError                     a manifest that cannot be read or contradicts itself
    │   ├── BarsError                         an indicator file (or one cell of it) that is not what it claims
    │   ├── SourceChangedError                a file that differs from its checksum or from its published bars
    │   ├── ProfileError                      a walk-forward or simulation profile out of range
    │   └── VersionsDifferError               workers would train with other versions than the request names
    ├── ValidationFailedError        exit 3   stored data differ from what they should be
    ├── NotPublishedError            exit 3   the registry does not know what was asked for
    ├── ServiceUnavailableError      exit 4   a server cannot be reached
    ├── ServiceStartError            exit 4   an embedded server cannot be installed or started
    ├── StoreError                   exit 1   a server answered, and refused
    ├── FileError                    exit 1   a file cannot be read or written, or is not what was written
    ├── ConflictError                exit 1   somebody else works on the same thing
    ├── DeviceError                  exit 1   the asked-for compute device or executor is not there
    ├── FoldsFailedError             exit 1   folds of a run failed; the others are kept
    └── RunCancelledError            exit 130 a run was asked to stop; what it had finished is kept

An error says what happened and where; `expected` and `found` say how it differs; `hint` says what to do next. Driver errors
are wrapped once, in `storage`, with the cause kept. This module holds no logic beyond putting those sentences together.
"""

from __future__ import annotations

from typing import Any, ClassVar


class ChronosError(Exception):
    """Base of every error that a user can meet.

    `message` is one sentence. `code` is a stable machine word (`snake_case`). Any further keyword (`file`, `row`, `column`,
    `slug`, ...) becomes part of `where` and of the JSON form.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        expected: object = None,
        found: object = None,
        hint: str = "",
        **where: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or _snake(type(self).__name__)
        self.expected = expected
        self.found = found
        self.hint = hint
        self.where: dict[str, Any] = {k: v for k, v in where.items() if v is not None}

    def __str__(self) -> str:
        parts = [self.message.rstrip(".")]
        places = ", ".join(f"{key} {value}" for key, value in self.where.items())
        if places:
            parts[0] += f" ({places})"
        if self.expected is not None:
            parts.append(f"expected {self.expected}")
        if self.found is not None:
            parts.append(f"found {self.found}")
        text = "; ".join(parts).removesuffix(".") + "."
        return f"{text} {self.hint}" if self.hint else text

    def as_dict(self) -> dict[str, Any]:
        """JSON form: `code`, `message`, `hint`, `expected`, `found` and every part of `where`."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint or None,
            "expected": None if self.expected is None else str(self.expected),
            "found": None if self.found is None else str(self.found),
            **{k: v if isinstance(v, (int, float, str, bool)) else str(v) for k, v in self.where.items()},
        }


class UsageError(ChronosError):
    """The call itself is wrong: a flag, a combination of flags, a name that does not exist."""

    exit_code = 2


class RefusedError(ChronosError):
    """An input that cannot be taken as it is."""

    exit_code = 3


class SlugError(RefusedError):
    """A dataset slug that breaks the rule."""


class ManifestError(RefusedError):
    """A manifest that cannot be read, or contradicts itself or its file."""


class BarsError(RefusedError):
    """An indicator file, or one cell of it, that is not what it claims to be."""


class SourceChangedError(RefusedError):
    """A file that differs from its checksum, or from the bars already published."""


class ProfileError(RefusedError):
    """A walk-forward or simulation profile that is out of range or does not fit its dataset."""


class VersionsDifferError(RefusedError):
    """Workers would train with other code or libraries than the request names."""


class ValidationFailedError(ChronosError):
    """Stored data differ from what they should be."""

    exit_code = 3


class NotPublishedError(ChronosError):
    """The registry does not know what was asked for."""

    exit_code = 3


class ServiceUnavailableError(ChronosError):
    """A server cannot be reached, or did not answer in time."""

    exit_code = 4


class ServiceStartError(ChronosError):
    """An embedded server cannot be installed or started."""

    exit_code = 4


class StoreError(ChronosError):
    """A server answered, and refused."""


class FileError(ChronosError):
    """A file cannot be read or written, or is not what was written; `file` names it."""


class ConflictError(ChronosError):
    """Somebody else works on the same thing, or changed it meanwhile."""


class DeviceError(ChronosError):
    """The compute device or executor that was asked for is not there."""


class FoldsFailedError(ChronosError):
    """Some folds of a run failed; those that finished are kept."""


class RunCancelledError(ChronosError):
    """A run was asked to stop, by its page, its API or another command; what it had finished is kept."""

    exit_code = 130


def _snake(name: str) -> str:
    name = name.removesuffix("Error")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
