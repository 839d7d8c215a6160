"""S-Fifteen Instruments: time taggers."""

from tokaido.drivers.sfifteen._tagger import Tagger

__all__ = ["Tagger"]
