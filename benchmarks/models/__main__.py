"""`python -m benchmarks.models [PART ...]`: live models and bundles, each figure beside its bound; ends with 1 if one does not hold.

Parts: `elsewhere` (a bundle in another environment without network: bits, seconds, memory), `inputs` (wrong inputs, flipped bits, other
futures), `cost` (a live training in folds), `kills` (training, promoting and exporting killed), `promotions` (at once). All by default.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, report
from benchmarks.models import elsewhere, inputs, training
from benchmarks.models.workplace import bundles
from chronos_assets.storage.stores import Stores
from chronos_assets.testing import temporary_stores

PARTS = ("elsewhere", "inputs", "cost", "kills", "promotions")


def figures(stores: Stores, folder: Path, asked: argparse.Namespace) -> Iterator[Figure]:
    """The figures of the parts that were asked for."""
    parts = asked.parts or PARTS
    if {"elsewhere", "inputs"} & set(parts):
        with bundles(stores, folder / "bundles", "taken") as paths:
            if "elsewhere" in parts:
                yield from elsewhere.figures(stores, paths, folder, times=asked.times)
            if "inputs" in parts:
                yield from inputs.figures(stores, paths, folder, perturbations=asked.perturbations, flips=asked.flips, seed=asked.seed)
    if "cost" in parts:
        yield from training.cost(stores, times=asked.times)
    if "kills" in parts:
        place = folder / "killed"
        place.mkdir()
        yield from training.kills(stores, place, count=asked.kills, seed=asked.seed)
    if "promotions" in parts:
        yield from training.promotions(stores, count=asked.promotions, seed=asked.seed)


def main() -> None:
    """Print a line per figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--perturbations", type=int, default=10_000)
    parser.add_argument("--flips", type=int, default=1_000, help="Bits flipped in each file.")
    parser.add_argument("--kills", type=int, default=20, help="Of each command.")
    parser.add_argument("--promotions", type=int, default=400)
    parser.add_argument("--times", type=int, default=7, help="Repetitions of what is timed; the median counts.")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if unknown := sorted(set(asked.parts) - set(PARTS)):
        parser.error(f"there is no part {', '.join(unknown)}")
    with temporary_stores(durable=True) as stores, tempfile.TemporaryDirectory(prefix="chronos-models-") as folder:
        report(figures(stores, Path(folder), asked))


if __name__ == "__main__":
    main()
