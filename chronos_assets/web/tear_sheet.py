"""The tear sheet of a simulation as one HTML file: the page's view `?print=1` with the style inside and nothing outside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chronos_assets.domain.slug import Slug
from chronos_assets.errors import RefusedError
from chronos_assets.pipeline.upkeep.retire import REPORTS
from chronos_assets.storage.atomic_write import write_file
from chronos_assets.storage.simulations import get_simulation
from chronos_assets.storage.stores import Stores
from chronos_assets.views.frame_cache import FrameCache
from chronos_assets.web.assets import FOLDER
from chronos_assets.web.pages.rendering import environment
from chronos_assets.web.pages.simulation_values import made_now, sheet_values

STYLE = "app.css"


@dataclass(frozen=True)
class WrittenSheet:
    """Where a tear sheet is, an absolute path or a URL, and its bytes."""

    place: str
    bytes: int


def write_tear_sheet(simulation_id: str, stores: Stores, output: Path | None = None) -> WrittenSheet:
    """Write the sheet to the file `output` (default: the artifact `reports/...`).

    Raises `RefusedError` for a simulation that is not completed.
    """
    simulation = get_simulation(stores.postgres, simulation_id)
    slug = Slug.parse(simulation.dataset_id)  # it comes from a table, and becomes part of a name
    html = render_tear_sheet(simulation.simulation_id, stores).encode()
    if output is None:
        name = f"{REPORTS}/{slug}-{simulation.mode}-{simulation.simulation_id}.html"
        stores.artifacts.put({name: html})
        return WrittenSheet(stores.artifacts.address(name), len(html))
    path = output.expanduser().absolute()
    write_file(path, html)
    return WrittenSheet(str(path), len(html))


def render_tear_sheet(simulation_id: str, stores: Stores) -> str:
    """The sheet as text."""
    record = get_simulation(stores.postgres, simulation_id)
    if record.status != "completed" or record.summary_metrics is None:
        raise RefusedError(
            f"simulation {record.simulation_id} is not complete",
            code="simulation_incomplete",
            found=f"status {record.status}",
            hint=f"`chronos simulate {record.run_id}` finishes it.",
        )
    values = sheet_values(stores, FrameCache(), record)
    style = f"<style>\n{(FOLDER / STYLE).read_text(encoding='utf-8')}</style>"
    return environment().get_template("sheet.html").render(**values, style=style, theme="", made=made_now())
