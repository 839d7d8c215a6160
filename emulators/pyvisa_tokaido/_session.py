"""One open resource: how bytes, ENDs and termination characters make replies (VPP-4.3, 6.1)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from pyvisa import attributes, constants
from pyvisa.constants import InterfaceType, ResourceAttribute, SerialTermination, StatusCode

from tokaido.hal import NS_PER_S

if TYPE_CHECKING:
    from pyvisa.rname import ResourceName

    from tokaido.emulators.ends import InProcessEnd

_TIMEOUT: Final = ResourceAttribute.timeout_value
_TERMCHAR: Final = ResourceAttribute.termchar
_TERMCHAR_ENABLED: Final = ResourceAttribute.termchar_enabled
_SERIAL_END: Final = ResourceAttribute.asrl_end_in


class Session:
    """A session with one emulated instrument.

    Every line that the model sends is a message with an END on TCPIP INSTR, USB and GPIB; on a SOCKET and a serial line
    there are only bytes.

    Args:
        name: The resource's name.
        parsed: Its parts.
        end: The instrument.
    """

    def __init__(self, name: str, parsed: ResourceName, end: InProcessEnd) -> None:
        self.end = end
        self.connection = end.connect()
        self.serial = parsed.interface_type_const is InterfaceType.asrl
        self.has_end = not self.serial and parsed.resource_class == "INSTR"
        self.events: set[int] = set()
        """Event types that are enabled."""
        self.seen_requests = end.requests
        self._asked = False
        self._attributes: dict[int, Any] = {
            ResourceAttribute.resource_name: name,
            ResourceAttribute.resource_class: parsed.resource_class,
            ResourceAttribute.interface_type: parsed.interface_type_const,
            ResourceAttribute.interface_number: 0,
            _TIMEOUT: 2000,
            _TERMCHAR: 10,
            _TERMCHAR_ENABLED: False,
            _SERIAL_END: SerialTermination.termination_char,
        }
        self._timeout_ns: int | None = 2 * NS_PER_S
        self._stop: bytes | None = None
        self._settle()

    def get_attribute(self, attribute: int) -> tuple[Any, StatusCode]:
        """Return the value of an attribute, or VISA's default if it has none."""
        if attribute in self._attributes:
            return self._attributes[attribute], StatusCode.success
        if attribute == ResourceAttribute.asrl_avalaible_number:
            with self.end.lock:
                return len(self.end.poll(self.connection)), StatusCode.success
        known = attributes.AttributesByID.get(attribute)
        if known is None:
            return None, StatusCode.error_nonsupported_attribute
        default = getattr(known, "default", None)
        if default is None or not isinstance(default, (int, bool, str)):
            return 0, StatusCode.success
        return default, StatusCode.success

    def set_attribute(self, attribute: int, value: Any) -> StatusCode:
        """Set an attribute; one that describes the wire is accepted and makes no difference."""
        known = attributes.AttributesByID.get(attribute)
        if known is None:
            return StatusCode.error_nonsupported_attribute
        if not known.write:
            return StatusCode.error_attribute_read_only
        self._attributes[attribute] = value
        self._settle()
        return StatusCode.success

    def _settle(self) -> None:
        """Work out from the attributes how long a read lasts, and what ends it."""
        timeout_ms = self._attributes[_TIMEOUT]
        never = timeout_ms == constants.VI_TMO_INFINITE or math.isinf(timeout_ms)
        self._timeout_ns = None if never else int(timeout_ms * 1_000_000)
        at_termchar = bool(self._attributes[_TERMCHAR_ENABLED])
        if self.serial:
            at_termchar = at_termchar or self._attributes[_SERIAL_END] == SerialTermination.termination_char
        self._stop = bytes([self._attributes[_TERMCHAR]]) if at_termchar else None

    # --- input and output -------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> int:
        """Send a message; where there is an END it stands for the end of a line."""
        if self.has_end and not data.endswith((b"\n", b"\r")):
            self.end.write(data + b"\n", self.connection)
        else:
            self.end.write(data, self.connection)
        self._asked = True
        return len(data)

    def read(self, count: int) -> tuple[bytes, StatusCode]:
        """Read up to `count` bytes, an END, a termination character, or until the timeout."""
        end = self.end
        with end.lock:  # the reply may have come as the question was sent
            reply = self._taken(end.arrived(self.connection), count)
        deadline_ns: int | None = None
        while reply is None:
            with end.lock:
                reply = self._taken(end.poll(self.connection), count)
            if reply is not None:
                break
            if self._timeout_ns is None:
                end.wait(1.0)
                continue
            now_ns = end.monotonic_ns()
            if deadline_ns is None:
                deadline_ns = now_ns + self._timeout_ns
            if now_ns >= deadline_ns:
                return self._timed_out(count)
            end.wait((deadline_ns - now_ns) / NS_PER_S)
        return reply

    def _taken(self, received: bytearray, count: int) -> tuple[bytes, StatusCode] | None:
        """Take what makes a read complete; None if it is not."""
        if not received:
            return None
        length, status = self._cut(received, count)
        if not length:
            return None
        data = bytes(received[:length])
        del received[:length]
        return data, status

    def _cut(self, received: bytearray, count: int) -> tuple[int, StatusCode]:
        """Return how many bytes make a read complete, 0 if it is not."""
        if self._stop is not None and (place := received.find(self._stop, 0, count)) >= 0:
            return place + 1, StatusCode.success_termination_character_read
        if self.has_end and (place := received.find(b"\n", 0, count)) >= 0:
            return place + 1, StatusCode.success
        if len(received) >= count:
            return count, StatusCode.success_max_count_read
        if self._stop is None and not self.has_end and not self.serial:
            return len(received), StatusCode.success  # a socket has no other end
        return 0, StatusCode.success

    def _timed_out(self, count: int) -> tuple[bytes, StatusCode]:
        with self.end.lock:
            received = self.end.poll(self.connection)
            data = bytes(received[:count])
            del received[:count]
        if self.has_end and not data and not self._asked:
            self.end.unterminated(self.connection)
        self._asked = False
        return data, StatusCode.error_timeout

    # --- the rest ---------------------------------------------------------------------------------------------------

    def forget_input(self) -> None:
        """Throw away what waits to be read."""
        with self.end.lock:
            self.end.poll(self.connection).clear()

    def wait_for_service_request(self, timeout_ms: int) -> bool:
        """Return whether the instrument requested service, within the timeout."""
        never = timeout_ms == constants.VI_TMO_INFINITE
        deadline_ns = self.end.monotonic_ns() + int(timeout_ms * 1_000_000)
        while True:
            self.end.service_requested(self.connection)
            if self.end.requests != self.seen_requests:
                self.seen_requests += 1
                return True
            left_ns = deadline_ns - self.end.monotonic_ns()
            if not never and left_ns <= 0:
                return False
            self.end.wait(1.0 if never else left_ns / NS_PER_S)
