"""What the programs of a demonstration need, imported once for all of them: they are forked from the one that does.

What is missing here each of them imports itself, later. No thread of Python runs when they are forked; OpenBLAS stops
its own threads before a fork, and starts them again when it needs them.
"""

from __future__ import annotations

import gc

import pyvisa_py  # type: ignore[import-untyped]
import serial
import zmq

import tokaido.console._app
import tokaido.console._emulate
import tokaido.console._following
import tokaido.console._node
import tokaido.node.applications
import tokaido.node.daemon
from tokaido.drivers.dicon import Selector
from tokaido.drivers.nec import Receiver
from tokaido.drivers.polatis import MatrixSwitch
from tokaido.drivers.toshiba import Transmitter
from tokaido.emulators import bench_from_station, dicon, fast, join_stations, nec, polatis, toshiba
from tokaido.hal.transports import StreamTransport

__all__ = [
    "MatrixSwitch",
    "Receiver",
    "Selector",
    "StreamTransport",
    "Transmitter",
    "bench_from_station",
    "dicon",
    "join_stations",
    "nec",
    "polatis",
    "pyvisa_py",
    "serial",
    "tokaido",
    "toshiba",
    "zmq",
]

fast.load()
gc.collect()
gc.freeze()  # a collection would write into memory that all share as long as nobody does
