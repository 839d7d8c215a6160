"""Driver of key managers that deliver by ETSI GS QKD 014: docs/protocols/etsi014.md."""

from tokaido.drivers.etsi014._source import Source
from tokaido.drivers.etsi014._texts import Status

__all__ = ["Source", "Status"]
