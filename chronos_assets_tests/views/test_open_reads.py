"""Series that are read at the same time share the memory of one."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from chronos_assets.errors import ServiceUnavailableError
from chronos_assets.views.open_reads import LEAST_CELLS, MOST_READS, PIECE_CELLS, OpenReads


def test_readers_at_the_same_time_hold_little_more_than_one() -> None:
    """The first takes a whole piece, each further one a smaller part; beyond the most, a new one is refused until one ends."""
    reads = OpenReads()
    with ExitStack() as others:
        cells = [others.enter_context(reads.one()) for _ in range(MOST_READS - 1)]
        assert (cells[0], cells[1], min(cells)) == (PIECE_CELLS, PIECE_CELLS // 2, LEAST_CELLS)
        assert sum(cells[:20]) < 4 * PIECE_CELLS
        reads.require_room()
        with reads.one(), pytest.raises(ServiceUnavailableError) as caught:
            reads.require_room()
        assert caught.value.code == "downloads_full"
        reads.require_room()
    with reads.one() as alone:
        assert alone == PIECE_CELLS
