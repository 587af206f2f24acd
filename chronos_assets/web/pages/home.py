"""`/`: what is new since yesterday. Also the switch between light and dark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from chronos_assets.views import datasets as dataset_views
from chronos_assets.views import runs as run_views
from chronos_assets.views import selections as selection_views
from chronos_assets.views import simulations as simulation_views
from chronos_assets.views import sweeps as sweep_views
from chronos_assets.views.nights import list_mornings
from chronos_assets.web.context import Words, stores_of
from chronos_assets.web.own_forms import form_of
from chronos_assets.web.pages.forms import own_path
from chronos_assets.web.pages.rendering import THEMES, page
from chronos_assets.web.pages.runs import list_values

router = APIRouter(include_in_schema=False)
NEWEST = 10
# Characters of an id that a search needs.
SHORTEST_ID = 4
A_YEAR_SECONDS = 31_536_000


@router.get("/")
def home(request: Request) -> Response:
    """What the last night came to, the newest runs and simulations, what failed since yesterday, and the datasets."""
    postgres = stores_of(request).postgres
    yesterday = datetime.now(UTC) - timedelta(days=1)
    failed = run_views.list_runs(postgres, {"status": ["failed"], "created_from": yesterday}, limit=NEWEST)
    runs = run_views.list_runs(postgres, {}, limit=NEWEST)
    return page(
        request,
        "home.html",
        night=next(iter(list_mornings(postgres, limit=1)), None),
        datasets=dataset_views.list_datasets(postgres),
        runs=runs,
        **list_values(postgres, runs.items),
        simulations=simulation_views.list_simulations(postgres, {}, limit=NEWEST),
        failed=failed,
    )


@router.get("/search")
def search(request: Request, q: Words = None) -> Response:
    """To the dataset, run, simulation, selection or sweep whose name or id begins so; several are listed."""
    text, postgres = (q or "").strip(), stores_of(request).postgres
    root = str(request.scope.get("root_path", "")).rstrip("/")
    if not text:
        return RedirectResponse(f"{root}/", 303)
    datasets = dataset_views.list_datasets(postgres, q=text)
    runs = run_views.list_runs(postgres, {"q": text}, limit=NEWEST)
    simulations = simulation_views.list_simulations(postgres, {"q": text}, limit=NEWEST)
    selections = [one for one in selection_views.list_selections(postgres) if _named(text, one.lfs_id, one.dataset_id, one.target_column)]
    sweeps = [one for one in sweep_views.list_sweeps(postgres) if _named(text, one.sweep_id, one.dataset_id, one.target)]
    places = [f"/datasets/{one.dataset_id}" for one in datasets if one.dataset_id == text.lower()]
    places += [f"/runs/{one.run_id}" for one in runs.items if one.run_id.startswith(text.lower())]
    places += [f"/simulations/{one.simulation_id}" for one in simulations.items if one.simulation_id.startswith(text.lower())]
    places += [f"/lfs/{one.lfs_id}" for one in selections if one.lfs_id.startswith(text.lower())]
    places += [f"/sweeps/{one.sweep_id}" for one in sweeps if one.sweep_id.startswith(text.lower())]
    if len(places) == 1:
        return RedirectResponse(f"{root}{places[0]}", 303)
    found: dict[str, Any] = {"datasets": datasets, "runs": runs, "simulations": simulations, "selections": selections, "sweeps": sweeps}
    return page(request, "search.html", q=text, **found, **list_values(postgres, runs.items))


def _named(text: str, identifier: str, *names: str) -> bool:
    """Whether an id begins with `text`, or one of its names holds it, in any case; as lists of runs are searched."""
    return (len(text) >= SHORTEST_ID and identifier.startswith(text.lower())) or any(text.lower() in name.lower() for name in names)


@router.post("/theme")
async def choose_theme(request: Request) -> Response:
    """Remember light or dark in a cookie and go back to the page; works without a script."""
    form = await form_of(request)
    theme, back = form.get("theme", [""])[0], form.get("back", ["/"])[0]
    answer = RedirectResponse(own_path(back), 303)
    if theme in THEMES:
        answer.set_cookie("theme", theme, max_age=A_YEAR_SECONDS, samesite="strict", httponly=True)
    return answer
