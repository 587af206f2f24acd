"""Ctrl-C and SIGTERM that meet code which drops or translates the exception."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMAND = """
import os, signal, time
import click
from chronos_assets.cli import interrupts
from chronos_assets.cli.common import run_command

class Dropping:
    def __del__(self):
        os.kill(os.getpid(), signal.{signal})
        time.sleep(0.01)  # the handler runs here, where Python can only drop what it raises

@click.command()
def command():
    {body}

interrupts.AGAIN_SECONDS = 0.05
run_command(command)
"""
DROPPED = "Dropping(); time.sleep(600)"
TRANSLATED = """
    try:
        os.kill(os.getpid(), signal.{signal})
        time.sleep(600)
    except BaseException as error:
        raise TypeError("not a data type") from error
"""


def run(body: str, signal: str) -> subprocess.CompletedProcess[str]:
    code = COMMAND.replace("{body}", body).replace("{signal}", signal)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False)


@pytest.mark.parametrize(("signal", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_whose_exception_was_dropped_ends_the_command_all_the_same(signal: str, code: int) -> None:
    """It is sent again, and nothing of the dropped exception is shown."""
    done = run(DROPPED, signal)
    assert done.returncode == code, done.stderr
    assert "ignored" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("signal", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_whose_exception_became_another_error_counts_as_the_signal(signal: str, code: int) -> None:
    """The error that a library made of it is not shown as one."""
    done = run(TRANSLATED, signal)
    assert done.returncode == code, done.stderr
    assert done.stderr == "interrupted; what was complete is kept\n"


def test_an_error_that_nobody_foresaw_still_shows_where_it_happened() -> None:
    """Only a signal hides a traceback."""
    done = run("raise TypeError('a bug')", "SIGINT")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
