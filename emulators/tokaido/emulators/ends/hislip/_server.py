"""The HiSLIP server: connections, sessions, and what each message type does (IVI-6.1, chapter 6)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from tokaido.emulators.ends.hislip._connections import Connections
from tokaido.emulators.ends.hislip._locks import LockResult, Locks
from tokaido.emulators.ends.hislip._messages import (
    FIRST_VENDOR_TYPE,
    HEADER,
    VERSION,
    ErrorCode,
    FatalCode,
    Message,
    MessageType,
    RemoteLocal,
    TooLarge,
)
from tokaido.emulators.ends.hislip._session import (
    Channel,
    Instrument,
    Profile,
    ProgramMessage,
    Session,
    released,
)
from tokaido.hal import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from collections.abc import Callable

VENDOR: Final = int.from_bytes(b"TK", "big")
NS_PER_MS: Final = 1_000_000


class HislipServer(Connections):
    """Serves one instrument to several clients, from whichever single thread calls `service`.

    A TCP port without TLS, as protocol version 1.0 has it: bind it to a loopback address unless the network is trusted.

    Args:
        instrument: What answers.
        host: Address to listen at.
        port: Where to listen; 0 takes a free one.
        profile: "strict", or "lenient" for clients that cannot take what they did not ask for.
        overlapped: Whether overlapped mode is preferred (IVI-6.1, 3.2); a device clear may change it.
        sub_addresses: Sub-addresses that are served.
        max_message: Longest message in bytes that is taken.
        max_clients: How many sessions there may be.
        clock: Times the waits for locks.
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
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__(host, port, max_message)
        self.instrument = instrument
        self.profile: Profile = profile
        self.locks = Locks()
        self._overlapped = overlapped
        self._sub_addresses = sub_addresses
        self._max_clients = max_clients
        self._clock = clock
        self._last_session = 0
        self._sync_handlers: dict[int, Callable[[Session, Message], None]] = {
            MessageType.DATA: self._on_data,
            MessageType.DATA_END: self._on_data,
            MessageType.TRIGGER: self._on_data,
            MessageType.DEVICE_CLEAR_COMPLETE: self._on_device_clear_complete,
        }
        self._async_handlers: dict[int, Callable[[Session, Message], None]] = {
            MessageType.ASYNC_MAXIMUM_MESSAGE_SIZE: self._on_maximum_message_size,
            MessageType.ASYNC_LOCK: self._on_lock,
            MessageType.ASYNC_LOCK_INFO: self._on_lock_info,
            MessageType.ASYNC_REMOTE_LOCAL_CONTROL: self._on_remote_local,
            MessageType.ASYNC_DEVICE_CLEAR: self._on_device_clear,
            MessageType.ASYNC_STATUS_QUERY: self._on_status_query,
        }

    # --- what its owner calls ---------------------------------------------------------------------------------------

    def service(self, timeout_s: float) -> None:
        """Wait up to `timeout_s` s for clients, and do what they ask."""
        deadline_ns = self.locks.next_deadline_ns()
        if deadline_ns is not None:
            timeout_s = min(timeout_s, max(deadline_ns - self._clock.monotonic_ns(), 0) / 1e9)
        self._select(timeout_s)
        self._settle_locks()

    def respond(self, message: ProgramMessage, data: bytes, *, end: bool = True) -> None:
        """Send a client its reply, or a part of it, to a message.

        A client that is gone, or has cleared the device or interrupted since, gets nothing.
        """
        client = self.sessions.get(message.session)
        if client is None or client.clearing or message.generation != client.generation:
            return
        if self._strict(client) and message.message_id != client.last_id:
            if message.message_id not in client.refused:
                client.refused.append(message.message_id)
                self._interrupt(client)
            return
        self._guard(client.synchronous, lambda: client.respond(message.message_id, data, end=end))

    def request_service(self, status_byte: int) -> None:
        """Tell every client that the instrument requests service (IVI-6.1, 6.10); not under "lenient"."""
        if self.profile == "strict":
            for session in list(self.sessions.values()):
                self._tell(session.asynchronous, Message(MessageType.ASYNC_SERVICE_REQUEST, status_byte))

    def _forget(self, session: Session) -> None:
        self.locks.forget(session.number)

    # --- messages ---------------------------------------------------------------------------------------------------

    def _dispatch(self, channel: Channel, message: Message | TooLarge) -> None:
        if isinstance(message, TooLarge):
            self._error(channel, ErrorCode.MESSAGE_TOO_LARGE, f"{message.length} bytes are too many")
            return
        session = channel.session
        if session is None:
            self._initialize(channel, message)
            return
        if message.type in (MessageType.INITIALIZE, MessageType.ASYNC_INITIALIZE):
            self._fatal(channel, FatalCode.INVALID_INITIALIZATION, "initialized before")
            return
        if session.asynchronous is None:
            self._fatal(channel, FatalCode.CHANNELS_NOT_ESTABLISHED, "no asynchronous channel yet")
            return
        if message.type in (MessageType.FATAL_ERROR, MessageType.ERROR):
            if message.type == MessageType.FATAL_ERROR:
                self._drop(channel)
            return
        handler = (self._sync_handlers if channel.synchronous else self._async_handlers).get(message.type)
        if handler is None:
            vendor = message.type >= FIRST_VENDOR_TYPE
            code = ErrorCode.UNRECOGNIZED_VENDOR_MESSAGE if vendor else ErrorCode.UNRECOGNIZED_TYPE
            self._error(channel, code, f"message type {message.type} is not known here")
            return
        handler(session, message)

    def _initialize(self, channel: Channel, message: Message) -> None:
        if message.type == MessageType.INITIALIZE:
            name = message.payload.decode("latin-1").lower()
            if len(self.sessions) >= self._max_clients:
                self._fatal(channel, FatalCode.TOO_MANY_CLIENTS, "too many clients")
            elif name and name not in self._sub_addresses:
                self._fatal(channel, FatalCode.UNIDENTIFIED, f"no sub-address {name!r}")
            else:
                session = Session(self._new_number(), channel, overlapped=self._overlapped)
                channel.session = self.sessions[session.number] = session
                version = min(message.parameter >> 16, VERSION)
                self._tell(
                    channel,
                    Message(MessageType.INITIALIZE_RESPONSE, self._overlapped, version << 16 | session.number),
                )
            return
        known = self.sessions.get(message.parameter)
        if message.type == MessageType.ASYNC_INITIALIZE and known is not None and known.asynchronous is None:
            channel.session, known.asynchronous = known, channel
            self._tell(channel, Message(MessageType.ASYNC_INITIALIZE_RESPONSE, 0, VENDOR))
            return
        self._fatal(channel, FatalCode.INVALID_INITIALIZATION, "invalid initialization sequence")

    def _new_number(self) -> int:
        while True:
            self._last_session = self._last_session % 0xFFFF + 1
            if self._last_session not in self.sessions:
                return self._last_session

    # --- the synchronous channel ------------------------------------------------------------------------------------

    def _strict(self, session: Session) -> bool:
        return self.profile == "strict" and not session.overlapped

    def _on_data(self, session: Session, message: Message) -> None:
        if session.clearing:
            return
        if message.control & ~1:
            self._error(session.synchronous, ErrorCode.UNRECOGNIZED_CONTROL_CODE, "control code of a message")
            return
        if session.held or not self.locks.admits(session.number):
            session.held.append(message)
            return
        self._carry_out(session, message)

    def _carry_out(self, session: Session, message: Message) -> None:
        if session.note_arrival(message) and self._strict(session):
            self._interrupt(session)
        if message.type == MessageType.TRIGGER:
            self.instrument.trigger(ProgramMessage(session.number, session.generation, message.parameter, b""))
        else:
            session.incoming += message.payload
            if message.type == MessageType.DATA_END:
                data = bytes(session.incoming)
                session.incoming.clear()
                self.instrument.receive(ProgramMessage(session.number, session.generation, message.parameter, data))
        if session.release_after is not None and released(session.release_after, session.last_id):
            session.release_after = None
            self._release(session)

    def _interrupt(self, session: Session) -> None:
        """Throw a reply away that nobody read, and say so on both channels (IVI-6.1, 3.1.1 and 6.9)."""
        self.instrument.interrupted(session.number)
        self._tell(session.asynchronous, Message(MessageType.ASYNC_INTERRUPTED, 0, session.last_id))
        self._tell(session.synchronous, Message(MessageType.INTERRUPTED, 0, session.last_id))

    # --- device clear (IVI-6.1, 6.12) -------------------------------------------------------------------------------

    def _on_device_clear(self, session: Session, _: Message) -> None:
        session.clearing = True
        session.generation += 1
        session.reset()
        self.instrument.clear(session.number)
        self._tell(session.asynchronous, Message(MessageType.ASYNC_DEVICE_CLEAR_ACKNOWLEDGE, self._overlapped))

    def _on_device_clear_complete(self, session: Session, message: Message) -> None:
        if not session.clearing:
            self._error(session.synchronous, ErrorCode.UNIDENTIFIED, "no device clear is under way")
            return
        session.clearing = False
        session.reset()
        session.overlapped = bool(message.control & 1)
        self._tell(session.synchronous, Message(MessageType.DEVICE_CLEAR_ACKNOWLEDGE, session.overlapped))

    # --- the asynchronous channel -----------------------------------------------------------------------------------

    def _on_maximum_message_size(self, session: Session, message: Message) -> None:
        if len(message.payload) != 8:
            self._error_async(session, ErrorCode.UNIDENTIFIED, "a message size has 8 bytes")
            return
        (size,) = struct.unpack("!Q", message.payload)
        session.max_payload = max(min(size, self._max_message) - HEADER.size, 1)
        payload = struct.pack("!Q", self._max_message)
        self._tell(session.asynchronous, Message(MessageType.ASYNC_MAXIMUM_MESSAGE_SIZE_RESPONSE, 0, 0, payload))

    def _error_async(self, session: Session, code: ErrorCode, text: str) -> None:
        if session.asynchronous is not None:
            self._error(session.asynchronous, code, text)

    def _on_status_query(self, session: Session, message: Message) -> None:
        available = session.message_available(message)
        status = self.instrument.status_byte(session.number, message_available=available)
        self._tell(session.asynchronous, Message(MessageType.ASYNC_STATUS_RESPONSE, status & 0xFF))

    def _on_remote_local(self, session: Session, message: Message) -> None:
        try:
            request = RemoteLocal(message.control)
        except ValueError:
            self._error_async(session, ErrorCode.UNRECOGNIZED_CONTROL_CODE, f"control code {message.control}")
            return
        self.instrument.remote_local(session.number, request)
        self._tell(session.asynchronous, Message(MessageType.ASYNC_REMOTE_LOCAL_RESPONSE))

    # --- locks (IVI-6.1, 6.5) ---------------------------------------------------------------------------------------

    def _on_lock(self, session: Session, message: Message) -> None:
        if message.control == 1:
            key = message.payload.decode("latin-1")
            timeout_ns = message.parameter * NS_PER_MS
            result = self.locks.request(session.number, key, self._clock.monotonic_ns(), timeout_ns)
            if result is not None:
                self._answer_lock(session.number, result)
        elif message.control == 0:
            if self.profile == "strict" and not released(message.parameter, session.last_id):
                session.release_after = message.parameter
            else:
                self._release(session)
        else:
            self._error_async(session, ErrorCode.UNRECOGNIZED_CONTROL_CODE, f"control code {message.control}")

    def _release(self, session: Session) -> None:
        self._answer_lock(session.number, self.locks.release(session.number))
        self._settle_locks()

    def _on_lock_info(self, session: Session, _: Message) -> None:
        info = Message(MessageType.ASYNC_LOCK_INFO_RESPONSE, self.locks.exclusive, self.locks.holders)
        self._tell(session.asynchronous, info)

    def _answer_lock(self, number: int, result: LockResult) -> None:
        session = self.sessions.get(number)
        if session is not None:
            self._tell(session.asynchronous, Message(MessageType.ASYNC_LOCK_RESPONSE, result))

    def _settle_locks(self) -> None:
        """Grant what became free, tell those who waited too long, and carry out what was held back."""
        for number, result in self.locks.settle(self._clock.monotonic_ns()):
            self._answer_lock(number, result)
        for session in list(self.sessions.values()):
            while session.held and self.locks.admits(session.number):
                self._carry_out(session, session.held.popleft())
