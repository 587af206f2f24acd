"""The whole export over ILP/TCP, to the listener of the embedded server: the same rows, verified and published, as over HTTP."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chronos_assets import services
from chronos_assets.settings import PREFIX, Settings
from chronos_assets.storage.stores import open_stores
from chronos_assets_tests.support.commands import run_program
from chronos_assets_tests.support.export_case import make_case


def test_an_export_over_tcp_ends_in_the_rows_of_one_over_http(
    make_settings: Callable[..., Settings], tmp_path: Path, unique_slug: str
) -> None:
    """The listener needs no address for reading; the result names the transport; the audit proves delivery; both tags hold the same."""
    settings = make_settings(questdb_ilp_tcp=True, exports_dir=tmp_path)
    stores = open_stores(services.start(settings, durable=False), settings)
    case = make_case(stores, tmp_path, unique_slug, rows=5000)
    case.save()
    variables = {**os.environ, **{f"{PREFIX}{name.upper()}": str(getattr(settings, name)) for name in settings.model_fields_set}}

    def export(*arguments: str) -> dict[str, Any]:
        done = run_program(case.slug, "--json", *arguments, program="export", env=variables)
        assert done.returncode == 0, done.stderr
        parsed: dict[str, Any] = json.loads(done.stdout)
        return parsed

    listener = f"tcp::addr=127.0.0.1:{services.status(settings)[0].ports['ilp']};"
    over_tcp = export("--questdb", listener, "--transport", "ilp-tcp")
    over_http = export("--replace")
    for told, transport, tag in ((over_tcp, "ilp-tcp", case.slug), (over_http, "ilp-http", f"{case.slug}@2")):
        assert (told["transport"], told["questdb_tag"], told["rows_written"], told["published"]) == (transport, tag, 5000, True)
        assert (told["audit"]["passed"], told["audit"]["rows_compared"]) == (True, 5000)
        assert case.holds_the_file(tag)
