"""Emulated S-Fifteen time taggers, written against docs/protocols/sfifteen.md."""

from tokaido.emulators.sfifteen._tagger import TaggerModel

__all__ = ["TaggerModel"]
