"""Units with a control port that carries lines and a key channel: what their drivers need not say again."""

from __future__ import annotations

import re
import threading
import weakref
from abc import ABC, abstractmethod
from functools import partial
from os import urandom
from typing import TYPE_CHECKING, ClassVar, TypeVar

from tokaido.hal._change_log import LoggedChange
from tokaido.hal._clock import SYSTEM_CLOCK, Clock
from tokaido.hal._errors import (
    ClosedError,
    DeviceError,
    KeyMaterialError,
    OutcomeUnknownError,
    ProtocolError,
    RangeError,
    UnsupportedError,
    WrongDeviceError,
)
from tokaido.hal._keys import KeyMaterial
from tokaido.hal._line_device import LineDevice
from tokaido.hal._numbers import real, whole
from tokaido.hal._value_texts import encode, not_negative
from tokaido.hal._values import Answer
from tokaido.hal._watchdog import WatchdogHolder
from tokaido.hal.roles._alarms import Alarm, Severity
from tokaido.hal.roles._unit_values import LinkKey, LinkSelection, Shutter
from tokaido.hal.roles._units import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tokaido.hal._device import Identity
    from tokaido.hal._key_channel import KeyChannel
    from tokaido.hal._keys import KeyBlock
    from tokaido.hal.roles._unit_values import TelemetryEvent
    from tokaido.hal.transports._codec import Request
    from tokaido.hal.transports._resources import Resource

V = TypeVar("V")

_STATEMENTS = re.compile(r"[;\r\n]")


class UnitDriver(Unit, LineDevice, ABC):
    """A unit behind two resources: `control`, over which lines go, and `keys`, its key channel.

    A family says what it is called, how its wire writes a text and parts the fields of a reply, under which names it
    speaks of alarms, links and watchdog, and what its key channel is. Orders that are one command each, and alarms that
    the unit announces, are the family's own.
    """

    optional_resources: ClassVar[frozenset[str]] = frozenset({"keys"})
    vendor: ClassVar[str]
    """What the unit calls its vendor."""
    models: ClassVar[re.Pattern[str]]
    """What the unit may call its model."""
    alarm_command: ClassVar[str]
    """Asks for the number of the last change, then code, severity, age in s and latch of every active alarm."""
    link_command: ClassVar[str]
    """Asks for peer, path and fencing token of the link in force, or sets them; the token may be left out."""
    link_list_command: ClassVar[str]
    """Asks for peer, path and remaining bits of every link that has a pre-shared key."""
    watchdog_command: ClassVar[str]
    """Asks for time, rest and holder of the watchdog, or sets time and holder; with `:KEEP` behind it renews it."""
    watchdog_range: ClassVar[tuple[float, float]]
    """Shortest and longest time of a watchdog in s."""

    @abstractmethod
    def _key_channel(self) -> type[KeyChannel]:
        """Return the family's key channel. It is imported here, by those who need keys: ZeroMQ costs time."""

    @abstractmethod
    def _written(self, text: str) -> str:
        """Return a text as a parameter of a command; it may be empty."""

    @abstractmethod
    def _fields(self, text: str) -> list[str]:
        """Return all fields of a reply, texts as they were before `_written`; none for a list of nothing.

        Raises:
            ProtocolError: It is not a list of fields.
        """

    @abstractmethod
    def _put(self, command: str, text: str) -> str:
        """Set a value and return what the unit says it is now, in one exchange that is not repeated."""

    @abstractmethod
    def _answer(self, text: str) -> Answer:
        """Return the value that a reply carries, with its age if it has one.

        Raises:
            ProtocolError: It is not such a reply.
        """

    resting_commands: ClassVar[tuple[str, ...]] = ()
    """How the orders begin after which a receiver does not open its shutter by itself."""

    def opens(self, text: str) -> bool:
        """Return whether a text may lead to an open shutter: any that this driver does not know to leave it alone."""
        settings = {
            f"{prefix}{value.command}"
            for owner, _, prefix in self._owners()
            for value in owner._declared().values()
            if value.writable and value.name != "shutter"
        }
        shutter = type(self)._declared().get("shutter")
        closing = f"{shutter.command} {encode(Shutter.CLOSED)}" if shutter is not None else ""
        settings |= {self.watchdog_command, f"{self.watchdog_command}:KEEP"}
        statements = [statement.strip().lstrip(":") for statement in _STATEMENTS.split(text)]
        return not all(
            statement == closing
            or statement.split(maxsplit=1)[0] in settings
            or statement.split(maxsplit=1)[0].endswith("?")
            or statement.startswith(self.resting_commands)
            for statement in statements
            if statement
        )

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
        self._keys_lock = threading.Lock()  # held for moments only, and never during an exchange
        self._channel: KeyChannel | None = None
        self._closed = False
        self._watchdog = WatchdogHolder(clock, nonces)
        self._greeting = False

    def close(self) -> None:
        """Disconnect, the key channel first; changes nothing in the unit."""
        try:
            with self._keys_lock:
                self._closed = True
                channel = self._channel
            if channel is not None:
                channel.close()
        finally:
            super().close()

    # --- alarms, links, watchdog --------------------------------------------------------------------------------------

    def alarms(self) -> tuple[Alarm, ...]:
        """Get the alarms that are active."""
        return self._read(f"{self.alarm_command}?", self._active_alarms)

    def _active_alarms(self, text: str) -> tuple[Alarm, ...]:
        _, *fields = self._fields(text)
        return tuple(
            Alarm(
                code=code,
                severity=Severity(severity),
                latched={"0": False, "1": True}[latched],
                age_s=not_negative(float, age, "age of an alarm"),
            )
            for code, severity, age, latched in _rows(fields, 4, text)
        )

    def link(self) -> LinkSelection:
        """Get the QKD link that the unit is set to."""
        return self._read(f"{self.link_command}?", self._selection)

    def select_link(self, peer: str, path: str, *, fencing_token: int | None = None) -> LinkSelection:
        """Set the unit to a QKD link. Allowed in OFF, WARMUP, AUTH and STANDBY."""
        wanted = [self._written(peer), self._written(path)]
        if fencing_token is not None:
            wanted.append(str(whole(fencing_token, "fencing_token")))
        token = "" if fencing_token is None else f", fencing token {fencing_token}"
        with LoggedChange(self.name, f"link: -> {peer or 'any'}, path {path or 'any'}{token}"):
            return self._selection(self._put(self.link_command, ",".join(wanted)))

    def _selection(self, text: str) -> LinkSelection:
        fields = self._fields(text)
        if len(fields) != 3:
            raise ProtocolError(f"{text[:80]!r} is not the selection of a link")
        return LinkSelection(fields[0], fields[1], not_negative(int, fields[2], "fencing token"))

    def link_keys(self) -> tuple[LinkKey, ...]:
        """Get for which links a pre-shared key is loaded."""
        return self._read(f"{self.link_list_command}?", self._link_keys)

    def _link_keys(self, text: str) -> tuple[LinkKey, ...]:
        return tuple(
            LinkKey(peer, path, not_negative(int, bits, "remaining bits"))
            for peer, path, bits in _rows(self._fields(text), 3, text)
        )

    def set_watchdog(self, seconds: float) -> None:
        """Set the watchdog, and take it over from another program; 0 ends it. This object alone renews it.

        It does so by itself, behind an exchange over the control port that comes when more than a third of the time has
        passed since the last renewal. So a program has to ask or order something at least every two thirds of
        `seconds`; drawing keys, listening to a stream, `transport.query` and `Station.alarms` do not count. Reading
        does not renew a watchdog that another object or program set. An emulated unit counts `seconds` in its own,
        faster time.

        If the unit refuses a renewal, it went to its safe state (alarm LEASE_EXPIRED) or another program took the
        watchdog over: `tokaido.hal.watchdog` logs a warning, and it is renewed no more until it is set again.

        Raises:
            RangeError: It is shorter or longer than the unit can; nothing was sent.
            RefusedError: It was to be ended and another holds it: set it first, which takes it over.
        """
        seconds = real(seconds, "a watchdog", finite=False)
        shortest, longest = self.watchdog_range
        if seconds != 0 and not shortest <= seconds <= longest:
            raise RangeError(
                f"a watchdog lasts {shortest:g} to {longest:g} s, or 0 for none, not {seconds!r}",
                remedy="Nothing was sent",
            )
        command = f"{self.watchdog_command} {encode(seconds)},{self._written(self.watchdog_token)}"
        with LoggedChange(self.name, "watchdog", after=seconds, unit="s"):
            self._watchdog.set(seconds, lambda: self._command(command))

    def watchdog_remaining(self) -> float:
        """Get the time in s after which the unit will go to its safe state; 0 when there is no watchdog."""
        return self._read(f"{self.watchdog_command}?", self._remaining_s)

    def watchdog_holder(self) -> str:
        """Get the name under which the watchdog is held, such as `watchdog_token`; empty when there is none."""
        return self._read(f"{self.watchdog_command}?", lambda text: self._lease(text)[2])

    @property
    def watchdog_token(self) -> str:
        """The name under which this object sets a watchdog: eight hexadecimal digits, chosen at random. No secret."""
        return self._watchdog.token

    def _remaining_s(self, text: str) -> float:
        return not_negative(float, self._lease(text)[1], "watchdog")

    def _lease(self, text: str) -> list[str]:
        fields = self._fields(text)
        if len(fields) != 3:
            raise ProtocolError(f"{text[:80]!r} is not a watchdog")
        return fields

    def _exchange(self, request: Request[bytes, V]) -> V:
        try:
            value = super()._exchange(request)
        except DeviceError:  # the unit answered
            self._renew_watchdog()
            raise
        self._renew_watchdog()
        return value

    def _renew_watchdog(self) -> None:
        if not self._greeting and self._watchdog.is_held:
            keep = f"{self.watchdog_command}:KEEP {self._written(self.watchdog_token)}"
            self._watchdog.renew(lambda: self._query(keep), self.name)

    def _greet(self) -> None:
        self._greeting = True  # nothing but questions to a box that may be another one
        try:
            super()._greet()
        finally:
            self._greeting = False

    # --- the key channel ----------------------------------------------------------------------------------------------

    def load_preshared_key(self, key: KeyMaterial, *, peer: str = "", path: str = "") -> None:
        """Load the pre-shared key of a link, of exactly the length that the unit takes, over the key channel.

        Raises:
            KeyMaterialError: The key is of another length, or plain bytes; it is never padded or cut.
        """
        if not isinstance(key, KeyMaterial):
            raise KeyMaterialError(
                f"a pre-shared key is KeyMaterial, not {type(key).__name__}",
                device=self.name,
                remedy="Write hal.KeyMaterial(data)",
            )
        of = f"the link to {peer}, path {path}" if peer or path else "the link that is selected"
        channel = self._keys()
        with LoggedChange(self.name, f"pre-shared key of {of}", after="loaded"):
            channel.load_preshared_key(key, peer, path)

    def key_blocks(self, timeout: float, *, limit: int | None = None) -> Iterator[KeyBlock]:
        """Draw key blocks, oldest first, until none comes for `timeout` s or `limit` were drawn."""
        most = None if limit is None else whole(limit, "limit")
        return self._keys().key_blocks(real(timeout, "timeout"), most)

    def telemetry_stream(self, interval: float, timeout: float) -> Iterator[TelemetryEvent]:
        """Subscribe to readings every `interval` s until nothing comes for `timeout` s."""
        interval, timeout = real(interval, "interval"), real(timeout, "timeout")
        declared = {
            f"{prefix}{value.command}": (path + name, value)
            for owner, path, prefix in self._owners()
            for name, value in owner.own_values().items()
            if value.command
        }
        return self._keys().telemetry_stream(interval, timeout, declared)

    def _keys(self) -> KeyChannel:
        """Return the key channel: one for all threads, made when it is first asked for, and never after `close`."""
        if "keys" not in self._resources:
            raise UnsupportedError(
                f"{self.name} was opened without its key channel", remedy='Give a resource keys="zmq:..."'
            )
        kind, serial_number = self._key_channel(), self._identified().serial_number
        with self._keys_lock:
            if self._closed:
                raise ClosedError("the unit was closed", device=self.name, remedy="Open it again")
            if self._channel is None:
                self._channel = kind(
                    self._resources["keys"],
                    self.name,
                    serial_number,
                    clock=self._clock,
                    timeout_s=self._timeout_s,
                    nonces=self._nonces,
                )
            return self._channel

    # --- who it is, and what it says ----------------------------------------------------------------------------------

    def _identified(self) -> Identity:
        """Return who the unit said it is at the last opening."""
        while self._seen is None:
            self._control.open()
        return self._seen

    def _learn(self, found: Identity) -> None:
        if found.vendor != self.vendor or not self.models.fullmatch(found.model):
            raise WrongDeviceError(
                f"expected {self.vendor} {self.models.pattern} and found "
                f"{found.vendor} {found.model} {found.serial_number}",
                device=self.name,
                transport=self._control.name,
                remedy="Check the cabling and the resource",
            )

    def _ask(self, command: str) -> Answer:
        request: Request[bytes, Answer] | None = self._kept.get(command)
        if request is None:
            answer = partial(type(self)._answer, weakref.proxy(self))  # a kept request makes no cycle
            request = self._keep(command, self._question(f"{command}?", answer))
        return self._exchange(request)

    def _order(self, command: str, text: str) -> Answer:
        told = self._put(command, text)
        try:
            return self._answer(told)
        except ProtocolError as error:
            what = "a value was sent, and the reply is not one"
            raise OutcomeUnknownError.unread(what, error, device=self.name, command=command) from error


def _rows(fields: list[str], size: int, text: str) -> list[list[str]]:
    if len(fields) % size:
        raise ProtocolError(f"a list of other than {size} fields each: {text[:80]!r}")
    return [fields[start : start + size] for start in range(0, len(fields), size)]
