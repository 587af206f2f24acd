"""The commands `chronos inspect` and `chronos manifest`, run as a user runs them."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chronos_assets.ingest.source import file_checksum
from chronos_assets.storage.manifest_files import load_manifest
from chronos_assets_tests.support.bars_case import bend, lines, table
from chronos_assets_tests.support.commands import run_program
from chronos_assets_tests.support.vendor_files import LAYOUTS, made_up


def chronos(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CHRONOS_")}
    environment |= {"CHRONOS_HOME": str(folder / "home"), "CHRONOS_EXPORTS_DIR": str(folder / "exports")}
    return run_program(*arguments, env=environment, cwd=folder)


def document(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def put(folder: Path, content: bytes, name: str = "btc_4h.csv") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def test_inspect_tells_what_a_file_holds(tmp_path: Path) -> None:
    """Exit 0, and one JSON document with the fields of the contract."""
    result = chronos(tmp_path, "inspect", str(put(tmp_path, table())), "--json")
    found = document(result)
    assert result.returncode == 0
    assert found["accepted"] is True
    assert (found["rows"], found["granularity"], found["first_bar"], found["last_bar"]) == (
        12,
        "4h",
        "2024-05-01T00:00:00Z",
        "2024-05-02T20:00:00Z",
    )
    roles = {column["name"]: column["role"] for column in found["columns"]}
    assert roles == {"Date": "key", "Time": "key", "Open": "price", "RSI": "feature", "TGT": "target"}
    assert {warning["code"] for warning in found["warnings"]} == {"target_horizon_assumed"}
    assert found["error"] is None


def test_inspect_tells_why_a_file_is_refused(tmp_path: Path) -> None:
    """Exit 3, and an error with code, message, row, column and hint; the same in words on stderr."""
    path = put(tmp_path, bend(7, "20240501,2000,105,abc,1"))
    result = chronos(tmp_path, "inspect", str(path), "--json")
    found = document(result)
    assert (result.returncode, found["accepted"]) == (3, False)
    assert (found["error"]["code"], found["error"]["row"], found["error"]["column"]) == ("not_a_number", 7, "RSI")
    assert "abc" in found["error"]["message"]
    assert found["error"]["hint"]
    words = chronos(tmp_path, "inspect", str(path))
    assert (words.returncode, words.stdout) == (3, "")
    assert "row 7" in words.stderr
    assert "Traceback" not in words.stderr


def test_inspect_takes_what_the_file_does_not_say(tmp_path: Path) -> None:
    """`--format` and `--granularity` settle what is ambiguous; nonsense is a usage error."""
    path = str(put(tmp_path, table([f"20240501,{i}00,{i}" for i in range(1, 8)], "Date,Time,RSI"), "x.csv"))
    assert chronos(tmp_path, "inspect", path).returncode == 3
    assert document(chronos(tmp_path, "inspect", path, "--format", "hhmm", "--json"))["granularity"] == "1h"
    assert document(chronos(tmp_path, "inspect", path, "--format", "time_format=hhmmss", "--json"))["granularity"] == "1m"
    assert document(chronos(tmp_path, "inspect", path, "--granularity", "1h", "--json"))["granularity"] == "1h"
    assert chronos(tmp_path, "inspect", path, "--format", "nonsense").returncode == 2
    assert chronos(tmp_path, "inspect", path, "--format", "timezone=Mars").returncode == 2
    assert chronos(tmp_path, "inspect", path, "--granularity", "4 hours").returncode == 2


def test_a_new_manifest_is_written_and_works(tmp_path: Path) -> None:
    """The slug comes from the file, the file is copied beside the manifest, and nothing is overwritten unasked."""
    path = put(tmp_path, table())
    result = chronos(tmp_path, "manifest", "new", str(path), "--json")
    assert result.returncode == 0, result.stderr
    assert document(result)["dataset"] == "btc_4h_v1"
    loaded = load_manifest(tmp_path / "exports" / "btc_4h_v1.yaml")
    assert loaded.manifest.checksum == file_checksum(path) == file_checksum(loaded.source_path)
    assert (loaded.manifest.format.time_format, loaded.manifest.format.delimiter) == ("hhmm", "comma")
    before = loaded.path.read_bytes()
    again = chronos(tmp_path, "manifest", "new", str(path))
    assert again.returncode == 3
    assert "refresh btc_4h_v1" in again.stderr
    assert loaded.path.read_bytes() == before
    assert chronos(tmp_path, "manifest", "new", str(path), "--force").returncode == 0
    assert chronos(tmp_path, "manifest", "new", str(path), "--slug", "other_4h_v2").returncode == 0
    assert chronos(tmp_path, "manifest", "new", str(path), "--slug", "other_1h_v2").returncode == 3
    assert sorted(p.name for p in (tmp_path / "exports").iterdir()) == ["btc_4h.csv", "btc_4h_v1.yaml", "other_4h_v2.yaml"]


def test_no_manifest_is_written_for_a_bad_file(tmp_path: Path) -> None:
    """A file that is refused, or lies outside with `--no-copy`, leaves the exports folder as it was."""
    bad = put(tmp_path, bend(7, "20240501,2000,105,abc,1"))
    assert chronos(tmp_path, "manifest", "new", str(bad)).returncode == 3
    good = put(tmp_path, table(), "good.csv")
    refused = chronos(tmp_path, "manifest", "new", str(good), "--no-copy")
    assert refused.returncode == 3
    assert "outside" in refused.stderr
    assert not list((tmp_path / "exports").glob("*"))


def test_refresh_shows_what_changed_and_keeps_the_rest_of_the_manifest(tmp_path: Path) -> None:
    """Appended, changed and removed bars are told apart; comments and layout stay; only the checksum moves."""
    chronos(tmp_path, "manifest", "new", str(put(tmp_path, table())))
    manifest, source = tmp_path / "exports" / "btc_4h_v1.yaml", tmp_path / "exports" / "btc_4h.csv"
    manifest.write_text("# mine\n" + manifest.read_text())
    text = manifest.read_text()
    same = document(chronos(tmp_path, "manifest", "refresh", "btc_4h_v1", "--json"))
    assert (same["unchanged"], same["written"], manifest.read_text()) == (True, False, text)

    source.write_bytes(table(lines(15)))
    dry = document(chronos(tmp_path, "manifest", "refresh", "btc_4h_v1", "--dry-run", "--json"))
    assert (dry["change"]["appended"], dry["change"]["only_growth"], dry["written"], manifest.read_text()) == (3, True, False, text)
    grown = document(chronos(tmp_path, "manifest", "refresh", "btc_4h_v1", "--json"))
    assert (grown["change"]["appended"], grown["written"]) == (3, True)
    assert manifest.read_text() == text.replace(grown["old_checksum"], grown["checksum"])
    assert grown["checksum"] == file_checksum(source)

    rows = lines(15)
    rows[4] = rows[4].replace("104", "999")
    del rows[8]
    source.write_bytes(table(rows))
    words = chronos(tmp_path, "manifest", "refresh", "btc_4h_v1")
    assert "1 bars changed" in words.stdout
    assert "1 bars removed" in words.stdout
    assert "104.0 became 999.0" in words.stdout


def test_refresh_leaves_the_manifest_where_the_file_is_bad(tmp_path: Path) -> None:
    """A file that cannot be taken is refused, and the manifest stays."""
    chronos(tmp_path, "manifest", "new", str(put(tmp_path, table())))
    manifest = tmp_path / "exports" / "btc_4h_v1.yaml"
    text = manifest.read_text()
    (tmp_path / "exports" / "btc_4h.csv").write_bytes(bend(7, "20240501,2000,105,abc,1"))
    result = chronos(tmp_path, "manifest", "refresh", "btc_4h_v1")
    assert result.returncode == 3
    assert "abc" in result.stderr
    assert manifest.read_text() == text


@pytest.mark.parametrize("broken", ["checksum: soon  # when I know it", "checksum:", ""])
def test_refresh_puts_a_checksum_where_none_was(broken: str, tmp_path: Path) -> None:
    """A manifest written by hand may leave its checksum to `refresh`."""
    chronos(tmp_path, "manifest", "new", str(put(tmp_path, table())))
    manifest = tmp_path / "exports" / "btc_4h_v1.yaml"
    kept = [line for line in manifest.read_text().splitlines() if not line.startswith("checksum")]
    manifest.write_text("\n".join([*kept, broken]) + "\n")
    assert chronos(tmp_path, "manifest", "refresh", "btc_4h_v1").returncode == 0
    assert load_manifest(manifest).manifest.checksum == file_checksum(tmp_path / "btc_4h.csv")
    assert ("when I know it" in manifest.read_text()) == ("when" in broken)


def test_refresh_of_an_unknown_slug_is_refused(tmp_path: Path) -> None:
    """A slug without a manifest, and a slug that is none, are refused by name."""
    assert chronos(tmp_path, "manifest", "refresh", "eth_1d_v1").returncode == 3
    assert chronos(tmp_path, "manifest", "refresh", "../../etc").returncode == 3


def test_presets_are_shown_and_used(tmp_path: Path) -> None:
    """`--show` prints the keys of a preset; `--preset` and a block in braces read the file, and the manifest reads it again."""
    shown = chronos(tmp_path, "inspect", "--preset", "mt5", "--show")
    assert shown.returncode == 0
    assert "date: '%Y.%m.%d'" in shown.stdout
    assert chronos(tmp_path, "inspect", "--preset", "mt6", "--show").returncode == 2
    assert chronos(tmp_path, "inspect").returncode == 2
    bars = made_up(random.Random(5), 30, dt.timedelta(hours=4))
    path = put(tmp_path, LAYOUTS["mt5"](bars, "Europe/Athens"), "eurusd_4h.csv")
    keys = ["--preset", "mt5", "--format", "{timezone: Europe/Athens, rename: {<SPREAD>: null}}"]
    found = document(chronos(tmp_path, "inspect", str(path), *keys, "--json"))
    assert (found["rows"], found["first_bar"], found["granularity"]) == (30, "2024-01-01T00:00:00Z", "4h")
    assert chronos(tmp_path, "manifest", "new", str(path), *keys).returncode == 0
    written = load_manifest(tmp_path / "exports" / "eurusd_4h_v1.yaml").manifest.format
    assert written.written() == {"preset": "mt5", "delimiter": "tab", "timezone": "Europe/Athens", "rename": {"<SPREAD>": None}}


def test_a_proposal_is_printed_and_taken_only_if_asked(tmp_path: Path) -> None:
    """inspect prints the block that reads a refused file, with its bars in UTC; `--accept-proposal` writes it, nothing else does."""
    bars = made_up(random.Random(6), 30, dt.timedelta(hours=4), dt.datetime(2024, 12, 30))
    path = put(tmp_path, LAYOUTS["mt5"](bars, "UTC"), "gold_4h.csv")
    words = chronos(tmp_path, "inspect", str(path))
    assert (words.returncode, words.stdout) == (3, "")
    assert "format: {encoding: by_mark, preset: mt5}" in words.stderr or "format: {preset: mt5}" in words.stderr
    assert "2024-12-30T00:00:00Z" in words.stderr
    assert "the file does not say the time zone" in words.stderr
    assert "--accept-proposal" in words.stderr
    found = document(chronos(tmp_path, "inspect", str(path), "--json"))["proposal"]
    assert found["only"] is True
    assert found["readings"][0]["format"]["preset"] == "mt5"
    assert chronos(tmp_path, "manifest", "new", str(path)).returncode == 3
    taken = chronos(tmp_path, "manifest", "new", str(path), "--accept-proposal", "--format", "timezone=Europe/Athens")
    assert taken.returncode == 0, taken.stderr
    assert "declared: format:" in taken.stderr
    written = load_manifest(tmp_path / "exports" / "gold_4h_v1.yaml").manifest.format
    assert (written.preset, written.timezone, written.date) == ("mt5", "Europe/Athens", "%Y.%m.%d")
    two_ways = put(tmp_path, b"Date;A;B\n01/02/2024;5;6\n02/02/2024;5;6\n03/02/2024;6;7\n", "x_1d.csv")
    question = chronos(tmp_path, "inspect", str(two_ways))
    assert "What decides: date" in question.stderr
    refused = chronos(tmp_path, "manifest", "new", str(two_ways), "--accept-proposal")
    assert refused.returncode == 3
    assert "no single proposal" in refused.stderr


def test_prices_become_a_dataset_by_one_command(tmp_path: Path) -> None:
    """`indicators` writes the file and a manifest with the horizons of its targets; a name that does not exist is a usage error."""
    bars = made_up(random.Random(8), 400, dt.timedelta(hours=4))
    path = put(tmp_path, LAYOUTS["tradingview"](bars, "America/New_York"), "TV_BTC.csv")
    out = tmp_path / "exports" / "btc_4h.csv"
    assert chronos(tmp_path, "indicators", str(path), "-o", str(out)).returncode == 3
    made = chronos(tmp_path, "indicators", str(path), "-o", str(out), "--accept-proposal", "--targets", "return-5,atr-1")
    assert made.returncode == 0, made.stderr
    assert made.stdout.endswith("next: chronos run btc_4h_v1\n")
    manifest = load_manifest(tmp_path / "exports" / "btc_4h_v1.yaml").manifest
    assert manifest.target_horizon == {"TGT_RET_5": 6, "TGT_ATR_1": 2}
    assert manifest.source_file == "btc_4h.csv"
    assert manifest.walkforward_profile().target == "TGT_RET_5"
    assert chronos(tmp_path, "indicators", str(path), "-o", str(out), "--accept-proposal").returncode == 3
    wrong = chronos(tmp_path, "indicators", str(path), "-o", str(out), "--targets", "retrun-1")
    assert (wrong.returncode, "return-1" in wrong.stderr) == (2, True)
