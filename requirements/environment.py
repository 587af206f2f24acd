"""The environment in `.venv`: every package pinned to a version and a SHA-256, uv included, and nothing built from source but ourselves.

`bootstrap.py` calls `main`. `run` and `sync` bring `.venv` to what the files beside this one say; any other word is handed to uv. A command
of the product needs `run.txt` only, everything else `dev.txt`. Beside them, `cpu.txt` is XGBoost without GPU code, `gpu.txt` the whole one:
a machine with a GPU gets it, or who asks for it. Standard library only. `.ci/pins.py` writes the files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
OWN_UV = PROJECT / ".uv"
VENV = PROJECT / ".venv"
STAMP = VENV / ".chronos-requirements"
WINDOWS = os.name == "nt"
OLDEST_UV = (0, 8)
NEWEST_PYTHON = (3, 13)
PRODUCT = ("chronos", "chronosflow_export", "validate_dataset")
# What `sync` may be told -> the file of requirements. Each file holds those before it. `--extra gpu` may stand beside all of them.
LEVELS = {
    "--no-dev": "run",
    "--no-dev --extra s3": "s3",
    "--no-dev --extra ray": "ray",
    "--no-dev --extra deploy": "deploy",
    "": "dev",
    "--group bench": "bench",
}
GPU = "--extra gpu"
# What the driver of an NVIDIA GPU leaves to see: on Linux, in a container that was given one, in WSL.
DRIVERS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/usr/lib/wsl/lib/libcuda.so.1")


def main(arguments: list[str]) -> int:
    """Find or bring uv, bring the environment up to date if the command needs it, then become the command."""
    refused = refusal(arguments)
    if refused:
        return fail(refused)
    word, rest = arguments[0], arguments[1:]
    level, gpu = asked_of_sync(rest)
    if word == "sync" and level is None:
        return fail(f"`sync` takes nothing, or {', '.join(filter(None, LEVELS))}, each also with {GPU}; this is {' '.join(rest)}")
    uv = find_uv() or bring_uv()
    if uv is None:
        return fail(
            "uv could not be installed: this Python has neither a working `venv` nor `pip`, or the download failed (see above). "
            "Install one of them (Debian, Ubuntu: apt install python3-venv) or uv itself, then call this line again."
        )
    if word == "sync" and level is not None:
        return 0 if prepare(uv, level, gpu=gpu or has_gpu(), exactly=True) else 1
    if word == "run":
        ready = prepare(uv, "run" if rest and rest[0] in PRODUCT else "dev", gpu=has_gpu())
        return become(uv, ["run", "--no-sync", *rest]) if ready else 1
    return become(uv, arguments)


def refusal(arguments: list[str]) -> str:
    """Why nothing can be done; empty if something can."""
    if not arguments:
        return "say what to do, for example: python3 bootstrap.py run chronos demo"
    if any("\udc80" <= letter <= "\udcff" for letter in str(PROJECT)):  # how Python keeps bytes that it cannot read as letters
        return f"the locale cannot write the path of this folder ({str(PROJECT)!a}). Call with LC_ALL=C.UTF-8, and without PYTHONUTF8=0."
    return ""


def asked_of_sync(words: list[str]) -> tuple[str | None, bool]:
    """The level that the words after `sync` ask for (None: they ask for none), and whether they ask for GPU libraries."""
    text = " ".join(words)
    gpu = GPU in text
    return LEVELS.get(" ".join(text.replace(GPU, "").split())), gpu


def has_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU with its driver."""
    return any(Path(path).exists() for path in DRIVERS) or shutil.which("nvidia-smi") is not None


def prepare(uv: Path, level: str, *, gpu: bool = False, exactly: bool = False) -> bool:
    """Bring `.venv` to `level`, unless it is there (or further, if not `exactly`; GPU libraries then stay); whether that worked."""
    order = list(LEVELS.values())
    known = STAMP.read_text() if usable() and STAMP.is_file() else ""
    if not exactly:
        gpu = gpu or known.partition(" ")[0].endswith("+gpu")
    if known and known in [stamp(name, gpu=gpu) for name in ([level] if exactly else order[order.index(level) :])]:
        return True
    python = str(VENV / ("Scripts/python.exe" if WINDOWS else "bin/python"))
    environment = environment_for(uv)
    steps: list[list[str]] = []
    if not usable():
        print("building the environment in .venv ...", file=sys.stderr, flush=True)
        steps.append(["venv", "--quiet", "--clear", "--python", interpreter(), str(VENV)])
    files = [str(path) for path in files_of(level, gpu=gpu)]
    steps.append(["pip", "sync", "--python", python, "--require-hashes", "--no-build", *files])
    # Built here by the hatchling that was just verified; everything it imports is in the same file.
    steps.append(["pip", "install", "--quiet", "--python", python, "--no-deps", "--no-build-isolation", "--editable", str(PROJECT)])
    for step in steps:
        if subprocess.run([str(uv), *step], check=False, env=environment, cwd=PROJECT).returncode:
            return False
    make_path_relative()
    keep_bytecode()
    STAMP.write_text(stamp(level, gpu=gpu))
    return True


def files_of(level: str, *, gpu: bool) -> list[Path]:
    """The files that an environment of a level is made from: its packages, and XGBoost with or without GPU code."""
    return [HERE / f"{level}.txt", HERE / ("gpu.txt" if gpu else "cpu.txt")]


def keep_bytecode() -> None:
    """If Python may write no bytecode beside sources, let it do so inside `.venv`: else each command compiles its 3,000 imports again."""
    line = "import sys; sys.dont_write_bytecode and (setattr(sys, 'pycache_prefix', sys.pycache_prefix or sys.prefix + '/pycache'), "
    for folder in VENV.glob("lib/python3.*/site-packages"):
        (folder / "_chronos_bytecode.pth").write_text(f"{line}setattr(sys, 'dont_write_bytecode', False))\n", encoding="utf-8")


def make_path_relative() -> None:
    """Name the project relative to the environment: Python reads the file in the locale's encoding, and dies of a letter it lacks."""
    for path in VENV.glob("lib/python3.*/site-packages/*.pth"):
        if path.read_text(encoding="utf-8", errors="replace").strip() == str(PROJECT):
            path.write_text(os.path.relpath(PROJECT, path.parent) + "\n", encoding="utf-8")


def stamp(level: str, *, gpu: bool) -> str:
    """What an environment of this level is made from; it changes with the files, and with the place of the checkout."""
    digest = hashlib.sha256(str(PROJECT).encode())
    for path in (*files_of(level, gpu=gpu), PROJECT / "pyproject.toml"):
        digest.update(path.read_bytes())
    return f"{level}{'+gpu' if gpu else ''} {digest.hexdigest()}"


def usable() -> bool:
    """Whether `.venv` holds a Python that works, and was made at this place: scripts in it name their folder."""
    python = VENV / ("Scripts/python.exe" if WINDOWS else "bin/python")
    script = VENV / "bin" / "activate"
    if not python.exists() or (script.is_file() and str(VENV) not in script.read_text(errors="replace")):
        return False
    return answers([str(python), "-c", "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"])


def interpreter() -> str:
    """The Python to build the environment with: the one that was called, unless it is too new."""
    if sys.version_info[:2] > NEWEST_PYTHON:
        return ">=3.11,<3.14"
    return getattr(sys, "_base_executable", None) or sys.executable


def become(uv: Path, arguments: list[str]) -> int:
    """Let uv take the place of this process, so that signals and exit status are its own."""
    if not WINDOWS:
        os.execve(uv, [str(uv), *arguments], environment_for(uv))  # noqa: S606 - a program of ours, without a shell
    return subprocess.call([str(uv), *arguments], env=environment_for(uv))


def environment_for(uv: Path) -> dict[str, str]:
    """The variables that uv is called with."""
    path = f"{uv.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "UV_PROJECT": str(PROJECT), "UV_PROJECT_ENVIRONMENT": str(VENV), "PATH": path}
    environment.pop("VIRTUAL_ENV", None)  # another environment that is active has no part in this
    return environment


def find_uv() -> Path | None:
    """uv of this checkout, or a recent one on the PATH."""
    name = "uv.exe" if WINDOWS else "uv"
    for candidate in (OWN_UV / "bin" / name, OWN_UV / "Scripts" / name):
        if candidate.is_file() and answers([str(candidate), "--version"]):
            return candidate
    found = shutil.which("uv")
    return Path(found) if found and is_recent(Path(found)) else None


def is_recent(uv: Path) -> bool:
    """Whether `uv` runs and knows what is asked of it here."""
    try:
        words = subprocess.run([str(uv), "--version"], capture_output=True, text=True, check=True, timeout=60).stdout.split()
        return tuple(int(part) for part in words[1].split(".")[:2]) >= OLDEST_UV
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return False


def answers(command: list[str]) -> bool:
    """Whether a command works: an installation that was cut short, or one of another machine, does not."""
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def bring_uv() -> Path | None:
    """Install uv into `.uv/`: by the pip that is there, else by a virtual environment with one of its own."""
    print("bringing uv into .uv/ ...", file=sys.stderr, flush=True)
    shutil.rmtree(OWN_UV, ignore_errors=True)
    if importlib.util.find_spec("pip") is not None and install([sys.executable, "-m", "pip", "install", "--target", str(OWN_UV)]):
        return find_uv()
    if importlib.util.find_spec("ensurepip") is not None:
        shutil.rmtree(OWN_UV, ignore_errors=True)
        try:
            venv.EnvBuilder(with_pip=True, symlinks=not WINDOWS).create(OWN_UV)
            python = OWN_UV / ("Scripts/python.exe" if WINDOWS else "bin/python")
            if install([str(python), "-m", "pip", "install"]):
                return find_uv()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"no virtual environment could be made ({error})", file=sys.stderr)
    return None


def install(pip: list[str]) -> bool:
    """Run a pip command on the pinned uv; pip's own words are shown if it fails."""
    options = [
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
        "--require-hashes",
        "--only-binary",
        ":all:",
        "-r",
        str(HERE / "uv.txt"),
    ]
    environment = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
    return subprocess.run([*pip, *options], check=False, env=environment).returncode == 0


def fail(message: str) -> int:
    """One sentence on stderr, exit status 1."""
    print(f"bootstrap: {message}", file=sys.stderr)
    return 1
