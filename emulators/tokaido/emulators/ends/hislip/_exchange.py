"""The synchronous channel of a HiSLIP server: messages, responses, and interruptions (IVI-6.1, 3 and 6.4)."""

from __future__ import annotations

from typing import Final

from tokaido.emulators.ends.hislip._channel import ENOUGH_OUTGOING, Channel
from tokaido.emulators.ends.hislip._connections import Connections
from tokaido.emulators.ends.hislip._instrument import Instrument, Profile, ProgramMessage
from tokaido.emulators.ends.hislip._locks import Locks
from tokaido.emulators.ends.hislip._messages import (
    PROGRAM,
    ErrorCode,
    Message,
    MessageType,
    TooLarge,
)
from tokaido.emulators.ends.hislip._panel import FrontPanel
from tokaido.emulators.ends.hislip._session import MAX_PROGRAM, Session
from tokaido.hal import NS_PER_S, Clock

FIRST_VENDOR_TYPE: Final = 128
OVERLAPPED: Final = 1
"""The one feature that is negotiated (IVI-6.1, table 31)."""


class Exchange(Connections):
    """Hands messages to the instrument one at a time for each client, and sends what it answers."""

    def __init__(
        self,
        instrument: Instrument,
        host: str,
        port: int,
        *,
        profile: Profile,
        overlapped: bool,
        max_message: int,
        initialization_s: float,
        clear_s: float,
        clock: Clock,
    ) -> None:
        super().__init__(host, port, initialization_s, clock)
        self.instrument = instrument
        self.profile: Profile = profile
        self.locks = Locks()
        self.panel = FrontPanel()
        """What the operator of the instrument may do."""
        self._overlapped = overlapped
        self._max_message = max_message
        self._clear_ns = round(clear_s * NS_PER_S)

    # --- what its owner calls -----------------------------------------------------------------------------------------

    def respond(self, message: ProgramMessage, data: bytes, *, end: bool = True) -> None:
        """Send a client its reply, or a part of it, to a message.

        A client that is gone, or has cleared the device since, gets nothing. In synchronized mode and under the profile
        "strict", a reply whose end comes after another message of the client is thrown away (IVI-6.1, 3.1.1, rule 1).
        """
        session = self.sessions.get(message.session)
        if session is None or session.clearing or message.generation != session.generation:
            return
        newer = session.interrupter()
        if newer is None and message.message_id != session.last_id:
            newer = session.last_id
        if end and newer is not None and self._synchronized(session):
            self._interrupt(session, newer)
            return
        self._guard(
            session.synchronous,
            lambda: session.respond(message.message_id, data, end=end, at_end=message.at_end),
        )

    def message_available(self, number: int) -> bool:
        """Return whether something was sent to a client that it did not read, as far as it said so."""
        session = self.sessions.get(number)
        return session is not None and session.message_available()

    def _synchronized(self, session: Session) -> bool:
        return self.profile == "strict" and not session.overlapped

    def _interrupt(self, session: Session, newer: int) -> None:
        """Throw replies away, and say so within and on both channels (IVI-6.1, 3.1.1 and 6.11)."""
        session.synchronous.abandon_responses()
        session.available = session.rmt_expected = False
        self.instrument.interrupted(session.number)
        self._tell(session.asynchronous, Message(MessageType.ASYNC_INTERRUPTED, 0, newer))
        self._tell(session.synchronous, Message(MessageType.INTERRUPTED, 0, newer))

    # --- messages -----------------------------------------------------------------------------------------------------

    def _take_in(self, session: Session, messages: list[Message | TooLarge]) -> None:
        """Put messages of the synchronous channel into the inbox, and carry out what may be carried out."""
        for message in messages:
            kind = message.message.type if isinstance(message, TooLarge) else message.type
            if kind == MessageType.FATAL_ERROR and (session.clearing or self._admits(session)):
                self._drop(session.synchronous)
                return
            if session.clearing:
                if kind == MessageType.DEVICE_CLEAR_COMPLETE and isinstance(message, Message):
                    self._complete_clear(session, message)
            elif session.arrive(message) and self._synchronized(session):
                session.synchronous.abandon_responses()
                self.instrument.interrupted(session.number)
        self._advance(session)

    def _admits(self, session: Session) -> bool:
        return self.locks.admits(session.number)

    def _advance(self, session: Session) -> None:
        """Carry out messages that came, until one has to wait for the instrument or for a lock."""
        while self.sessions.get(session.number) is session:
            self._note_done(session)
            if not session.inbox:
                break
            message = session.inbox[0]
            kind = message.message.type if isinstance(message, TooLarge) else message.type
            waits = session.current is not None or session.synchronous.waiting > ENOUGH_OUTGOING
            if not self._admits(session) or (kind in PROGRAM and waits):
                break
            self._carry_out(session, message)
        if session.synchronous in self._channels:
            self._watch(session.synchronous)

    def _note_done(self, session: Session) -> None:
        if session.current is not None and not self.instrument.busy(session.number):
            session.done_id, session.current = session.current, None

    def _carry_out(self, session: Session, message: Message | TooLarge) -> None:
        if isinstance(message, TooLarge):
            session.discard()
            if message.message.type in PROGRAM:
                self._lose(session, message.message)
            self._refuse(session.synchronous, message)
        elif message.type not in PROGRAM:
            session.discard()
            self._carry_out_other(session, message)
        elif message.control & ~1:
            self._lose(session, message)
            session.discard()
            self._error(session.synchronous, ErrorCode.UNRECOGNIZED_CONTROL_CODE, f"control code {message.control}")
        elif message.type == MessageType.TRIGGER:
            session.discard()
            self._trigger(session, message.parameter)
        else:
            self._hand_over_line(session)

    def _lose(self, session: Session, message: Message) -> None:
        """Throw away the program message to which a lost piece belongs, up to its end."""
        session.incoming.clear()
        session.spoiled = message.type == MessageType.DATA
        session.done_id = message.parameter

    def _trigger(self, session: Session, number: int) -> None:
        self.panel.hear()
        if session.incoming or session.spoiled:
            session.incoming.clear()
            session.spoiled = False
            session.done_id = number
            self.instrument.misplaced_trigger(session.number)
            return
        session.current = number
        self.instrument.trigger(ProgramMessage(session.number, session.generation, number, b""))

    def _hand_over_line(self, session: Session) -> None:
        self.panel.hear()
        line = session.take_line()
        if not session.spoiled:
            session.incoming += line.data
        if len(session.incoming) > MAX_PROGRAM:
            session.incoming.clear()
            session.spoiled = True
            self._error(session.synchronous, ErrorCode.MESSAGE_TOO_LARGE, f"more than {MAX_PROGRAM} bytes to one END")
        if not line.ended:
            session.done_id = line.message_id
            return
        data = bytes(session.incoming)
        session.incoming.clear()
        session.spoiled = False
        if not data.strip():
            session.done_id = line.message_id
            return
        session.current = line.message_id
        self.instrument.receive(
            ProgramMessage(session.number, session.generation, line.message_id, data, line.at_end),
        )

    def _hand_over_the_rest(self, session: Session) -> None:
        """Hand the instrument what a client sent before it left."""
        while session.inbox and self._admits(session):
            message = session.inbox[0]
            if isinstance(message, Message) and message.type in PROGRAM:
                self._carry_out(session, message)
            else:
                session.discard()

    def _carry_out_other(self, session: Session, message: Message) -> None:
        if message.type == MessageType.DEVICE_CLEAR_COMPLETE:
            self._error(session.synchronous, ErrorCode.UNIDENTIFIED, "no device clear is under way")
        elif message.type == MessageType.FATAL_ERROR:
            self._drop(session.synchronous)
        else:
            self._answer_either(session, session.synchronous, message)

    def _answer_either(self, session: Session, channel: Channel, message: Message) -> None:
        """Do what a message asks for that is none of its channel's own (IVI-6.1, 5, 6.3 and 6.9)."""
        if message.type == MessageType.ERROR:
            return
        if message.type == MessageType.GET_DESCRIPTORS and session.version >= 0x0200:
            self._tell(channel, Message(MessageType.GET_DESCRIPTORS_RESPONSE))  # it has no capability to describe
            return
        self._refuse(channel, message)

    def _refuse(self, channel: Channel, message: Message | TooLarge) -> None:
        """Say why a message is ignored."""
        kind = message.message.type if isinstance(message, TooLarge) else message.type
        if kind >= FIRST_VENDOR_TYPE:
            self._error(channel, ErrorCode.UNRECOGNIZED_VENDOR_MESSAGE, f"no vendor's message {kind} is known here")
        elif isinstance(message, TooLarge):
            if kind != MessageType.ERROR:
                self._error(channel, ErrorCode.MESSAGE_TOO_LARGE, f"{message.length} bytes are too many")
        else:
            self._error(channel, ErrorCode.UNRECOGNIZED_TYPE, f"message type {kind} is not known here")

    # --- the end of a device clear (IVI-6.1, 6.12) -------------------------------------------------------------------

    def _complete_clear(self, session: Session, message: Message) -> None:
        session.clear_deadline_ns = None
        session.overlapped = bool(message.control & OVERLAPPED)
        self._tell(session.synchronous, Message(MessageType.DEVICE_CLEAR_ACKNOWLEDGE, session.overlapped))
