"""Driver for Keysight N77xx attenuators, compatible with their published commands: docs/protocols/keysight.md."""

from tokaido.drivers.keysight._attenuator import Attenuator

__all__ = ["Attenuator"]
