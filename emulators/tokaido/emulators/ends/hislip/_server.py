"""The HiSLIP server: its clients, and which message goes where (IVI-6.1, 6.1)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from tokaido.emulators.ends.hislip._control import Control
from tokaido.emulators.ends.hislip._instrument import Instrument, Profile
from tokaido.emulators.ends.hislip._messages import (
    SHORT,
    VERSION,
    FatalCode,
    Message,
    MessageType,
    TooLarge,
)
from tokaido.emulators.ends.hislip._session import Session
from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from tokaido.emulators.ends.hislip._channel import Channel

VENDOR: Final = int.from_bytes(b"TK", "big")
INITIALIZATIONS: Final = (MessageType.INITIALIZE, MessageType.ASYNC_INITIALIZE)


class HislipServer(Control):
    """Serves one instrument to several clients, from whichever single thread calls `service`.

    A TCP port without TLS, an optional capability of protocol version 2.0: bind it to a loopback address unless the
    network is trusted.

    Args:
        instrument: What answers.
        host: Address to listen at.
        port: Where to listen; 0 takes a free one.
        profile: "strict", or "lenient" for clients that cannot take what they did not ask for.
        overlapped: Whether overlapped mode is preferred (IVI-6.1, 3.2); a device clear may change it.
        sub_addresses: Sub-addresses that are served; an empty one stands for the first.
        max_message: Longest payload in bytes that is taken in one message.
        max_clients: How many sessions there may be.
        initialization_s: How long a client may take until both its channels are there, in s.
        clear_s: How long a client may take to complete a device clear, in s.
        clock: Times the waits.
    """

    def __init__(
        self,
        instrument: Instrument,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        profile: Profile = "strict",
        overlapped: bool = False,
        sub_addresses: tuple[str, ...] = ("hislip0",),
        max_message: int = 1 << 20,
        max_clients: int = 8,
        initialization_s: float = 5.0,
        clear_s: float = 60.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__(
            instrument,
            host,
            port,
            profile=profile,
            overlapped=overlapped,
            max_message=max_message,
            initialization_s=initialization_s,
            clear_s=clear_s,
            clock=clock,
        )
        self._sub_addresses = sub_addresses
        self._max_clients = max_clients
        self._last_session = 0

    # --- what its owner calls -----------------------------------------------------------------------------------------

    def service(self, timeout_s: float | None) -> None:
        """Wait up to `timeout_s` s for clients, for ever with None, and do what they ask."""
        self._settle()
        due_s = self.due_s()
        if due_s != math.inf:
            timeout_s = due_s if timeout_s is None else min(timeout_s, due_s)
        self._select(timeout_s)
        self._settle()

    def due_s(self) -> float:
        """Return after how many s `service` has something to do though no client speaks; infinite if nothing is due."""
        deadlines = [ns for ns in (self.locks.next_deadline_ns(), self._next_deadline_ns()) if ns is not None]
        return max(min(deadlines) - self._clock.monotonic_ns(), 0) / NS_PER_S if deadlines else math.inf

    # --- sessions (IVI-6.1, 6.1) --------------------------------------------------------------------------------------

    def _arrive(self, channel: Channel, messages: list[Message | TooLarge]) -> None:
        for count, message in enumerate(messages):
            session = channel.session
            if channel.closing or channel not in self._channels:
                return
            kind = message.message.type if isinstance(message, TooLarge) else message.type
            if session is None:
                self._initialize(channel, message)
            elif kind == MessageType.FATAL_ERROR and not channel.synchronous:
                self._drop(channel)
            elif kind in INITIALIZATIONS and not (session.clearing and channel.synchronous):
                self._fatal(channel, FatalCode.INVALID_INITIALIZATION, "initialized before")
            elif session.asynchronous is None:
                self._fatal(channel, FatalCode.CHANNELS_NOT_ESTABLISHED, "no asynchronous channel yet")
            elif channel.synchronous:
                rest = messages[count:]
                self._take_in(session, rest)
                return
            else:
                self._on_asynchronous(session, channel, message)

    def _initialize(self, channel: Channel, message: Message | TooLarge) -> None:
        if isinstance(message, TooLarge):
            text = f"the first message of a connection has at most {SHORT} bytes"
            self._fatal(channel, FatalCode.INVALID_INITIALIZATION, text)
        elif message.type == MessageType.INITIALIZE:
            self._initialize_synchronous(channel, message)
        elif message.type == MessageType.ASYNC_INITIALIZE:
            self._initialize_asynchronous(channel, message)
        else:
            self._fatal(channel, FatalCode.INVALID_INITIALIZATION, "invalid initialization sequence")

    def _full(self) -> bool:
        complete = sum(session.asynchronous is not None for session in self.sessions.values())
        return complete >= self._max_clients

    def _initialize_synchronous(self, channel: Channel, message: Message) -> None:
        name = message.payload.decode("latin-1").lower()
        if self._full():
            self._fatal(channel, FatalCode.TOO_MANY_CLIENTS, "too many clients")
        elif name and name not in self._sub_addresses:
            self._fatal(channel, FatalCode.UNIDENTIFIED, f"no sub-address {name!r}")
        else:
            version = min(message.parameter >> 16, VERSION)
            session = Session(self._new_number(), channel, version, overlapped=self._overlapped)
            channel.session = self.sessions[session.number] = session
            channel.decoder.max_payload = self._max_message
            response = Message(MessageType.INITIALIZE_RESPONSE, self._overlapped, version << 16 | session.number)
            self._tell(channel, response)

    def _initialize_asynchronous(self, channel: Channel, message: Message) -> None:
        session = self.sessions.get(message.parameter)
        if session is None or session.asynchronous is not None:
            self._fatal(channel, FatalCode.INVALID_INITIALIZATION, "invalid initialization sequence")
        elif self._full():
            channel.session, session.asynchronous = session, channel
            self._fatal(channel, FatalCode.TOO_MANY_CLIENTS, "too many clients")
        else:
            channel.session, session.asynchronous = session, channel
            channel.deadline_ns = session.synchronous.deadline_ns = None
            self.instrument.opened(session.number)
            self._tell(channel, Message(MessageType.ASYNC_INITIALIZE_RESPONSE, 0, VENDOR))

    def _new_number(self) -> int:
        while True:
            self._last_session = self._last_session % 0xFFFF + 1
            if self._last_session not in self.sessions:
                return self._last_session

    def _forget(self, session: Session, *, left: bool) -> None:
        if left:
            self._hand_over_the_rest(session)
        self.locks.forget(session.number)
        if session.asynchronous is not None:
            self.instrument.closed(session.number)

    # --- what time and other clients bring ----------------------------------------------------------------------------

    def _settle(self) -> None:
        """Carry out what had to wait, grant what became free, and end what took too long."""
        for session in list(self.sessions.values()):
            self._advance(session)
            self._settle_release(session)
        for number, result in self.locks.settle(self._clock.monotonic_ns()):
            self._answer_lock(number, result)
        for session in list(self.sessions.values()):
            self._advance(session)
            self._settle_panel(session)
        self._end_those_who_are_late()
