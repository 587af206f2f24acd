"""Indicator files: read as they come, refused if they lie, written as one Arrow file of normalized bars.

source    bytes of a file: checksum, gzip and zstd, blocks that end at a line
dialect   header line: delimiter, names                     names     clean names, collisions, roles, QuestDB names
text      blocks of text -> raw frames                      columnar  Parquet and Arrow -> raw frames
clock     Date and Time columns -> UTC seconds              zones     exchange wall clock -> UTC
spacing   order, gaps, granularity                          stats     nulls, non-finite values, look-ahead suspects
report    what was found                                    sink      the Arrow file: temporary name, fsync, rename
normalize the one door: `normalize(source, spec, destination)`
schema    what a normalized dataset is, as a check of the Arrow file
"""

from chronos_assets.domain.bars_spec import BarsSpec, ColumnsSpec, FormatSpec
from chronos_assets.ingest.reading import normalize
from chronos_assets.ingest.report import BarsReport, ReportColumn, ReportWarning

__all__ = ["BarsReport", "BarsSpec", "ColumnsSpec", "FormatSpec", "ReportColumn", "ReportWarning", "normalize"]
