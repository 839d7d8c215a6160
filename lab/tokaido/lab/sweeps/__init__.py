"""Sweeps: set one or several things to one value after the other, read others, and return all of it as a data set."""

from __future__ import annotations

from tokaido.lab.sweeps._axes import Connection, Knob, Swept
from tokaido.lab.sweeps._probes import Probe, Readable
from tokaido.lab.sweeps._sweep import sweep

__all__ = ["Connection", "Knob", "Probe", "Readable", "Swept", "sweep"]
