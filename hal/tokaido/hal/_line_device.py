"""Devices with one control port that carries lines: what their drivers need not say again."""

from __future__ import annotations

import re
import weakref
from abc import ABC, abstractmethod
from functools import partial
from os import urandom
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from tokaido.hal._change_log import LoggedChange
from tokaido.hal._clock import NS_PER_S, SYSTEM_CLOCK, Clock
from tokaido.hal._device import Device, Identity
from tokaido.hal._errors import (
    ClosedError,
    ConfigurationError,
    DeviceError,
    OutcomeUnknownError,
    ProtocolError,
    TokaidoError,
    TransportError,
    WrongDeviceError,
)
from tokaido.hal._readings import older
from tokaido.hal._records import replace
from tokaido.hal._values import Answer
from tokaido.hal.transports._codec import NOT_MINE, LineCodec, NotMine, Request, is_reusable
from tokaido.hal.transports._kinds import IDENTITY_FIELDS, transport_kind
from tokaido.hal.transports._opening import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokaido.hal._calibrations import Calibration
    from tokaido.hal._values import Measured
    from tokaido.hal.transports._codec import Codec
    from tokaido.hal.transports._resources import Resource
    from tokaido.hal.transports._text import TextTransport

V = TypeVar("V")

_STATEMENTS = re.compile(r"[;\r\n]")
_FORGETFUL = re.compile(r"ERR|EVEN|\*(?:ESR|OPC|TST|CAL|WAI)", re.IGNORECASE)
"""Questions whose answer is gone with it, or that wait."""


class LineDevice(Device, ABC):
    """A device with one resource, `control`, over which a line asks and a line answers.

    A driver names it behind its role: `class Selector(hal.OpticalSwitch, hal.LineDevice)`. The box must be the one that
    was asked for, or the first one seen; it is asked again after every reopening, before anything else is.
    """

    serial_line: ClassVar[Mapping[str, str]] = {}
    """How a serial line is set where the resource does not say, for example {"baudrate": "38400"}."""
    identity_fields: ClassVar[Sequence[str]] = IDENTITY_FIELDS
    """What the fields of `*IDN?` are, in their order, "-" for one that is none of these; a resource says otherwise by
    `identity=vendor,model,firmware`. A box without a serial number cannot be told from another of its model."""
    maintenance_commands: ClassVar[Sequence[str]] = ()
    """How texts begin that a device server takes from those alone who maintain the device: they erase, or acknowledge
    what must not go unseen."""
    min_gap: float = 0.0
    """How long to leave the device alone after an exchange before the next one, in s."""

    @classmethod
    def asks(cls, text: str) -> bool:
        """Return whether a text changes nothing in the device, so that who may only look may have it said.

        Default: whether the first word of each statement, which `;` or a line end parts, ends in `?`.
        """
        statements = [statement.split() for statement in _STATEMENTS.split(text)]
        return any(statements) and all(words[0].endswith("?") for words in statements if words)

    @classmethod
    def shares(cls, text: str) -> bool:
        """Return whether several who ask may share one reply. Default: a question about no error and no event, since
        the device forgets those as it tells them (SCPI-99 21.8.1, IEEE 488.2 10.3 and 10.12).
        """
        return cls.asks(text) and _FORGETFUL.search(text) is None

    @abstractmethod
    def _codec(self) -> Codec:
        """Return the line protocol; `_on_serial_line` says whether a serial line carries it."""

    @abstractmethod
    def identity(self) -> Identity:
        """Ask the device who it is."""

    def _learn(self, found: Identity) -> None:
        """Make sure that `found` is a device of this driver, and ask what must be known first. Queries only.

        Raises:
            WrongDeviceError: It is not.
        """

    def _is_box(self, found: Identity, serial_number: str) -> bool:
        """Return whether this is the box of that serial number."""
        return found.serial_number == serial_number

    def __init__(
        self,
        resources: Mapping[str, Resource],
        *,
        name: str = "",
        serial_number: str = "",
        timeout_s: float = 1.0,
        clock: Clock = SYSTEM_CLOCK,
        nonces: Callable[[int], bytes] = urandom,
    ) -> None:
        super().__init__(
            resources, name=name, serial_number=serial_number, timeout_s=timeout_s, clock=clock, nonces=nonces
        )
        resource = resources["control"]
        settings = transport_kind(resource.kind).serial_line(resource.address, self.serial_line)
        self._on_serial_line = settings is not None
        resource = replace(resource, options={**(settings or {}), **resource.options})
        given = resource.options.get("identity")
        self._identity_fields = tuple(given.split(",")) if given else tuple(self.identity_fields)
        self._control = open_transport(resource, self._codec(), clock=clock, timeout_s=self._timeout_s)
        self._control.device = self.name
        self._control.on_open(weakly(self._greet, "the device of this transport"))
        self._seen: Identity | None = None
        self._rested_ns = 0  # until when the device is to be left alone
        self._kept: dict[Measured[Any] | str, Request[bytes, Any]] = {}  # questions that may be sent again as they are

    @property
    def transport(self) -> TextTransport:
        """The control transport: `device.transport.query("...")` for what no declaration covers."""
        return self._control

    def close(self) -> None:
        """Disconnect; changes nothing in the device."""
        self._control.close()

    def _connect(self, timeout: float | None = None) -> None:
        self._control.open(timeout)

    def _greet(self) -> None:
        found, wanted = self.identity(), self._expected_serial_number
        seen = self._seen or found
        who = (found.vendor, found.model, found.serial_number)
        if who != (seen.vendor, seen.model, seen.serial_number) or (wanted and not self._is_box(found, wanted)):
            if wanted and not found.serial_number and type(self)._is_box is LineDevice._is_box:
                raise WrongDeviceError(
                    f"{found.vendor} {found.model} tells no serial number, so {wanted} could not be checked",
                    device=self.name,
                    transport=self._control.name,
                    remedy="Leave serial_number out, or check the cabling and the resource",
                )
            expected = f"{seen.vendor} {seen.model} {wanted or seen.serial_number}".strip()
            raise WrongDeviceError(
                f"expected {expected} and found {' '.join(who).strip()}",
                device=self.name,
                transport=self._control.name,
                remedy="Check the cabling and the resource",
            )
        self._learn(found)
        self._seen = found
        self._calibrate()  # a device server that was restarted may have other tables

    def _calibrate(self) -> None:
        before = self.calibrations
        super()._calibrate()
        if self.calibrations is not before:
            self._kept.clear()  # they decode as it was before

    def _calibrations_in_force(self) -> Mapping[str, Calibration]:
        told = self._control.calibrations
        if not told:
            return self._given
        if twice := sorted(told.keys() & self._given.keys()):
            raise ConfigurationError(
                f"{', '.join(twice)} of {self.name} is calibrated by the device server already",
                remedy="Take its calibration out of what opens the device here",
            )
        return {**told, **self._given}

    @property
    def _named(self) -> Callable[[str], Identity]:
        """What decodes the answer to `*IDN?`, by `identity_fields`: `self._read("*IDN?", self._named)`."""
        return partial(named, self._identity_fields)  # the transport keeps its first question, which keeps no device

    def _aged_answers(self) -> Mapping[str, Answer | TokaidoError]:
        control = self._control
        control.oldest_reply_s = 0.0
        answers = self._ask_all()
        age_s = control.oldest_reply_s
        return {command: older(answer, age_s) for command, answer in answers.items()} if age_s else answers

    # --- exchanges ----------------------------------------------------------------------------------------------------

    def _query(self, text: str) -> str:
        return self._exchange(self._control.codec.request(text, repeatable=True))

    def _read(self, text: str, decode: Callable[[str], V]) -> V:
        """Return the answer to a question, decoded. Text that cannot be decoded is a `ProtocolError` that shows it."""
        return self._exchange(self._question(text, decode))

    def _question(self, text: str, decode: Callable[[str], V]) -> Request[bytes, V]:
        plain = self._control.codec.request(text, repeatable=True)

        def accept(frame: bytes) -> V | NotMine:
            line = plain.accept(frame)
            return line if line is NOT_MINE else decode(line)

        return Request(text, plain.payload, accept)

    def _command(self, text: str) -> str:
        request = self._control.codec.request(text, repeatable=False)
        with LoggedChange(self.name, "a confidential command" if request.confidential else text):
            return self._exchange(request)

    def _exchange(self, request: Request[bytes, V]) -> V:
        if not self.min_gap > 0:
            return self._control.exchange(request)
        self._clock.wait((self._rested_ns - self._clock.monotonic_ns()) / NS_PER_S)
        try:
            return self._control.exchange(request)
        finally:
            self._rested_ns = self._clock.monotonic_ns() + round(self.min_gap * NS_PER_S)

    def read(self, value: Measured[V]) -> V:
        """Ask the device for one value, by this class's own declaration of it.

        Raises:
            UnsupportedError: The device lacks it.
            NoDataError: The device has measured nothing yet.
            TokaidoError: Anything else that kept a right value from coming.
        """
        if type(self)._ask is not LineDevice._ask:
            return super().read(value)
        request: Request[bytes, V] | None = self._kept.get(value)
        if request is None:
            own = self._own(value)
            question = f"{own.check_present()}?"
            # decoded within the exchange: after a reply that is not a value of it the line is cleaned
            request = self._keep(value, self._question(question, own.decode))
        found = self._exchange(request)
        if value.writable:
            self._last_known[value.name] = found
        return found

    def _ask(self, command: str) -> Answer:
        request: Request[bytes, Answer] | None = self._kept.get(command)
        if request is None:
            declared = [value for value in self._declared().values() if value.command == command]

            def answer(text: str) -> Answer:
                for value in declared:  # within the exchange, as in `read`
                    value.decode(text)
                return Answer(text)

            request = self._keep(command, self._question(f"{command}?", answer))
        return self._exchange(request)

    def _keep(self, key: Measured[Any] | str, request: Request[bytes, V]) -> Request[bytes, V]:
        """Return the request, and keep it for the next time if the codec says that it may be sent again."""
        if is_reusable(self._control.codec, request.text):
            self._kept[key] = request
        return request

    def _order(self, command: str, text: str) -> Answer:
        self._command(f"{command} {text}")
        try:
            return self._ask(command)
        except WrongDeviceError:
            raise
        except TransportError as error:
            what = "a command was sent and the value could not be read after it"
            raise OutcomeUnknownError.unread(what, error, device=self.name, command=command) from error

    def _ask_all(self) -> Mapping[str, Answer | TokaidoError]:
        answers: dict[str, Answer | TokaidoError] = {}
        for command in {
            f"{prefix}{value.command}"
            for owner, _, prefix in self._owners()
            for value in owner._declared().values()
            if value.command
        }:
            try:
                answers[command] = self._ask(command)
            except DeviceError as error:
                answers[command] = error
        return answers


def named(names: tuple[str, ...], text: str) -> Identity:
    """Return who a box is by its answer to `*IDN?`, whose fields are these.

    Raises:
        ProtocolError: It has more fields or fewer, or lacks its serial number.
    """
    fields = [field.strip() for field in text.split(",")]
    known = dict.fromkeys(IDENTITY_FIELDS, "") | dict(zip(names, fields, strict=False))
    if len(fields) == len(names) and ("serial_number" not in names or known["serial_number"] not in ("", "0")):
        return Identity(**{name: known[name] for name in IDENTITY_FIELDS})
    guess = {3: "vendor,model,firmware", 4: "vendor,model,-,firmware"}
    extra = ",".join([*IDENTITY_FIELDS, *["-"] * (len(fields) - len(IDENTITY_FIELDS))])
    raise ProtocolError(
        f"{text[:80]!r} has not the fields {', '.join(names)}, or no serial number",
        remedy="If this is how the box tells who it is, say so behind its resource: "
        f"identity={guess.get(len(fields), extra)}",
    )


def weakly(method: Callable[[], None], what: str) -> Callable[[], None]:
    """Return a method that does not keep its object, so that what keeps the method makes no cycle with the object.

    Raises:
        ClosedError: By what is returned, when the object is gone.
    """
    there = weakref.WeakMethod(method)

    def call() -> None:
        alive = there()
        if alive is None:
            raise ClosedError(f"{what} is gone", remedy="Open it again, and keep the device as long as its transport")
        alive()

    return call


class SilentCodec:
    """Lines of a device that answers questions and is silent to commands: a question is sent right behind each command.

    That makes one exchange of it, with a reply that proves the device still listens. A line before that reply which
    is none is the device's own complaint, and becomes `DeviceError`. A text that ends in "?" is a question. An echo of
    either is dropped.

    Args:
        question: What is asked behind a command.
        is_answer: Whether a line is the answer to it.
        command_end: What ends the lines that are sent.
        reply_end: What ends the replies.
        complaint: What a complaint looks like where the device has a form for it, from its first letter on, so that it
            is none of the answers to questions either; the group `code` holds its number.
    """

    correlated = False

    def __init__(
        self,
        question: str,
        is_answer: Callable[[str], bool],
        *,
        command_end: str,
        reply_end: str = "\n",
        complaint: str = "",
    ) -> None:
        self._lines = LineCodec(reply_end, max_frame=4096)
        self._question = question
        self._is_answer = is_answer
        self._end = command_end
        self._complaint = re.compile(complaint, re.IGNORECASE) if complaint else None
        self.terminator = self._lines.terminator
        self.max_frame = self._lines.max_frame

    def request(self, text: str, *, repeatable: bool) -> Request[bytes, str]:
        """Return the request for a question, or for a command, whose value is the answer to the question behind it.

        Raises:
            ValueError: The text is not one line of printable ASCII.
        """
        plain = self._lines.request(text, repeatable=repeatable)
        if text.endswith("?"):

            def answer(frame: bytes) -> str | NotMine:
                line = plain.accept(self._without_echo(frame, text))
                if isinstance(line, str) and self._complaint and self._complaint.match(line):
                    raise self._error(line, text)
                return line

            return replace(plain, payload=f"{text}{self._end}".encode("ascii"), accept=answer)
        complaints: list[str] = []

        def accept(frame: bytes) -> str | NotMine:
            line = plain.accept(self._without_echo(frame, text, self._question))
            if isinstance(line, str) and not self._is_answer(line):
                complaints.append(line)
                return NOT_MINE
            if isinstance(line, str) and complaints:
                raise self._error(complaints[0], text)
            return line

        payload = f"{text}{self._end}{self._question}{self._end}".encode("ascii")
        return Request(text, payload, accept, repeatable=repeatable)

    def reusable(self, text: str) -> bool:
        """Return whether the request for `text` may be sent again: for a question, whose `accept` remembers nothing."""
        return type(self).request is SilentCodec.request and text.endswith("?")

    def unsolicited(self, frame: bytes) -> None:
        """Drop the frame: a late reply, or noise."""

    def _without_echo(self, frame: bytes, *sent: str) -> bytes:
        """Return a frame without what the device says back of the lines that were sent."""
        rest = frame.lstrip(b"\r\n \t\0")
        for line in sent:
            echo = line.encode("ascii")
            ends = rest[len(echo) : len(echo) + 1] in (b"", b"\r", b"\n")
            rest = rest[len(echo) :].lstrip(b"\r\n \t") if rest.startswith(echo) and ends else rest
        return rest

    def _error(self, line: str, command: str) -> DeviceError:
        found = self._complaint.match(line) if self._complaint else None
        code = found["code"] if found and "code" in found.groupdict() else None
        return DeviceError(f"the device says {line!r}", code=code or line, command=command)
