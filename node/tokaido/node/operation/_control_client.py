"""A client of a node's control socket, for the console and for scripts."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from tokaido.hal import (
    SYSTEM_CLOCK,
    AuthenticationError,
    Deadline,
    DeviceTimeoutError,
    NotConnectedError,
    ProtocolError,
    RefusedError,
)
from tokaido.node.operation._audit import AuditLine, AuditVerdict
from tokaido.node.operation._control_messages import (
    LENGTH,
    MAX_REPLY,
    MOST_ROWS,
    AcceptDevice,
    Acknowledge,
    CheckAudit,
    ControlRequest,
    DiscardComponent,
    DrainNode,
    EnterComponent,
    MaintainLink,
    MoveLink,
    ReloadFile,
    ResumeLink,
    SetRelaying,
    ShowAudit,
    ShowInventory,
    ShowPresharedKeys,
    Status,
    frame,
    reply_of,
)
from tokaido.node.operation._inventory import InventoryLine
from tokaido.node.operation._preshared_lines import Entered, PresharedKeys
from tokaido.node.operation._status import NodeStatus
from tokaido.node.operation._unix import connect

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tokaido.hal import Clock, KeyMaterial

T = TypeVar("T")

TIMEOUT_S: Final = 15.0


class ControlClient:
    """Asks a node at its control socket; a connection each time.

    Args:
        path: Of the socket.
        timeout: Deadline of a whole request in s.
        clock: Where time comes from.
    """

    def __init__(self, path: Path, *, timeout: float = TIMEOUT_S, clock: Clock = SYSTEM_CLOCK) -> None:
        self.path = path
        self._timeout_s = timeout
        self._clock = clock

    def status(self) -> NodeStatus:
        """Return the node's status.

        Raises:
            NotConnectedError: No node listens there.
            DeviceTimeoutError: It did not answer in time.
            ProtocolError: It speaks another version.
        """
        return self._converted(Status(), NodeStatus)

    def acknowledge(self, code: str, of: str = "", *, note: str = "") -> None:
        """Acknowledge an alarm of the node, as the user who runs this."""
        self.ask(Acknowledge(code=code, of=of, note=note))

    def resume(self, link: str, *, use_reserve: bool = False, note: str = "") -> None:
        """Let the node try a link again at once, as if nothing had failed."""
        self.ask(ResumeLink(link=link, use_reserve=use_reserve, note=note))

    def maintenance(self, link: str, *, on: bool, note: str = "", until_s: float = 0.0) -> None:
        """Take this end of a link for maintenance, or give it back.

        Args:
            link: Its name.
            on: Whether it is taken.
            note: Why, for people.
            until_s: When it is given back by itself, in s since 1970-01-01 UTC; 0: never.
        """
        self.ask(MaintainLink(link=link, on=on, note=note, until_s=until_s))

    def move(self, link: str, path: str) -> None:
        """Begin to move a link to another path, and return when that is durable; `status` tells how it goes."""
        self.ask(MoveLink(link=link, path=path))

    def forget_move(self, link: str) -> None:
        """Let the node forget a move that cannot end: you have seen to both switches."""
        self.ask(MoveLink(link=link))

    def set_relaying(self, *, on: bool) -> None:
        """Let the node relay keys, or relay none."""
        self.ask(SetRelaying(on=on))

    def drain(self, *, note: str = "") -> None:
        """Let the node end in order."""
        self.ask(DrainNode(note=note))

    def reload(self, *, note: str = "") -> tuple[str, ...]:
        """Let the node read its file again, and return what it takes only when it is started again."""
        return tuple(str(one) for one in self.ask(ReloadFile(note=note)) or ())

    def check_audit(self, kept: Iterable[str] = ()) -> AuditVerdict:
        """Return whether the node's audit log is whole.

        Args:
            kept: Marks that were kept elsewhere, which must still be right.
        """
        return self._converted(CheckAudit(kept=tuple(kept)), AuditVerdict)

    def audit_log(self, *, above: int = 0, most: int = MOST_ROWS) -> tuple[AuditLine, ...]:
        """Return the last rows of the node's audit log, the oldest first.

        Args:
            above: Only rows with a higher number.
            most: How many, at most 1000.
        """
        return self._converted(ShowAudit(above=above, most=most), tuple[AuditLine, ...])

    def inventory(self) -> tuple[InventoryLine, ...]:
        """Return which box stands under the name of each device, and which ones wait for a person."""
        return self._converted(ShowInventory(), tuple[InventoryLine, ...])

    def accept_device(self, device: str, *, serial_number: str = "", note: str = "") -> None:
        """Let another box stand under the name of a device, and let the node use it.

        Args:
            device: Its name in the station.
            serial_number: Of the box that is meant; empty: the one that waits.
            note: Why, for the audit log.
        """
        self.ask(AcceptDevice(device=device, serial_number=serial_number, note=note))

    def enter_component(self, link: str, component: KeyMaterial, *, path: str = "", note: str = "") -> Entered:
        """Enter a component of a link's pre-shared key, at the custodians' socket, as the user who runs this.

        Args:
            link: Name of the link.
            component: The caller wipes it.
            path: Of the link, where it has several.
            note: Why, for the audit log.

        Raises:
            RefusedError: It was not taken, or the unit did not take the key; the text says what waits now.
        """
        with component.reveal() as view:
            request = EnterComponent(link=link, component=bytearray(view), path=path, note=note)
        try:
            return self._converted(request, Entered)
        finally:
            request.component[:] = bytes(len(request.component))

    def preshared_keys(self) -> PresharedKeys:
        """Return which components wait, and since when units have which pre-shared keys."""
        return self._converted(ShowPresharedKeys(), PresharedKeys)

    def discard_component(self, link: str, *, path: str = "", note: str = "") -> None:
        """Destroy a component that waits."""
        self.ask(DiscardComponent(link=link, path=path, note=note))

    def ask(self, request: ControlRequest) -> Any:
        """Return what the node answers.

        Raises:
            RefusedError: The node did not carry it out, and says why.
            NotConnectedError: No node listens there.
            DeviceTimeoutError: It did not answer in time.
        """
        deadline = Deadline(self._clock, self._timeout_s)
        with socket.socket(socket.AF_UNIX) as door:
            try:
                door.settimeout(max(deadline.remaining_s, 0.001))
                connect(door, self.path)
                with suppress(BrokenPipeError, ConnectionResetError):  # it may have said why before it closed
                    door.sendall(frame(request))
                (length,) = LENGTH.unpack(self._read(door, LENGTH.size, deadline))
                if length > MAX_REPLY:
                    raise ProtocolError(f"a reply of {length} bytes is longer than {MAX_REPLY}")
                reply = reply_of(self._read(door, length, deadline))
            except TimeoutError as error:
                raise DeviceTimeoutError(
                    f"the node at {self.path} did not answer", elapsed_s=deadline.elapsed_s, remedy="Look into its log"
                ) from error
            except PermissionError as error:
                raise AuthenticationError(
                    f"you may not ask the node at {self.path}", remedy="Be its user, or root: sudo -u tokaido ..."
                ) from error
            except (OSError, EOFError) as error:
                if isinstance(error, ProtocolError):
                    raise
                raise NotConnectedError(
                    f"no node answers at {self.path}: {getattr(error, 'strerror', None) or error}",
                    remedy="Does it run? systemctl status tokaido-node",
                ) from error
        if reply.error:
            raise RefusedError(reply.error, remedy=reply.remedy)
        return reply.value

    def _converted(self, request: ControlRequest, kind: type[T]) -> T:
        try:
            return msgspec.convert(self.ask(request), kind)
        except msgspec.ValidationError as error:
            raise ProtocolError(
                f"the node's answer is another one than this release knows: {error}",
                remedy="Use a console of the node's own release",
            ) from error

    @staticmethod
    def _read(door: socket.socket, size: int, deadline: Deadline) -> bytes:
        data = bytearray()
        while len(data) < size:
            door.settimeout(max(deadline.remaining_s, 0.001))
            piece = door.recv(min(size - len(data), 1 << 16))
            if not piece:
                raise EOFError("it closed the connection")
            data += piece
        return bytes(data)
