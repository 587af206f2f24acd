"""Postgres behind PgBouncer, in each of its modes: `python -m benchmarks.faults.pooler`. Needs `pgbouncer` on the PATH (a Debian package).

In session mode a dataset is exported through the pooler and validated. In transaction and statement mode the command is refused before
it writes anything, with the setting that helps.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from chronos_assets.services import ports
from chronos_assets.storage.stores import Stores
from chronos_assets.testing import process_environment, temporary_stores
from chronos_assets_tests.support.dagster_data import write_dataset

SLUG = "pooled_1d_v1"
EXPORT = [sys.executable, "-c", "from chronos_assets.cli.export import main; main()", SLUG]


@contextmanager
def pooler(stores: Stores, mode: str, folder: Path) -> Iterator[str]:
    """PgBouncer before the Postgres of `stores`; gives the address to use."""
    there = conninfo_to_dict(stores.postgres._dsn)
    port = ports.free()
    settings = {"listen_addr": "127.0.0.1", "listen_port": port, "auth_type": "any", "pool_mode": mode, "unix_socket_dir": ""}
    settings |= {"ignore_startup_parameters": "extra_float_digits,options"}
    server = " ".join(f"{key}={there[key]}" for key in ("host", "port", "dbname", "user", "password"))
    lines = ["[databases]", f"{there['dbname']} = {server}", "[pgbouncer]", *(f"{key} = {value}" for key, value in settings.items())]
    file = folder / f"{mode}.ini"
    file.write_text("\n".join(lines), encoding="utf-8")
    nobody = pwd.getpwnam("nobody")
    command = ["pgbouncer", "-q", str(file)]
    if os.geteuid() == 0:  # it refuses to be root
        os.chown(file, nobody.pw_uid, nobody.pw_gid)
        folder.chmod(0o755)
        command = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", *command]
    with subprocess.Popen(command) as process:
        try:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.1)
            yield f"postgresql://{there['user']}:any@127.0.0.1:{port}/{there['dbname']}"
        finally:
            process.terminate()


def export(stores: Stores, dsn: str) -> subprocess.CompletedProcess[str]:
    """`chronosflow_export` with the pooler's address; QuestDB is the stores' own."""
    environment = process_environment(stores.settings) | {"CHRONOS_POSTGRES_DSN": dsn}
    return subprocess.run(EXPORT, env=environment, capture_output=True, text=True, check=False, timeout=120)


def main() -> int:
    """Try each mode; status 1 if one answers otherwise than it should."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if shutil.which("pgbouncer") is None:
        print("pgbouncer is not on the PATH: install the package pgbouncer", file=sys.stderr)
        return 2
    wrong = 0
    with temporary_stores() as stores, tempfile.TemporaryDirectory(prefix="pooler-") as name:
        write_dataset(stores.settings.exports_dir, SLUG)
        for mode, due in (("transaction", 2), ("statement", 2), ("session", 0)):
            with pooler(stores, mode, Path(name)) as dsn:
                done = export(stores, dsn)
            said = (done.stderr.strip().splitlines() or [""])[-1]
            ok = done.returncode == due and (due == 0 or "pool_mode = session" in said)
            wrong += not ok
            print(f"{mode:12} exit {done.returncode}{'' if ok else f' (expected {due})'}: {said[:240]}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
