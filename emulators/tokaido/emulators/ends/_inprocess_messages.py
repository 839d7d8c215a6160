"""A message port within the process: a ZeroMQ socket on inproc, which a stepped clock gives its turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import zmq

from tokaido.emulators.ends._messages import MessageWire
from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators._fault_kinds import FaultPort
    from tokaido.emulators._faults import Faults
    from tokaido.emulators._model import DeviceModel
    from tokaido.emulators._stepped import SteppedClock
    from tokaido.emulators.ends._shared import SharedModel

CLIENT: Final = "in this process"
"""What a model is told instead of a client's public key: such messages never leave the process."""
MOST_AT_ONCE: Final = 64


class InProcessMessages(MessageWire):
    """Carries a message port to clients in this process and thread, at `inproc://NAME`.

    Args:
        shared: The model.
        name: Its name among the sockets of this process.
        port: Which of the model's ports.
        faults: Faults on this wire.
        clock: Gives it a turn after every step.
        impostor: The other box that answers under the fault `wrong_id`.
    """

    def __init__(
        self,
        shared: SharedModel,
        name: str,
        *,
        port: FaultPort = "keys",
        faults: Faults,
        clock: SteppedClock,
        impostor: DeviceModel,
    ) -> None:
        super().__init__(shared, port, faults, clock, impostor)
        self.endpoint = f"inproc://{name}"
        """Where clients in this process connect."""
        self._stepped = clock
        self._socket: Any = None
        self._detach: Callable[[], None] | None = None

    def start(self) -> None:
        """Appear under the name.

        Raises:
            ConfigurationError: Another device has this name.
        """
        self._replug_now()
        self._detach = self._stepped.attach(lambda _: self.turn())

    def close(self) -> None:
        """Vanish. May be called again."""
        if self._detach is not None:
            self._detach()
        self._unplug_now()

    def unplug(self) -> None:
        """Pull the plug: messages on their way are lost."""
        self._unplug_now()
        self._replug_ns = None

    def replug(self) -> None:
        """Put the plug back; a port that is plugged in stays as it is."""
        self._replug_now()

    def turn(self) -> None:
        """Take what came, let it meet the faults, and send what the model has to say."""
        self._replug_when_due()
        if self._hangs():
            return
        for _ in range(MOST_AT_ONCE):
            if self._socket is None or not self._socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
                break
            routing, *frames = self._socket.recv_multipart(zmq.NOBLOCK)
            self._meet("to_unit", [routing, CLIENT.encode(), *frames])
        self._exchange()

    def _unplug_now(self) -> None:
        if self._socket is not None:
            self._socket.unbind(self.endpoint)  # now: closing frees the name later, in a thread of ZeroMQ's
            self._socket.close(linger=0)
            self._socket = None
        self._lose_what_is_on_its_way()

    def _replug_now(self) -> None:
        self._replug_ns = None
        if self._socket is not None:
            return
        pushes = self._shared.model.PUSHES
        socket: Any = zmq.Context.instance().socket(zmq.PUB if pushes else zmq.ROUTER)
        try:
            socket.linger = 0
            if not pushes:
                socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
            socket.bind(self.endpoint)
        except zmq.ZMQError as error:
            socket.close(linger=0)
            raise ConfigurationError(
                f"there is another emulated device at {self.endpoint}", remedy="Take another serial number"
            ) from error
        self._socket = socket

    def _emit(self, piece: list[bytes]) -> None:
        if self._socket is None or len(piece) < 3:
            return
        address = [] if self._shared.model.PUSHES else piece[:1]
        try:
            self._socket.send_multipart([*address, *piece[2:]], zmq.NOBLOCK)
        except zmq.ZMQError:  # nobody takes it
            return
