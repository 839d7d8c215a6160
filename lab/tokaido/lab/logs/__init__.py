"""Logs of telemetry: every reading of the devices of a station, a row each, in a file that others read.

The layout is long: one row for each reading, with the columns of `COLUMNS`. docs/how-to/log.md tells what is in them.
"""

from __future__ import annotations

from tokaido.lab.logs._file import FORMATS
from tokaido.lab.logs._log import Format, LogSummary, log_telemetry
from tokaido.lab.logs._rows import COLUMNS

__all__ = ["COLUMNS", "FORMATS", "Format", "LogSummary", "log_telemetry"]
