"""What every command shares: exit codes, JSON or text on stdout, progress on stderr, and no traceback for an error of ours."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from chronos_assets.cli import interrupts
from chronos_assets.cli.interrupts import INTERRUPTED
from chronos_assets.errors import ChronosError, UsageError
from chronos_assets.settings import load_settings, moved_checkout, remember_home, settings_file_warning, unknown_variables
from chronos_assets.storage.privacy import write_privately

if TYPE_CHECKING:
    from chronos_assets.views.documents import Document

# A full or read-only disk, or a folder that is not ours: the user's to mend, so one sentence and no traceback.
_PLACE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}

COMPLETION = "_CHRONOS_COMPLETE"  # click: the shell asks what may follow
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout and nothing else there.")


def run_command(command: click.Command) -> NoReturn:
    """Run a click command as a process: 0 done, 1 failed, 2 usage, 3 refused, 4 no service, 130 interrupted, 143 terminated."""
    if (problem := _unspeakable_folder()) is not None:
        sys.exit(report_error(problem))
    interrupts.listen()
    write_privately()
    logging.basicConfig(level=_log_level(), stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    say_at_start()
    try:
        outcome = command.main(standalone_mode=False)
        code = outcome if isinstance(outcome, int) else 0
    except (Exception, KeyboardInterrupt) as error:
        code = _code_of(error)
    sys.exit(code)


def say_at_start() -> None:
    """What every command tells before it begins; that a project was moved, once. Nothing beside a line that is being typed."""
    if COMPLETION in os.environ:
        return
    with contextlib.suppress(UsageError):  # the command that needs the settings says it
        if (warning := settings_file_warning()) is not None:
            say(f"warning: {warning}")
        if (moved := moved_checkout()) is not None:
            say(f"this project was moved from {moved.project}; its home is still {moved.home}")
            remember_home(load_settings())
    for name, close in unknown_variables().items():
        say(f"warning: unknown setting {name}" + (f"; did you mean {close}?" if close else ""))


def _unspeakable_folder() -> UsageError | None:
    """The error of a working folder whose name this locale cannot write: most of what follows would end in a traceback."""
    try:
        str(Path.cwd()).encode()
    except UnicodeEncodeError:
        return UsageError(
            "the path of this folder holds letters that the locale of this shell cannot write",
            code="path_encoding",
            found=ascii(str(Path.cwd())),
            hint="Call with LC_ALL=C.UTF-8, and without PYTHONUTF8=0.",
        )
    except OSError:
        return None  # the folder is gone; the command that needs it says so
    return None


def _code_of(error: Exception | KeyboardInterrupt) -> int:
    """Say `error` in one line and give its exit code; one that nobody foresaw is raised again."""
    asked = interrupts.exit_code_asked()
    if isinstance(error, click.exceptions.Abort) and isinstance(error.__cause__, EOFError):
        error = error.__cause__  # click takes every EOFError for the end of its input
    if asked is not None or isinstance(error, (KeyboardInterrupt, click.exceptions.Abort)):
        say("stopped; what was complete is kept, call the same line again to go on")
        return asked or INTERRUPTED
    if isinstance(error, ChronosError):
        return report_error(error)
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, OSError) and error.errno in _PLACE_ERRORS:
        where = {"file": error.filename} if error.filename else {}
        return report_error(ChronosError(f"a file cannot be written: {error.strerror}", code="place_unusable", **where))
    raise error


def report_error(error: ChronosError) -> int:
    """Print `error` as one sentence on stderr (and as JSON on stdout if `--json` was given); returns its exit code."""
    context_json = "--json" in sys.argv[1:]
    if context_json:
        from chronos_assets.views.documents import Failure

        print_json(Failure(error=error.as_dict()))
    click.echo(f"error: {error}", err=True)
    return error.exit_code


def print_json(document: Document | Sequence[Document]) -> None:
    """One JSON document on stdout; NaN and infinity never get out."""
    click.echo(json.dumps(document, indent=2, default=_plain, allow_nan=False))


def _plain(value: Any) -> Any:
    """What JSON takes in place of `value`: a document's fields, else its text."""
    from pydantic import BaseModel

    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


def emit(document: Document | Sequence[Document], as_json: bool, text: Callable[[Any], str]) -> None:
    """Print `document`, one of `views.documents`, as JSON or through `text`."""
    if as_json:
        print_json(document)
    else:
        click.echo(text(document))


def say(line: str) -> None:
    """A line of progress or advice, on stderr."""
    click.echo(line, err=True)


def _log_level() -> str:
    """The setting; if settings cannot be read, the command that needs them says so, and `--help` still works."""
    try:
        return load_settings().log_level
    except UsageError:
        return "WARNING"
