"""Files whose newest bar comes first, turned round: batches go to a temporary Arrow file and come back from its end, rows reversed.

So memory stays bounded by one batch, whatever the kind of file; the temporary file is as large as the bars and is gone afterwards.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from chronos_assets.errors import ChronosError
from chronos_assets.ingest.cells import Int64s
from chronos_assets.ingest.text_block import RawBatch

_ROW = "\x02row"


def turned_round(batches: Iterator[RawBatch], stack: contextlib.ExitStack) -> Iterator[RawBatch]:
    """The same rows, the last one first. Raises what the reading of a row raises, in the order of the file, before the first batch."""
    import pyarrow as pa
    import pyarrow.ipc

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chronos-newest-first-")))
    path, writer, blank_lines = folder / "batches.arrow", None, 0
    try:
        for batch in batches:
            blank_lines += batch.blank_lines
            frame = batch.frame.with_columns(pl.Series(_ROW, _rows(batch))).rechunk()
            table = frame.to_arrow()
            if writer is None:
                writer = stack.enter_context(pa.ipc.new_file(str(path), table.schema))
            writer.write_table(table, max_chunksize=max(1, table.num_rows))
        if writer is not None:
            writer.close()
    except OSError as error:
        raise ChronosError(
            f"a temporary file cannot be written: {error.strerror or error}",
            code="write_failed",
            hint="A file with its newest bar first needs as much room again: make some, or set TMPDIR to another disk.",
            file=str(path),
        ) from error
    if writer is not None:
        yield from _backwards(path, blank_lines)


def _backwards(path: Path, blank_lines: int) -> Iterator[RawBatch]:
    import pyarrow as pa
    import pyarrow.ipc

    with pa.memory_map(str(path)) as file:
        reader: Any = pa.ipc.open_file(file)
        for number in reversed(range(reader.num_record_batches)):
            frame = pl.DataFrame(pl.from_arrow(reader.get_batch(number))).reverse()
            rows = frame[_ROW].to_numpy()
            yield RawBatch(frame.drop(_ROW), _counter(rows), blank_lines)
            blank_lines = 0


def _counter(rows: Int64s) -> Callable[[int], int]:
    return lambda index: int(rows[index])


def _rows(batch: RawBatch) -> Int64s:
    """The row of the file that each row of the batch came from."""
    count = batch.frame.height
    if not count:
        return np.empty(0, dtype=np.int64)
    first, last = batch.row_of(0), batch.row_of(count - 1)
    if last - first == count - 1:
        return np.arange(first, last + 1, dtype=np.int64)
    return np.array([batch.row_of(i) for i in range(count)], dtype=np.int64)
