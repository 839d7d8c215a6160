"""Device and Part: what a role is made of. They know values; how bytes travel is the driver's transport's business."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from os import urandom
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

from tokaido.hal._clock import SYSTEM_CLOCK, Clock
from tokaido.hal._errors import ConfigurationError, DeviceTimeoutError, NotConnectedError, TokaidoError
from tokaido.hal._numbers import real
from tokaido.hal._readings import Reading, Telemetry, corrected_reading_of, reading_of
from tokaido.hal._value_texts import encode
from tokaido.hal._values import NONE, Answer, Measured, Query, Valued

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from dataclasses import dataclass
    from enum import Enum
    from types import TracebackType

    from tokaido.hal._calibrations import Calibration
    from tokaido.hal._further_settings import FurtherSetting
    from tokaido.hal.transports._resources import Resource
    from tokaido.hal.transports._trace import TraceRecord
    from tokaido.hal.transports._transport import Transport

T = TypeVar("T")

OnExit = Literal["safe", "keep"]
"""How a device is left: after its safe state, or as it is."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a device says it is."""

    vendor: str
    model: str
    serial_number: str
    firmware: str


class Part(Valued):
    """An indexed piece of a device with values of its own; its commands have a prefix."""

    _path: str
    _prefix: str

    def __init__(self, device: Device, path: str, prefix: str) -> None:
        self._device = device
        vars(self).update(_path=path, _prefix=prefix, _last_known={})  # past `__setattr__`, since a poll makes parts

    @property
    def path(self) -> str:
        """Where the part sits in its device, for example `detectors[0]`."""
        return self._path

    def _ask(self, command: str) -> Answer:
        return self._device._ask(self._prefix + command)

    def _order(self, command: str, text: str) -> Answer:
        return self._device._order(self._prefix + command, text)

    def _place(self) -> tuple[str, str]:
        return self._device.name, f"{self._path}."

    @property
    def _calibrated(self) -> Mapping[str, Measured[Any]]:
        of_device = self._device._calibrated_by_part
        return of_device.get(self._path, NONE) if of_device else NONE

    def _repr_html_(self) -> str:
        """Return what a notebook shows; nothing is asked."""
        from tokaido.hal._html import of_part  # noqa: PLC0415 - for notebooks

        return of_part(self)


class Device(Valued):
    """One box that is driven. Roles inherit it; drivers fill the roles.

    A constructor does no I/O. `Role.open` connects; leaving the `with` block or `close` disconnects and changes nothing
    in the device, unless it was opened with `on_exit="safe"`: leaving the block then applies its safe state first.
    """

    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {}
    """Which kinds of resource the driver takes under which name, for example {"control": {"serial"}}."""
    optional_resources: ClassVar[frozenset[str]] = frozenset()
    """Names that may be left out; an operation that needs one then raises `UnsupportedError`."""
    capabilities: frozenset[Enum] = frozenset()
    """What this device has that not every device of its role has; ask the opened device, since models differ."""
    protocol: ClassVar[str] = ""
    """Name of the wire protocol that the driver speaks; its page is in docs/protocols."""

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
        self._resources = dict(resources)
        self._name = name
        self._expected_serial_number = serial_number
        self._timeout_s = real(timeout_s, "timeout")
        self._clock = clock
        self._nonces = nonces
        self._last_known = {}

    def _place(self) -> tuple[str, str]:
        return self.name, ""

    @property
    def _calibrated(self) -> Mapping[str, Measured[Any]]:
        return self._calibrated_by_part.get("", NONE) if self._calibrated_by_part else NONE

    @classmethod
    def open(
        cls,
        driver: str,
        *,
        name: str = "",
        serial_number: str = "",
        timeout: float = 1.0,
        clock: Clock = SYSTEM_CLOCK,
        nonces: Callable[[int], bytes] = urandom,
        trace: Callable[[TraceRecord], None] | None = None,
        on_exit: OnExit = "keep",
        calibrations: Mapping[str, Calibration] = NONE,
        **resources: str | Resource,
    ) -> Self:
        """Find a driver, connect it to its resources and return it as this role.

        Args:
            driver: Name in the registry, for example "toshiba.transmitter"; `tokaido drivers` lists them.
            name: What errors call the device; its driver's name if empty.
            serial_number: If given, any other box is refused.
            timeout: Deadline of one exchange, and of connecting, in s.
            clock: Where time comes from.
            nonces: Source of n bytes for what every program has to itself, none of it secret: request ids, the host's
                name on a key channel, the name of a watchdog's holder. Keys never come from it. Only a test gives
                another one: with `random.Random(seed).randbytes` a run repeats byte for byte. A driver with a
                constructor of its own that does not take it draws from the operating system.
            trace: Called with every record of the control transport, from the first byte on.
            on_exit: How the `with` block leaves the device, however it ends. "keep": as it is. "safe": it calls
                `apply_safe_state` once, then closes. If that fails, it is logged, and raised unless the block raised.
                `close` alone changes nothing in the device.
            calibrations: By path, what corrects its values: `{"power": hal.Calibration(...)}`.
            resources: By name, for example control="serial:/dev/qkd/TKTX0001?baudrate=115200".

        Raises:
            ConfigurationError: No such driver, another role, resources that it does not take (all mistakes), another
                word for `on_exit`, or calibrations of values that it does not have so.
            WrongDeviceError: Another box answers.
            TransportError: It could not be reached.
        """
        from tokaido.hal._registry import load_driver, parse_resources  # noqa: PLC0415 - for those who open one

        if on_exit not in ("safe", "keep"):
            raise ConfigurationError(f'on_exit must be "safe" or "keep", not {on_exit!r}')
        kind = load_driver(driver, cls)
        device = kind(
            parse_resources(driver, kind, resources),
            name=name or driver,
            serial_number=serial_number,
            timeout_s=timeout,
            clock=clock,
            **({} if nonces is urandom or not _takes(kind, "nonces") else {"nonces": nonces}),
        )
        device._driver, device._on_exit, device._given = driver, on_exit, calibrations
        try:
            if trace is not None:
                device.transport.add_sink(trace)
            device._connect(timeout)
            device._calibrate()
        except BaseException:
            device.close()
            raise
        return device

    @classmethod
    def complaints(cls, resources: Mapping[str, Resource]) -> list[str]:  # noqa: ARG003 - for drivers that have options
        """Return what is wrong with options that a resource has for this driver, each as "resource: what is wrong".

        It is asked before the driver is opened, and for a station file as a whole. Default: nothing.
        """
        return []

    @abstractmethod
    def _connect(self, timeout: float | None = None) -> None:
        """Open the transports and learn who is there. Sends queries only."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect. May be called again. Changes nothing in the device."""

    @abstractmethod
    def identity(self) -> Identity:
        """Ask the device who it is."""

    @abstractmethod
    def apply_safe_state(self) -> None:
        """Bring the device to the safe state that its role declares."""

    @property
    @abstractmethod
    def transport(self) -> Transport[Any]:
        """The transport of the control resource; a `TextTransport` has `query` and `command`."""

    @abstractmethod
    def _ask_all(self) -> Mapping[str, Answer | TokaidoError]:
        """Ask for all values in as few exchanges as can be: by full command, an answer or why there is none."""

    def check_text(self, text: str, *, force: str = "") -> None:
        """Ask the interlocks of this device whether a text of its vendor's may be sent; a device server does so.

        Args:
            text: A command, as `transport.command` takes it.
            force: Why they may be overruled; it is logged. Empty: they may not.

        Raises:
            InterlockError: One of them objects.
        """

    def further_settings(self) -> Mapping[str, FurtherSetting]:
        """Ask for the settings that no declared value holds, by path: the map of a switch, where a retarder stands.

        Raises:
            TokaidoError: One of them could not be asked for.
        """
        return {}

    @property
    def driver(self) -> str:
        """Name of its driver in the registry; of one that was not opened by it, its module and class."""
        return self._driver or f"{type(self).__module__}:{type(self).__qualname__}"

    def _calibrate(self) -> None:
        """Go by the calibrations that hold now.

        Raises:
            ConfigurationError: They do not fit.
        """
        wanted = self._calibrations_in_force()
        if wanted != self.calibrations:
            from tokaido.hal._calibrations import calibrate  # noqa: PLC0415 - for who has some

            calibrate(self, wanted)
            self.calibrations = wanted

    def _calibrations_in_force(self) -> Mapping[str, Calibration]:
        return self._given

    calibrations: Mapping[str, Calibration] = NONE
    """What corrects its values, by path."""
    _given: Mapping[str, Calibration] = NONE
    _calibrated_by_part: Mapping[str, Mapping[str, Measured[Any]]] = NONE
    """The values of each part that has a calibrated one, by its path; empty for the device itself."""
    _driver: str = ""
    _on_exit: OnExit = "keep"

    @property
    def name(self) -> str:
        """What errors and stations call this device."""
        return self._name

    @property
    def parts(self) -> Sequence[Part]:
        """All parts of the device."""
        return ()

    def value_paths(self) -> list[str]:
        """Return the paths of all values that this device has, such as `detectors[0].bias`."""
        return [
            path + name
            for owner, path, _ in self._owners()
            for name, value in owner.own_values().items()
            if not value.unsupported
        ]

    def find(self, path: str) -> tuple[Valued, Measured[Any]]:
        """Return the device or part that holds the value at `path`, and its declaration: for `read` and `write`.

        Raises:
            ConfigurationError: The device has no such value.
        """
        prefix, dot, name = path.rpartition(".")
        for owner, of_owner, _ in self._owners():
            value = owner.own_values().get(name) if of_owner == prefix + dot else None
            if value is not None and not value.unsupported:
                return owner, value
        raise self.no_such_value(path)

    def no_such_value(self, path: str) -> ConfigurationError:
        """Return the error for a value, state or flag that this device does not have, with those it may have been."""
        from difflib import get_close_matches  # noqa: PLC0415 - for the mistaken only

        near = get_close_matches(path, [*self.value_paths(), *self.queries()], n=3, cutoff=0.5)
        return ConfigurationError(
            f"{self.name} has no value {path!r}",
            remedy=f"Did you mean {', '.join(near)}?" if near else "`tokaido read` without a value lists them",
        )

    def telemetry(self) -> Telemetry:
        """Read every value, bulk first.

        A value that the device cannot give is a reading of quality BAD with the reason; it spoils no other.

        Raises:
            TransportError: The device could not be asked at all.
        """
        answers = self._aged_answers()
        utc_ns = self._clock.utc_ns()
        readings: dict[str, Reading[Any]] = {}
        reading = corrected_reading_of if self._calibrated_by_part else reading_of
        for owner, path, prefix in self._owners():
            for name, value in owner.own_values().items():
                if not value.unsupported:
                    readings[path + name] = reading(value, answers.get(f"{prefix}{value.command}"), utc_ns)
        return Telemetry(readings)

    def _aged_answers(self) -> Mapping[str, Answer | TokaidoError]:
        """Return what `_ask_all` does, each as old as its way here made it."""
        return self._ask_all()

    def snapshot(self) -> dict[str, Any]:
        """Return all that the device tells, ready for JSON; errors are recorded, whatever the device does.

        After a question without an answer it is asked who it is, and nothing more if it does not answer that either: a
        device that hangs costs one deadline, or two if it begins to meanwhile.
        """
        asked = _Asked(self.identity)
        record: dict[str, Any] = {"name": self.name, "driver": type(self).__module__, "utc_ns": self._clock.utc_ns()}
        identity = asked.of("", self.identity)
        if identity is not None:
            record["identity"] = {key: getattr(identity, key) for key in Identity.__slots__}
        readings = asked.of("", self.telemetry) or Telemetry({})
        record["values"] = {path: reading.record() for path, reading in readings.items()}
        for name, query in self.queries().items():
            record.setdefault("states", {})[name] = asked.of(name, partial(self._encoded, query))
        self._describe(record, asked.of)
        record["errors"] = asked.errors
        return record

    def _encoded(self, query: Query[Any]) -> str:
        return encode(self.ask(query))

    def _describe(self, record: dict[str, Any], ask: Callable[[str, Callable[[], Any]], Any]) -> None:
        """Add to a snapshot what a role has besides declared values; `ask` returns None where no answer comes."""

    def _owners(self) -> list[tuple[Valued, str, str]]:
        owners: list[tuple[Valued, str, str]] = [(self, "", "")]
        owners += [(part, f"{part.path}.", part._prefix) for part in self.parts]
        return owners

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(quiet=error is not None)

    def _leave(self, *, quiet: bool) -> None:
        """Close the device, after its safe state if it was opened so; `quiet`: a failure of that is logged alone."""
        try:
            if self._on_exit == "safe":
                self.apply_safe_state()
        except Exception as error:
            import logging  # noqa: PLC0415 - for the failed alone

            logging.getLogger("tokaido.hal.device").warning(
                "%s is not known to be in its safe state: %s", self.name, error
            )
            if not quiet:
                error.add_note(f"{self.name} is not known to be in its safe state. Look at it")
                raise
        finally:
            self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} on {', '.join(map(str, self._resources.values()))}>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows; nothing is asked."""
        from tokaido.hal._html import of_device  # noqa: PLC0415 - for notebooks

        return of_device(self)


def _takes(kind: type[Device], option: str) -> bool:
    """Whether the constructor of a driver takes an option."""
    from inspect import signature  # noqa: PLC0415 - for tests only

    return option in signature(kind).parameters


class _Asked:
    """Asks one thing after another for a snapshot, and notes the errors; of a device that is silent it asks no more."""

    def __init__(self, identity: Callable[[], Identity]) -> None:
        self.errors: list[str] = []
        self._identity = identity
        self._silent = False

    def of(self, name: str, ask: Callable[[], T]) -> T | None:
        """Return an answer; None, and an error noted, if none comes."""
        if self._silent:
            return None
        try:
            return ask()
        except TokaidoError as error:
            self._silent = isinstance(error, (DeviceTimeoutError, NotConnectedError)) and not self._answers(ask)
            asked_no_more = "; nothing more was asked" if self._silent else ""
            self.errors.append(f"{name}: {error}{asked_no_more}" if name else f"{error}{asked_no_more}")
            return None

    def _answers(self, asked: Callable[[], object]) -> bool:
        """Return whether the device still says who it is, if that was not what it was asked."""
        if asked == self._identity:
            return False
        try:
            self._identity()
        except TokaidoError:
            return False
        return True
