"""The threads that send rows: what each of them gets, and that they end when whoever feeds them does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import polars as pl
import pytest

from chronos_assets.pipeline.export.write import frame_rows, warming_up, year_spans
from chronos_assets.storage import questdb_write
from chronos_assets.storage.client_string import parse_client_string


def send(frames: Iterator[pl.DataFrame]) -> None:
    conf = parse_client_string("http::addr=127.0.0.1:1;")
    questdb_write.send(conf, [frames], table="t", symbols=[], at="timestamp", batch_rows=10, senders=2, progress=None)


@pytest.mark.timeout(300)
def test_an_interruption_while_senders_start_leaves_none_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between the start of the first sender and that of the second ends the write."""

    class Interrupted(ThreadPoolExecutor):
        started = 0

        def submit(self, function: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
            if self.started:
                raise KeyboardInterrupt
            self.started += 1
            return super().submit(function, *args, **more)

    monkeypatch.setattr(questdb_write, "ThreadPoolExecutor", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        send(iter(()))


@pytest.mark.timeout(300)
def test_an_interruption_while_a_frame_is_made_leaves_none_waiting() -> None:
    """Ctrl-C where the next frame is read ends the write."""

    def frames() -> Iterator[pl.DataFrame]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        send(frames())


def test_an_early_import_that_fails_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends while a library is imported ahead of its use leaves no traceback of that thread."""

    def ending(name: str) -> None:
        raise RuntimeError("interpreter shutdown")

    told: list[object] = []
    monkeypatch.setattr("chronos_assets.pipeline.export.write.import_module", ending)
    monkeypatch.setattr(threading, "excepthook", told.append)
    with warming_up():
        pass
    assert not told


@pytest.mark.parametrize(
    ("at_most", "batch_rows", "rows"),
    [(24_096, 2000, 20_000), (24_096, 10_000, 20_000), (24_096, 24_000, 24_000), (998, 300, 900), (998, 999, 998)],
)
def test_no_request_is_cut_short_where_a_frame_ends(at_most: int, batch_rows: int, rows: int) -> None:
    """Frames hold whole slices; whole batches where a slice is too large; and never more than memory is meant to hold."""
    assert frame_rows(at_most, batch_rows) == rows


def frame(first: int, last: int) -> pl.DataFrame:
    return pl.DataFrame({"row": range(first, last)})


def rows_of(piece: pl.DataFrame) -> tuple[int, int]:
    return piece["row"][0], piece["row"][-1]


def test_two_senders_never_meet_in_a_part_while_another_waits() -> None:
    """Each sender goes through a part of its own in order; who is through begins the next one, and helps where none is left."""
    parts = questdb_write.Parts([[frame(0, 25)], [frame(25, 35)], [frame(35, 60), frame(60, 65)]], 10)
    first, second = parts.of_one_sender(), parts.of_one_sender()
    taken = [rows_of(next(sender)) for sender in (first, second, first, second, second, first, first, second)]
    assert taken == [(0, 9), (25, 34), (10, 19), (35, 44), (45, 54), (20, 24), (55, 59), (60, 64)]
    assert next(first, None) is None
    assert next(second, None) is None


def test_frames_for_the_client_hold_what_polars_own_hold() -> None:
    """Nulls, NaN, signed zeros, integers, tags and times are the same cells whatever way they take; a later frame leaves none behind."""
    frames = [_mixed(5), _mixed(3), _mixed(8)]
    maker = questdb_write._ClientFrames()
    for piece in frames:
        made, plain = maker.frame(piece), piece.to_pandas(use_pyarrow_extension_array=True)
        assert list(made.columns) == list(plain.columns)
        back = pl.from_pandas(made)
        for name in piece.columns:
            cells = back[name].to_list()
            assert [repr(cell) for cell in cells] == [repr(cell) for cell in piece[name].to_list()], name


def _mixed(rows: int) -> pl.DataFrame:
    number = pl.int_range(rows, eager=True)
    return pl.DataFrame(
        {
            "dataset": ["btc_4h_v1"] * rows,
            "full": number.cast(pl.Float64) * -0.0,
            "holes": pl.select(pl.when(number != 1).then(number.cast(pl.Float64) / 3)).to_series(),
            "nothing": pl.Series([None] * rows, dtype=pl.Float64),
            "other": number.cast(pl.Float64) + 0.1,
            "count": pl.Series([None, *range(1, rows)], dtype=pl.Int64),
            "timestamp": pl.from_epoch(number * 3600, time_unit="s").cast(pl.Datetime("ns", "UTC")),
        }
    )


def test_a_part_that_cannot_be_read_ends_every_sender() -> None:
    """The error of a part is its sender's; the others find that part at its end."""

    def broken() -> Iterator[pl.DataFrame]:
        yield frame(0, 5)
        raise OSError("the disk is gone")

    parts = questdb_write.Parts([broken()], 10)
    first, second = parts.of_one_sender(), parts.of_one_sender()
    assert rows_of(next(first)) == (0, 4)
    with pytest.raises(OSError, match="the disk is gone"):
        next(second)
    assert next(first, None) is None


@pytest.mark.parametrize(
    ("start", "at_least", "spans"),
    [
        (0, 1, [(0, 10), (10, 30), (30, 60), (60, 65)]),
        (0, 20, [(0, 30), (30, 60), (60, 65)]),
        (0, 1000, [(0, 65)]),
        (15, 1, [(15, 30), (30, 60), (60, 65)]),
        (62, 1, [(62, 65)]),
        (65, 1, []),
    ],
)
def test_parts_are_whole_years(start: int, at_least: int, spans: list[tuple[int, int]]) -> None:
    """Rows are cut where a year begins, never into less than asked for, and none is lost."""
    assert list(year_spans([0, 10, 30, 60], start, 65, at_least=at_least)) == spans
