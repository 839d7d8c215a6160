"""Emulated Keysight N77xx attenuators, written against docs/protocols/keysight.md."""

from tokaido.emulators.keysight._attenuator import AttenuatorModel

__all__ = ["AttenuatorModel"]
