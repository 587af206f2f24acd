"""`chronos sweep`: many walk-forward runs over a grid of parameters, ranked with a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from chronos_assets.cli.common import emit, json_option, say
from chronos_assets.cli.page_line import page_line
from chronos_assets.cli.slug_argument import slug_argument
from chronos_assets.cli.walkforward import parse_change, profile_options, read_profile
from chronos_assets.cli.workplace import open_stores_of
from chronos_assets.domain.statistics.ranking import RANKINGS_TOLD
from chronos_assets.errors import UsageError
from chronos_assets.settings import load_settings

if TYPE_CHECKING:
    from chronos_assets.pipeline.walkforward.sweep import SweepResult


@click.command()
@slug_argument()
@click.option(
    "--grid", "axes", multiple=True, required=True, metavar="KEY=[V1, V2]", help="Values to try, for example model.eta=[0.01, 0.05]."
)
@click.option("--rank-by", default="profit_factor", show_default=True, help=f"{RANKINGS_TOLD}.")
@profile_options
@json_option
def sweep(slug: str, axes: tuple[str, ...], rank_by: str, as_json: bool, **options: Any) -> None:
    """Run a grid of walk-forward parameters of SLUG and rank the results. Every point is a run of its own and resumes."""
    from chronos_assets.cli.progress import Reporter
    from chronos_assets.pipeline.walkforward.sweep import run_sweep
    from chronos_assets.views.documents import Sweep

    grid = dict(parse_axis(text) for text in axes)
    settings = load_settings()
    profile, horizon_of = read_profile(settings, slug, options)  # refused before anything is started
    stores = open_stores_of(settings)
    with Reporter(slug) as progress:
        result = run_sweep(slug, profile, grid, stores, horizon_of=horizon_of, rank_by=rank_by, progress=progress)
    for warning in result.warnings:
        say(f"warning {warning['code']}: {warning['message']}")
    page = f"\n{page_line(stores.settings, f'/sweeps/{result.sweep_id}')}" if result.sweep_id else ""
    emit(Sweep(**result.as_json()), as_json, lambda _: _text(result) + page)


def parse_axis(text: str) -> tuple[str, list[Any]]:
    """`model.eta=[0.01, 0.05]` or `model.eta=0.01,0.05` -> (`model.eta`, [0.01, 0.05])."""
    key, value = parse_change(text)
    if isinstance(value, str) and "," in value:
        key, value = parse_change(f"{key}=[{value}]")
    if value is None or value == []:
        raise UsageError(f"the grid gives no value for {key}", code="grid_empty")
    return key, value if isinstance(value, list) else [value]


def _text(result: SweepResult) -> str:
    lines = [f"{'profit factor':>13} {'sum':>10} {'signals':>8} {'deflated':>9}  run and changes (ranked by {result.ranked_by})"]
    for trial in result.trials:
        m = trial.metrics
        factor = "no losses" if m.get("no_losses") else "-" if m.get("profit_factor") is None else f"{m['profit_factor']:.3f}"
        chance = "-" if trial.deflated is None else f"{trial.deflated.probability:.3f}"
        total = f"{m.get('signal_sum', 0.0):.4g}"
        lines.append(f"{factor:>13} {total:>10} {m.get('n_signals', 0):>8} {chance:>9}  {trial.run_id or trial.error} {trial.changes}")
    found = result.overfitting
    if found is not None:
        lines.append(
            f"over {found.bars:,} bars that all {found.runs} runs predicted: probability of overfitting {_share(found.probability)}, "
            f"p-value of the best against doing nothing {_share(found.spa_p_value)} (Hansen's SPA)"
        )
    lines.append(f"sweep {result.sweep_id}; deflated: among all {result.trials_on_record} trials on record for this data and target")
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
