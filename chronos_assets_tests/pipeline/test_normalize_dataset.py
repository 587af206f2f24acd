"""One dataset from its manifest: checksum before parsing, growth, the kept Arrow file, horizons."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from chronos_assets.errors import BarsError, ManifestError, SourceChangedError
from chronos_assets.ingest.source import file_checksum
from chronos_assets.pipeline.export.normalize import normalize_dataset
from chronos_assets.settings import Settings, load_settings
from chronos_assets.storage import file_digests
from chronos_assets.storage.manifest_files import LoadedManifest, load_manifest
from chronos_assets_tests.support.bars_case import lines, table


def dataset(folder: Path, content: bytes, more: str = "") -> tuple[LoadedManifest, Settings]:
    exports = folder / "exports"
    exports.mkdir(exist_ok=True)
    (exports / "btc.csv").write_bytes(content)
    text = f"dataset: btc_4h_v1\nsource_file: btc.csv\ngranularity: 4h\nchecksum: {file_checksum(exports / 'btc.csv')}\n{more}"
    (exports / "btc_4h_v1.yaml").write_text(text)
    return load_manifest(exports / "btc_4h_v1.yaml"), load_settings(home=folder / "home", exports_dir=exports)


def test_a_dataset_is_normalized_once(tmp_path: Path) -> None:
    """The same file by the same rules is read once; the Arrow file and the report are kept."""
    loaded, settings = dataset(tmp_path, table())
    told: list[int] = []
    first = normalize_dataset(loaded, settings, progress=lambda stage, done, total: told.append(done))
    assert told
    told.clear()
    again = normalize_dataset(loaded, settings, progress=lambda stage, done, total: told.append(done))
    assert (again, told) == (first, [])
    assert first.path.is_relative_to(settings.artifacts_dir)
    assert pl.read_ipc(first.path).height == first.report.rows == 12


def test_other_rules_are_another_file(tmp_path: Path) -> None:
    """A changed manifest never finds the bars of the old one."""
    loaded, settings = dataset(tmp_path, table())
    first = normalize_dataset(loaded, settings)
    loaded, _ = dataset(tmp_path, table(), "columns: {targets: [RSI]}\n")
    other = normalize_dataset(loaded, settings)
    assert other.path != first.path
    assert other.report.by_role("target") == ["RSI", "TGT"]


def test_a_damaged_arrow_file_is_not_mistaken_for_a_kept_one(tmp_path: Path) -> None:
    """Without its report (a process that was killed in between) an Arrow file is made again."""
    loaded, settings = dataset(tmp_path, table())
    first = normalize_dataset(loaded, settings)
    first.path.with_suffix(".json").unlink()
    first.path.write_bytes(b"half")
    assert pl.read_ipc(normalize_dataset(loaded, settings).path).height == 12


@pytest.mark.parametrize("kept", [0, 100, -1])
def test_an_arrow_file_that_was_cut_short_is_made_anew(kept: int, tmp_path: Path) -> None:
    """What a full disk or a power cut left of it is no cache; the report beside it does not vouch for it."""
    loaded, settings = dataset(tmp_path, table())
    first = normalize_dataset(loaded, settings)
    whole = first.path.read_bytes()
    first.path.write_bytes(whole[:kept])
    assert normalize_dataset(loaded, settings) == first
    assert first.path.read_bytes() == whole


def test_a_changed_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    """Even a file that would not parse is refused for its checksum first, with `chronos manifest refresh` as the hint."""
    loaded, settings = dataset(tmp_path, table())
    loaded.source_path.write_bytes(b"not bars at all")
    with pytest.raises(SourceChangedError, match="chronos manifest refresh btc_4h_v1") as caught:
        normalize_dataset(loaded, settings)
    assert caught.value.expected == loaded.manifest.checksum


def test_a_grown_file_is_taken_where_the_manifest_says_so(tmp_path: Path) -> None:
    """With `on_change: grow` the file is read as it lies there and the report carries its real checksum."""
    loaded, settings = dataset(tmp_path, table(), "on_change: grow\n")
    normalize_dataset(loaded, settings)
    loaded.source_path.write_bytes(table(lines(20)))
    grown = normalize_dataset(loaded, settings)
    assert (grown.report.rows, grown.report.checksum) == (20, file_checksum(loaded.source_path))
    assert grown.report.checksum != loaded.manifest.checksum


def test_a_file_that_was_published_is_taken_again(tmp_path: Path) -> None:
    """The checksum in the registry counts beside that in the manifest."""
    loaded, settings = dataset(tmp_path, table())
    loaded.source_path.write_bytes(table(lines(20)))
    checksum = file_checksum(loaded.source_path)
    assert normalize_dataset(loaded, settings, published=lambda: checksum).report.rows == 20
    with pytest.raises(SourceChangedError):
        normalize_dataset(loaded, settings, published=lambda: None)


def test_a_horizon_of_no_target_is_refused(tmp_path: Path) -> None:
    """A horizon that names no target of the file says which target is near."""
    loaded, settings = dataset(tmp_path, table(), "target_horizon: {TGX: 5}\n")
    with pytest.raises(ManifestError, match=r"'TGX'.*Did you mean 'TGT'"):
        normalize_dataset(loaded, settings)


def test_a_missing_or_bad_source_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    """Neither leaves an Arrow file or a temporary one."""
    loaded, settings = dataset(tmp_path, table().replace(b"7.5", b"abc"))
    with pytest.raises(BarsError, match="abc"):
        normalize_dataset(loaded, settings)
    loaded.source_path.unlink()
    with pytest.raises(BarsError, match="does not exist"):
        normalize_dataset(loaded, settings)
    assert not [path for path in settings.home.rglob("*") if path.is_file()]


def test_the_steps_of_a_run_hash_an_unchanged_source_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask, the file is read for its checksum once, and once more to be parsed; a changed one is noticed at once."""
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return file_checksum(path)

    monkeypatch.setattr(file_digests, "SETTLED_SECONDS", 0.0)
    loaded, settings = dataset(tmp_path, table())
    monkeypatch.setattr("chronos_assets.pipeline.export.normalize.file_checksum", counted)
    for _ in range(5):
        normalize_dataset(loaded, settings)
    assert len(read) == 1
    loaded.source_path.write_bytes(table(lines()[:-1]))
    with pytest.raises(SourceChangedError):
        normalize_dataset(loaded, settings)
    assert len(read) == 2
    normalize_dataset(loaded, settings, published=lambda: file_checksum(loaded.source_path), afresh=True)
    assert len(read) == 3
