"""Mutated files of vendors, read by their preset: every answer is a dataset or an error with a hint, in bounded CPU time.

    python benchmarks/ingest/fuzz_vendors.py [--count 20000] [--seed 1] [--propose 0.02]

Each file is one in the layout of a vendor, bent by one to six seeded mutations. `--propose` is the share of refused files for which
a proposal is sought as well. Prints how the answers fall; ends with status 1 at the first that is neither, naming the seed of the file.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))

from fuzz import mutate

from chronos_assets.domain.bars_spec import BarsSpec, FormatSpec
from chronos_assets.errors import ChronosError, RefusedError
from chronos_assets.ingest import normalize
from chronos_assets.ingest.proposal import propose
from chronos_assets.ingest.schema import check_normalized
from chronos_assets_tests.support.vendor_files import LAYOUTS, made_up

SECONDS = 20.0


def answer(seed: int, folder: Path, propose_share: float) -> str:
    """What becomes of file `seed`: `dataset`, or the code of its refusal; raises for anything else."""
    random_ = random.Random(seed)
    preset = random_.choice(list(LAYOUTS))
    step = dt.timedelta(minutes=1440 if preset == "investing" else random_.choice([1, 60, 1440]))
    bars = made_up(random_, random_.choice([2, 30, 120]), step, dt.datetime(2024, 12, 20))
    zone = random_.choice(["UTC", "America/New_York", "Asia/Kolkata"])
    source, destination = folder / "case.csv", folder / "bars.arrow"
    source.write_bytes(mutate(LAYOUTS[preset](bars, zone), random_))
    form = FormatSpec(preset=preset, timezone=zone)
    try:
        report = normalize(source, BarsSpec(format=form), destination)
    except ChronosError as error:
        if not error.hint and error.code not in {"unreadable"}:
            raise AssertionError(f"no hint in {error.code}: {error}") from error
        if destination.exists():
            raise AssertionError("a refused file left something behind") from error
        if isinstance(error, RefusedError) and random_.random() < propose_share:
            propose(source, BarsSpec())
        return error.code
    verdict = check_normalized(destination, report)
    assert verdict.passed, verdict.headline
    destination.unlink()
    return "dataset"


def main() -> int:
    """Try `--count` files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--propose", type=float, default=0.02)
    options = parser.parse_args()
    warnings.simplefilter("error")
    answers: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.seed, options.seed + options.count):
            began = time.process_time()
            try:
                answers[answer(seed, Path(folder), options.propose)] += 1
            except Exception as error:
                print(f"file {seed}: {type(error).__name__}: {error}")
                return 1
            slowest = max(slowest, time.process_time() - began)
            if slowest > SECONDS:
                print(f"file {seed} took {slowest:.1f} s of CPU")
                return 1
    print(", ".join(f"{code} {count}" for code, count in answers.most_common()))
    print(f"{options.count} files: datasets or refusals; slowest {slowest:.2f} s of CPU")
    return 0


if __name__ == "__main__":
    sys.exit(main())
