"""Write a manifest for a file, and renew its checksum: the two things that people otherwise do by hand, and wrongly.

Both leave either the old manifest or the new one, never half of one. A renewed manifest keeps its comments and its layout: only the
checksum is replaced.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chronos_assets.domain.bars_spec import BarsSpec, FormatSpec
from chronos_assets.domain.manifest import parse_yaml
from chronos_assets.domain.slug import Slug, granularity_seconds
from chronos_assets.domain.strict_yaml import flow
from chronos_assets.errors import ChronosError, ManifestError, SlugError
from chronos_assets.ingest.compare import BarsChange, compare_bars
from chronos_assets.ingest.reading import normalize
from chronos_assets.ingest.report import BarsReport
from chronos_assets.pipeline.export.normalize import NormalizedBars, cached_bars, normalize_dataset
from chronos_assets.settings import Settings
from chronos_assets.storage.atomic_write import replacing
from chronos_assets.storage.manifest_files import LoadedManifest, load_manifest, manifest_path, read_manifest_text

_CHECKSUM_LINE = re.compile(r"^(\s*checksum\s*:[ \t]*)([^\s#,}]+|\"[^\"\n]*\"|'[^'\n]*')?", re.MULTILINE)
_ENDINGS = frozenset({"csv", "txt", "tsv", "dat", "prn", "gz", "zst", "parquet", "arrow", "ipc", "feather", "xlsx", "xlsm"})
_INTERVAL_WORDS = frozenset({"minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "yearly"})
_TARGETS_NAMED = 9
_NO_CHECKSUM = "sha256:" + "0" * 64


@dataclass(frozen=True)
class NewManifest:
    """A manifest that was written. `copied_to` is where the source was copied, None if it already lay in place."""

    path: Path
    report: BarsReport
    copied_to: Path | None


@dataclass(frozen=True)
class Refreshed:
    """The outcome of a refresh. `change` is None if the bars as they were before are not at hand."""

    path: Path
    old_checksum: str
    checksum: str
    report: BarsReport
    change: BarsChange | None

    @property
    def unchanged(self) -> bool:
        """Whether the file still is what the manifest says."""
        return self.old_checksum == self.checksum


def new_manifest(
    source: Path, settings: Settings, spec: BarsSpec, *, slug: str | None = None, copy: bool = True, force: bool = False
) -> NewManifest:
    """Write `exports/<slug>.yaml` for `source`, with its checksum and what was found in it.

    A source outside the exports folder and the data roots is copied into the exports folder unless `copy` is false. Raises `BarsError` for
    a file that cannot be taken, `ManifestError` if a manifest (or another file of the same name) is there already and `force` is false.
    """
    if slug is not None:
        spec = spec.model_copy(update={"granularity": Slug.parse(slug).granularity})
    report = normalize(source, spec, None)
    slug = slug or infer_slug(source.name, report)
    exports = settings.exports_dir
    path = manifest_path(exports, slug)
    if path.exists() and not force:
        raise ManifestError(
            "there is a manifest already",
            code="manifest_exists",
            hint=_hint_for_existing(path, source, slug),
            file=str(path),
        )
    exports.mkdir(parents=True, exist_ok=True)
    relative, copied = _place(source, settings, report, copy=copy, force=force)
    _write_atomically(path, manifest_text(slug, relative, report, spec))
    # Read once more by the manifest just written: it must work as it stands, and `refresh` needs the bars to compare with.
    bars = normalize_dataset(load_manifest(path, data_roots=settings.data_roots), settings)
    return NewManifest(path, bars.report, copied)


def _hint_for_existing(path: Path, source: Path, slug: str) -> str:
    """What to do about a manifest that is there already: one of another file is not to be overwritten."""
    with contextlib.suppress(ChronosError):
        named = str(parse_yaml(read_manifest_text(path), str(path)).get("source_file", ""))
        if Path(named).name != source.name:
            return f"It is the manifest of {named}: name another slug with --slug."
    return f"`chronos manifest refresh {slug}` renews its checksum; --slug names another, --force writes it again."


def infer_slug(name: str, report: BarsReport) -> str:
    """A slug from a file name and the bars in it: `btc_1h_tssb.csv` with 1h bars -> `btc_1h_v1`."""
    if report.granularity is None:
        raise ManifestError(
            "the interval of the bars cannot be seen", code="granularity_unknown", hint="Give a slug: --slug symbol_4h_v1.", file=name
        )
    parts = [part for part in re.split(r"[^a-z0-9]+", _stem(name).lower()) if part]
    version = next((part for part in parts if re.fullmatch(r"v[0-9]{1,9}", part)), "v1")
    words = [part for part in parts if part != version]
    at = next((i for i, part in enumerate(words) if _is_interval(part)), len(words))
    symbol = "-".join(words[:at] or words[at + 1 :]) or "data"
    try:
        return str(Slug.parse(f"{symbol}_{report.granularity}_{version}"))
    except SlugError as error:
        raise SlugError(
            error.message, code=error.code, expected=error.expected, hint="Give a slug: --slug symbol_4h_v1.", file=name
        ) from None


def _stem(name: str) -> str:
    """A file name without the endings of data files: `BRK.B.csv.gz` -> `BRK.B`."""
    while (parts := name.rpartition("."))[0] and parts[2].lower() in _ENDINGS:
        name = parts[0]
    return name


def _is_interval(text: str) -> bool:
    if text in _INTERVAL_WORDS:
        return True
    try:
        return granularity_seconds(text) > 0
    except SlugError:
        return False


def manifest_text(slug: str, relative: str, report: BarsReport, spec: BarsSpec) -> str:
    """The manifest as text, with a word beside what people change."""
    written = spec.format.written()
    form: dict[str, Any] = {"preset": spec.format.preset, "delimiter": report.delimiter}
    if spec.format.date_form == "yyyymmdd" and spec.format.time is None:
        form["time_format"] = report.time_format
    form |= {"timezone": report.timezone, "market": report.market or None, "bar_time": report.bar_time}
    form |= {key: value for key, value in written.items() if key != "time_format" or "time" not in written}
    if spec.format.preset is not None:
        # What the preset says needs no second word.
        usual = FormatSpec(preset=spec.format.preset)
        form = {key: value for key, value in form.items() if key == "preset" or value != getattr(usual, key)}
    columns = {"targets": spec.columns.targets, "prices": spec.columns.prices or [], "exclude": spec.columns.exclude}
    lines = [
        f"dataset: {slug}",
        f"source_file: {_scalar(relative)}",
        f"granularity: {Slug.parse(slug).granularity}",
        f"checksum: {report.checksum}  # of the file as it is there; `chronos manifest refresh {slug}` renews it",
        "on_change: refuse  # or grow: take a file to which bars were appended",
        f"format: {flow({key: value for key, value in form.items() if value is not None})}",
    ]
    if any(columns.values()):
        lines.append(f"columns: {flow({key: value for key, value in columns.items() if value})}")
    targets = report.by_role("target")
    if spec.target_horizon:
        lines.append(f"target_horizon: {flow(dict(spec.target_horizon))}")
    elif targets:
        lines += _proposed_horizons(report)
    if targets:
        others = f"  # or {', '.join(map(_scalar, targets[1:_TARGETS_NAMED]))}" if len(targets) > 1 else ""
        lines += ["walkforward:", f"  default: {flow({'target': targets[0]})}{others}"]
    return "\n".join(lines) + "\n"


def _proposed_horizons(report: BarsReport) -> list[str]:
    """What the file shows of the targets' horizons, as a proposal to be checked; a comment if it shows no more than one bar."""
    targets = [column for column in report.columns if column.role == "target"]
    lines = ["# The largest h such that the target of bar t uses any price of bar t+h."]
    shown = {column.name: column.horizon_shown or 1 for column in targets}
    if max(shown.values()) > 1:
        lines.append("# Proposed from the file, which shows a lower bound. CHECK EACH: a horizon that is too small leaks into training.")
        lines += [f"#   {c.name}: {c.horizon_reason}" for c in targets if shown[c.name] > 1]
        return [*lines, f"target_horizon: {flow({name: bars for name, bars in shown.items() if bars > 1})}"]
    return [
        *lines,
        "# The file shows no more than 1, which is assumed, with a warning, until it is declared:",
        f"# target_horizon: {flow(shown)}",
    ]


def _scalar(value: str) -> str:
    return flow({"x": value})[4:-1]


def _place(source: Path, settings: Settings, report: BarsReport, *, copy: bool, force: bool) -> tuple[str, Path | None]:
    """The source's path as the manifest writes it, and where it was copied to (None: it lay in place)."""
    real = source.resolve()
    for root in (settings.exports_dir, *settings.data_roots):
        if real.is_relative_to(root.resolve()):
            return real.relative_to(root.resolve()).as_posix(), None
    if not copy:
        raise ManifestError(
            "the file is outside the exports folder and the data roots",
            code="path_outside",
            found=str(real),
            hint=f"Move it to {settings.exports_dir}, add its folder to CHRONOS_DATA_ROOTS, or leave out --no-copy.",
        )
    target = settings.exports_dir / source.name
    if target.exists() and not force:
        with target.open("rb") as file:
            if f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == report.checksum:
                return target.name, None
        raise ManifestError(
            "there is another file of this name", code="file_exists", hint="Rename one of the two, or give --force.", file=str(target)
        )
    _copy_atomically(real, target, report.checksum)
    return target.name, target


def _copy_atomically(source: Path, target: Path, checksum: str) -> None:
    digest = hashlib.sha256()
    with replacing(target) as file, source.open("rb") as original:
        while piece := original.read(1 << 20):
            digest.update(piece)
            file.write(piece)
        if f"sha256:{digest.hexdigest()}" != checksum:
            raise ManifestError("the file changed while it was copied", code="source_changed", file=str(source), hint="Try again.")


def _write_atomically(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())


def refresh_manifest(slug: str, settings: Settings, *, write: bool = True) -> Refreshed:
    """Compare the source with what was normalized last, and put its checksum into the manifest.

    The manifest stays as it is if the file cannot be taken as bars, or `write` is false.
    """
    path = manifest_path(settings.exports_dir, slug)
    text = read_manifest_text(path)
    loaded = load_manifest(path, data_roots=settings.data_roots, replace_checksum=_NO_CHECKSUM)
    before = cached_bars(loaded, settings)
    grown = _with(loaded, on_change="grow")
    after = normalize_dataset(grown, settings)
    result = Refreshed(path, loaded.manifest.checksum, after.report.checksum, after.report, _change(before, after))
    if write and not result.unchanged:
        _write_atomically(path, with_checksum(text, loaded.manifest.checksum, result.checksum))
        load_manifest(path, data_roots=settings.data_roots)
    return result


def _with(loaded: LoadedManifest, **update: Any) -> LoadedManifest:
    manifest = loaded.manifest.model_copy(update=update)
    return LoadedManifest(manifest, loaded.path, loaded.source_path, loaded.ohlcv_path, loaded.manifest_digest)


def _change(before: NormalizedBars | None, after: NormalizedBars) -> BarsChange | None:
    return None if before is None else compare_bars(before.path, after.path, after.report.by_role("target"))


def with_checksum(text: str, old: str, new: str) -> str:
    """The manifest's text with its checksum replaced; everything else stays as it was written."""
    if text.count(old) == 1:
        return text.replace(old, new)
    if _CHECKSUM_LINE.search(text):
        return _CHECKSUM_LINE.sub(lambda match: f"{match[1]}{'' if match[1].endswith((' ', chr(9))) else ' '}{new}", text, count=1)
    return f"{text.rstrip()}\nchecksum: {new}\n"
