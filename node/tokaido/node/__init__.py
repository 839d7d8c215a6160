"""The node daemon: supervises a station, keeps and relays keys, serves applications.

Applications take `tokaido.node.client`, which needs no extra; the daemon needs `pip install "tokaido[node]"`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal.lazy import lazily

__all__ = ["KeyRefusedError", "KeyService", "NodeDaemon", "NodeFile", "PairStatus", "TlsFiles"]

if TYPE_CHECKING:
    from tokaido.node.daemon import NodeDaemon
    from tokaido.node.node_file import NodeFile
    from tokaido.node.service import KeyRefusedError, KeyService, PairStatus
    from tokaido.node.tls import TlsFiles
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "KeyRefusedError": "tokaido.node.service",
            "KeyService": "tokaido.node.service",
            "NodeDaemon": "tokaido.node.daemon",
            "NodeFile": "tokaido.node.node_file",
            "PairStatus": "tokaido.node.service",
            "TlsFiles": "tokaido.node.tls",
        },
        __all__,
    )
