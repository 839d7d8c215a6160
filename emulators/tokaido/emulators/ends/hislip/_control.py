"""The asynchronous channel of a HiSLIP server: clear, status, front panel and locks (IVI-6.1, chapter 6)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from tokaido.emulators.ends.hislip._exchange import Exchange
from tokaido.emulators.ends.hislip._locks import LockResult
from tokaido.emulators.ends.hislip._messages import (
    HEADER,
    ErrorCode,
    Message,
    MessageType,
    RemoteLocal,
    TooLarge,
    reached,
)

if TYPE_CHECKING:
    from tokaido.emulators.ends.hislip._channel import Channel
    from tokaido.emulators.ends.hislip._session import Session

NS_PER_MS: Final = 1_000_000


class Control(Exchange):
    """Does what messages of the asynchronous channel ask for."""

    # --- what its owner calls -----------------------------------------------------------------------------------------

    def request_service(self, number: int, status_byte: int) -> None:
        """Tell a client that the instrument requests service (IVI-6.1, 6.13); not under "lenient".

        It is told once; a status query of the client makes room for the next request.
        """
        session = self.sessions.get(number)
        if session is not None and self.profile == "strict" and not session.service_requested:
            session.service_requested = True
            self._tell(session.asynchronous, Message(MessageType.ASYNC_SERVICE_REQUEST, status_byte & 0xFF))

    # --- messages -----------------------------------------------------------------------------------------------------

    def _on_asynchronous(self, session: Session, channel: Channel, message: Message | TooLarge) -> None:
        if isinstance(message, TooLarge):
            self._refuse(channel, message)
            return
        match message.type:
            case MessageType.ASYNC_MAXIMUM_MESSAGE_SIZE:
                self._on_maximum_message_size(session, message)
            case MessageType.ASYNC_LOCK:
                self._on_lock(session, message)
            case MessageType.ASYNC_LOCK_INFO:
                self._on_lock_info(session)
            case MessageType.ASYNC_REMOTE_LOCAL_CONTROL:
                self._on_remote_local(session, message)
            case MessageType.ASYNC_DEVICE_CLEAR:
                self._on_device_clear(session)
            case MessageType.ASYNC_STATUS_QUERY:
                self._on_status_query(session, message)
            case _:
                self._answer_either(session, channel, message)

    def _error_async(self, session: Session, code: ErrorCode, text: str) -> None:
        if session.asynchronous is not None:
            self._error(session.asynchronous, code, text)

    def _on_maximum_message_size(self, session: Session, message: Message) -> None:
        size = struct.unpack("!Q", message.payload)[0] if len(message.payload) == 8 else 0
        if size <= HEADER.size:
            self._error_async(session, ErrorCode.UNIDENTIFIED, "a size has 8 bytes, and is more than a header takes")
            return
        session.max_payload = min(size, self._max_message) - HEADER.size
        payload = struct.pack("!Q", self._max_message)
        self._tell(session.asynchronous, Message(MessageType.ASYNC_MAXIMUM_MESSAGE_SIZE_RESPONSE, 0, 0, payload))

    def _on_status_query(self, session: Session, message: Message) -> None:
        if message.control & ~1:
            self._error_async(session, ErrorCode.UNRECOGNIZED_CONTROL_CODE, f"control code {message.control}")
            return
        self.panel.hear()
        available = session.available_for(message, lenient=self.profile == "lenient")
        session.service_requested = False
        status = self.instrument.status_byte(session.number, message_available=available)
        self._tell(session.asynchronous, Message(MessageType.ASYNC_STATUS_RESPONSE, status & 0xFF))

    # --- the front panel (IVI-6.1, 6.7) -------------------------------------------------------------------------------

    def _on_remote_local(self, session: Session, message: Message) -> None:
        try:
            request = RemoteLocal(message.control)
        except ValueError:
            self._error_async(session, ErrorCode.UNRECOGNIZED_CONTROL_CODE, f"control code {message.control}")
            return
        if session.panel_after is not None:
            self._error_async(session, ErrorCode.UNIDENTIFIED, "another request waits for its message")
            return
        session.panel_after = request, self._named(session, message.parameter)
        self._settle_panel(session)

    def _named(self, session: Session, number: int) -> int:
        """Return the message that a client means: pyvisa-py names none that is to come, and 0 for none at all."""
        if self.profile == "lenient" and not reached(number, session.last_id):
            return session.last_id
        return number

    def _settle_panel(self, session: Session) -> None:
        """Do what was asked of the front panel when its message was carried out and no other client has the lock."""
        answered = session.panel_after is not None and reached(session.panel_after[1], session.done_id)
        if session.panel_after is not None and answered:
            session.panel_requests.append(session.panel_after[0])
            session.panel_after = None
        while session.panel_requests and self._admits(session):
            request = session.panel_requests.popleft()
            self.panel.request(request)
            self.instrument.remote_local(session.number, request)
        if answered:
            self._tell(session.asynchronous, Message(MessageType.ASYNC_REMOTE_LOCAL_RESPONSE))

    # --- locks (IVI-6.1, 6.5 and 6.6) ---------------------------------------------------------------------------------

    def _on_lock(self, session: Session, message: Message) -> None:
        self.panel.hear()
        if message.control not in (0, 1):
            self._error_async(session, ErrorCode.UNRECOGNIZED_CONTROL_CODE, f"control code {message.control}")
        elif session.release_after is not None:
            self._error_async(session, ErrorCode.UNIDENTIFIED, "a release of a lock waits for its message")
        elif message.control == 1:
            key = message.payload.decode("latin-1")
            timeout_ns = message.parameter * NS_PER_MS
            result = self.locks.request(session.number, key, self._clock.monotonic_ns(), timeout_ns)
            if result is not None:
                self._answer_lock(session.number, result)
        elif self.locks.holds(session.number):
            session.release_after = self._named(session, message.parameter)
            self._settle_release(session)
        else:
            self._answer_lock(session.number, LockResult.ERROR)

    def _settle_release(self, session: Session) -> None:
        if session.release_after is not None and reached(session.release_after, session.done_id):
            session.release_after = None
            self._answer_lock(session.number, self.locks.release(session.number))

    def _on_lock_info(self, session: Session) -> None:
        info = Message(MessageType.ASYNC_LOCK_INFO_RESPONSE, self.locks.exclusive, self.locks.holders)
        self._tell(session.asynchronous, info)

    def _answer_lock(self, number: int, result: LockResult) -> None:
        session = self.sessions.get(number)
        if session is not None:
            self._tell(session.asynchronous, Message(MessageType.ASYNC_LOCK_RESPONSE, result))

    # --- device clear (IVI-6.1, 6.12) ---------------------------------------------------------------------------------

    def _on_device_clear(self, session: Session) -> None:
        self.panel.hear()
        session.clear_deadline_ns = self._clock.monotonic_ns() + self._clear_ns
        session.generation += 1
        self._end_transactions(session)
        session.reset()
        session.synchronous.abandon_responses()
        self.instrument.clear(session.number)
        self._tell(session.asynchronous, Message(MessageType.ASYNC_DEVICE_CLEAR_ACKNOWLEDGE, self._overlapped))
        self._advance(session)

    def _end_transactions(self, session: Session) -> None:
        """End what a client waits for on its asynchronous channel, before the time is over (IVI-6.1, 6.5.1, 6.12)."""
        if session.release_after is not None:
            session.release_after = None
            self.locks.release(session.number)
        if self.locks.give_up(session.number):
            self._tell(session.asynchronous, Message(MessageType.ASYNC_LOCK_RESPONSE, LockResult.FAILURE))
        if session.panel_after is not None:
            session.panel_after = session.panel_after[0], session.done_id
            self._settle_panel(session)
