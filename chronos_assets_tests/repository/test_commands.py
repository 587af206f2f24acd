"""What the tests run commands by: a forked process is what a new interpreter would be."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from chronos_assets_tests.support import commands
from chronos_assets_tests.support.commands import PROGRAMS, command_line, run_program

SHOWN = """
import os, sys, json, threading, stat
mode = lambda path: stat.S_IMODE(os.stat(path).st_mode)
open("made", "w").close()
print(json.dumps([sys.argv, dict(os.environ), os.getcwd(), sys.stdin.read(), mode("made"), threading.active_count()]))
print("beside", file=sys.stderr)
os.remove("made")
"""


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Programs of this test only."""
    own = dict(PROGRAMS)
    monkeypatch.setattr(commands, "PROGRAMS", own)
    return own


def started(*arguments: str, program: str, env: dict[str, str], cwd: Path, umask: int = -1) -> tuple[int, str, str]:
    """The same in a new interpreter."""
    command = command_line(*arguments, program=program)
    done = subprocess.run(
        command, env=env, cwd=cwd, umask=umask, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=600
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "ends",
    [
        "",
        "sys.exit(3)",
        "sys.exit('said')",
        "1 / 0",
        "os.kill(os.getpid(), 9)",
        "os._exit(7)",
        "import atexit; atexit.register(print, 'last')",
    ],
)
def test_a_forked_program_is_what_a_new_interpreter_would_be(ends: str, programs: dict[str, str], tmp_path: Path) -> None:
    """Arguments, variables, folder, input, umask, both streams and the exit code are the same, however it ends."""
    programs["shows"] = SHOWN + ends
    environment = {**os.environ, "CHRONOS_HOME": "/somewhere", "TZ": "Asia/Tokyo"}
    done = run_program("a", "b c", program="shows", env=environment, cwd=tmp_path, umask=0o077)
    again = started("a", "b c", program="shows", env=environment, cwd=tmp_path, umask=0o077)
    assert (done.returncode, done.stdout, done.stderr) == again


def test_a_command_says_the_same_either_way(tmp_path: Path) -> None:
    """An answer, a refusal and a usage error of `chronos`."""
    environment = {**os.environ, "CHRONOS_HOME": str(tmp_path)}
    for words in (["--version"], ["inspect", "none.csv", "--json"], ["inspect", "--nonsense"]):
        done = run_program(*words, env=environment, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == started(*words, program="chronos", env=environment, cwd=tmp_path)


def test_what_hangs_is_killed_and_what_fails_can_raise(programs: dict[str, str], tmp_path: Path) -> None:
    """A timeout ends the process, and leaves the next one alone; `check` raises with the exit code."""
    programs["hangs"] = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)"
    with pytest.raises(subprocess.TimeoutExpired):
        run_program(program="hangs", env=os.environ, cwd=tmp_path, timeout=1)
    if pid := (tmp_path / "pid").read_text():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
    programs["fails"] = "raise SystemExit(5)"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run_program(program="fails", env=os.environ, check=True)
    assert caught.value.returncode == 5


def test_variables_that_are_read_at_start_are_obeyed(programs: dict[str, str]) -> None:
    """A program that asks for another mode of the interpreter gets an interpreter of its own."""
    programs["mode"] = "import sys; print(sys.flags.utf8_mode)"
    assert run_program(program="mode", env={**os.environ, "PYTHONUTF8": "1"}, check=True).stdout == "1\n"
    assert run_program(program="mode", env={**os.environ, "PYTHONUTF8": "0"}, check=True).stdout == "0\n"
