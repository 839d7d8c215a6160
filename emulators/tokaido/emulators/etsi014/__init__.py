"""An emulated pair of ETSI GS QKD 014 key managers, written against docs/protocols/etsi014.md."""

from tokaido.emulators.etsi014._model import KeyManagersModel

__all__ = ["KeyManagersModel"]
