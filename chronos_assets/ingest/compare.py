"""What changed between two Arrow files of normalized bars, by content: bars appended, inserted, removed, changed, targets filled.

Both files are memory-mapped and compared in slices, so their size does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from chronos_assets.ingest.moments import iso
from chronos_assets.ingest.sink import map_bars

_SLICE_ROWS = 20_000
_EXAMPLES = 5
_KEY = "timestamp_unix"


@dataclass
class BarsChange:
    """Counts of bars; `examples` are sentences about the first changes found."""

    appended: int = 0
    inserted: int = 0
    removed: int = 0
    changed: int = 0
    filled: int = 0
    columns_added: list[str] = field(default_factory=list)
    columns_removed: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)

    @property
    def only_growth(self) -> bool:
        """Whether all that was there is still there, targets filled in apart."""
        return not (self.inserted or self.removed or self.changed or self.columns_added or self.columns_removed)

    def sentences(self) -> list[str]:
        """The change in words, a line each."""
        counts = [
            (self.appended, "bars appended"),
            (self.inserted, "bars inserted among the old ones"),
            (self.removed, "bars removed"),
            (self.changed, "bars changed"),
            (self.filled, "bars whose empty targets were filled"),
        ]
        lines = [f"{count} {what}" for count, what in counts if count]
        lines += [
            f"columns {what}: {', '.join(names)}"
            for what, names in (("added", self.columns_added), ("removed", self.columns_removed))
            if names
        ]
        return [*(lines or ["no bar changed"]), *self.examples]


def compare_bars(old: Path, new: Path, targets: list[str]) -> BarsChange:
    """How `new` differs from `old`; a null in a column of `targets` that became a number counts as filled, not as changed."""
    before, after = map_bars(old), map_bars(new)
    change = BarsChange(
        columns_added=[name for name in after.columns if name not in before.columns],
        columns_removed=[name for name in before.columns if name not in after.columns],
    )
    old_keys, new_keys = before[_KEY].to_numpy(), after[_KEY].to_numpy()
    missing = np.isin(old_keys, new_keys, assume_unique=True, invert=True)
    fresh = np.isin(new_keys, old_keys, assume_unique=True, invert=True)
    change.removed = int(missing.sum())
    change.appended = int((fresh & (new_keys > old_keys[-1])).sum())
    change.inserted = int(fresh.sum()) - change.appended
    _example(change, "removed", old_keys[missing])
    _example(change, "inserted", new_keys[fresh & (new_keys < old_keys[-1])])
    common = [name for name in before.columns if name in after.columns]
    kept_old, kept_new = np.flatnonzero(~missing), np.flatnonzero(~fresh)
    for start in range(0, len(kept_old), _SLICE_ROWS):
        rows = slice(start, start + _SLICE_ROWS)
        _compare(change, before[kept_old[rows], common], after[kept_new[rows], common], set(targets))
    return change


def _compare(change: BarsChange, before: pl.DataFrame, after: pl.DataFrame, targets: set[str]) -> None:
    changed = np.zeros(before.height, dtype=bool)
    filled = np.zeros(before.height, dtype=bool)
    for name in before.columns:
        differs = before[name].ne_missing(after[name]).to_numpy()
        if not differs.any():
            continue
        fills = differs & before[name].is_null().to_numpy() if name in targets else np.zeros_like(differs)
        filled |= fills
        for i in np.flatnonzero(differs & ~fills)[: _EXAMPLES - len(change.examples)]:
            change.examples.append(f"{iso(int(before[_KEY][int(i)]))} {name}: {before[name][int(i)]} became {after[name][int(i)]}")
        changed |= differs & ~fills
    change.changed += int(changed.sum())
    change.filled += int((filled & ~changed).sum())


def _example(change: BarsChange, what: str, keys: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    if len(keys):
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        change.examples.append(f"{what}: {iso(int(keys[0]))}{more}")
