"""Planning of a line: its file, what each link gives, where repeaters must stand, and who gets how many keys."""

from __future__ import annotations

from tokaido.emulators.planning._file import MOST_SITES, line_from_text, read_line
from tokaido.emulators.planning._line import Demand, Line, LineFibre, LineLink, LineSwitch, Site, UnitClass

__all__ = [
    "MOST_SITES",
    "Demand",
    "Line",
    "LineFibre",
    "LineLink",
    "LineSwitch",
    "Site",
    "UnitClass",
    "line_from_text",
    "read_line",
]
