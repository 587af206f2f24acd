"""The JSON API: one module per resource, each with a `router`. A new resource is a module here and its name in `ROUTERS`."""

from chronos_assets.web.api import datasets, events, health, lfs, models, nights, simulations, sweeps, walkforward

ROUTERS = (
    datasets.router,
    walkforward.router,
    simulations.router,
    sweeps.router,
    lfs.router,
    models.router,
    events.router,
    health.router,
    nights.router,
)
