"""Driver for FiberLabs fibre amplifiers, compatible with their published commands: docs/protocols/fiberlabs.md."""

from tokaido.drivers.fiberlabs._amplifier import Amplifier

__all__ = ["Amplifier"]
