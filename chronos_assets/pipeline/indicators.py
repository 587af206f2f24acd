"""Indicators and targets for those who have price bars only: a file of prices in, a TSSB-style CSV with indicators and targets out.

Memory is bounded: bars are normalized into an Arrow file, and blocks of `BLOCK_BARS` are computed from it, each with the bars before it
that its indicators reach back to. Blocks begin at fixed multiples from the first bar, so appended bars change no line that was written.
Recursive averages (RSI, MACD) start `SETTLED_BARS` before a block; what they would know of earlier bars has a weight below 1e-40.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.domain.indicators import SETS, TARGETS, Indicator, Target
from chronos_assets.errors import RefusedError, UsageError
from chronos_assets.ingest.reading import normalize
from chronos_assets.ingest.report import BarsReport
from chronos_assets.ingest.sink import map_bars
from chronos_assets.storage.atomic_write import replacing

BLOCK_BARS = 100_000
SETTLED_BARS = 4_000
DECIMALS = 8
_PRICES = ("Open", "High", "Low", "Close")


@dataclass(frozen=True)
class IndicatorFile:
    """A file that was written: its bars, what is in it, and how far each target looks ahead."""

    path: Path
    source: BarsReport
    rows: int
    indicators: list[str]
    left_out: list[str]
    """Indicators that need Volume, if the prices have none."""
    target_horizon: dict[str, int]


def write_indicators(
    source: Path, spec: BarsSpec, destination: Path, *, of_set: str, targets: Sequence[str], force: bool = False
) -> IndicatorFile:
    """Write `destination`: Date and Time in UTC, the prices of `source`, a set of indicators, and targets.

    The first bars, in which a window is not yet full, are left out, as TSSB leaves them out. Raises `BarsError` for prices that cannot be
    taken, `RefusedError` if Open, High, Low or Close is missing, the bars are too few, or `destination` exists and `force` is false.
    """
    if destination.exists() and not force:
        raise RefusedError("the file exists", code="file_exists", hint="Give --force to write over it.", file=str(destination))
    if destination.suffix.lower() not in {".csv", ".txt"}:
        raise UsageError("the output is a CSV file", code="output_ending", expected="a name ending in .csv", found=destination.name)
    wanted = [TARGETS[name] for name in targets]
    with tempfile.TemporaryDirectory(prefix="chronos-indicators-") as folder:
        arrow = Path(folder) / "prices.arrow"
        report = normalize(source, spec, arrow)
        bars = _prices(map_bars(arrow), report, source.name)
        chosen = [indicator for indicator in SETS[of_set] if "Volume" in bars.columns or not indicator.needs_volume]
        warm_up = max(indicator.bars for indicator in chosen) - 1
        if bars.height <= warm_up:
            raise RefusedError(
                "there are too few bars for these indicators",
                code="bars_too_few",
                expected=f"more than {warm_up}",
                found=bars.height,
                hint="Bring more bars, or choose another set with --set.",
                file=source.name,
            )
        destination.parent.mkdir(parents=True, exist_ok=True)
        with replacing(destination) as file:
            for number, block in enumerate(blocks(bars, chosen, wanted, warm_up)):
                file.write(_written(block, report).write_csv(include_header=number == 0).encode())
    names = {indicator.name for indicator in chosen}
    return IndicatorFile(
        destination,
        report,
        bars.height - warm_up,
        [indicator.name for indicator in chosen],
        [indicator.name for indicator in SETS[of_set] if indicator.name not in names],
        {target.name: target.horizon for target in wanted},
    )


def _prices(bars: pl.DataFrame, report: BarsReport, name: str) -> pl.DataFrame:
    """The bars with their prices under the names that indicators use, and `Date`; mapped, not copied."""
    found = {column.name.casefold(): column.name for column in report.columns}
    missing = [price for price in _PRICES if price.casefold() not in found]
    if missing:
        raise RefusedError(
            f"the file has no column {', '.join(missing)}",
            code="prices_missing",
            expected=", ".join(_PRICES),
            found=", ".join(list(found.values())[:10]),
            hint="If a price has another name, declare it: --format rename=Last:Close.",
            file=name,
        )
    present = [price for price in (*_PRICES, "Volume") if price.casefold() in found]
    return bars.select("timestamp_unix", *(pl.col(found[price.casefold()]).alias(price) for price in present))


def blocks(bars: pl.DataFrame, indicators: Sequence[Indicator], targets: Sequence[Target], warm_up: int) -> Iterator[pl.DataFrame]:
    """Bars from `warm_up` on with their indicators and targets, block by block: `timestamp_unix`, prices, then the new columns.

    Values that are no finite number are null; new columns are rounded to eight decimals.
    """
    ahead = max((target.horizon for target in targets), default=0)
    new = {indicator.name: indicator.expression for indicator in indicators}
    new |= {target.name: target.expression for target in targets}
    for start in range(0, bars.height, BLOCK_BARS):
        first = max(0, start - SETTLED_BARS)
        piece = bars.slice(first, start - first + BLOCK_BARS + ahead)
        piece = piece.with_columns(Date=pl.from_epoch("timestamp_unix").dt.date()).with_columns(**new).drop("Date")
        skip = max(start, warm_up) - first
        block = piece.slice(skip, start + BLOCK_BARS - first - skip)
        if block.height:
            yield block.with_columns(pl.when(pl.col(name).is_finite()).then(pl.col(name).round(DECIMALS)) for name in new)


def _written(block: pl.DataFrame, report: BarsReport) -> pl.DataFrame:
    """The block with its keys as a TSSB file has them: Date as YYYYMMDD, Time as HHMM or HHMMSS unless bars are daily."""
    moment = pl.from_epoch("timestamp_unix")
    keys = [moment.dt.strftime("%Y%m%d").alias("Date")]
    if report.time_format != "none":
        keys.append(moment.dt.strftime("%H%M%S" if report.time_format == "hhmmss" else "%H%M").alias("Time"))
    return block.select(*keys, pl.exclude("timestamp_unix"))
