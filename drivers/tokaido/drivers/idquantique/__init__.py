"""ID Quantique: single-photon detectors."""

from tokaido.drivers.idquantique._detector import Detector

__all__ = ["Detector"]
