"""Manifests: what is read from them, what is refused in them, and if their files may lie."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from chronos_assets.cli.walkforward import parse_change
from chronos_assets.domain.bars_spec import BarsSpec, FormatSpec
from chronos_assets.domain.manifest import Manifest
from chronos_assets.errors import ChronosError, ManifestError, SlugError, UsageError
from chronos_assets.pipeline.upkeep.changes import survey
from chronos_assets.pipeline.upkeep.manifests import new_manifest
from chronos_assets.settings import load_settings
from chronos_assets.storage.manifest_files import LoadedManifest, find_manifests, load_manifest, manifest_path
from chronos_assets_tests.support.bars_case import table

CHECKSUM = "sha256:" + "3f" * 32
REQUIRED = f"dataset: btc_4h_v1\nsource_file: btc_4h.csv\ngranularity: 4h\nchecksum: {CHECKSUM}\n"
FULL = (
    REQUIRED
    + """on_change: grow
source: elsewhere
format: {time_format: hhmm, timezone: America/New_York, market: BTC, bar_time: close, delimiter: tab}
columns: {targets: ["TGT*"], prices: [Open, Close], exclude: [NOTE]}
target_horizon: {default: 1, TGT_RET_5: 5}
ohlcv_file: prices.csv
walkforward:
  default: {target: TGT_RET_5, features: all, window: rolling, train_size: 650, test_size: 24, gap: 4, step: 24,
            model: {eta: 0.01, max_depth: 4, subsample: 0.8, rounds: 2000, early_stopping: 50, seed: 7},
            thresholds: {method: optimal, min_fraction: 0.05, data: validation}}
simulation:
  default: {walkforward: default, modes: [long, short, dual], costs: {commission_fraction: 0.0005, slippage_fraction: 0.0002}}
"""
)


def load(folder: Path, text: str, name: str = "btc_4h_v1.yaml", roots: tuple[Path, ...] = ()) -> LoadedManifest:
    (folder / name).write_text(text)
    return load_manifest(folder / name, data_roots=roots)


def test_four_keys_are_a_complete_manifest(tmp_path: Path) -> None:
    """Everything else has a default that suits the dataset."""
    manifest = load(tmp_path, REQUIRED).manifest
    assert (manifest.on_change, manifest.source, manifest.format.timezone) == ("refuse", "chronosflow", "UTC")
    assert manifest.horizon("TGT") == (1, True)
    assert manifest.walkforward_profile().target is None
    assert manifest.simulation_profile().walkforward == "default"
    assert str(manifest.slug) == "btc_4h_v1"


def test_the_manifest_of_the_contract_is_read(tmp_path: Path) -> None:
    """Every key of the contract is understood."""
    loaded = load(tmp_path, FULL)
    manifest = loaded.manifest
    assert manifest.horizon("tgt_ret_5") == (5, False)
    assert manifest.horizon("TGT_OTHER") == (1, False)
    assert manifest.walkforward_profile("default").train_size == 650
    assert manifest.bars_spec().format.delimiter == "tab"
    assert loaded.ohlcv_path == tmp_path / "prices.csv"
    assert loaded.source_path == tmp_path / "btc_4h.csv"


# what is wrong -> text, what the message says
REFUSED: dict[str, tuple[str, str]] = {
    "an unknown key": (REQUIRED + "on_chnage: grow\n", r"unknown key 'on_chnage'.*Did you mean 'on_change'"),
    "an unknown key below": (REQUIRED + "format: {time_zone: UTC}\n", r"unknown key 'format.time_zone'.*Did you mean 'timezone'"),
    "an unknown key of a profile": (REQUIRED + "walkforward: {default: {train_sise: 5}}\n", r"train_sise.*Did you mean 'train_size'"),
    "a key twice": (REQUIRED + "granularity: 4h\n", r"'granularity' is written twice.*line 5"),
    "a key twice below": (REQUIRED + "format: {market: A, market: B}\n", r"'market' is written twice.*line 5"),
    "no YAML": (REQUIRED + "format: {market: A\nsource: x\n", r"not valid YAML.*line 6"),
    "a tab": (REQUIRED + "format:\n\tmarket: A\n", r"not valid YAML.*line 6"),
    "an alias": (REQUIRED + "format: &a {market: A}\ncolumns: *a\n", r"aliases are not allowed.*line 6"),
    "a list": ("- dataset\n", "not a mapping"),
    "nothing": ("", "not a mapping"),
    "an object of Python": ("!!python/object/apply:os.getcwd []\n", "not valid YAML"),
    "a missing key": (REQUIRED.replace("granularity: 4h\n", ""), "lacks the key 'granularity'"),
    "a slug that is none": (REQUIRED.replace("btc_4h_v1", "BTC 4h"), "not a dataset slug"),
    "an interval that is none": (REQUIRED.replace("granularity: 4h", "granularity: 4 hours"), "granularity"),
    "another interval": (REQUIRED.replace("granularity: 4h", "granularity: 1h"), "the slug says 4h"),
    "a short checksum": (REQUIRED.replace(CHECKSUM, "sha256:3f"), "64 hex digits"),
    "a checksum of another kind": (REQUIRED.replace("sha256:", "md5:"), "64 hex digits"),
    "a checksum in upper case": (REQUIRED.replace(CHECKSUM, CHECKSUM.replace("f", "F")), "64 hex digits"),
    "another on_change": (REQUIRED + "on_change: maybe\n", "on_change"),
    "another zone": (REQUIRED + "format: {timezone: Mars}\n", "Mars"),
    "another delimiter": (REQUIRED + "format: {delimiter: colon}\n", "delimiter"),
    "a horizon of 0": (REQUIRED + "target_horizon: {TGT: 0}\n", "1 to 100000"),
    "a horizon in words": (REQUIRED + "target_horizon: {TGT: five}\n", "five"),
    "a market that YAML takes for a number": (REQUIRED + "format: {market: 600519}\n", "600519"),
    "a source with blanks": (REQUIRED + "source: my source\n", "short word"),
    "a profile without a name": (REQUIRED + "walkforward: {'': {}}\n", "not a valid profile name"),
    "a way up": (REQUIRED.replace("btc_4h.csv", "../btc_4h.csv"), "'..'"),
    "a way up inside": (REQUIRED.replace("btc_4h.csv", "a/../../btc_4h.csv"), "'..'"),
    "a way up with backslashes": (REQUIRED.replace("btc_4h.csv", r"a\..\btc_4h.csv"), "'..'"),
    "an absolute path": (REQUIRED.replace("btc_4h.csv", "/etc/passwd"), "absolute"),
    "a path of Windows": (REQUIRED.replace("btc_4h.csv", r"C:\btc.csv"), "absolute"),
    "a home": (REQUIRED.replace("btc_4h.csv", "~/btc.csv"), "absolute"),
    "no path": (REQUIRED.replace("btc_4h.csv", "''"), "is not a path"),
    "a home folder": (REQUIRED.replace("btc_4h.csv", "~me/btc.csv"), "absolute"),
    "a path that is too long": (REQUIRED.replace("btc_4h.csv", "x" * 5_000), "cannot be resolved"),
    "a path that is no Unicode": (REQUIRED.replace("btc_4h.csv", '"a\\ud800b"'), r"holds the character '\\ud800'"),
    "a number for a word": (f"{REQUIRED}format: {{market: 600519}}\n", r"format\.market.*600519.*quotes"),
    "a tag that converts": (REQUIRED + 'source: !!bool "x"\n', r"tags such as '!!bool' are not allowed.*line 5"),
    "a tag of a date": (REQUIRED + 'source: !!timestamp "x"\n', "tags such as '!!timestamp'"),
    "a number without end": (REQUIRED + f"target_horizon: {{A: 0b{'1' * 500_000}}}\n", "a number of 500,002 characters.*line 5"),
    "a number of base sixty without end": (REQUIRED + f"target_horizon: {{A: {'1:' * 200_000}1}}\n", "a number of 400,001 characters"),
    "a date that is none": (REQUIRED + "source: 2024-13-45\n", "month must be in 1..12"),
    "thousands of keys": (REQUIRED + "".join(f"k{n}: 1\n" for n in range(60_000)), "more than 10,000 keys and values"),
    "deep nesting": (REQUIRED + f"source: {'[' * 400_000}\n", "nested deeper than 32"),
    "a key without end": (REQUIRED + f"{'k' * 900}: 1\n", "a key of 900 characters"),
    "a control character": (REQUIRED + 'source: "a\\e[31m"\n', r"holds the character '\\x1b'.*line 5"),
    "a way up to the prices": (REQUIRED + "ohlcv_file: ../x.csv\n", "ohlcv_file holds"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_manifest_is_refused_with_its_key_or_line(what: str, tmp_path: Path) -> None:
    """Each mistake is named; none is passed over."""
    text, said = REFUSED[what]
    with pytest.raises(ManifestError, match=said):
        load(tmp_path, text)


def test_the_file_is_named_after_its_dataset(tmp_path: Path) -> None:
    """A manifest under another name is refused."""
    with pytest.raises(ManifestError, match="differs from its dataset"):
        load(tmp_path, REQUIRED, "btc_4h_v2.yaml")


def test_a_manifest_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    """Missing, binary and enormous manifests are errors of ours."""
    with pytest.raises(ManifestError, match="no such manifest"):
        load_manifest(tmp_path / "btc_4h_v1.yaml")
    (tmp_path / "btc_4h_v1.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="UTF-8"):
        load_manifest(tmp_path / "btc_4h_v1.yaml")
    (tmp_path / "btc_4h_v1.yaml").write_bytes(b"#" * 2_000_000)
    with pytest.raises(ManifestError, match="too large"):
        load_manifest(tmp_path / "btc_4h_v1.yaml")


def test_a_link_may_not_lead_outside(tmp_path: Path) -> None:
    """A symlink to a file elsewhere, or a linked folder, is refused; one that stays inside, or ends in a data root, is not."""
    exports, data, outside = (tmp_path / name for name in ("exports", "data", "outside"))
    for folder in (exports, data, outside):
        folder.mkdir()
        (folder / "bars.csv").write_text("x")
    (exports / "btc_4h.csv").symlink_to(outside / "bars.csv")
    with pytest.raises(ManifestError, match="leads outside"):
        load(exports, REQUIRED)
    (exports / "folder").symlink_to(outside)
    with pytest.raises(ManifestError, match="leads outside"):
        load(exports, REQUIRED.replace("btc_4h.csv", "folder/bars.csv"))
    (exports / "btc_4h.csv").unlink()
    (exports / "btc_4h.csv").symlink_to(data / "bars.csv")
    with pytest.raises(ManifestError, match="leads outside"):
        load(exports, REQUIRED)
    assert load(exports, REQUIRED, roots=(data,)).source_path == data / "bars.csv"
    (exports / "btc_4h.csv").unlink()
    (exports / "btc_4h.csv").symlink_to("bars.csv")
    assert load(exports, REQUIRED).source_path == exports / "bars.csv"


def test_a_data_root_may_hold_the_source(tmp_path: Path) -> None:
    """A file that is not beside the manifest is looked for in the data roots."""
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "sub" / "btc.csv").write_text("x")
    loaded = load(tmp_path, REQUIRED.replace("btc_4h.csv", "sub/btc.csv"), roots=(tmp_path / "data",))
    assert loaded.source_path == tmp_path / "data" / "sub" / "btc.csv"


def test_a_file_whose_name_begins_with_a_tilde_is_no_home_folder(tmp_path: Path) -> None:
    """Only a folder after the tilde makes it somebody's home."""
    assert load(tmp_path, REQUIRED.replace("btc_4h.csv", "~btc.csv")).source_path == tmp_path / "~btc.csv"


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    """A loop of links is an error of ours."""
    (tmp_path / "btc_4h.csv").symlink_to("btc_4h.csv")
    with pytest.raises(ManifestError):
        load(tmp_path, REQUIRED)


def test_profiles_are_found_by_name(tmp_path: Path) -> None:
    """An unknown profile names those that exist."""
    manifest = load(tmp_path, FULL).manifest
    with pytest.raises(ManifestError, match=r"'fast'.*default"):
        manifest.walkforward_profile("fast")
    with pytest.raises(ManifestError, match=r"'fast'.*default"):
        manifest.simulation_profile("fast")


@pytest.mark.parametrize("value", ["!!bool x", "!!timestamp x", "9" * 5_000, "[" * 5_000, "&a {b: *a}", "0x" + "f" * 90_000])
def test_a_value_on_the_command_line_is_read_as_strictly(value: str) -> None:
    """`--set KEY=VALUE` takes what a manifest takes, and refuses the rest in one sentence."""
    assert parse_change("model.eta=0.05") == ("model.eta", 0.05)
    with pytest.raises(UsageError, match=r"the value of model.eta cannot be read: .+"):
        parse_change(f"model.eta={value}")


def test_a_pipe_or_a_device_is_refused_and_stops_no_other(tmp_path: Path) -> None:
    """Neither is waited for: not as a manifest, not as its file, not beside a good one."""
    for name in ("pipe_4h_v1", "device_4h_v1", "gone_4h_v1", "good_4h_v1", "odd_4h_v1"):
        (tmp_path / f"{name}.csv").touch()
        (tmp_path / f"{name}.yaml").write_text(
            REQUIRED.replace("btc_4h_v1", name).replace("btc_4h.csv", f"{name}.csv") + "on_change: grow\n"
        )
    for name in ("pipe_4h_v1.yaml", "device_4h_v1.yaml", "gone_4h_v1.yaml", "odd_4h_v1.csv"):
        (tmp_path / name).unlink()
    os.mkfifo(tmp_path / "pipe_4h_v1.yaml")
    os.mkfifo(tmp_path / "odd_4h_v1.csv")
    (tmp_path / "device_4h_v1.yaml").symlink_to("/dev/zero")
    (tmp_path / "gone_4h_v1.yaml").symlink_to(tmp_path / "nothing")
    for name in ("pipe_4h_v1.yaml", "device_4h_v1.yaml"):
        with pytest.raises(ManifestError, match="not a regular file"):
            load_manifest(tmp_path / name)
    time.sleep(0.02)  # longer than a file settles
    found = {one.slug: one for one in survey(load_settings(exports_dir=tmp_path, home=tmp_path / "home", manifest_settle_seconds=0.01))}
    assert {slug for slug, one in found.items() if one.content is None} == {"pipe_4h_v1", "device_4h_v1", "gone_4h_v1", "odd_4h_v1"}
    assert "not a regular file" in found["odd_4h_v1"].problem


def test_manifests_are_listed_and_addressed_by_slug(tmp_path: Path) -> None:
    """Hidden and other files are no manifests; a path is made from a valid slug only."""
    for name in ("b_1d_v1.yaml", "a_1d_v1.yaml", ".hidden.yaml", "note.txt"):
        (tmp_path / name).write_text("")
    assert [path.name for path in find_manifests(tmp_path)] == ["a_1d_v1.yaml", "b_1d_v1.yaml"]
    assert find_manifests(tmp_path / "nothing") == []
    assert manifest_path(tmp_path, "a_1d_v1") == tmp_path / "a_1d_v1.yaml"
    with pytest.raises(SlugError):
        manifest_path(tmp_path, "../a_1d_v1")


def test_a_manifest_is_frozen(tmp_path: Path) -> None:
    """Nobody changes a manifest in passing."""
    manifest = load(tmp_path, REQUIRED).manifest
    with pytest.raises(ValueError, match="frozen"):
        manifest.source = "x"  # type: ignore[misc]
    assert isinstance(manifest, Manifest)
    assert issubclass(ManifestError, ChronosError)


def test_files_of_two_share_classes_get_two_slugs(tmp_path: Path) -> None:
    """BRK.A and BRK.B are two symbols; a manifest of another file is not offered for overwriting."""
    settings = load_settings(home=tmp_path / "home", exports_dir=tmp_path / "exports")
    for name, slug in (("BRK.A.csv", "brk-a_4h_v1"), ("BRK.B.csv", "brk-b_4h_v1"), ("brk_4h.v2.txt", "brk_4h_v2")):
        (tmp_path / name).write_bytes(table())
        assert new_manifest(tmp_path / name, settings, BarsSpec()).path.stem == slug
    (tmp_path / "BRK-A.csv").write_bytes(table())
    with pytest.raises(ManifestError, match=r"manifest of BRK\.A\.csv: name another slug"):
        new_manifest(tmp_path / "BRK-A.csv", settings, BarsSpec())


def test_a_monthly_file_and_one_in_hours_get_manifests_that_work(tmp_path: Path) -> None:
    """`1mo` goes into the slug and the manifest; a declared unit of Time stays declared."""
    settings = load_settings(home=tmp_path / "home", exports_dir=tmp_path / "exports")
    (tmp_path / "sp500_monthly.csv").write_bytes(table([f"{2010 + i // 12}{i % 12 + 1:02d}01,{i}" for i in range(40)], "Date,RSI"))
    monthly = new_manifest(tmp_path / "sp500_monthly.csv", settings, BarsSpec())
    assert (monthly.path.stem, monthly.report.granularity) == ("sp500_1mo_v1", "1mo")
    assert load_manifest(monthly.path).manifest.slug.interval_seconds == 30 * 86_400
    (tmp_path / "btc.csv").write_bytes(table([f"{20240501 + i // 24},{i % 24},{i}" for i in range(72)], "Date,Time,RSI"))
    hours = new_manifest(tmp_path / "btc.csv", settings, BarsSpec(format=FormatSpec(time="hh")))
    assert (hours.path.stem, load_manifest(hours.path).manifest.format.time_unit) == ("btc_1h_v1", "hh")
