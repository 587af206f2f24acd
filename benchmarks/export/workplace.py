"""Servers of a benchmark's or a campaign's own: own home, own ports, gone afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chronos_assets import services
from chronos_assets.services import ports
from chronos_assets.settings import Settings, load_settings


@contextmanager
def own_servers(**overrides: Any) -> Iterator[tuple[Settings, services.Connections]]:
    """Embedded servers below a temporary home, and the settings that lead to them."""
    folder = Path(tempfile.mkdtemp(prefix="chronos-bench-"))
    folder.chmod(0o755)
    chosen: list[int] = []
    for _ in range(4):
        chosen.append(ports.free(taken=chosen))
    names = ("questdb_http_port", "questdb_pg_port", "questdb_ilp_port", "postgres_port")
    given = {**dict(zip(names, chosen, strict=True)), **overrides}
    settings = load_settings(home=folder / "home", exports_dir=folder / "exports", **given)
    settings.exports_dir.mkdir()
    try:
        yield settings, services.start(settings)
    finally:
        services.stop(settings)
        shutil.rmtree(folder, ignore_errors=True)
