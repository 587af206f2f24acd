"""What every command shares: exit codes, JSON or text on stdout, progress on stderr, and no traceback for an error of ours."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from chronos_assets.errors import ChronosError, UsageError
from chronos_assets.settings import load_settings, unknown_variables

INTERRUPTED = 130
# A full or read-only disk, or a folder that is not ours: the user's to mend, so one sentence and no traceback.
_PLACE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout and nothing else there.")


def run_command(command: click.Command) -> NoReturn:
    """Run a click command as a process: 0 done, 1 failed, 2 usage, 3 refused, 4 no service, 130 interrupted.

    SIGTERM is turned into the same clean unwinding as Ctrl-C, with exit status 143.
    """
    signal.signal(signal.SIGTERM, _terminate)
    logging.basicConfig(level=_log_level(), stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    for name, close in unknown_variables().items():
        say(f"warning: {name} is no setting" + (f"; did you mean {close}?" if close else ""))
    try:
        outcome = command.main(standalone_mode=False)
        code = outcome if isinstance(outcome, int) else 0
    except ChronosError as error:
        code = report_error(error)
    except click.exceptions.Abort:
        click.echo("interrupted; what was complete is kept", err=True)
        code = INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except KeyboardInterrupt:
        click.echo("interrupted; what was complete is kept", err=True)
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        if error.errno not in _PLACE_ERRORS:
            raise
        where = {"file": error.filename} if error.filename else {}
        code = report_error(ChronosError(f"a file cannot be written: {error.strerror}", code="place_unusable", **where))
    sys.exit(code)


def report_error(error: ChronosError) -> int:
    """Print `error` as one sentence on stderr (and as JSON on stdout where `--json` was given); returns its exit code."""
    context_json = "--json" in sys.argv[1:]
    if context_json:
        print_json({"error": error.as_dict()})
    click.echo(f"error: {error}", err=True)
    return error.exit_code


def print_json(document: Any) -> None:
    """One JSON document on stdout; NaN and infinity never get out."""
    click.echo(json.dumps(document, indent=2, default=str, allow_nan=False))


def emit(document: Any, as_json: bool, text: Callable[[Any], str]) -> None:
    """Print `document` as JSON or through `text`."""
    if as_json:
        print_json(document)
    else:
        click.echo(text(document))


def say(line: str) -> None:
    """A line of progress or advice, on stderr."""
    click.echo(line, err=True)


def _log_level() -> str:
    """The setting; where settings cannot be read, the command that needs them says so, and `--help` still works."""
    try:
        return load_settings().log_level
    except UsageError:
        return "WARNING"


def _terminate(signum: int, frame: object) -> NoReturn:
    raise SystemExit(128 + signum)
