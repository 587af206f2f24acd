"""`python -m benchmarks.first_minute [--rounds 3]`: the first line of the README on a fresh clone, and what a second user of it waits for.

Each round clones this repository and calls `bootstrap.py run chronos demo` three times: with an empty HOME (everything is downloaded), in
another clone with the same HOME (everything is there, nothing is compiled), and in that clone again with new stores (all is compiled).
Printed are seconds, CPU seconds of the command and its children, and the size of the environment. The servers are stopped after each.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
FOREIGN = ("CHRONOS_", "VIRTUAL_ENV", "UV_", "XDG_")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    for number in range(1, parser.parse_args().rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            for clone, stores, words in (
                ("a", "one", "fresh clone, empty HOME"),
                ("b", "two", "fresh clone, everything downloaded"),
                ("b", "three", "chronos demo again, new stores"),
            ):
                print(f"round {number}: {words:<36} {first_line(place, clone, stores)}", flush=True)


def first_line(place: Path, clone: str, stores: str) -> str:
    """Call it in `place/clone` (made if it is missing), and say what it took."""
    project = place / clone
    if not project.exists():
        subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(project)], check=True)
    (place / "home").mkdir(exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    environment |= {"HOME": str(place / "home"), "CHRONOS_HOME": str(place / stores)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    call = [sys.executable, "bootstrap.py", "run", "chronos"]
    done = subprocess.run([*call, "demo"], cwd=project, env=environment, capture_output=True, text=True, check=False)
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*call, "services", "stop"], cwd=project, env=environment, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}\n{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = int(subprocess.run(["du", "-sm", ".venv"], cwd=project, capture_output=True, text=True, check=True).stdout.split()[0])
    return f"{seconds:6.1f} s, {cpu:6.1f} CPU s, environment {size:,} MiB"


if __name__ == "__main__":
    main()
