"""The transport to a device whose port a device server has: docs/protocols/device-server.md."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from tokaido.hal._clock import NS_PER_S, SYSTEM_CLOCK, Clock, Deadline
from tokaido.hal._errors import (
    ClosedError,
    ConfigurationError,
    DeviceError,
    LeaseLostError,
    ProtocolError,
    TokaidoError,
)
from tokaido.hal._forcing import why_forced
from tokaido.hal._numbers import real
from tokaido.hal.sharing._connection import KEY_FILES, ServerConnection
from tokaido.hal.transports._codec import NOT_MINE, Codec, NotMine, Request, T
from tokaido.hal.transports._kinds import Option, TransportKind, is_port
from tokaido.hal.transports._text import TextTransport
from tokaido.hal.transports._turns import in_turn, step_failed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal._calibrations import Calibration
    from tokaido.hal.sharing._messages import AnyAsk, Reply
    from tokaido.hal.transports._resources import Resource

HOLD_S: Final = 30.0
"""How long a hold lasts that a transport acquires for a command."""
LONGEST_REASON: Final = 1000
SHARE_OF_DEADLINE: Final = 0.9
"""The part of its deadline that a client leaves to the server and the device."""
LINES_S: Final = 0.5
"""Longest time that one request waits for a line."""


class Texts:
    """Says a text as it is: identifiers, checksums and line ends are the server's and the device's business.

    The driver's own codec takes what comes unasked.
    """

    terminator = b""
    max_frame = 1 << 20

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self.correlated = getattr(codec, "correlated", False) is True
        """Whether a reply of the device's protocol says what it answers."""

    def request(self, text: str, *, repeatable: bool) -> Request[bytes, str]:
        """Return the request that says `text`."""
        return Request(text, text.encode(), _read, repeatable)

    def reusable(self, text: str) -> bool:  # noqa: ARG002 - as every codec
        """Return whether a question's request may be sent again: it has no id, whatever the driver's own has."""
        return True

    def unsolicited(self, frame: bytes) -> None:
        """Hand on what the device sent unasked."""
        self._codec.unsolicited(frame)


def _read(frame: bytes) -> str | NotMine:
    return frame.decode()


class ServedTransport(TextTransport):
    """A way to a device over a device server, under CURVE: the driver here, the port there.

    Whatever is sent has the deadline with it, and what has not begun by then is not begun at all. A command needs a
    hold of the device, which is acquired for 30 s with the first one and renewed with later ones; see `acquire`.
    """

    def __init__(
        self, resource: Resource, codec: Codec, *, clock: Clock = SYSTEM_CLOCK, timeout_s: float = 1.0
    ) -> None:
        super().__init__(resource, clock=clock, timeout_s=timeout_s)
        self.codec = Texts(codec)
        self._of_driver = codec
        self._name = resource.options["device"]
        self._server = ServerConnection(resource, clock=clock, timeout_s=self.timeout_s)
        self._generation = 0
        self._greets_again = False
        self._last_line = 0
        self._fencing_token = 0
        self._held_until_ns = 0
        self._hold_s = HOLD_S
        self._ages = threading.local()
        self._make_exchange: Any = None

    # --- what a caller uses -------------------------------------------------------------------------------------------

    @property
    def fencing_token(self) -> int:
        """The fencing token of the last hold; 0 if there was none."""
        return self._fencing_token

    @property
    def is_holding(self) -> bool:
        """Whether a hold lasts still, as far as it is known here."""
        return self.clock.monotonic_ns() < self._held_until_ns

    def acquire(self, why: str, *, seconds: float = HOLD_S, take_over: bool = False) -> int:
        """Hold the device, alone, and return the fencing token. Commands renew the hold for as long again.

        Args:
            why: What for; other clients are told.
            seconds: How long, unless it is renewed.
            take_over: Whether to take it from another client that holds it; `why` must say something then.

        Raises:
            LeaseHeldError: Another client holds it.
            RefusedError: This client may only look.
            TransportError: The server could not be asked.
        """
        self._acquire("acquire", None, why, real(seconds, "a hold"), take_over)
        return self._fencing_token

    def release(self) -> None:
        """Hold the device no more. A hold that was lost stays with its new holder.

        Raises:
            TransportError: The server could not be asked; the hold ends by itself.
        """
        self._release("release", None)

    @property
    def oldest_reply_s(self) -> float:
        """How old the oldest reply was, in s, that this thread got since it set this to 0."""
        age_s: float = getattr(self._ages, "oldest_s", 0.0)
        return age_s

    @oldest_reply_s.setter
    def oldest_reply_s(self, age_s: float) -> None:
        self._ages.oldest_s = age_s

    # --- the connection -----------------------------------------------------------------------------------------------

    def _connect(self, deadline: Deadline) -> None:
        from tokaido.hal.sharing._messages import Exchange  # noqa: PLC0415 - by those who use it

        self._make_exchange = Exchange
        self._server.open(deadline)
        self._generation = 0
        self._last_line = self._told(self._server.ask(_lines(self._name, 0, 0.0), "hello", deadline)).last
        self.calibrations = self._told_calibrations(deadline)

    def _told_calibrations(self, deadline: Deadline) -> dict[str, Calibration]:
        """Ask what corrects the device's values; the server hands on its texts as they are.

        Raises:
            ProtocolError: What the server says of it is none.
        """
        from tokaido.hal.sharing._messages import Describe  # noqa: PLC0415 - by those who use it

        told = self._told(self._server.ask(Describe(), "describe", deadline)).devices
        records = next((device.calibrations for device in told if device.name == self._name), {})
        if not records:
            return {}
        from tokaido.hal._calibrations import recorded  # noqa: PLC0415 - for who has some

        try:
            return {path: recorded(record) for path, record in records.items()}
        except ConfigurationError as error:
            raise ProtocolError(f"the server tells of a calibration that is wrong: {error.what[:400]}") from None

    def _disconnect(self) -> None:
        if self._closed:
            self._server.close()

    def _salvage(self) -> None:
        """Nothing waits: the server keeps what the device sent unasked."""

    def _settle(self, deadline: Deadline) -> None:
        """Nothing is left over: a reply bears the id of its request."""

    def _prepare(self, deadline: Deadline) -> None:
        """Nothing waits, as above."""

    def _make_ready(self, deadline: Deadline) -> None:
        self._ensure_open(deadline)  # and nothing to prepare

    def _goes_on(self) -> bool:
        return True  # the server's own driver makes sure which device this is; `generation` tells when it had to

    def _usable(self) -> bool:
        if self._greets_again:  # the server opened the device again
            self._greets_again = False
            self._trusted = self._sound = False
        return super()._usable()

    # --- an exchange --------------------------------------------------------------------------------------------------

    def _exchange_with_care(self, deadline: Deadline, request: Request[bytes, T]) -> T:
        if not self._trusted or self._greets_again or not request.repeatable:
            return super()._exchange_with_care(deadline, request)
        self._trusted, self._inside, self._said_no = False, True, False
        try:
            value = self._transact(request, deadline)
        except BaseException as error:
            step_failed(self, error)
            raise
        self._inside, self._trusted = False, True
        return value

    def _transact(self, request: Request[bytes, T], deadline: Deadline) -> T:
        self._sent = False
        if not request.repeatable and self.clock.monotonic_ns() >= self._held_until_ns:
            self._hold(f"command {request.text[:80]}", self._hold_s, take_over=False, deadline=deadline)
        if self._sinks:
            self._record(">", request.payload, confidential=request.confidential)
        within_s = SHARE_OF_DEADLINE * deadline.remaining_s
        force = "" if request.repeatable else why_forced()[:LONGEST_REASON]
        message = self._make_exchange(
            self._name, request.payload.decode(), request.repeatable, within_s, self._fencing_token, force
        )
        try:
            answered = self._server.ask_at_once(message, request.text, deadline)
        except TokaidoError:
            self._sent = self._server.sent
            raise
        if not answered.ok:
            raise self._refused(cast("Reply", answered))
        if not request.repeatable:
            self._held_until_ns = self.clock.monotonic_ns() + round(self._hold_s * NS_PER_S)
        age_s = answered.age_s
        if age_s and age_s > getattr(self._ages, "oldest_s", 0.0):
            self._ages.oldest_s = age_s
        if answered.generation != self._generation:
            self._greets_again = self._generation != 0
            self._generation = answered.generation
        frame = answered.text.encode()
        if self._sinks:
            self._record("<", frame, confidential=request.confidential)
        right = False
        try:
            value = self._judge(request, frame)
            right = True
        except DeviceError:
            right = True
            raise
        finally:
            if answered.exchange:
                self._give_verdict(answered.exchange, deadline, right=right)
        if value is NOT_MINE:
            raise ProtocolError("the server sent the reply to something else", remedy="Report this: it is our fault")
        return value

    def _refused(self, reply: Reply) -> TokaidoError:
        """Return the error of a refusal, and take note of it."""
        self._sent = reply.sent
        error = reply.raised()
        if isinstance(error, LeaseLostError):
            self._held_until_ns = 0
        error.device = ""  # ours is the name by which the user knows it
        error.transport = f"{self.name}, there {error.transport}" if error.transport else ""
        self._said_no = not isinstance(error, OSError)
        return error

    def _give_verdict(self, exchange: int, deadline: Deadline, *, right: bool) -> None:
        """Tell the server whether the reply could be read; what it learns nothing of could not."""
        from tokaido.hal.sharing._messages import Verdict  # noqa: PLC0415 - by those who use it

        with suppress(TokaidoError):
            self._server.ask(Verdict(self._name, exchange, right), "verdict", deadline)

    def _hear(self, deadline: Deadline) -> None:
        while True:
            wait_s = min(SHARE_OF_DEADLINE * deadline.remaining_s, LINES_S)
            asked = Deadline(self.clock, wait_s + self.timeout_s)
            reply = self._told(self._server.ask(_lines(self._name, self._last_line, wait_s), "lines", asked))
            self._last_line = reply.last
            for line in reply.lines:
                self.codec.unsolicited(line)
            if reply.lines or deadline.passed:
                return
            if self._closed:
                raise ClosedError("the transport was closed")

    # --- holding ------------------------------------------------------------------------------------------------------

    @in_turn
    def _acquire(self, deadline: Deadline, why: str, seconds: float, take_over: bool) -> None:
        self._ensure_open(deadline)
        self._hold(why, seconds, take_over=take_over, deadline=deadline)
        self._hold_s = seconds

    @in_turn
    def _release(self, deadline: Deadline) -> None:
        from tokaido.hal.sharing._messages import Release  # noqa: PLC0415 - by those who use it

        token, self._held_until_ns = self._fencing_token, 0
        if token:
            self._ensure_open(deadline)
            self._told(self._server.ask(Release(self._name, token), "release", deadline))

    def _hold(self, why: str, seconds: float, *, take_over: bool, deadline: Deadline) -> None:
        from tokaido.hal.sharing._messages import Acquire  # noqa: PLC0415 - by those who use it

        asked_ns = self.clock.monotonic_ns()
        reply = self._told(self._server.ask(Acquire(self._name, why, seconds, take_over), "acquire", deadline))
        self._fencing_token = reply.fencing_token
        self._held_until_ns = asked_ns + round(reply.seconds * NS_PER_S)

    @staticmethod
    def _told(reply: Reply) -> Reply:
        """Return a reply that is none of a refusal."""
        if not reply.ok:
            raise reply.raised()
        return reply


def _lines(device: str, after: int, within_s: float) -> AnyAsk:
    from tokaido.hal.sharing._messages import Lines  # noqa: PLC0415 - by those who use it

    return Lines(device, after, within_s)


# --- its resources --------------------------------------------------------------------------------------------------


def _check(address: str, options: Mapping[str, str]) -> list[str]:
    scheme, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    mistakes: list[str] = []
    if scheme != "tcp" or not host or "*" in host or not is_port(port):
        mistakes.append("server: should be tcp://HOST:PORT, for example served:tcp://lab-host:5570?device=alice")
    mistakes += [
        f"{key}: is missing, and nothing goes unencrypted; add {key}={_OPTIONS[key].example}"
        for key in KEY_FILES
        if key not in options
    ]
    if not options.get("device"):
        mistakes.append("device: is missing; `tokaido holders` lists those of a server")
    return mistakes


_OPTIONS: Final = {
    "server_key_file": Option.file("lab.key"),
    "client_key_file": Option.file("me.key_secret"),
    "device": Option(lambda value: "" if value else "should be the name of a device", "alice"),
}
KIND: Final = TransportKind(
    name="served",
    stream=ServedTransport,
    options=_OPTIONS,
    check=_check,
    stands_for=frozenset({"serial", "visa", "replay"}),
)
