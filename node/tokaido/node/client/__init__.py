"""Clients for applications: keys by ETSI GS QKD 014, of this node or of any other key manager.

```python
with KeyClient("https://kme.example.net:8443", files) as client:
    (key,) = client.enc_keys("hospital", size=256)  # then tell the hospital key.key_id
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal.lazy import lazily

__all__ = ["AsyncKeyClient", "ClientKey", "KeyClient", "KeyManagerError", "KeyManagerStatus", "Reason", "TlsFiles"]

if TYPE_CHECKING:
    from tokaido.node.client._async import AsyncKeyClient
    from tokaido.node.client._messages import ClientKey, KeyManagerError, KeyManagerStatus
    from tokaido.node.client._sync import KeyClient
    from tokaido.node.core._actions import Reason
    from tokaido.node.tls import TlsFiles
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "AsyncKeyClient": "tokaido.node.client._async",
            "ClientKey": "tokaido.node.client._messages",
            "KeyClient": "tokaido.node.client._sync",
            "KeyManagerError": "tokaido.node.client._messages",
            "KeyManagerStatus": "tokaido.node.client._messages",
            "Reason": "tokaido.node.core._actions",
            "TlsFiles": "tokaido.node.tls",
        },
        __all__,
    )
