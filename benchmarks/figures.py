"""A figure beside its bound: how every benchmark reports, to a person and to `python -m benchmarks`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import NoReturn


@dataclass(frozen=True)
class Figure:
    """What was found and what has to hold, in words, and whether it does. `value` and `limit`: both as numbers, if they are one each."""

    what: str
    found: str
    bound: str
    holds: bool
    value: float | None = None
    limit: float | None = None

    def __str__(self) -> str:
        return f"{'ok   ' if self.holds else 'FAILS'} {self.what}: {self.found} ({self.bound})"


def none_of(what: str, wrong: int, count: int, words: str) -> Figure:
    """A count that has to be 0."""
    return Figure(what, f"{wrong:,} of {count:,} {words}", "0", wrong == 0 and count > 0)


def at_most(what: str, value: float, bound: float, unit: str) -> Figure:
    """A measure with an upper bound."""
    return Figure(what, f"{value:.3g} {unit}".rstrip(), f"at most {bound:g} {unit}".rstrip(), value <= bound, value, bound)


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option by which `python -m benchmarks` asks for figures that it can read."""
    parser.add_argument("--json", action="store_true", help="print each figure as a line of JSON, all else to stderr")


def note(*words: object) -> None:
    """What a person may want to see beside the figures, and no figure itself."""
    print(*words, file=sys.stderr, flush=True)


def report(figures: Iterable[Figure], *, as_json: bool = False) -> NoReturn:
    """Print a line per figure as it comes; ends the process with 1 if one does not hold."""
    failed = 0
    for figure in figures:
        print(json.dumps(asdict(figure)) if as_json else figure, flush=True)
        failed += not figure.holds
    if not as_json:
        print(f"{failed} figures do not hold")
    sys.exit(bool(failed))
