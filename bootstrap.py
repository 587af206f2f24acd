#!/usr/bin/env python3
"""Bring uv if it is missing, then hand it the rest of the line: `python3 bootstrap.py run chronos demo`.

Needs Python 3.11 or newer and nothing else. uv goes into `.uv/` of this checkout, never into the system's Python, so it also works
where `pip install` outside a virtual environment is refused (Debian, Ubuntu, Homebrew). With uv on the PATH, nothing is installed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
OWN = HERE / ".uv"
UV_REQUIREMENT = "uv>=0.8,<1"  # 1: next major interface


def main(arguments: list[str]) -> int:
    """Find or bring uv, then become it."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is run by whatever Python the machine has
        return fail(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}. Call bootstrap.py with a newer one.")
    if not arguments:
        return fail("say what uv is to do, for example: python3 bootstrap.py run chronos demo")
    uv = find_uv() or bring_uv()
    if uv is None:
        return fail(
            "uv could not be installed: this Python has neither a working `venv` nor `pip`. Install one of them "
            "(Debian, Ubuntu: apt install python3-venv) or uv itself, then call this line again."
        )
    environment = os.environ | {"UV_PROJECT": str(HERE), "PATH": f"{uv.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    if os.environ.get("PYTHONDONTWRITEBYTECODE") and not (HERE / ".venv").exists():
        # Where Python may not keep what it compiled, every command would compile its imports again (ten seconds): do it once, now.
        environment["UV_COMPILE_BYTECODE"] = "1"
    if os.name != "nt":
        os.execve(uv, [str(uv), *arguments], environment)  # noqa: S606 - uv takes our place, so signals and exit status are its own
    return subprocess.call([str(uv), *arguments], env=environment)


def find_uv() -> Path | None:
    """uv of this checkout, or the one on the PATH."""
    name = "uv.exe" if os.name == "nt" else "uv"
    for candidate in (OWN / "bin" / name, OWN / "Scripts" / name):
        if candidate.is_file() and answers(candidate):
            return candidate
    found = shutil.which("uv")
    return Path(found) if found and answers(Path(found)) else None


def answers(uv: Path) -> bool:
    """Whether `uv` runs: an installation that was cut short, or one of another machine, does not."""
    try:
        return subprocess.run([str(uv), "--version"], capture_output=True, check=False, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def bring_uv() -> Path | None:
    """Install uv into `.uv/`: by a virtual environment where Python can make one, else by the pip that is there."""
    print("bringing uv into .uv/ ...", file=sys.stderr, flush=True)
    shutil.rmtree(OWN, ignore_errors=True)
    if importlib.util.find_spec("ensurepip") is not None:
        try:
            venv.EnvBuilder(with_pip=True, symlinks=os.name != "nt").create(OWN)
            python = OWN / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
            if install([str(python), "-m", "pip", "install"]):
                return find_uv()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"no virtual environment could be made ({error}); trying pip", file=sys.stderr)
        shutil.rmtree(OWN, ignore_errors=True)
    if importlib.util.find_spec("pip") is not None and install([sys.executable, "-m", "pip", "install", "--target", str(OWN)]):
        return find_uv()
    return None


def install(pip: list[str]) -> bool:
    """Run a pip command on uv; its own words are shown where it fails."""
    done = subprocess.run([*pip, "--quiet", "--disable-pip-version-check", UV_REQUIREMENT], check=False)
    return done.returncode == 0


def fail(message: str) -> int:
    """One sentence on stderr, exit status 1."""
    print(f"bootstrap: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
