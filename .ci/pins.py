"""Write what an installation is made of, after a dependency was added or moved: `python3 bootstrap.py run python .ci/pins.py`.

1. the exact versions of `uv.lock` into pyproject.toml (`constraint-dependencies`), so that every machine resolves to the same ones;
2. the same with the SHA-256 of every wheel into `requirements/*.txt`, which `bootstrap.py` installs from and pip or uv can.

`uv.lock` itself records the addresses of whatever index it was made with and is therefore not kept; neither file above holds one.
Versions that are pinned stay. `--upgrade` moves all, uv's own included. `--check` changes nothing and exits 1 if a file differs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PYPROJECT = PROJECT / "pyproject.toml"
FOLDER = PROJECT / "requirements"
BEGIN, END = "# pins: begin (written by .ci/pins.py)", "# pins: end"
HEADER = (
    "# Written by .ci/pins.py; do not edit. Every package with the SHA-256 of each of its files, for every Python and platform supported.\n"
)
# `build` builds ourselves; `dev` needs every extra, because the suite tests them.
LEVELS = {
    "run": ["--no-default-groups", "--group", "build"],
    "s3": ["--no-default-groups", "--group", "build", "--extra", "s3"],
    "ray": ["--no-default-groups", "--group", "build", "--extra", "ray", "--extra", "s3"],
    "deploy": ["--no-default-groups", "--group", "build", "--extra", "deploy"],
    "excel": ["--no-default-groups", "--group", "build", "--extra", "excel"],
    "dev": ["--group", "build", "--group", "dev", "--all-extras"],
    "bench": ["--group", "build", "--group", "dev", "--group", "bench", "--all-extras"],
}
# XGBoost with and without its GPU code are one module in two packages: an environment takes one of these two files beside its level.
DEVICES = {"cpu": {"xgboost-cpu", "xgboost"}, "gpu": {"xgboost", "nvidia-nccl-cu12"}}
EXPORT = ["export", "--frozen", "--no-annotate", "--no-header", "--no-emit-project", "--format", "requirements-txt"]


def main() -> int:
    """Bring both to what the dependencies in pyproject.toml ask for."""
    check, upgrade = "--check" in sys.argv, "--upgrade" in sys.argv
    before = PYPROJECT.read_text()
    if upgrade:
        PYPROJECT.write_text(with_pins(before, []))
    try:
        uv("lock", *(["--upgrade"] if upgrade else []))
        files = {**{name: requirements(name) for name in LEVELS}, **{name: for_device(name) for name in DEVICES}}
        wanted = {PYPROJECT: with_pins(before, pins()), **{FOLDER / f"{name}.txt": text for name, text in files.items()}}
    except BaseException:
        PYPROJECT.write_text(before)
        raise
    wanted[FOLDER / "uv.txt"] = own_uv(upgrade)
    differing = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if check:
        PYPROJECT.write_text(before)
        for path in differing:
            print(f"{path.relative_to(PROJECT)} is not what pyproject.toml asks for: run .ci/pins.py", file=sys.stderr)
        return 1 if differing else 0
    for path, text in wanted.items():
        path.write_text(text)
    uv("lock")  # the pins are part of what the lock records
    print(f"written: {', '.join(str(path.relative_to(PROJECT)) for path in differing) or 'nothing new'}")
    return 0


def pins() -> list[str]:
    """`name==version ; marker` of every package in the lock, ourselves left out, sorted."""
    lines = uv(*EXPORT, "--all-groups", "--all-extras", "--no-hashes").splitlines()
    return sorted(line.strip() for line in lines if "==" in line)


def with_pins(text: str, lines: list[str]) -> str:
    """pyproject.toml with these pins between the two marker lines."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    listed = "".join(f'    "{line}",\n' for line in lines)
    return f"{before}{BEGIN}\nconstraint-dependencies = [\n{listed}]\n{END}{after}"


def requirements(level: str) -> str:
    """The requirement file of a level without XGBoost: wheels and sdists with their hashes, no address."""
    exported = entries(uv(*EXPORT, *LEVELS[level]))
    return HEADER + "".join(text for name, text in exported if name not in DEVICES["gpu"] | DEVICES["cpu"])


def for_device(device: str) -> str:
    """The requirement file of XGBoost itself; the whole package stands in the file without GPU code only if no smaller one exists."""
    exported = [(name, text) for name, text in entries(uv(*EXPORT, *LEVELS["run"], "--group", "cpu")) if name in DEVICES[device]]
    return HEADER + "".join(
        re.sub(r"^(xgboost==\S+)", r"\1 ; sys_platform != 'linux'", text) if device == "cpu" else text for name, text in exported
    )


def entries(exported: str) -> list[tuple[str, str]]:
    """(name, lines) of every requirement of an export."""
    return [(re.split(r"[=\s]", text, maxsplit=1)[0], text) for text in re.findall(r"^\S.*\n(?:[ \t].*\n)*", exported, re.MULTILINE)]


def own_uv(upgrade: bool) -> str:
    """The requirement file of uv itself, at the version it has there."""
    known = re.search(r"^uv==(\S+)", (FOLDER / "uv.txt").read_text(), re.MULTILINE) if (FOLDER / "uv.txt").exists() else None
    wanted = f"uv=={known[1]}" if known and not upgrade else "uv>=0.8,<1"  # 1: next major interface
    return HEADER + uv("pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-annotate", "--no-header", "-", given=wanted)


def uv(*arguments: str, given: str | None = None) -> str:
    """What a uv command prints."""
    own = PROJECT / ".uv" / "bin" / "uv"
    program = str(own) if own.exists() else shutil.which("uv") or "uv"
    return subprocess.run([program, *arguments], cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True, input=given).stdout


if __name__ == "__main__":
    sys.exit(main())
