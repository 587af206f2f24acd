"""The dashboard: one module of routes for each kind of page, over the same views as the API. A new page is named in `ROUTERS`."""

from __future__ import annotations

from fastapi import APIRouter

from chronos_assets.web.pages import api_docs, compare, datasets, folds, home, lfs, lfs_new, login, models, runs, simulations, sweeps

ROUTERS: tuple[APIRouter, ...] = (
    home.router,
    datasets.router,
    compare.router,
    runs.router,
    folds.router,
    sweeps.router,
    simulations.router,
    lfs_new.router,
    lfs.router,
    models.router,
    login.router,
    api_docs.router,
)
