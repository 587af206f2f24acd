"""Write the versions of the local `uv.lock` into pyproject.toml as exact pins.

`uv.lock` itself records the addresses of whatever index it was made with and is therefore not kept; the pins are what makes every
machine resolve to the same versions. To move them: `python .ci/pins.py --clear && uv lock --upgrade && python .ci/pins.py`.
`--check` changes nothing and exits 1 where the lock and the pins differ.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
BEGIN, END = "# pins: begin (written by .ci/pins.py)", "# pins: end"


def locked() -> list[str]:
    """`name==version ; marker` of every package in the lock, ours left out, sorted."""
    what = ["--frozen", "--all-groups", "--all-extras", "--no-hashes", "--no-annotate", "--no-header", "--no-emit-project"]
    output = subprocess.run(["uv", "export", *what], cwd=PYPROJECT.parent, check=True, capture_output=True, text=True).stdout
    return sorted(line.strip() for line in output.splitlines() if "==" in line)


def main() -> int:
    """Rewrite the block between the two marker lines."""
    text = PYPROJECT.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    pins = [] if "--clear" in sys.argv else locked()
    lines = "".join(f'    "{line}",\n' for line in pins)
    new = f"{before}{BEGIN}\nconstraint-dependencies = [\n{lines}]\n{END}{after}"
    if new == text:
        return 0
    if "--check" in sys.argv:
        print("the pins in pyproject.toml differ from uv.lock: run `uv lock && python .ci/pins.py`", file=sys.stderr)
        return 1
    PYPROJECT.write_text(new)
    print(f"{len(pins)} pins written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
