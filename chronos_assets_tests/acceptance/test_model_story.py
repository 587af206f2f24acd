"""The life of a model as docs/MODELS.md tells it: every command of the page is run, in its order."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import polars as pl

from chronos_assets.pipeline.walkforward.run import run_walkforward
from chronos_assets.storage.stores import Stores
from chronos_assets_tests.support.commands import run_program
from chronos_assets_tests.support.walkforward_data import make_bars, publish, small_profile

PAGE = Path(__file__).resolve().parents[2] / "docs" / "MODELS.md"
MANIFEST = """\
dataset: {slug}
source_file: {slug}.csv
granularity: 1d
checksum: sha256:{zeros}
target_horizon: {{default: 3}}
walkforward:
  default: {{target: target_a, train_size: 60, test_size: 10, gap: 2,
            model: {{rounds: 30, early_stopping: 5, eta: 0.1, min_child_weight: 1.0}}}}
"""


def commands() -> list[str]:
    """The commands of the page's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_every_command_of_the_page_works(stores: Stores, unique_slug: str, cli_environment: dict[str, str], tmp_path: Path) -> None:
    """Train, promote, predict, take along, check, go back: each does what the page says, and the ids it prints lead to the next."""
    exports = tmp_path / "exports"
    exports.mkdir()
    bars = make_bars(97)
    published_as(stores, unique_slug, bars, exports)
    environment = cli_environment | {"CHRONOS_EXPORTS_DIR": str(exports)}
    names = {"btc_1d_v1": unique_slug, "exports/btc_1d.csv": str(exports / f"{unique_slug}.csv")}
    ran = []
    for line in commands():
        if line.startswith("chronos model rollback"):
            second = second_model(stores, unique_slug, environment, tmp_path)
            printed(["model", "promote", second, "--as", "live"], environment, tmp_path)
        words = [names.get(word, word) for word in shlex.split(line)[1:]]
        said = printed(words, environment, tmp_path)
        ran.append(words[:2])
        if words[:2] == ["model", "train"]:
            model = json.loads(said)["model"]
            names["MODEL_ID"] = model["model_id"]
            assert (model["fold_number"], model["aliases"]) == (3, [])
        if words[0] == "predict" and "--bundle" not in words:
            assert re.match(rf"{unique_slug}: (LONG|SHORT|no signal) after the bar of 2015-04-07 00:00 UTC", said)
        if words[:2] == ["model", "verify"]:
            assert "20 sample rows predicted again, 0 bits different" in said
        if words[:2] == ["model", "rollback"]:
            assert f"is model {names['MODEL_ID']} now" in said
    assert len(ran) == 13
    assert {one for command, one in ran if command == "model"} == {"train", "list", "show", "promote", "export", "verify", "rollback"}


def test_refusals_are_one_sentence_with_exit_3(stores: Stores, unique_slug: str, cli_environment: dict[str, str], tmp_path: Path) -> None:
    """A run that is not there, a name that stands for nothing, a model that nobody knows, a folder that is no bundle."""
    publish(stores, unique_slug, make_bars(97))
    (tmp_path / "folder").mkdir()
    for words in (
        ["model", "train", unique_slug, "--horizon", "3"],
        ["predict", unique_slug],
        ["model", "show", "no-such-model"],
        ["model", "rollback", unique_slug],
        ["model", "verify", "folder"],
    ):
        done = run_program(*words, cwd=tmp_path, env=cli_environment)
        assert done.returncode == 3, (words, done.stderr)
        assert done.stderr.splitlines()[-1].startswith("error: ")
        assert "Traceback" not in done.stderr


def published_as(stores: Stores, slug: str, bars: pl.DataFrame, exports: Path) -> None:
    """Publish bars with their manifest and file, and complete the run of its profile."""
    publish(stores, slug, bars)
    (exports / f"{slug}.yaml").write_text(MANIFEST.format(slug=slug, zeros="0" * 64), encoding="utf-8")
    days = pl.from_epoch(pl.col("timestamp_unix")).dt.strftime("%Y%m%d").alias("Date")
    bars.select(days, pl.exclude("timestamp_unix")).write_csv(exports / f"{slug}.csv")
    run_walkforward(slug, small_profile(), stores, horizon=3, horizon_assumed=False, profile_name="default")


def second_model(stores: Stores, slug: str, environment: dict[str, str], folder: Path) -> str:
    """The model of the day after."""
    published_as(stores, slug, make_bars(98), Path(environment["CHRONOS_EXPORTS_DIR"]))
    return str(json.loads(printed(["model", "train", slug, "--json"], environment, folder))["model"]["model_id"])


def printed(words: list[str], environment: dict[str, str], folder: Path) -> str:
    """What a command prints; it has to succeed."""
    done = run_program(*words, cwd=folder, env=environment)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout
