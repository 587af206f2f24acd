"""Proposals for generated files: right or absent, never wrong.

    python benchmarks/ingest/proposals.py [--count 2000] [--seed 0]

Each file is in the layout of a vendor, or a table of its own, with dialect, zone, unit and form of dates drawn by lot
(`chronos_assets_tests/support/shuffled_files.py`). Prints how the answers fall by layout; ends with status 1 at the first proposal that
reads a file wrongly, naming the seed of the file.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from chronos_assets_tests.ingest.test_proposals import judge
from chronos_assets_tests.support.shuffled_files import shuffled


def main() -> int:
    """Judge `--count` files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("error")
    outcomes: Counter[tuple[str, str]] = Counter()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seed, options.seed + options.count):
            case = shuffled(seed)
            try:
                outcomes[case.name, judge(case, Path(folder))] += 1
            except Exception as error:
                print(f"file {seed} ({case.name}): {type(error).__name__}: {error}")
                return 1
    for name in sorted({name for name, _ in outcomes}):
        print(f"{name:20}", "  ".join(f"{what} {outcomes[name, what]:4d}" for what in ("right", "several", "none", "accepted")))
    print(f"{options.count} files from seed {options.seed}: no proposal was wrong ({time.perf_counter() - began:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
