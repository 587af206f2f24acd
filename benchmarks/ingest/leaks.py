"""Look-ahead suspects and horizons on many files: honest ones must be silent, leaky ones told, and no horizon told longer than it is.

    python -m benchmarks.ingest.leaks [--count 200] [--seed 1]

An honest file holds the demo's twenty indicators and some more (moving averages, lags, volume sums, noise, a random walk, a weak but
honest predictor) over a market made from a seed: independent or fat-tailed returns, calm and wild times, momentum or reversal, with and
without gaps at the open; every fifth one is a piece of the demo's real bars. Its leaky twin has one more feature that knows later prices. A
third file holds targets of known horizons, honest ones of one bar among them, its last bars cut off so that no empty cell tells. Exit
status 1 if an honest file is suspected, a leaky one is not or names another feature, or a horizon is told longer than it is.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from chronos_assets.domain.bars_spec import BarsSpec
from chronos_assets.ingest import BarsReport, normalize
from chronos_assets.pipeline import demo

Floats = npt.NDArray[np.float64]
KINDS = ("independent", "wild times", "memory", "wild times with memory")
WARM_UP = 250


def market(random: np.random.Generator, bars: int, kind: str) -> pl.DataFrame:
    """Daily bars of a made-up market of one of `KINDS`."""
    shocks = random.standard_t(4, bars) / 2**0.5 if random.random() < 0.5 else random.normal(size=bars)
    volatility = np.full(bars, 0.01 * np.exp(random.normal() * 0.5))
    if "wild" in kind:
        level, levels = 1.0, np.empty(bars)
        for i in range(bars):
            levels[i] = level
            level = 0.05 + 0.1 * level * min(shocks[i] ** 2, 16.0) + 0.85 * level
        volatility *= np.sqrt(levels)
    returns = volatility * shocks
    if "memory" in kind:
        memory = random.choice([-0.4, -0.2, 0.1, 0.3])
        for i in range(1, bars):
            returns[i] += memory * returns[i - 1]
    close = 100 * np.exp(np.cumsum(returns) + random.normal() * 2e-4 * np.arange(bars))
    gap = random.choice([0.0, 0.1, 0.5]) * volatility * random.normal(size=bars)
    opens = np.concatenate([[100.0], close[:-1]]) * np.exp(gap)
    wick = [np.exp(0.5 * volatility * np.abs(random.normal(size=bars))) for _ in range(2)]
    volume = np.exp(10 + random.normal(size=bars) * 0.4 + 0.3 * np.abs(shocks)).round()
    days = pl.date_range(pl.date(1980, 1, 1), pl.date(2020, 1, 1), eager=True)[:bars]
    high, low = np.maximum(opens, close) * wick[0], np.minimum(opens, close) / wick[1]
    return pl.DataFrame({"Date": days, "Open": opens, "High": high, "Low": low, "Close": close, "Volume": volume})


def bars_of(seed: int) -> tuple[pl.DataFrame, np.random.Generator]:
    """The bars of file `seed`: made up, or a piece of the demo's."""
    random = np.random.default_rng(seed)
    bars = int(random.choice([600, 1000, 2000, 4000])) + WARM_UP
    if seed % 5 == 4:
        real = demo.read_sp500()
        return real.slice(int(random.integers(0, real.height - bars)), bars), random
    return market(random, bars, KINDS[seed % 4]), random


def honest(prices: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """Bars with honest features and the demo's targets."""
    bars, close = prices.height, pl.col("Close")
    step = (close / close.shift(1)).log()
    weak = pl.Series(random.normal(size=bars)) + 0.1 * step.shift(-1).fill_null(0.0) / step.std()
    more = {
        "SMA_10": close.rolling_mean(10),
        "SMA_200": close.rolling_mean(200),
        "EMA_50": close.ewm_mean(span=50, adjust=False),
        "LAG_CLOSE": close.shift(1),
        "LAST_RETURN": step,
        "RETURN_20": (close / close.shift(20)).log(),
        "ON_BALANCE": (pl.col("Volume") * close.diff().sign()).cum_sum(),
        "BAR_NUMBER": pl.int_range(pl.len()).cast(pl.Float64),
        "NOISE": pl.Series(random.normal(size=bars)),
        "WALK": pl.Series(np.cumsum(random.normal(size=bars))),
        "WEAK": weak,
    }
    return prices.with_columns(**demo.indicators(), **demo.targets(), **more).slice(WARM_UP)


def later(values: Floats, bars: int = 1) -> Floats:
    """The value that comes `bars` later, NaN at the end."""
    return np.concatenate([values[bars:], np.full(bars, np.nan)])


def _noisy(values: Floats, signal: Floats, random: np.random.Generator) -> Floats:
    return values + random.normal(size=len(values)) * np.nanstd(signal)


def leaks(frame: pl.DataFrame, random: np.random.Generator) -> dict[str, Callable[[], Floats]]:
    """Features that know later prices, by what they are. Noise is as large as what the feature knows of the future."""
    close, opens = frame["Close"].to_numpy(), frame["Open"].to_numpy()
    step, gap = np.log(later(close) / close), later(opens) - close
    found: dict[str, Callable[[], Floats]] = {
        "next close": lambda: later(close),
        "next return": lambda: step,
        "next return in words of 1 and 0": lambda: np.where(np.isnan(step), np.nan, (step > 0).astype(float)),
        "next close and noise": lambda: later(close) + close * _noisy(np.zeros(len(close)), step, random),
        "next return and noise": lambda: _noisy(step, step, random),
        "next high": lambda: later(frame["High"].to_numpy()),
    }
    if np.count_nonzero(gap[:-1]) > len(gap) / 2:  # an open that is the close before it tells nothing new
        found |= {
            "next open": lambda: later(opens),
            "next open and noise": lambda: later(opens) + close * _noisy(np.zeros(len(close)), gap / close, random),
        }
    for width in (3, 5, 11, 21, 51):
        found[f"centred mean of {width}"] = lambda width=width: _centred(close, width)
    return found


def _centred(close: Floats, width: int) -> Floats:
    empty = np.full(width // 2, np.nan)
    return np.concatenate([empty, np.convolve(close, np.full(width, 1 / width), "valid"), empty])


def targets_of_known_horizon(frame: pl.DataFrame, random: np.random.Generator) -> tuple[pl.DataFrame, dict[str, int]]:
    """Prices with targets and the bars that each looks ahead; the last bars, whose empty cells would tell, are cut off."""
    close, opens = frame["Close"].to_numpy(), frame["Open"].to_numpy()
    true_range = pl.Series(frame["High"] - frame["Low"]).rolling_mean(14).to_numpy()
    walk = np.zeros(len(close))
    for i in range(1, len(walk)):
        walk[i] = 0.99 * walk[i - 1] + random.normal()
    step = np.log(later(close) / close)
    known: dict[str, tuple[int, Floats]] = {
        "RETURN": (1, step),
        "SIGN": (1, (step > 0).astype(float)),
        "LEVEL": (1, later(close)),
        "SIZE": (1, np.abs(step)),
        "NEXT_HIGH": (1, later(frame["High"].to_numpy()) / close - 1),
        "NEXT_BODY": (1, np.log(later(close) / later(opens))),
        "NOISY": (1, _noisy(step, step, random)),
        "NOISE": (1, random.normal(size=len(close))),
        "WALK": (1, walk),
    }
    for bars in (2, 3, 5, 10, 24):
        move = np.log(later(close, bars) / close)
        known |= {
            f"RETURN_{bars}": (bars, move),
            f"IN_RANGES_{bars}": (bars, (later(close, bars) - close) / true_range),
            f"SIGN_{bars}": (bars, (move > 0).astype(float)),
            f"LEVEL_{bars}": (bars, later(close, bars)),
        }
    made = {f"TGT_{name}": values for name, (_, values) in known.items()}
    table = frame.select("Date", "Open", "High", "Low", "Close").with_columns(
        **{name: pl.Series(v).fill_nan(None) for name, v in made.items()}
    )
    return table.head(-24), {f"TGT_{name}": bars for name, (bars, _) in known.items()}


def read(frame: pl.DataFrame, folder: Path) -> BarsReport:
    """The report of `frame`, written as a user's file."""
    path = folder / "case.csv"
    numbers = frame.with_columns(pl.col("Date").dt.strftime("%Y%m%d")).with_columns(pl.selectors.float().fill_nan(None))
    numbers.write_csv(path, float_precision=8)
    return normalize(path, BarsSpec(), None)


def suspicions(report: BarsReport) -> list[str]:
    """What the report says of look-ahead."""
    return [warning.message for warning in report.warnings if warning.code == "lookahead_suspect"]


def judge_features(seed: int, folder: Path) -> tuple[list[str], str, list[str]]:
    """Suspicions of an honest file; the kind of leak of its twin, and the suspicions of that."""
    prices, random = bars_of(seed)
    frame = honest(prices, random)
    kinds = leaks(frame, random)
    kind = list(kinds)[seed % len(kinds)]
    twin = frame.with_columns(LEAK=pl.Series(kinds[kind]()))
    return suspicions(read(frame, folder)), kind, suspicions(read(twin, folder))


def judge_horizons(seed: int, folder: Path) -> dict[str, tuple[int, int]]:
    """Per target of file `seed`: the true horizon and the one that the file shows."""
    prices, random = bars_of(seed)
    frame, known = targets_of_known_horizon(prices, random)
    shown = {column.name: column.horizon_shown or 1 for column in read(frame, folder).columns if column.role == "target"}
    return {name: (bars, shown[name]) for name, bars in known.items()}


def only_the_leak(messages: list[str]) -> bool:
    """Whether the leak, and nothing else, is suspected."""
    return bool(messages) and all("LEAK (" in message and message.count(" (") == 1 for message in messages)


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    false, missed, horizons, began = Counter[str](), Counter[str](), Counter[str](), time.perf_counter()
    leaky: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        for i in range(options.count):
            seed = options.seed * 100_000 + i
            honestly, kind, leaking = judge_features(seed, Path(name))
            false.update(f"file {seed}: {message}" for message in honestly)
            leaky[kind] += 1
            if not only_the_leak(leaking):
                missed[f"file {seed}, {kind}: {leaking}"] += 1
            for target, (bars, shown) in judge_horizons(seed, Path(name)).items():
                horizons[
                    "longer than true" if shown > bars else "as it is" if shown == bars else "shorter, above 1" if shown > 1 else "1"
                ] += 1
                if shown > bars:
                    false[f"file {seed}: {target} looks {bars} bars ahead, told as {shown}"] += 1
    print(f"{options.count} honest and {options.count} leaky files in {time.perf_counter() - began:.0f} s")
    print(f"honest files or horizons told wrongly: {sum(false.values())}; leaky files not told, or not alone: {sum(missed.values())}")
    print("leaks: " + ", ".join(f"{kind} {count}" for kind, count in sorted(leaky.items())))
    print("horizons shown: " + ", ".join(f"{what} {count}" for what, count in horizons.most_common()))
    for text in [*false, *missed]:
        print(f"  {text[:400]}")
    return 1 if false or missed else 0


if __name__ == "__main__":
    sys.exit(main())
