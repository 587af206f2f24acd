"""Mutated files at the door: every answer is a dataset or an error of ours, in bounded CPU time, and no file is left half-written.

    python benchmarks/ingest/fuzz.py [--count 20000] [--seed 1]

Each file is a small valid one (text in every dialect, gzip, zstd, Parquet, Arrow), bent by one to six seeded mutations.
Prints how the answers fall; ends with status 1 at the first answer that is neither, naming the seed of the file.
"""

from __future__ import annotations

import argparse
import gzip
import io
import random
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import zstandard

from chronos_assets.errors import ChronosError
from chronos_assets.ingest import BarsSpec, normalize
from chronos_assets.ingest.schema import check_normalized

TOKENS = [
    *(
        b"\x00",
        b'"',
        b'""',
        b",",
        b";",
        b"\t",
        b"|",
        b" ",
        b"\n",
        b"\r",
        b"\r\n",
        b"\xef\xbb\xbf",
        b"\xff",
        b"\xe9",
        b"-",
        b".",
        b"e",
        b"nan",
    ),
    *(b"inf", b"1e400", b"NA", b"true", b"2400", b"2460", b"0075", b"20240230", b"19691231", b"29990101", b"45413", b"1714572000", b"1,5"),
    *(b"Date", b"Time", b"Market", b"timestamp_unix", b"TGT", b"\xc3\xa9", b"\xe2\x80\xa8", b"9" * 400, b"x" * 5_000, b"," * 3_000),
]
SECONDS = 20.0


def seed_file(random_: random.Random) -> tuple[bytes, Callable[[bytes], bytes]]:
    """A valid file in one of the dialects, and how it is packed."""
    count, step = random_.choice([1, 2, 30, 120]), random_.choice([1, 5, 60, 240, 1440])
    moments = pl.datetime_range(
        pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 1) + pl.duration(minutes=step * (count - 1)), f"{step}m", eager=True
    )
    frame = pl.DataFrame({"Date": moments.dt.strftime("%Y%m%d").cast(pl.Int64), "Time": moments.dt.strftime("%H%M").cast(pl.Int64)})
    for name in ("Open", "RSI", "TGT")[: random_.randint(1, 3)]:
        frame = frame.with_columns(pl.Series(name, [round(random_.gauss(0, 50), 6) for _ in range(count)]))
    if random_.random() < 0.2:
        frame = frame.with_columns(Market=pl.lit("BTC"))
    if random_.random() < 0.1:
        buffer = io.BytesIO()
        random_.choice([frame.write_parquet, frame.write_ipc, frame.write_ipc_stream])(buffer)
        return buffer.getvalue(), bytes
    text = frame.write_csv().encode().replace(b",", random_.choice([b",", b"\t", b";", b"|", b"   "]))
    text = text.replace(b"\n", random_.choice([b"\n", b"\n", b"\r\n", b"\r"]))
    pack: Callable[[bytes], bytes] = random_.choice([bytes, bytes, bytes, bytes, gzip.compress, zstandard.compress])
    return text, pack


def mutate(content: bytes, random_: random.Random) -> bytes:
    """One to six mutations: bytes, tokens, lines, cuts, repeats."""
    for _ in range(random_.choice([1, 1, 1, 2, 3, 6])):
        at = random_.randrange(len(content) + 1)
        kind = random_.randrange(8)
        if kind == 0 and content:
            at = min(at, len(content) - 1)
            content = content[:at] + bytes([random_.randrange(256)]) + content[at + 1 :]
        elif kind == 1:
            content = content[:at] + random_.choice(TOKENS) + content[at:]
        elif kind == 2:
            content = content[:at] + content[at + random_.randint(1, 40) :]
        elif kind == 3:
            content = content[:at]
        elif kind == 4:
            content = content[:at] + content[at : at + 200] * random_.randint(1, 3) + content[at:]
        else:
            content = b"\n".join(_lines(content.split(b"\n"), kind, random_))
    return content


def _lines(lines: list[bytes], kind: int, random_: random.Random) -> list[bytes]:
    first, second = random_.randrange(len(lines)), random_.randrange(len(lines))
    if kind == 5:
        lines[first], lines[second] = lines[second], lines[first]
    elif kind == 6:
        lines.insert(first, lines[second])
    else:
        cells = lines[first].split(b",")
        cells[random_.randrange(len(cells))] = random_.choice(TOKENS)
        lines[first] = b",".join(cells)
    return lines


def answer(seed: int, folder: Path, *, deep: bool) -> str:
    """What becomes of file `seed`: `dataset`, or the code of its refusal; raises for anything else."""
    random_ = random.Random(seed)
    text, pack = seed_file(random_)
    # One packed file in four is damaged as it is packed, the others below the packing.
    content = mutate(pack(text), random_) if random_.random() < 0.25 else pack(mutate(text, random_))
    source, destination = folder / "case.csv", folder / "out" / "bars.arrow"
    source.write_bytes(content)
    destination.unlink(missing_ok=True)
    spec = BarsSpec(block_bytes=random_.choice([64, 1 << 10, 1 << 24]))
    began = time.process_time()
    try:
        report = normalize(source, spec, destination)
    except ChronosError as error:
        str(error)
        outcome = error.code
        assert not destination.exists(), "a refused file left an Arrow file"
    else:
        outcome = "dataset"
        assert pl.read_ipc(destination).height == report.rows
        assert not deep or check_normalized(destination, report).passed, "an accepted file does not pass its check"
    left = [path.name for path in (folder / "out").glob("*") if path != destination] if (folder / "out").exists() else []
    assert not left, f"left behind: {left}"
    assert time.process_time() - began < SECONDS, "too slow"
    return outcome


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("error")
    outcomes: Counter[str] = Counter()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for i in range(options.count):
            seed = options.seed * 1_000_000 + i
            try:
                outcomes[answer(seed, Path(folder), deep=i % 20 == 0)] += 1
            except BaseException:
                print(f"file {seed}: neither a dataset nor an error of ours")
                raise
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{options.count} files in {time.perf_counter() - began:.0f} s, peak RSS {peak:.0f} MiB")
    for code, count in outcomes.most_common():
        print(f"{count:7d}  {code}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
