"""The emulator-backed test harness: what pytest's fixtures give, usable without pytest too.

The plugin `pytest_tokaido` is found by pytest itself, wherever Tokaido is installed.
"""

from __future__ import annotations

from tokaido.emulators.testing._faults import FaultBox
from tokaido.emulators.testing._leaks import Leftovers
from tokaido.emulators.testing._links import LinkInTest
from tokaido.emulators.testing._world import World
from tokaido.emulators.transcripts import UnexpectedExchangeError, expect_exchanges

__all__ = ["FaultBox", "Leftovers", "LinkInTest", "UnexpectedExchangeError", "World", "expect_exchanges"]
