"""The functions of a VISA library that emulated instruments need (VPP-4.3), as PyVISA wants them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, cast

from pyvisa import constants, highlevel, rname
from pyvisa.constants import BufferOperation, EventMechanism, EventType, StatusCode
from pyvisa.typing import VISAEventContext, VISARMSession, VISASession
from pyvisa.util import LibraryPath

from pyvisa_tokaido._session import Session
from tokaido.emulators.ends import VISA_SCHEME, UnpluggedError, find_in_process, in_process_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyvisa.util import DebugInfo

_DISCARD_INPUT = (
    BufferOperation.discard_read_buffer
    | BufferOperation.discard_read_buffer_no_io
    | BufferOperation.discard_receive_buffer
    | BufferOperation.discard_receive_buffer2
)


class TokaidoLibrary(highlevel.VisaLibraryBase):
    """Dispatches VISA calls to the emulated instruments of this process."""

    _sessions: dict[int, Session]
    _handles: itertools.count[int]

    @staticmethod
    def get_library_paths() -> Iterable[LibraryPath]:
        """Return a name, since there is no file."""
        return (LibraryPath("unset"),)

    @staticmethod
    def get_debug_info() -> DebugInfo:
        """Return what `pyvisa-info` prints."""
        return {"Instruments": ", ".join(_instruments()) or "none in this process"}

    def _init(self) -> None:
        self._sessions = {}
        self._handles = itertools.count(1)

    # --- resource manager -------------------------------------------------------------------------------------------

    def open_default_resource_manager(self) -> tuple[VISARMSession, StatusCode]:
        """Return a new session of the resource manager."""
        return cast("VISARMSession", next(self._handles)), self.handle_return_value(None, StatusCode.success)

    def list_resources(self, session: VISARMSession, query: str = "?*::INSTR") -> tuple[str, ...]:  # noqa: ARG002
        """Return the names of the instruments that match a VISA expression."""
        return rname.filter(_instruments(), query)

    def open(
        self,
        session: VISARMSession,  # noqa: ARG002
        resource_name: str,
        access_mode: constants.AccessModes = constants.AccessModes.no_lock,  # noqa: ARG002
        open_timeout: int = constants.VI_TMO_IMMEDIATE,  # noqa: ARG002
    ) -> tuple[VISASession, StatusCode]:
        """Open a session with an instrument."""
        handle = VISASession(0)
        try:
            parsed = rname.ResourceName.from_string(resource_name)
        except rname.InvalidResourceName:
            return handle, self.handle_return_value(None, StatusCode.error_invalid_resource_name)
        end = find_in_process(f"{VISA_SCHEME}{parsed}")
        if end is None:
            return handle, self.handle_return_value(None, StatusCode.error_resource_not_found)
        try:
            opened = Session(str(parsed), parsed, end)
        except UnpluggedError:
            return handle, self.handle_return_value(None, StatusCode.error_resource_not_found)
        handle = VISASession(next(self._handles))
        self._sessions[handle] = opened
        return handle, self.handle_return_value(handle, StatusCode.success)

    def close(self, session: VISASession | VISAEventContext | VISARMSession) -> StatusCode:
        """Close a session, an event's context or the resource manager."""
        opened = self._sessions.pop(session, None)
        others = tuple(self._sessions.values())
        if opened is not None and not opened.serial and all(one.end is not opened.end for one in others):
            opened.end.hang_up()
        return self.handle_return_value(None, StatusCode.success)

    # --- sessions ---------------------------------------------------------------------------------------------------

    def _call(self, session: VISASession, action: Callable[[Session], StatusCode]) -> StatusCode:
        opened = self._sessions.get(session)
        if opened is None:
            return self.handle_return_value(session, StatusCode.error_invalid_object)
        try:
            status = action(opened)
        except UnpluggedError:
            status = StatusCode.error_connection_lost
        return self.handle_return_value(session, status)

    def write(self, session: VISASession, data: bytes) -> tuple[int, StatusCode]:
        """Send a message (viWrite)."""
        opened = self._sessions.get(session)
        if opened is None:
            return 0, self.handle_return_value(session, StatusCode.error_invalid_object)
        try:
            written = opened.write(data)
        except UnpluggedError:
            return 0, self.handle_return_value(session, StatusCode.error_connection_lost)
        return written, self.handle_return_value(session, StatusCode.success)

    def read(self, session: VISASession, count: int) -> tuple[bytes, StatusCode]:
        """Read a message or a part of it (viRead)."""
        opened = self._sessions.get(session)
        if opened is None:
            return b"", self.handle_return_value(session, StatusCode.error_invalid_object)
        try:
            data, status = opened.read(count)
        except UnpluggedError:
            return b"", self.handle_return_value(session, StatusCode.error_connection_lost)
        return data, self.handle_return_value(session, status)

    def get_attribute(
        self,
        session: VISASession | VISAEventContext | VISARMSession,
        attribute: constants.ResourceAttribute | constants.EventAttribute,
    ) -> tuple[Any, StatusCode]:
        """Return the value of an attribute (viGetAttribute)."""
        found: list[Any] = [None]

        def get(opened: Session) -> StatusCode:
            found[0], status = opened.get_attribute(attribute)
            return status

        status = self._call(cast("VISASession", session), get)
        return found[0], status

    def set_attribute(
        self, session: VISASession, attribute: constants.ResourceAttribute, attribute_state: Any
    ) -> StatusCode:
        """Set an attribute (viSetAttribute)."""
        return self._call(session, lambda opened: opened.set_attribute(attribute, attribute_state))

    def clear(self, session: VISASession) -> StatusCode:
        """Clear the instrument, or throw away the input where there is no such thing (viClear)."""

        def clear(opened: Session) -> StatusCode:
            if opened.has_end:
                opened.end.clear(opened.connection)
            else:
                opened.forget_input()
            return StatusCode.success

        return self._call(session, clear)

    def flush(self, session: VISASession, mask: BufferOperation) -> StatusCode:
        """Throw away input if that is asked for; output never waits (viFlush)."""

        def flush(opened: Session) -> StatusCode:
            if mask & _DISCARD_INPUT:
                opened.forget_input()
            return StatusCode.success

        return self._call(session, flush)

    def read_stb(self, session: VISASession) -> tuple[int, StatusCode]:
        """Return the status byte of a serial poll (viReadSTB)."""
        byte: list[int] = [0]

        def poll(opened: Session) -> StatusCode:
            if not opened.has_end:
                return StatusCode.error_nonsupported_operation
            byte[0] = opened.end.serial_poll(opened.connection)
            return StatusCode.success

        status = self._call(session, poll)
        return byte[0], status

    def assert_trigger(self, session: VISASession, protocol: constants.TriggerProtocol) -> StatusCode:  # noqa: ARG002
        """Trigger the instrument (viAssertTrigger)."""

        def trigger(opened: Session) -> StatusCode:
            if not opened.has_end:
                return StatusCode.error_nonsupported_operation
            opened.end.trigger(opened.connection)
            return StatusCode.success

        return self._call(session, trigger)

    # --- events: service requests, in a queue (VPP-4.3, 3.7) --------------------------------------------------------

    def enable_event(
        self,
        session: VISASession,
        event_type: EventType,
        mechanism: EventMechanism,
        context: None = None,  # noqa: ARG002
    ) -> StatusCode:
        """Begin to queue service requests (viEnableEvent)."""

        def enable(opened: Session) -> StatusCode:
            if event_type is not EventType.service_request or not opened.has_end:
                return StatusCode.error_invalid_event
            if mechanism is not EventMechanism.queue:
                return StatusCode.error_nonsupported_mechanism
            if event_type not in opened.events:
                opened.events.add(event_type)
                opened.seen_requests = opened.end.requests
            return StatusCode.success

        return self._call(session, enable)

    def disable_event(self, session: VISASession, event_type: EventType, mechanism: EventMechanism) -> StatusCode:  # noqa: ARG002
        """Queue no more (viDisableEvent)."""

        def disable(opened: Session) -> StatusCode:
            opened.events.discard(event_type)
            return StatusCode.success

        return self._call(session, disable)

    def discard_events(self, session: VISASession, event_type: EventType, mechanism: EventMechanism) -> StatusCode:  # noqa: ARG002
        """Empty the queue (viDiscardEvents)."""

        def discard(opened: Session) -> StatusCode:
            opened.seen_requests = opened.end.requests
            return StatusCode.success

        return self._call(session, discard)

    def wait_on_event(
        self, session: VISASession, in_event_type: EventType, timeout: int
    ) -> tuple[EventType, VISAEventContext, StatusCode]:
        """Wait for a service request (viWaitOnEvent)."""

        def wait(opened: Session) -> StatusCode:
            if in_event_type not in opened.events:
                return StatusCode.error_not_enabled
            return StatusCode.success if opened.wait_for_service_request(timeout) else StatusCode.error_timeout

        status = self._call(session, wait)
        return in_event_type, VISAEventContext(next(self._handles)), status


def _instruments() -> list[str]:
    return [name.removeprefix(VISA_SCHEME) for name in in_process_names(VISA_SCHEME)]
