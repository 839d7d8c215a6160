"""Transcripts: what went between a host and a device, written down, and served again as the device."""

from __future__ import annotations

from tokaido.emulators.transcripts._expect import UnexpectedExchangeError, expect_exchanges
from tokaido.emulators.transcripts._file import Transcript, WireRecord
from tokaido.emulators.transcripts._recorder import Recorder
from tokaido.emulators.transcripts._replay import KIND, ReplayPort, ReplayTransport, script_of
from tokaido.emulators.transcripts._script import Exchange, Order, Script
from tokaido.emulators.transcripts._terminal import Recorded, Replayed, Served, Terminal

__all__ = [
    "KIND",
    "Exchange",
    "Order",
    "Recorded",
    "Recorder",
    "ReplayPort",
    "ReplayTransport",
    "Replayed",
    "Script",
    "Served",
    "Terminal",
    "Transcript",
    "UnexpectedExchangeError",
    "WireRecord",
    "expect_exchanges",
    "script_of",
]
