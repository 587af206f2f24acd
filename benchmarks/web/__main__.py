"""How fast readers are answered from a large store over HTTP, by `chronos serve`.

    .venv/bin/python -m benchmarks.web [--runs 10000] [--bars 1000000] [--trades 100000] [--requests 200] [--kills] [--slow]

Prints p50 and p95 in milliseconds, the bytes of an answer, and each p50 as a multiple of a bare 304 of the same process. Then 20 clients at
once, and the memory of the server over 1,000 mixed requests and while whole series are sent. `--kills`: what clients see while both
stores are killed and started again. `--slow`: what others see while 20 readers take next to nothing of a long series.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import requests

from benchmarks.web.store import BIG_RUN, BIG_SIMULATION, SLUG, Size, fill
from chronos_assets import services
from chronos_assets.services import ports
from chronos_assets.settings import Settings
from chronos_assets.storage.stores import open_stores
from chronos_assets.testing import process_environment, temporary_servers

BARS = f"/api/datasets/{SLUG}/bars"
TRADES, EQUITY = f"/api/tradesim/runs/{BIG_SIMULATION}/trades", f"/api/tradesim/runs/{BIG_SIMULATION}/equity"
# name, path, headers, limit in ms of API.md section 10 (p95 on an idle machine)
FAST = (
    ("100 of all runs", "/api/walkforward/runs?limit=100", {}, 50),
    ("100 runs by profit factor", "/api/walkforward/runs?limit=100&sort=-both.profit_factor", {}, 80),
    ("100 simulations by Sharpe", "/api/tradesim/runs?limit=100&sort=-sharpe", {}, 80),
    ("a run of 500 folds", f"/api/walkforward/runs/{BIG_RUN}", {}, 120),
    ("100 of all trades, filtered", f"{TRADES}?side=long&pnl_lt=0&sort=-pnl", {}, 120),
    ("equity at 2,000 points", f"{EQUITY}?points=2000", {}, 25),
)
SLOW = (
    ("all trades as Arrow", f"{TRADES}?format=arrow", {}, 400),
    ("all trades as JSON rows", f"{TRADES}?limit=200000", {}, 1500),
)


def main() -> None:
    """Fill a store, serve it, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("runs", 10_000), ("bars", 1_000_000), ("trades", 100_000), ("requests", 200)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--kills", action="store_true")
    parser.add_argument("--slow", action="store_true")
    asked = parser.parse_args()
    with temporary_servers(durable=True, manifest_settle_seconds=0) as (settings, connections):
        stores = open_stores(connections, settings)
        started = time.perf_counter()
        fill(stores, Size(runs=asked.runs, bars=asked.bars, trades=asked.trades))
        print(f"store filled in {time.perf_counter() - started:.0f} s; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        with served(settings) as (url, process):
            measure(url, asked.requests)
            crowd(url)
            memory(url, process)
            long_series(url, process)
            if asked.slow:
                slow_readers(url, process)
            if asked.kills:
                kills(url, settings)


@contextmanager
def served(settings: Settings) -> Iterator[tuple[str, psutil.Process]]:
    """`chronos serve` as a process of its own; says how long it took to the first answer."""
    port = ports.free()
    program = [sys.executable, "-c", "from chronos_assets.cli.main import main; main()", "serve", "--port", str(port)]
    begun = time.perf_counter()
    with subprocess.Popen(program, env=process_environment(settings)) as process:
        try:
            while True:
                try:
                    requests.get(f"http://127.0.0.1:{port}/api/health", timeout=30)
                    break
                except requests.ConnectionError:
                    time.sleep(0.01)
            print(f"start to first answer {time.perf_counter() - begun:.2f} s (at most 3)")
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)


def timed(session: requests.Session, url: str, headers: dict[str, str]) -> tuple[float, requests.Response]:
    """Milliseconds of one request, its body read."""
    begun = time.perf_counter()
    answer = session.get(url, headers=headers, timeout=60)
    return 1000 * (time.perf_counter() - begun), answer


def measure(url: str, count: int) -> None:
    """Each route alone, warm; the equity cold first."""
    session = requests.Session()
    session.trust_env = False
    cold, answer = timed(session, f"{url}{EQUITY}?points=2000", {})
    print(f"{'equity at 2,000 points, cold':<34} {cold:8.0f} ms (at most 2,500), {len(answer.content) / 1000:.0f} kB before gzip")
    etag = answer.headers["ETag"]
    bare, _ = _quantiles([timed(session, f"{url}{EQUITY}?points=2000", {"If-None-Match": etag})[0] for _ in range(count)], "304", 10, 0, 1)
    for name, path, headers, limit in (*FAST, *SLOW):
        times = []
        timed(session, url + path, headers)
        for _ in range(count if limit < 400 else 10):
            milliseconds, answer = timed(session, url + path, headers)
            assert answer.status_code == 200, answer.text[:500]
            times.append(milliseconds)
        _quantiles(times, name, limit, int(answer.headers.get("Content-Length") or answer.raw.tell()), bare)


def _quantiles(times: list[float], name: str, limit: float, size: int, bare: float) -> tuple[float, float]:
    p50, p95 = statistics.median(times), sorted(times)[int(0.95 * (len(times) - 1))]
    print(f"{name:<34} p50 {p50:8.1f} ms  p95 {p95:8.1f} ms (at most {limit})  {size / 1000:8.0f} kB  {p50 / (bare or p50):6.1f} x a 304")
    return p50, p95


def crowd(url: str, clients: int = 20, each: int = 20) -> None:
    """Many clients at once, mixed routes, against one client alone: as fast as they can, then with a person's pause before each request.

    At full speed the clients share their cores with the server, whose one process answers them in turn: p95 can hardly stay below half the
    number of clients, whatever a request costs. What a second of the server is worth then is the number of requests it answers in it.
    """
    alone, seconds_alone = _together(url, 1, each)
    many, seconds_many = _together(url, clients, each)
    one, all_of_them = _p95(alone), _p95(many)
    print(f"p95 of one client {one:.0f} ms, of {clients} at once {all_of_them:.0f} ms: {all_of_them / one:.1f} x (at most 4)")
    rate_alone, rate_many = len(alone) / seconds_alone, len(many) / seconds_many
    print(f"  at full speed: one client {rate_alone:.0f} requests/s, {clients} clients {rate_many:.0f} requests/s")
    one, all_of_them = (_p95(_together(url, count, each, pause=1.0)[0]) for count in (1, clients))
    print(f"  with 1 s of pause: p95 of one client {one:.0f} ms, of {clients} {all_of_them:.0f} ms: {all_of_them / one:.1f} x")


def _together(url: str, clients: int, each: int, pause: float = 0.0) -> tuple[list[float], float]:
    """Milliseconds of each request of `clients` that ask `each` times, and the seconds of all; `pause`: mean seconds before a request."""
    times: list[float] = []

    def ask(number: int) -> None:
        session, chooser = requests.Session(), random.Random(number)
        session.trust_env = False
        for count in range(each):
            time.sleep(chooser.uniform(0.5, 1.5) * pause)
            times.append(timed(session, url + FAST[(count + number * bool(pause)) % len(FAST)][1], {})[0])

    threads, begun = [threading.Thread(target=ask, args=(number,)) for number in range(clients)], time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, time.perf_counter() - begun


def _p95(times: list[float]) -> float:
    return sorted(times)[int(0.95 * (len(times) - 1))]


def memory(url: str, process: psutil.Process, count: int = 1_000) -> None:
    """Resident memory of the server before, between and after mixed requests."""
    session = requests.Session()
    session.trust_env = False
    paths = [path for _, path, _, _ in (*FAST, SLOW[0])]
    paths += [f"{BARS}?points=2000", f"{BARS}?points=5000&from=2019-06-01", f"{EQUITY}?points=5000&to=2020-01-01"]
    seen = [process.memory_info().rss]
    for part in range(4):
        for number in range(count // 4):
            timed(session, url + paths[(number + part) % len(paths)], {})
        seen.append(process.memory_info().rss)
    print(f"memory over {count} requests: {', '.join(f'{size / 1e6:.0f}' for size in seen)} MB (at most 400, flat)")


def long_series(url: str, process: psutil.Process) -> None:
    """Whole series of all bars, one after the other: the memory while they are sent."""
    session = requests.Session()
    session.trust_env = False
    for kind in ("arrow", "parquet", "csv"):
        most, size, begun = 0, 0, time.perf_counter()
        with session.get(f"{url}{BARS}?format={kind}", stream=True, timeout=120) as answer:
            for part in answer.iter_content(1_000_000):
                size += len(part)
                most = max(most, process.memory_info().rss)
        seconds = time.perf_counter() - begun
        print(f"all bars as {kind:<8} {size / 1e6:8.1f} MB in {seconds:.1f} s, memory at most {most / 1e6:.0f} MB (at most 400)")


def slow_readers(url: str, process: psutil.Process, readers: int = 20) -> None:
    """Others' p95 while `readers` have asked for all bars as text and take a few bytes a second."""
    host, _, port = url.removeprefix("http://").partition(":")

    def ask(times: list[float]) -> None:
        session = requests.Session()
        session.trust_env = False
        for number in range(60):
            times.append(timed(session, url + FAST[number % 4][1], {})[0])

    alone: list[float] = []
    beside: list[float] = []
    ask(alone)
    sockets = [socket.create_connection((host, int(port))) for _ in range(readers)]
    for one in sockets:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.sendall(f"GET {BARS}?format=csv HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    time.sleep(3)
    for one in sockets:
        one.recv(10)
    ask(beside)
    most = process.memory_info().rss
    for one in sockets:
        one.close()
    first, second = (sorted(times)[int(0.95 * (len(times) - 1))] for times in (alone, beside))
    print(f"p95 alone {first:.0f} ms, beside {readers} slow readers {second:.0f} ms; memory {most / 1e6:.0f} MB")


def kills(url: str, settings: Settings, seconds: float = 40.0) -> None:
    """Kill both stores under load, start them again, and look at what clients saw."""
    end, seen, longest = time.monotonic() + seconds, Counter[Any](), [0.0]

    def ask() -> None:
        chooser = random.Random()
        while time.monotonic() < end:
            begun = time.monotonic()
            try:
                code: Any = requests.get(url + chooser.choice(FAST)[1], timeout=30).status_code
            except requests.RequestException as error:
                code = type(error).__name__
            seen[code] += 1
            longest[0] = max(longest[0], time.monotonic() - begun)
            time.sleep(0.05)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for wait in itertools.islice(itertools.repeat(5), 2):
        time.sleep(wait)
        for one in services.status(settings):
            if one.pid:
                psutil.Process(one.pid).kill()
        time.sleep(2)
        services.start(settings)
    for thread in threads:
        thread.join()
    recovered = [requests.get(url + path, timeout=30).status_code for _, path, _, _ in FAST]
    print(f"both stores killed twice under load: answers {dict(seen)}, longest {longest[0]:.1f} s, afterwards {recovered}")


if __name__ == "__main__":
    main()
