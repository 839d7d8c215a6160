"""A HiSLIP server: the instrument's side of IVI-6.1, protocol versions 1.0 and 2.0, without TLS.

It needs the standard library and a clock, and knows nothing of emulators. An instrument is an object with the methods
of `Instrument`; they are called from within `HislipServer.service` and must not block: a slow request is answered
later, with `HislipServer.respond`, while both channels of every client go on being read. What each clause asks for
and what this server does is a table in the page on HiSLIP.

```python
class Echo:
    def receive(self, message: ProgramMessage) -> None:
        server.respond(message, message.data)

    def busy(self, session: int) -> bool:
        return False

    def status_byte(self, session: int, *, message_available: bool) -> int:
        return 0x10 if message_available else 0

    def opened(self, session: int) -> None: ...
    def closed(self, session: int) -> None: ...
    def clear(self, session: int) -> None: ...
    def trigger(self, message: ProgramMessage) -> None: ...
    def interrupted(self, session: int) -> None: ...
    def misplaced_trigger(self, session: int) -> None: ...
    def remote_local(self, session: int, request: RemoteLocal) -> None: ...

server = HislipServer(Echo(), port=4880)
server.open()
while running:
    server.service(timeout_s=0.1)
server.dispose()
```

The profile "strict" does what IVI-6.1 asks for. "lenient" sends nothing that the client did not ask for (no
Interrupted, AsyncInterrupted, AsyncServiceRequest) and takes message ids that are one ahead: pyvisa-py before 0.9
counts so, and loses count of its replies when something comes unasked.
"""

from tokaido.emulators.ends.hislip._instrument import Instrument, Profile, ProgramMessage
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
from tokaido.emulators.ends.hislip._panel import FrontPanel
from tokaido.emulators.ends.hislip._server import HislipServer

__all__ = [
    "FIRST_ID",
    "Decoder",
    "ErrorCode",
    "FatalCode",
    "FrontPanel",
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
