"""What is said at a node's control socket: a frame each way, four bytes of length and a map in MessagePack."""

from __future__ import annotations

import struct
from typing import Any, Final, TypeAlias

import msgspec

from tokaido.hal import ProtocolError

VERSION: Final = 1
LENGTH: Final = struct.Struct(">I")
MAX_REQUEST: Final = 1 << 16
MAX_REPLY: Final = 1 << 24
MOST_ROWS: Final = 1000
"""Rows of the audit log in one reply, at most."""


class _Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do"):
    version: int = VERSION


class Status(_Request, frozen=True, tag="status"):
    """Tell all of the node's status."""


class Acknowledge(_Request, frozen=True, tag="acknowledge"):
    """Acknowledge an alarm of the node."""

    code: str
    of: str
    note: str


class ResumeLink(_Request, frozen=True, tag="resume"):
    """Let the node try a link again at once."""

    link: str
    use_reserve: bool = False
    note: str = ""


class MaintainLink(_Request, frozen=True, tag="maintenance"):
    """Take an end of a link for maintenance, or give it back."""

    link: str
    on: bool
    note: str = ""
    until_s: float = 0.0
    """When it ends by itself, in s since 1970-01-01 UTC; 0: when it is given back."""


class MoveLink(_Request, frozen=True, tag="move"):
    """Move a link to another path, together with the node at its other end."""

    link: str
    path: str = ""
    """Empty: forget a move that cannot end."""


class SetRelaying(_Request, frozen=True, tag="relaying"):
    """Relay from now on, or no more."""

    on: bool


class DrainNode(_Request, frozen=True, tag="drain"):
    """End the node in order."""

    note: str = ""


class ReloadFile(_Request, frozen=True, tag="reload"):
    """Read the node file again."""

    note: str = ""


class CheckAudit(_Request, frozen=True, tag="check-audit"):
    """See whether the audit log is whole."""

    kept: tuple[str, ...] = ()
    """Marks that were kept elsewhere."""


class ShowAudit(_Request, frozen=True, tag="show-audit"):
    """Tell rows of the audit log, the last ones if there are more."""

    above: int = 0
    most: int = MOST_ROWS


class ShowInventory(_Request, frozen=True, tag="show-inventory"):
    """Tell which box stands under the name of each device."""


class AcceptDevice(_Request, frozen=True, tag="accept-device"):
    """Let another box stand under the name of a device, and use it."""

    device: str
    serial_number: str = ""
    """Of the box that is meant; empty: the one that waits."""
    note: str = ""


class EnterComponent(_Request, frozen=True, tag="enter-component"):
    """Enter one of the two components of a link's pre-shared key; at the custodians' socket alone."""

    link: str
    component: bytearray
    path: str = ""
    """Empty: the only one, or the one that the unit is set to."""
    note: str = ""

    def __repr__(self) -> str:
        """Return all of it but the secret."""
        return f"EnterComponent(link={self.link!r}, path={self.path!r}, <{len(self.component)} bytes>)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return all of it but the secret."""
        return [("link", self.link), ("bytes", len(self.component))]


class ShowPresharedKeys(_Request, frozen=True, tag="show-preshared-keys"):
    """Tell which components wait, and since when units have which pre-shared keys."""


class DiscardComponent(_Request, frozen=True, tag="discard-component"):
    """Destroy a component that waits."""

    link: str
    path: str = ""
    note: str = ""


ControlRequest: TypeAlias = (
    Status
    | Acknowledge
    | ResumeLink
    | MaintainLink
    | MoveLink
    | SetRelaying
    | DrainNode
    | ReloadFile
    | CheckAudit
    | ShowAudit
    | ShowInventory
    | AcceptDevice
    | EnterComponent
    | ShowPresharedKeys
    | DiscardComponent
)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request."""

    value: Any = None
    error: str = ""
    """Why nothing came of it; empty: something did."""
    remedy: str = ""


_ENCODER: Final = msgspec.msgpack.Encoder()
_REQUESTS: Final[msgspec.msgpack.Decoder[ControlRequest]] = msgspec.msgpack.Decoder(ControlRequest)
_REPLIES: Final = msgspec.msgpack.Decoder(Reply)


def frame(message: ControlRequest | Reply) -> bytes:
    """Return a message with its length before it."""
    body = _ENCODER.encode(message)
    return LENGTH.pack(len(body)) + body


def request_of(body: bytes) -> ControlRequest:
    """Return the request that a body is.

    Raises:
        ProtocolError: It is none of this version.
    """
    try:
        found = _REQUESTS.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"not a request: {error}", remedy="Use a console of the node's own release") from None
    if found.version != VERSION:
        raise ProtocolError(
            f"a request of version {found.version}, and the node speaks {VERSION}",
            remedy="Use a console of the node's own release",
        )
    return found


def reply_of(body: bytes) -> Reply:
    """Return the reply that a body is.

    Raises:
        ProtocolError: It is none.
    """
    try:
        return _REPLIES.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"not a reply: {error}") from None
