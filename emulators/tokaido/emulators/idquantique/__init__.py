"""Emulated ID Quantique detectors, written against docs/protocols/idquantique.md."""

from tokaido.emulators.idquantique._detector import DetectorModel

__all__ = ["DetectorModel"]
