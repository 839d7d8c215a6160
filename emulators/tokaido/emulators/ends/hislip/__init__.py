"""A HiSLIP server: the instrument's side of IVI-6.1, protocol version 1.0, without TLS.

It needs the standard library and a clock, and knows nothing of emulators. An instrument is an object with the methods
of `Instrument`; they are called from within `HislipServer.service` and must not block: a slow request is answered
later, with `HislipServer.respond`, while both channels of every client go on being read.

```python
class Echo:
    def receive(self, message: ProgramMessage) -> None:
        server.respond(message, message.data)

    def status_byte(self, session: int, *, message_available: bool) -> int:
        return 0x10 if message_available else 0

    def clear(self, session: int) -> None: ...
    def trigger(self, message: ProgramMessage) -> None: ...
    def interrupted(self, session: int) -> None: ...
    def remote_local(self, session: int, request: RemoteLocal) -> None: ...

server = HislipServer(Echo(), port=4880)
server.open()
while running:
    server.service(timeout_s=0.1)
server.dispose()
```

The profile "strict" does all of IVI-6.1. "lenient" sends nothing that the client did not ask for (no Interrupted,
AsyncInterrupted, AsyncServiceRequest): pyvisa-py before 0.9 loses count of its replies when it gets one.
"""

from tokaido.emulators.ends.hislip._locks import LockResult, Locks
from tokaido.emulators.ends.hislip._messages import (
    FIRST_ID,
    Decoder,
    ErrorCode,
    FatalCode,
    Message,
    MessageType,
    RemoteLocal,
    encode,
)
from tokaido.emulators.ends.hislip._server import HislipServer
from tokaido.emulators.ends.hislip._session import Instrument, Profile, ProgramMessage

__all__ = [
    "FIRST_ID",
    "Decoder",
    "ErrorCode",
    "FatalCode",
    "HislipServer",
    "Instrument",
    "LockResult",
    "Locks",
    "Message",
    "MessageType",
    "Profile",
    "ProgramMessage",
    "RemoteLocal",
    "encode",
]
