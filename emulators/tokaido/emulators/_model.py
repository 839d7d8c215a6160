"""What every device model is: bytes in, bytes out, and integer nanoseconds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Message = tuple[bytes, list[bytes]]
"""A peer's routing id and the frames of one message from or to it."""


class DeviceModel(ABC):
    """A box without its plugs: it knows no socket, no thread and no wall clock.

    What it does is a function of its inputs, its seed and the time it is given, in integer nanoseconds since it came
    up; how that time is cut into steps makes no difference. It is not thread-safe: whoever shares it holds one lock.
    """

    STREAM_PORTS: ClassVar[Sequence[str]] = ()
    """Names of the ports that carry bytes."""
    MESSAGE_PORTS: ClassVar[Sequence[str]] = ()
    """Names of the ports that carry multipart messages."""

    FAULTS: ClassVar[Sequence[str]] = ()
    """Names of the faults that `provoke` knows."""

    serial_number: str
    """Serial number of the emulated box."""

    @property
    @abstractmethod
    def now_ns(self) -> int:
        """Time in ns since the box came up."""

    @abstractmethod
    def advance(self, to_ns: int) -> None:
        """Let time pass until `to_ns` (ns since the box came up).

        Raises:
            ValueError: `to_ns` lies in the past.
        """

    @abstractmethod
    def receive(self, port: str, data: bytes) -> None:
        """Take bytes that arrive at a stream port now.

        Raises:
            KeyError: There is no such stream port.
        """

    @abstractmethod
    def take(self, port: str) -> bytes:
        """Return, once, the bytes that a stream port has to send.

        Raises:
            KeyError: There is no such stream port.
        """

    @abstractmethod
    def receive_message(self, peer: bytes, client_key: str, frames: list[bytes]) -> None:
        """Take one message at the message port: from which connection, under which public key (z85), and its frames."""

    @abstractmethod
    def take_messages(self) -> list[Message]:
        """Return, once, the messages that the message port has to send, oldest first."""

    @abstractmethod
    def provoke(self, fault: str) -> None:
        """Begin the model fault of this name at once.

        Raises:
            ConfigurationError: This model has no such fault.
        """

    def forget_secrets(self) -> None:  # noqa: B027 - a device may have none
        """Erase every key: the emulator ends."""
