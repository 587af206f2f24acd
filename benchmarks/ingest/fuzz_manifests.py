"""Mutated manifests: every answer is a manifest or one of our errors, in bounded time, and no other manifest of the folder is harmed.

    python -m benchmarks.ingest.fuzz_manifests [--count 20000] [--seed 1]

Each is a complete valid manifest, bent by one to six seeded mutations: bytes, lines, and YAML that has stopped programs before (tags,
aliases, numbers without end, thousands of keys, deep nesting). Every hundredth lies beside a good manifest while both are looked at as the
sensor does. Prints how the answers fall and the slowest one; ends with status 1 at the first answer that is neither, naming its seed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from chronos_assets.errors import ManifestError
from chronos_assets.pipeline.upkeep.changes import survey
from chronos_assets.settings import load_settings
from chronos_assets.storage.manifest_files import load_manifest

SECONDS = 5.0  # of this process, so that a busy machine counts for nothing
SLUG = "btc_4h_v1"
VALID = """\
dataset: btc_4h_v1
source_file: btc_4h.csv
granularity: 4h
checksum: sha256:3f1e3f1e3f1e3f1e3f1e3f1e3f1e3f1e3f1e3f1e3f1e3f1e3f1e3f1e3f1e3f1e
on_change: grow
source: chronosflow
format: {delimiter: tab, market: BTC, timezone: UTC}
columns: {targets: [TGT_*], exclude: [NOTE]}
target_horizon: {default: 1, TGT_RET_5: 5}
walkforward:
  default:
    target: TGT_RET_5
    train_size: 650
    test_size: 24
    gap: 4
    model: {eta: 0.01, max_depth: 4}
    thresholds: {method: percentile, long_percentile: 95.0, short_percentile: 5.0}
simulation:
  default:
    modes: [long, short, dual]
    costs: {commission_fraction: 0.0005, slippage_fraction: 0.0002}
"""
VALUES = [
    *('!!bool "x"', '!!timestamp "x"', '!!int ""', '!!float "x"', "!!null x", '!!binary "x"', "!!set {a}", "!!omap [a: 1]", "!!pairs [a]"),
    *("!!python/object/apply:os.getcwd []", "!x y", "! 5", "&a b", "*a", "<<: {a: 1}", "{<<: 5}", "? [a, b]", "{[a]: b}", "{{a: b}: c}"),
    *(
        "0b" + "1" * 60_000,
        "0x" + "f" * 50_000,
        "1:" * 20_000 + "1",
        "9" * 50_000,
        "1e" + "9" * 5_000,
        "-." + "1" * 50_000,
        "0o" + "7" * 9_000,
    ),
    *("x" * 50_000, "[" * 2_000, "{a: " * 2_000, "- " * 2_000, "[" + "a," * 30_000 + "]", "#" * 100_000, '"' + "\\n" * 20_000 + '"'),
    *(
        ".inf",
        "-.INF",
        ".nan",
        "~",
        "null",
        "yes",
        "off",
        "2024-13-45",
        "2024-01-01",
        "2001-12-14t21:59:43.10-05:00",
        "0777",
        "1_000",
        "1:30",
    ),
    *(
        '"\\ud800"',
        '"\\0"',
        '"\\x1b[31m"',
        "'",
        '"',
        "|",
        ">",
        "|9",
        "%YAML 9.9",
        "---",
        "...",
        "--- a",
        "@",
        "`",
        "\ufeff",
        "\u2028",
        "é",
        "🦆",
    ),
    *("-1", "0", "1e400", "1e-400", "true", "[]", "{}", "[[]]", "a: b: c", "../x", "/etc/passwd", "C:\\x", "~root/x", "\x85"),
]


def mutated(random_: random.Random) -> bytes:
    """A valid manifest, bent one to six times."""
    lines = VALID.splitlines(keepends=True)
    for _ in range(random_.randint(1, 6)):
        at = random_.randrange(len(lines)) if lines else 0
        kind = random_.randrange(9)
        if kind == 0 and lines:
            key, colon, _ = lines[at].partition(":")
            lines[at] = f"{key}{colon} {random_.choice(VALUES)}\n"
        elif kind == 1:
            lines.insert(at, f"{random_.choice(VALUES)}\n")
        elif kind == 2 and lines:
            del lines[at]
        elif kind == 3 and lines:
            lines.insert(at, lines[random_.randrange(len(lines))])
        elif kind == 4 and lines:
            lines[at] = random_.choice((" ", "  ", "\t", "- ", "? ", ": ")) + lines[at]
        elif kind == 5 and lines:
            words = lines[at].split(" ")
            words[random_.randrange(len(words))] = random_.choice(VALUES)
            lines[at] = " ".join(words)
        elif kind == 6:
            lines.insert(at, "".join(f"k{n}: {n}\n" for n in range(random_.choice((1, 50, 12_000)))))
        elif kind == 7 and lines:
            lines[at] = f"{random_.choice(VALUES)}: {lines[at]}"
        else:
            data = bytearray("".join(lines).encode("utf-8", errors="surrogateescape"))
            for _ in range(random_.randint(1, 4)):
                place = random_.randrange(len(data) + 1)
                data[place : place + random_.randrange(3)] = bytes([random_.randrange(256)])
            lines = data.decode("utf-8", errors="surrogateescape").splitlines(keepends=True)
    return "".join(lines).encode("utf-8", errors="surrogateescape")


def answer(seed: int, folder: Path, *, beside: bool = False) -> str:
    """`manifest`, or the code of our error; anything else is raised."""
    path = folder / f"{SLUG}.yaml"
    path.write_bytes(mutated(random.Random(seed)))
    started = time.process_time()
    try:
        load_manifest(path)
        outcome = "manifest"
    except ManifestError as error:
        str(error).encode()  # what is said can be printed
        outcome = error.code
    if beside:
        good_manifest_is_found(folder)
    seconds = time.process_time() - started
    if seconds > SECONDS:
        raise TimeoutError(f"{outcome} took {seconds:.1f} s")
    return outcome


def good_manifest_is_found(folder: Path) -> None:
    """What the sensor, the night and `--all` see of a good manifest beside the bent one."""
    (folder / "good.csv").write_text("Date,Time,Open\n")
    (folder / "good_4h_v1.yaml").write_text(VALID.replace(SLUG, "good_4h_v1").replace("btc_4h.csv", "good.csv"))
    found = {one.slug: one for one in survey(load_settings(exports_dir=folder, home=folder / "home", manifest_settle_seconds=0))}
    if found["good_4h_v1"].content is None or found[SLUG].problem.startswith(f"{SLUG}.yaml: unexpected"):
        raise AssertionError(f"{found}")


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    outcomes: Counter[str] = Counter()
    slowest = (0.0, 0)
    with tempfile.TemporaryDirectory() as name:
        for seed in range(arguments.seed * 10_000_000, arguments.seed * 10_000_000 + arguments.count):
            started = time.process_time()
            try:
                outcomes[answer(seed, Path(name), beside=seed % 100 == 0)] += 1
            except Exception as error:
                print(f"seed {seed}: {type(error).__name__}: {error}", file=sys.stderr)
                raise
            slowest = max(slowest, (time.process_time() - started, seed))
    for outcome, count in outcomes.most_common():
        print(f"{count:>7,}  {outcome}")
    print(f"slowest {slowest[0]:.2f} s (seed {slowest[1]})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
