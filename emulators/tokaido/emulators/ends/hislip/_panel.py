"""The front panel of an instrument as HiSLIP's clients see it (IVI-6.1, 6.7)."""

from __future__ import annotations

from tokaido.emulators.ends.hislip._messages import RemoteLocal

_REQUESTS: dict[RemoteLocal, tuple[bool | None, bool | None, bool | None]] = {
    RemoteLocal.DISABLE_REMOTE: (False, False, False),
    RemoteLocal.ENABLE_REMOTE: (True, None, None),
    RemoteLocal.DISABLE_REMOTE_AND_GO_TO_LOCAL: (False, False, False),
    RemoteLocal.ENABLE_REMOTE_AND_GO_TO_REMOTE: (True, None, True),
    RemoteLocal.ENABLE_REMOTE_AND_LOCK_OUT_LOCAL: (True, True, None),
    RemoteLocal.ENABLE_REMOTE_GO_TO_REMOTE_AND_LOCK_OUT_LOCAL: (True, True, True),
    RemoteLocal.GO_TO_LOCAL: (None, None, False),
}
"""What remote enable, local lockout and remote become; None leaves them (IVI-6.1, table 25)."""


class FrontPanel:
    """Three variables, which all clients share."""

    def __init__(self) -> None:
        self.remote_enable = True
        """Whether what arrives takes the panel away from the operator."""
        self.local_lockout = False
        """Whether the local key does nothing."""
        self.remote = False
        """Whether the panel takes no input, except for the local key."""

    def request(self, request: RemoteLocal) -> None:
        """Do what a client asks for."""
        enable, lockout, remote = _REQUESTS[request]
        self.remote_enable = self.remote_enable if enable is None else enable
        self.local_lockout = self.local_lockout if lockout is None else lockout
        self.remote = self.remote if remote is None else remote

    def hear(self) -> None:
        """Take note of data or control information that arrived."""
        self.remote = self.remote or self.remote_enable

    def press_local(self) -> None:
        """Press the local key."""
        self.remote = self.remote and self.local_lockout
