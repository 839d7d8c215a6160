"""Streams of frames that end in a terminator: what serial ports and VISA sessions share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from tokaido.hal._clock import NS_PER_S, SYSTEM_CLOCK, Clock, Deadline
from tokaido.hal._errors import ClosedError, DeviceError, DeviceTimeoutError, ProtocolError
from tokaido.hal.transports._codec import GARBLED, NOT_MINE, Codec, Request, T, with_line_end
from tokaido.hal.transports._kinds import LINE_ENDS
from tokaido.hal.transports._ports import FOREIGN, DescriptorPort, Port, gone, within
from tokaido.hal.transports._step import QUIET_NS, Step, without_judge
from tokaido.hal.transports._text import TextTransport
from tokaido.hal.transports._transport import SLICE_S
from tokaido.hal.transports._turns import in_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal.transports._resources import Resource

QUIET_S = QUIET_NS / NS_PER_S
LONGEST_DEBT_S = 2.0
"""How long a new connection waits for the reply to a question of the one before, at most, where no marker is known."""
LISTEN_BYTES = 1 << 20


class StreamTransport(TextTransport, ABC):
    """A transport that carries a vendor's lines of text, frames that end in the codec's terminator.

    A frame that comes unasked is handed to the codec and never taken for the reply. Where replies cannot be told apart
    (`codec.correlated` is missing or false), a question that was given up stays owed. Before the next one is sent, the
    transport asks the codec's `marker`, or else the first question of the handshake (`on_open`), and throws away what
    comes before the answer, which must always be the same and answer nothing else. Without either, it expects the
    owed reply first: on a line as long as that takes, on a new connection as long again as its call waited (at most
    2 s).
    """

    foreign = FOREIGN

    def __init__(
        self, resource: Resource, codec: Codec, *, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 1.0
    ) -> None:
        super().__init__(resource, clock=clock, timeout_s=timeout_s)
        if "line_end" in resource.options:
            codec = with_line_end(codec, LINE_ENDS[resource.options["line_end"]])
        self.codec = codec
        self._correlated = getattr(codec, "correlated", False) is True
        self._frame_length: Callable[[bytearray], int | None] | None = getattr(codec, "frame_length", None)
        self._port: Port | None = None
        self._buffer = bytearray()
        self._searched = 0  # how much of the buffer is known to hold no terminator
        self._step = Step(clock)
        if not self._correlated and (marker := getattr(codec, "marker", "")):
            self._step.marker = codec.request(marker, repeatable=True)
        self._confidential = False
        self._deadline = Deadline(clock, 0.0)  # of the exchange that is running, or was last
        self._opaque = False  # whether the port cannot tell how many bytes of a write that failed have left
        self._slice_s = SLICE_S  # longest single wait

    # --- what a kind of stream provides ------------------------------------------------------------------------------

    @abstractmethod
    def _dial(self, deadline: Deadline) -> Port:
        """Open again what the resource names, in a thread of its own. May raise `foreign` exceptions."""

    # --- opening and closing ------------------------------------------------------------------------------------------

    def _salvage(self) -> None:
        if self._port is not None and self._port.ready(0.0):
            self._fill()
            self._hand_over()

    def _connect(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._clear()
        within(deadline, lambda: self._dial(deadline), self._keep, name=self.resource.address)
        if (delay_s := float(self.resource.options.get("open_delay", 0))) > 0:
            if delay_s >= deadline.remaining_s:
                raise DeviceTimeoutError(
                    f"the open_delay of {delay_s:g} s is longer than the call may take",
                    remedy="Give the call more time, or write timeout= into the resource",
                )
            self.clock.wait(delay_s)
        if getattr(self._port, "is_framed", False):
            self._step.forgets()

    def _goes_on(self) -> bool:
        return not self._correlated and _is_line(self._port)

    def _keep(self, port: Port) -> None:
        self._port = port

    def _disconnect(self) -> None:
        port = self._port
        self._clear()
        if port is not None:
            with suppress(*FOREIGN):
                port.close()
        self._port = None  # not before: an interrupt may come at any line, and closing can be done again

    def _abandon(self) -> None:
        port = self._port
        if port is None:
            return
        must_close = True  # a port that fails even at this is not to be trusted with the rest
        with suppress(*FOREIGN):
            must_close = port.abandon()
        if must_close:
            self._disconnect()

    def _clear(self) -> None:
        self._buffer.clear()
        self._searched = 0

    def _settle(self, deadline: Deadline) -> None:
        quiet_ns = self.clock.monotonic_ns() + QUIET_NS
        while (wait_ns := quiet_ns - self.clock.monotonic_ns()) > 0:
            if deadline.passed:
                raise DeviceTimeoutError(
                    "the line did not fall quiet after an earlier failure", remedy="Call again; nothing was sent"
                )
            if self._wait(min(wait_ns / NS_PER_S, deadline.remaining_s)):
                self._fill()
                with suppress(ProtocolError):  # the rest of an oversized reply
                    self._hand_over()
                quiet_ns = self.clock.monotonic_ns() + QUIET_NS
        self._clear()
        if deadline.remaining_s < min(QUIET_S, deadline.timeout_s / 2):  # a question now would only be owed again
            raise DeviceTimeoutError("the line fell quiet too late", remedy="Call again; nothing was sent")
        self._prove(deadline)

    # --- an exchange --------------------------------------------------------------------------------------------------

    @in_turn
    def _exchange(self, deadline: Deadline, request: Request[bytes, T]) -> T:
        """Do one exchange: the short way where nothing is in doubt, and as soon as anything is, the careful way.

        Nothing is in doubt while the last exchange went well, no reply is owed, nothing waits, nobody traces and the
        reply is one line. The short way does then what the careful way does, in a third of its calls.
        """
        port, step, payload = self._port, self._step, request.payload
        marker = step.marker
        if (
            not self._trusted
            or self._shaking is not None
            or step.owed is not None
            or step.strays
            or self._buffer
            or self._sinks
            or self._frame_length is not None
            or not isinstance(port, DescriptorPort)
            or (marker is not None and len(marker.payload) == len(payload) and step.is_marker(request))
        ):
            return self._exchange_with_care(deadline, request)
        try:
            waits = port.ready(0.0)
        except FOREIGN:
            waits = True  # the careful way meets the error again
        if waits:
            return self._exchange_with_care(deadline, request)
        self._deadline = deadline
        self._trusted, self._inside, self._said_no, self._sent = False, True, False, False  # as `Wire` has it
        taken = 0
        try:
            taken = port.write(payload)
            self._sent = taken > 0
            left_s, slice_s = deadline.remaining_s, self._slice_s
            if taken != len(payload) or left_s <= 0:
                pass
            elif port.ready(left_s if left_s < slice_s else slice_s):  # noqa: FURB136 - `min` is a call
                data, codec = port.read(), self.codec
                end = data.find(codec.terminator)
                if 0 <= end <= codec.max_frame and end + len(codec.terminator) == len(data):
                    value = self._judge(request, data[:end])
                    if value is not NOT_MINE:
                        self._inside, self._trusted = False, True
                        return value
                    codec.unsolicited(data[:end])
                else:
                    self._buffer += data
            elif self._closed:
                raise ClosedError("the transport was closed")
        except BaseException:  # noqa: BLE001 - which is raised again in there
            return self._go_on(request, deadline, taken, failing=True)
        return self._go_on(request, deadline, taken)

    def _go_on(self, request: Request[bytes, T], deadline: Deadline, taken: int, *, failing: bool = False) -> T:
        """Go on with care where the short way wrote `taken` bytes, and read into the buffer; or it is failing just now.

        An error is raised again, not kept: it would keep the port until a collection.
        """
        said_no = self._said_no

        def go_on(request: Request[bytes, T], deadline: Deadline) -> T:
            self._said_no = said_no
            return self._await(request, deadline, request.payload[taken:], failing=failing)

        return self._accounted_for(request, deadline, go_on)

    def _prepare(self, deadline: Deadline) -> None:
        self._prove(deadline)
        if not self._buffer and not (self._port or _no_port()).ready(0.0):
            return
        self._deadline = deadline
        start_s = deadline.elapsed_s
        while True:
            if (self._port or _no_port()).ready(0.0):
                self._fill()
            if not self._hand_over():
                if not self._buffer:
                    return
                if not self._wait(min(QUIET_S, deadline.remaining_s)):
                    self._clear()  # the beginning of a line that was cut, or noise
                    self._step.doubts()
                    self._prove(deadline)
            if deadline.passed:
                raise DeviceTimeoutError("the line never fell quiet", remedy="Call again; nothing was sent")
            if self._correlated and deadline.elapsed_s - start_s > QUIET_S:
                return  # a device that talks all the time; its reply can be told apart

    def _prove(self, deadline: Deadline) -> None:
        """Send no question before the replies that are owed came, or are known to be lost."""
        self._deadline = deadline
        step = self._step
        if step.in_step():
            return
        while not step.in_step():
            frame = None
            with suppress(ProtocolError):  # the rest of an oversized reply
                frame = self._cut()
            if frame is not None:
                if not step.hears(frame):
                    self.codec.unsolicited(frame)
                if step.changed:
                    step.changed = False
                    if self._shaking is None:  # else the handshake sees to it
                        raise gone("the device says something else than before of who it is")
            elif deadline.passed:
                raise step.unproved()
            elif (self._port or _no_port()).ready(0.0):
                self._fill()
            elif (marker := step.next_marker(deadline.timeout_s)) is not None:
                if self._frame_length is not None:
                    self._clear()  # the beginning of a frame that was cut would swallow the mark
                step.sends(marker)
                self._write(marker.payload, deadline)
            else:
                self._wait(min(deadline.remaining_s, step.pause_s))
        if deadline.remaining_s < max(step.took_s, min(QUIET_S, deadline.timeout_s / 2)):  # it would be owed again
            raise DeviceTimeoutError(
                "the reply to an earlier question came, and too little time was left for another",
                remedy="Call again; this call's own question was not sent",
            )

    def _transact(self, request: Request[bytes, T], deadline: Deadline) -> T:
        self._deadline = deadline
        self._confidential = request.confidential
        self._sent = self._opaque
        step = self._step
        if self._shaking is not None and not step.is_marked and request.repeatable and not self._correlated:
            step.marker = without_judge(request)
        if step.is_marker(request):
            step.sends(request)
        return self._await(request, deadline, request.payload)

    def _await(self, request: Request[bytes, T], deadline: Deadline, left: bytes, *, failing: bool = False) -> T:
        """Write what is left of a request and return its reply; of one that fails, its reply stays owed."""
        step = self._step
        try:
            if failing:
                raise  # noqa: PLE0704 - the error that is being handled
            if left:
                self._write(left, deadline)
            while True:
                frame = self._next_frame(deadline)
                if step.passes(request, frame):
                    continue
                try:
                    value = self._judge(request, frame)
                except DeviceError:
                    step.answered(request, frame)
                    raise
                if value is not NOT_MINE:
                    step.answered(request, frame)
                    return value
                self.codec.unsolicited(frame)
        except BaseException as error:
            if not self._correlated and not isinstance(error, DeviceError) and self._may_come(error):
                lasts_s = min(deadline.remaining_s, LONGEST_DEBT_S) + min(deadline.timeout_s, LONGEST_DEBT_S)
                until_ns = self.clock.monotonic_ns() + round(lasts_s * NS_PER_S)
                step.gives_up(request, 0 if _is_line(self._port) else until_ns)
            raise
        finally:
            self._confidential = False

    def _may_come(self, error: BaseException) -> bool:
        """Return whether the reply to a question that failed may still come."""
        if self._step.marker is not None:  # which tells in any case
            return True
        return isinstance(error, DeviceTimeoutError) or not isinstance(error, Exception)  # else something came

    def _hear(self, deadline: Deadline) -> None:
        self._deadline = deadline
        while not self._buffer and not self._wait(deadline.remaining_s):
            if deadline.passed:
                return
        heard = 0
        while heard < LISTEN_BYTES and (self._port or _no_port()).ready(0.0):
            heard += self._fill()
            self._hand_over()
        self._hand_over()

    # --- bytes and frames ---------------------------------------------------------------------------------------------

    def _write(self, payload: bytes, deadline: Deadline) -> None:
        if self._sinks:
            self._record(">", payload, confidential=self._confidential)
        port = self._port or _no_port()
        left = memoryview(payload)
        while True:
            taken = port.write(left)
            self._sent = self._sent or taken > 0
            if taken == len(left):
                return
            left = left[taken:]
            if deadline.passed:
                raise DeviceTimeoutError("the device takes no bytes", remedy="Check its power and the flow control")
            if self._closed:
                raise ClosedError("the transport was closed")
            port.writable(min(deadline.remaining_s, self._slice_s))

    def _next_frame(self, deadline: Deadline) -> bytes:
        frame = self._cut() if self._buffer else None
        while frame is None:
            left_s = deadline.remaining_s
            if self._wait(left_s):
                if left_s <= 0:
                    raise DeviceTimeoutError("only foreign lines and no reply", remedy="Check who else talks here")
                self._fill()
                frame = self._cut()
            elif deadline.passed:
                part = f"; {len(self._buffer)} bytes of one came" if self._buffer else ""
                raise DeviceTimeoutError(f"no reply{part}", remedy="Check that the device is on and not busy")
        return frame

    def _wait(self, seconds: float) -> bool:
        """Wait up to `seconds`, but not longer than a slice, and return whether something can be read."""
        if (self._port or _no_port()).ready(min(seconds, self._slice_s)):
            return True
        if self._closed:
            raise ClosedError("the transport was closed")
        return False

    def _fill(self) -> int:
        """Read what waits into the buffer and return its length in bytes."""
        data = (self._port or _no_port()).read()
        if self._sinks and data:
            self._record("<", data, confidential=self._confidential)
        self._buffer += data
        return len(data)

    def _cut(self) -> bytes | None:
        """Return the next whole frame of the buffer, if there is one."""
        if self._frame_length is not None:
            return self._cut_by_length(self._frame_length)
        codec = self.codec
        end = self._buffer.find(codec.terminator, self._searched)
        if (len(self._buffer) if end < 0 else end) >= codec.max_frame + len(codec.terminator):
            self._clear()
            raise ProtocolError(
                f"a frame longer than {codec.max_frame} bytes", remedy="Check the baud rate, and which device this is"
            )
        if end < 0:
            self._searched = max(len(self._buffer) - len(codec.terminator) + 1, 0)
            return None
        frame = bytes(self._buffer[:end])
        del self._buffer[: end + len(codec.terminator)]
        self._searched = 0
        return frame

    def _cut_by_length(self, frame_length: Callable[[bytearray], int | None]) -> bytes | None:
        """Return the next whole frame where its own beginning tells its length."""
        try:
            length = frame_length(self._buffer) if self._buffer else None
        except GARBLED as error:
            self._clear()
            raise ProtocolError(f"the beginning of no frame ({error})", remedy="Check which device this is") from error
        except ProtocolError:
            self._clear()
            raise
        if length is None or len(self._buffer) < length:
            return None
        frame = bytes(self._buffer[:length])
        del self._buffer[:length]
        return frame

    def _hand_over(self) -> bool:
        """Give the codec every whole frame of the buffer; return whether there was one."""
        some = False
        while (frame := self._cut()) is not None:
            if not self._step.takes(frame):
                self.codec.unsolicited(frame)
            some = True
        return some


def _is_line(port: Port | None) -> bool:
    return getattr(port, "is_line", False) is True


def _no_port() -> NoReturn:
    raise gone("the port was closed")
