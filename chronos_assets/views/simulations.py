"""Simulations as readers see them: pages, one simulation with its buckets, and its returns by month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chronos_assets.errors import ConflictError, NotPublishedError
from chronos_assets.storage.listing import SIMULATIONS, list_page
from chronos_assets.storage.postgres import Postgres, Row
from chronos_assets.storage.reading import NOTHING_STORED
from chronos_assets.storage.run_standings import RunStanding, run_standings
from chronos_assets.storage.runs import run_bars
from chronos_assets.storage.simulations import SimulationRecord, get_buckets, get_simulation
from chronos_assets.views import documents as doc
from chronos_assets.views.liveness import dead_simulations, with_dead_simulations
from chronos_assets.views.pages import Page, after_of, cursor_of
from chronos_assets.views.runs import NEWEST_FIRST, standing_fields


def list_simulations(
    postgres: Postgres, filters: Mapping[str, Any], *, sort: str = NEWEST_FIRST, limit: int = 100, cursor: str | None = None
) -> Page[doc.Simulation]:
    """A page of simulations. `filters`: those of `storage.listing.SIMULATIONS`; None does not count."""
    after = after_of(cursor, sort)
    try:
        dead = dead_simulations(postgres) if filters.get("status") else None
        page = list_page(postgres, SIMULATIONS, filters, sort=sort, limit=limit, after=after, dead=sorted(dead or ()))
    except NotPublishedError as error:
        if error.code != NOTHING_STORED:
            raise
        return Page([], 0)
    return Page(_documents(postgres, page.rows, dead), page.total, cursor_of(sort, page.next))


def read_simulation(postgres: Postgres, simulation_id: str) -> doc.Simulation:
    """One simulation; raises `NotPublishedError` with the nearest id."""
    (one,) = _documents(postgres, [vars(get_simulation(postgres, simulation_id))])
    return one


def read_simulation_detail(postgres: Postgres, simulation_id: str) -> doc.SimulationDetail:
    """A simulation with its buckets and what a reader should stop at."""
    simulation = read_simulation(postgres, simulation_id)
    buckets = [doc.Bucket(**{**row, "simulation_id": simulation.simulation_id}) for row in get_buckets(postgres, simulation.simulation_id)]
    base = f"/api/tradesim/runs/{simulation.simulation_id}"
    links = {name: f"{base}/{name}" for name in ("trades", "equity", "monthly", "judgement")}
    links |= {"self": base, "run": f"/api/walkforward/runs/{simulation.run_id}", "dataset": f"/api/datasets/{simulation.dataset_id}"}
    return doc.SimulationDetail(run=simulation, buckets=buckets, warnings=warnings_of(simulation), links=links)


def completed(postgres: Postgres, simulation_id: str) -> SimulationRecord:
    """The record of a simulation whose trades and equity are whole; raises `ConflictError` (`simulation_incomplete`) otherwise."""
    record = get_simulation(postgres, simulation_id)
    if record.status != "completed" or record.summary_metrics is None:
        raise ConflictError(
            f"simulation {record.simulation_id} is not complete",
            code="simulation_incomplete",
            found=f"status {record.status}",
            hint=f"`chronos simulate {record.run_id}` finishes it.",
        )
    return record


def warnings_of(simulation: doc.Simulation) -> list[doc.Warn]:
    """What a reader of the simulation should stop at."""
    summary, found = simulation.summary_metrics or {}, []
    if error := summary.get("error"):
        found.append(doc.Warn(code=str(error.get("code", "failed")), message=str(error.get("message", ""))))
    if simulation.superseded_by is not None:
        message = f"it stands on an older run: {simulation.superseded_by} is the current one of profile {simulation.profiles[0]}"
        found.append(doc.Warn(code="superseded", message=message))
    if summary.get("ruined"):
        found.append(doc.Warn(code="ruined", message="the account fell to zero; later trades could not have been made"))
    return found


def _documents(postgres: Postgres, rows: Sequence[Row], dead: set[str] | None = None) -> list[doc.Simulation]:
    runs = list({str(row["run_id"]) for row in rows})
    standings, bars = run_standings(postgres, runs), run_bars(postgres, runs)
    documents = []
    for row in with_dead_simulations(postgres, rows, dead):
        run_id = str(row["run_id"])
        values = {**row, "simulation_id": str(row["simulation_id"]), "run_id": run_id, "bars": bars.get(run_id)}
        documents.append(doc.Simulation(**values, **standing_fields(standings.get(run_id, RunStanding()))))
    return documents
