"""`chronos folds` and `chronos walkforward`: the plan of folds before anything runs, and the run itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from chronos_assets.cli import completion
from chronos_assets.cli.common import emit, json_option, say
from chronos_assets.cli.metrics_table import metrics_table
from chronos_assets.cli.page_line import page_line
from chronos_assets.cli.slug_argument import slug_argument
from chronos_assets.cli.workplace import find_manifest, open_stores_of
from chronos_assets.domain.folds import Fold, plan_folds, resolve_layout
from chronos_assets.domain.profiles.variants import change_profile
from chronos_assets.domain.profiles.walkforward import WalkforwardProfile
from chronos_assets.domain.strict_yaml import YamlProblem, load_yaml
from chronos_assets.errors import ManifestError, NotPublishedError, ServiceUnavailableError, UsageError
from chronos_assets.settings import Executor, load_settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chronos_assets.pipeline.walkforward.run import HorizonOf, WalkforwardResult
    from chronos_assets.settings import Settings
    from chronos_assets.storage.manifest_files import LoadedManifest

PICTURE_FOLDS, PICTURE_WIDTH = 16, 64
Command = Callable[..., Any]


def profile_options(command: Command) -> Command:
    """Options that choose a profile and change it."""
    options = [
        click.option("--profile", "profile_name", default="default", show_default=True, help="Walk-forward profile of the manifest."),
        click.option("--manifest", "manifest_file", type=click.Path(path_type=Path), help="Manifest to use instead of the dataset's."),
        click.option(
            "--set",
            "changes",
            multiple=True,
            metavar="KEY=VALUE",
            shell_complete=completion.walkforward_keys,
            help="Change a parameter, for example model.eta=0.05.",
        ),
        click.option("--target", help="Target column."),
        click.option("--horizon", type=click.IntRange(min=1), help="Bars that the target looks ahead; default: as the manifest declares."),
        click.option("--window", type=click.Choice(["rolling", "anchored"]), help="Layout of the train window."),
        click.option("--train-size", type=int, help="Bars of the train window."),
        click.option("--test-size", type=int, help="Bars of the test window."),
        click.option("--train", help="Calendar length of the train window, for example 2y."),
        click.option("--test", help="Calendar length of the test window, for example 1M."),
        click.option("--gap", type=int, help="Bars between train and test."),
        click.option("--step", help="Bars (or calendar length) between folds; default: the test window."),
        click.option("--initial-offset", "--offset", "initial_offset", type=int, help="Bars left out before the first fold."),
        click.option("--start-fold", type=int, help="First fold taken."),
        click.option("--end-fold", type=int, help="First fold not taken any more."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@slug_argument(required=False)
@click.option("--rows", type=click.IntRange(min=0), help="Plan for this many bars, without a dataset.")
@profile_options
@json_option
def folds(slug: str | None, rows: int | None, as_json: bool, **options: Any) -> None:
    """Show the plan of walk-forward folds of SLUG, or of --rows bars. Rows are half-open: [start, end)."""
    if (slug is None) == (rows is None):
        raise UsageError("name a dataset, or give --rows", code="folds_of_what")
    timestamps: NDArray[np.int64] | None = None
    interval = None
    if slug is None:
        profile, bars, looks_ahead = changed_profile(WalkforwardProfile(), options), rows or 0, options["horizon"] or 1
    else:
        profile, bars, looks_ahead, timestamps, interval = _dataset_plan(slug, options)
    layout = resolve_layout(profile, rows=bars, horizon=looks_ahead)
    plan = plan_folds(layout, bars, timestamps=timestamps, interval_seconds=interval)
    if not plan:
        say(f"no fold fits into {bars} bars")
    from chronos_assets.views.documents import PlannedFold

    emit([PlannedFold(**fold.as_row()) for fold in plan], as_json, lambda _: _plan_text(plan, bars, timestamps))


@click.command()
@slug_argument()
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Device of this run.")
@click.option("--executor", type=click.Choice(get_args(Executor)), help="Where folds run; default: the setting.")
@click.option("--workers", type=click.IntRange(min=1), help="Folds trained at the same time; default: the setting.")
@profile_options
@json_option
def walkforward(slug: str, device: str | None, executor: str | None, workers: int | None, as_json: bool, **options: Any) -> None:
    """Train the missing folds of a walk-forward run of SLUG. The same request is the same run."""
    from chronos_assets.cli.progress import Reporter
    from chronos_assets.learning.executors.catalogue import open_executor
    from chronos_assets.pipeline.walkforward.run import resolve_target, run_walkforward
    from chronos_assets.storage.datasets import get_dataset
    from chronos_assets.views.documents import WalkforwardOutcome

    given = {"executor": executor, "workers": workers}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    profile, horizon_of = read_profile(settings, slug, options)  # refused before anything is started
    stores = open_stores_of(settings)
    if device is not None:
        profile = profile.model_copy(update={"device": device})
    record = get_dataset(stores.postgres, slug)
    horizon, assumed = horizon_of(resolve_target(record, profile))
    with Reporter(slug) as progress:
        result = run_walkforward(
            slug,
            profile,
            stores,
            horizon=horizon,
            horizon_assumed=assumed,
            profile_name=options["profile_name"] if device is None and unchanged(options) else None,
            requested_by="chronos walkforward",
            progress=progress,
            executor=open_executor(stores.settings),
        )
    for warning in result.warnings:
        say(f"warning {warning['code']}: {warning['message']}")
    page = page_line(stores.settings, f"/runs/{result.run_id}")
    emit(WalkforwardOutcome(**asdict(result), dataset=slug), as_json, lambda _: f"{_result_text(slug, result)}\n{page}")


def unchanged(options: dict[str, Any]) -> bool:
    """Whether the options ask for a profile of the dataset's manifest just as it is there."""
    return not any(value for name, value in options.items() if name != "profile_name") and options.get("initial_offset") is None


def read_profile(settings: Settings, slug: str, options: dict[str, Any]) -> tuple[WalkforwardProfile, HorizonOf]:
    """The profile of the dataset's manifest with the command line's changes, and the horizon of each target.

    A published dataset needs no manifest here: without one, everything has its default and the horizon is assumed unless `--horizon`
    declares it.
    """
    loaded = find_manifest(settings, slug, options.get("manifest_file"))
    name = options.get("profile_name") or "default"
    given = options.get("horizon")
    if loaded is None:
        if name != "default":
            raise ManifestError(f"there is no manifest of {slug} to take profile {name!r} from", code="manifest_missing", slug=slug)
        return changed_profile(WalkforwardProfile(), options), lambda _: (given or 1, given is None)
    profile = changed_profile(loaded.manifest.walkforward_profile(name), options)
    return profile, loaded.manifest.horizon if given is None else lambda _: (given, False)


def changed_profile(profile: WalkforwardProfile, options: dict[str, Any]) -> WalkforwardProfile:
    """`profile` with what the options say, validated as a manifest's would be."""
    changes: dict[str, Any] = {}
    names = ("target", "window", "train_size", "test_size", "train", "test", "gap", "initial_offset", "start_fold", "end_fold")
    changes |= {name: options[name] for name in names if options.get(name) is not None}
    if options.get("step") is not None:
        changes["step"] = int(options["step"]) if options["step"].lstrip("-").isdigit() else options["step"]
    changes |= dict(parse_change(text) for text in options.get("changes") or ())
    return change_profile(profile, changes)


def parse_change(text: str) -> tuple[str, Any]:
    """`model.eta=0.05` -> (`model.eta`, 0.05); values are read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"{text!r} is not KEY=VALUE", code="change_invalid")
    try:
        return key.strip(), load_yaml(value)
    except YamlProblem as error:
        raise UsageError(f"the value of {key} cannot be read: {error.problem}", code="change_invalid", found=value[:200]) from None


def _dataset_plan(slug: str, options: dict[str, Any]) -> tuple[WalkforwardProfile, int, int, NDArray[np.int64] | None, int]:
    """Profile, bars, horizon, bar times and interval of a dataset: as published, else as its file is.

    Raises `ProfileError` for a horizon that is an assumption which the bars contradict, as the run would.
    """
    from chronos_assets.domain.interval import seconds_to_next_bar
    from chronos_assets.domain.slug import Slug

    settings, parsed = load_settings(), Slug.parse(slug)
    profile, horizon_of = read_profile(settings, slug, options)
    try:
        targets, times, refuse = _published_bars(settings, slug)
    except (NotPublishedError, ServiceUnavailableError) as error:
        loaded = find_manifest(settings, slug, options.get("manifest_file"))
        if loaded is None:
            raise error from None
        targets, times, refuse = _bars_of_file(settings, loaded)
    target = next((name for name in targets if name.casefold() == (profile.target or targets[0]).casefold()), "")
    horizon, assumed = horizon_of(target)
    if assumed and target:
        refuse(target)
    return profile, len(times), horizon, times, seconds_to_next_bar(parsed.granularity, int(times[-1]))


def _published_bars(settings: Settings, slug: str) -> tuple[list[str], NDArray[np.int64], Callable[[str], None]]:
    """Targets, times of the bars, and what refuses a target that shows a horizon of more than one bar."""
    from chronos_assets import services
    from chronos_assets.pipeline.walkforward.horizon import refuse_undeclared
    from chronos_assets.storage.datasets import get_dataset, read_bars
    from chronos_assets.storage.stores import open_stores

    stores = open_stores(services.connect(settings, start=False), settings)
    record = get_dataset(stores.postgres, slug)
    times = read_bars(stores, record, [])["timestamp_unix"].to_numpy()
    return record.names("target"), times, lambda target: refuse_undeclared(stores, record, target)


def _bars_of_file(settings: Settings, loaded: LoadedManifest) -> tuple[list[str], NDArray[np.int64], Callable[[str], None]]:
    """The same of a file that is not published."""
    import polars as pl

    from chronos_assets.pipeline.export.normalize import normalize_dataset
    from chronos_assets.pipeline.walkforward.horizon import undeclared

    bars = normalize_dataset(loaded, settings)
    shown = {column.name: column for column in bars.report.columns}

    def refuse(target: str) -> None:
        if (shown[target].horizon_shown or 1) > 1:
            raise undeclared(target, shown[target].horizon_shown or 1, shown[target].horizon_reason or "", loaded.manifest.dataset)

    return bars.report.by_role("target"), pl.read_ipc(bars.path, columns=["timestamp_unix"])["timestamp_unix"].to_numpy(), refuse


def _plan_text(plan: Sequence[Fold], rows: int, timestamps: NDArray[np.int64] | None = None) -> str:
    dates = "" if timestamps is None else f"  {'first train bar':<17} {'first test bar':<17} {'last test bar':<17}"
    lines = [f"{'fold':>6} {'train_start':>12} {'train_end':>10} {'test_start':>11} {'test_end':>9}{dates}"]
    for fold in plan:
        edges = f"{fold.number:>6} {fold.train_start:>12} {fold.train_end:>10} {fold.test_start:>11} {fold.test_end:>9}"
        named = () if timestamps is None else (timestamps[row] for row in (fold.train_start, fold.test_start, fold.test_end - 1))
        lines.append(edges + "".join(f"{'  ' if n == 0 else ' '}{_minute(int(second)):<17}" for n, second in enumerate(named)).rstrip())
    return "\n".join([*lines, "", picture(plan, rows), f"{len(plan)} folds over {rows} bars; = train, # test"])


def _minute(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M}"


def picture(plan: Sequence[Fold], rows: int) -> str:
    """The plan in a few lines of text: folds from top to bottom, bars from left to right."""
    every = max(1, -(-len(plan) // PICTURE_FOLDS))
    shown = list(plan[::every])
    if plan and shown[-1] is not plan[-1]:
        shown.append(plan[-1])
    lines = []
    for fold in shown:
        cells = ["."] * PICTURE_WIDTH
        for start, end, mark in ((fold.train_start, fold.train_end, "="), (fold.test_start, fold.test_end, "#")):
            first, last = start * PICTURE_WIDTH // rows, (end - 1) * PICTURE_WIDTH // rows
            cells[first : last + 1] = mark * (last - first + 1)
        lines.append(f"{fold.number:>6} {''.join(cells)}")
    return "\n".join(lines)


def _result_text(slug: str, result: WalkforwardResult) -> str:
    from chronos_assets.pipeline.walkforward.summary import basis_lines

    return "\n".join(
        [
            f"run {result.run_id} of {slug}: {result.status} on {result.device} in {result.seconds:.1f} s",
            f"folds: {result.folds_planned} planned, {result.folds_trained} trained, {result.folds_copied} copied, "
            f"{result.folds_present} present",
            *metrics_table(result.summary_metrics),
            *basis_lines(result.summary_metrics),
        ]
    )
