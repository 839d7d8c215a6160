"""Emulated FiberLabs optical fibre amplifiers, written against docs/protocols/fiberlabs.md."""

from tokaido.emulators.fiberlabs._amplifier import AmplifierModel

__all__ = ["AmplifierModel"]
