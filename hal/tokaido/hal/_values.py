"""Value declarations: one line types, validates, documents and exports what a device can tell or be told.

The form is chosen so that mypy and basedpyright both see `tx.laser_power` as a float, refuse to set what is read-only
and notice a misspelt name. In a role a value has no command and the driver must supply one; in a driver it has.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Set
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Literal, Never, Self, TypeVar, cast, overload

from tokaido.hal._change_log import LoggedChange
from tokaido.hal._errors import (
    DeviceError,
    NoDataError,
    OutcomeUnknownError,
    ProtocolError,
    RangeError,
    StateError,
    UnsupportedError,
    ValueTypeError,
)
from tokaido.hal._value_texts import NO_YES, decode, encode, normalised

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass

if TYPE_CHECKING:
    from dataclasses import dataclass

    from tokaido.hal._calibrations import Calibration

T = TypeVar("T")

States = Set[Enum]
Light = Literal["none", "less", "more", "source"]
"""What a greater value of a setting does to light, or a later member of an enumeration: nothing, less of it, more of
it; a `source` switches light on and off by itself."""

DEFAULT_STALE_AFTER_S: Final = 60.0
NONE: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Answer:
    """The text of one value as a device gave it, and how old it is in s."""

    text: str
    age_s: float = 0.0


if TYPE_CHECKING:

    class _Looks:
        """Nothing, to the checkers."""

else:
    _Looks = property  # to what completes and documents: attributes that are computed, and that it does not compute


class _Description:
    """What `help` and a notebook's `?` show of a value: what is declared; of a class of values, its own docstring."""

    def __init__(self, of_class: str | None) -> None:
        self._of_class = of_class

    def __get__(self, value: Measured[Any] | None, owner: type[object]) -> str | None:
        if value is None:
            return self._of_class
        from tokaido.hal._meanings import description  # noqa: PLC0415 - for who asks

        return description(value)


def _describe(kind: type[object]) -> None:
    kind.__doc__ = cast("str", _Description(kind.__doc__))


class Measured(_Looks, Generic[T]):
    """A value that a device gives: an attribute, read-only. Reading it asks the device.

    To get the attribute of a device is to ask, for `hasattr(device, "laser_power")` and `inspect.getmembers(device)`
    too, since nobody can tell them from a reader. To look without asking, look at the class: `device.values()`,
    `hasattr(type(device), ...)`, `inspect.getmembers_static`. `dir`, `help` and the interpreter's TAB ask nothing.
    """

    writable = False
    calibration: Calibration | None = None
    """What corrects it, in the declarations of a device that was opened with calibrations."""

    def __init__(
        self,
        kind: type[T],
        command: str | None,
        *,
        unit: str = "",
        operational: tuple[float, float] | None = None,
        absolute: tuple[float, float] | None = None,
        range: tuple[float, float] | None = None,  # noqa: A002 - the word users type
        states: States | None = None,
        stale_after_s: float = DEFAULT_STALE_AFTER_S,
        resolution: float = 0.0,
        words: tuple[str, str] = NO_YES,
        unsupported: str = "",
        light: Light | None = None,
    ) -> None:
        self.kind = kind
        self.command = command
        self.unit = unit
        self.operational = operational
        self.absolute = absolute
        self.range = range
        self.states = states
        """In which states it can be set; None: the declaration does not say. The device is the judge (ADR 10)."""
        self.stale_after_s = stale_after_s
        self.resolution = resolution
        self.words = words
        """How the device writes a flag: no, yes."""
        self.unsupported = unsupported
        """Why this driver does not have the value; empty where it has."""
        self.light: Light | None = light
        """What a greater value does to light; None: as its role says, nothing if none does."""
        self.name = ""
        self.owner = ""
        self._home: type[object] | None = None

    @property
    def meaning(self) -> str:
        """The sentence below its declaration, or below the one of the role; empty where the source is away."""
        from tokaido.hal._meanings import meaning  # noqa: PLC0415 - for who asks

        return meaning(self._home, self.name)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _describe(cls)

    @property
    def __isabstractmethod__(self) -> bool:
        """Whether it is a role's, which has no command: ABCMeta then refuses a driver that forgets the value."""
        return self.command is None and not self.unsupported

    def __set_name__(self, owner: type[object], name: str) -> None:
        self.name = name
        self.owner = owner.__name__
        self._home = owner

    @overload
    def __get__(self, obj: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self, obj: Valued, owner: type[object]) -> T: ...
    def __get__(self, obj: Valued | None, owner: type[object]) -> Self | T:
        return self if obj is None else obj.read(self)

    def __set__(self, obj: Valued, value: Never) -> None:
        raise AttributeError(f"{self.owner}.{self.name} is read-only")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.owner}.{self.name}>"

    def decode(self, text: str) -> T:
        """Return the value that a device's text stands for.

        Raises:
            ProtocolError: The text is not of this kind, or not a finite number.
        """
        return decode(self.kind, text, self.name, self.words)

    def uncalibrated(self) -> Measured[T]:
        """Its declaration in the device's own scale: this one, where nothing corrects it."""
        return self

    def raw(self, text: str) -> T:
        """Return the value as the device tells it, whatever its calibration.

        Raises:
            ProtocolError: As `decode`.
        """
        return self.decode(text)

    def encode(self, value: T) -> str:
        """Return the text by which `value` is sent to this device."""
        return self.words[value] if isinstance(value, bool) else encode(value)

    def check_present(self) -> str:
        """Return the command.

        Raises:
            UnsupportedError: The driver declared that its device lacks this value.
        """
        if self.unsupported or self.command is None:
            raise UnsupportedError(f"this device has no {self.name}: {self.unsupported}", remedy="See its capabilities")
        return self.command


_describe(Measured)


class Setting(Measured[T]):
    """A value that can be set: checked before a byte is sent, read back after."""

    writable = True

    def __set__(self, obj: Valued, value: T) -> None:
        obj.write(self, value)

    def check(self, value: T) -> T:
        """Return `value` as its declared kind: a plain float, int or bool, whatever kind of number it was.

        Raises:
            ValueTypeError: It is of another type.
            RangeError: It lies outside the declared range, or is not finite.
        """
        value = normalised(self.kind, value, self.name, finite=self.range is None)
        if isinstance(value, (int, float)) and self.range is not None:
            low, high = self.range
            if not low <= value <= high:
                raise RangeError(
                    f"{self.name} takes {low:.10g} to {high:.10g} {self.unit}".rstrip() + f", not {value!r}",
                    remedy="Nothing was sent",
                )
        return value

    def when(self) -> str:
        """Return a sentence on when it can be set; empty if the declaration does not say."""
        if not self.states:
            return ""
        order = list(type(next(iter(self.states))))
        return (
            f"{self.name} can be set in {', '.join(str(state.value) for state in sorted(self.states, key=order.index))}"
        )

    def confirms(self, asked: T, got: T) -> bool:
        """Whether the value read back is the one that was asked for, within the device's resolution."""
        if isinstance(asked, float) and isinstance(got, float):
            return math.isclose(asked, got, rel_tol=1e-6, abs_tol=max(self.resolution, 1e-12))
        return asked == got


class BoundQuery(Generic[T]):
    """A query of one device: call it to ask. It is neither true nor equal to anything, so that nobody forgets to."""

    __slots__ = ("_name", "_owner", "_query")

    def __init__(self, owner: Valued, query: Query[T]) -> None:
        self._owner = owner
        self._query = query
        self._name = query.name

    def __call__(self) -> T:
        """Ask the device."""
        return self._owner.ask(self._query)

    def __bool__(self) -> bool:
        raise self._not_asked()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, type):  # as `inspect` does with what it looks at
            return False
        raise self._not_asked()

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<query {self._name}, asked by {self._name}()>"

    @property
    def __doc__(self) -> str:  # type: ignore[override]
        """What `help` and a notebook show."""
        return f"Ask for {self._name}: {self._query.kind.__name__}."

    def _not_asked(self) -> ValueTypeError:
        name = self._name
        return ValueTypeError(f"{name} was not asked for", remedy=f"Call it: {name}()")


class Query(Generic[T]):
    """A state or flag: a method without arguments, so that no type checker takes it for constant."""

    def __init__(self, kind: type[T], command: str | None, field: int | None) -> None:
        self.kind = kind
        self.command = command
        self.field = field
        """Which comma-separated field of the answer holds it; None for the whole answer."""
        self.name = ""
        self.__isabstractmethod__: bool = command is None

    def __set_name__(self, owner: type[object], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, obj: None, owner: type[object]) -> Self: ...
    @overload
    def __get__(self, obj: Valued, owner: type[object]) -> Callable[[], T]: ...
    def __get__(self, obj: Valued | None, owner: type[object]) -> Self | Callable[[], T]:
        return self if obj is None else BoundQuery(obj, self)

    def decode(self, text: str) -> T:
        """Return the value that a device's text stands for.

        Raises:
            ProtocolError: The text is not of this kind.
        """
        if self.field is not None:
            fields = text.split(",")
            text = fields[self.field] if self.field < len(fields) else ""
        return decode(self.kind, text, self.name)


class Valued(ABC):
    """What has values: a device or one of its parts."""

    _last_known: dict[str, Any]
    """Every setting as it was when this object last read or set it, by name."""
    _values_by_name: ClassVar[Mapping[str, Measured[Any]]]  # of this very class, as soon as somebody asked
    own_scale: ClassVar[frozenset[str]] = frozenset()
    """Values that cannot be calibrated, since a method takes or sets them as the device has them."""

    if not TYPE_CHECKING:  # the checkers refuse a misspelt set by themselves; a notebook learns it here

        def __setattr__(self, name: str, value: object) -> None:
            if not name.startswith("_") and not hasattr(type(self), name):
                raise AttributeError(f"{type(self).__name__} has no value {name!r}")
            super().__setattr__(name, value)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name, value in vars(cls).items():
            if not isinstance(value, Measured):
                continue
            for base in cls.__mro__[1:]:
                inherited = vars(base).get(name)
                if isinstance(inherited, Setting) and not isinstance(value, Setting):
                    raise TypeError(f"{cls.__name__}.{name} must be a setting: {base.__name__} lets its users set it")

    @abstractmethod
    def _ask(self, command: str) -> Answer:
        """Ask for one value by its command; one exchange."""

    @abstractmethod
    def _order(self, command: str, text: str) -> Answer:
        """Order one value and return what is in force now."""

    @abstractmethod
    def _place(self) -> tuple[str, str]:
        """Return the name of the device, and the path of the part with its dot; empty for the device itself."""

    @classmethod
    def values(cls) -> dict[str, Measured[Any]]:
        """Return the declared values by name, settings included."""
        return dict(cls._declared())

    @classmethod
    def _declared(cls) -> Mapping[str, Measured[Any]]:
        """Return the declared values by name. They are looked for once a class, when its body is complete."""
        known: Mapping[str, Measured[Any]] | None = cls.__dict__.get("_values_by_name")
        if known is None:
            found: dict[str, Measured[Any]] = {}
            for base in reversed(cls.__mro__):
                found |= {name: value for name, value in vars(base).items() if isinstance(value, Measured)}
            cls._values_by_name = known = found
        return known

    @property
    def _calibrated(self) -> Mapping[str, Measured[Any]]:
        """All values by name, those that have a calibration with it; empty where none has."""
        return NONE

    def own_values(self) -> Mapping[str, Measured[Any]]:
        """Return the values of this very object by name: as declared, or as they are calibrated."""
        return self._calibrated or self._declared()

    @classmethod
    def queries(cls) -> dict[str, Query[Any]]:
        """Return the declared states and flags by name: what `ask` takes."""
        found: dict[str, Query[Any]] = {}
        for base in reversed(cls.__mro__):
            found |= {name: member for name, member in vars(base).items() if isinstance(member, Query)}
        return found

    def read(self, value: Measured[T]) -> T:
        """Ask the device for one value, by this class's own declaration of it.

        Raises:
            UnsupportedError: The device lacks it.
            NoDataError: The device has measured nothing yet.
            TokaidoError: Anything else that kept a right value from coming.
        """
        own = self._own(value)
        found = own.decode(self._ask(own.check_present()).text)
        if own.writable:
            self._last_known[own.name] = found
        return found

    def write(self, value: Setting[T], to: T) -> None:
        """Set one value: check it, send it, and compare what is in force afterwards.

        Raises:
            ValueTypeError: It is of another type; nothing was sent.
            RangeError: It is out of range; nothing was sent.
            RefusedError: The device refused it; a StateError says which states allow it.
            OutcomeUnknownError: The reply was lost; read the value.
        """
        self._set(self._own(value), to)

    def write_uncalibrated(self, value: Setting[T], to: T) -> None:
        """Set one value in the device's own scale, whatever its calibration: for safe states.

        Raises:
            TokaidoError: As `write`.
        """
        self._set(self._own(value).uncalibrated(), to)
        if self._calibrated:
            self._last_known.pop(value.name, None)  # it is in the other scale

    def _set(self, own: Measured[T], to: T) -> None:
        if not isinstance(own, Setting):
            raise UnsupportedError(f"{own.name} is read-only on this device")
        command = own.check_present()
        asked = own.check(to)
        device, path = self._place()
        with LoggedChange(device, path + own.name, self._last_known.pop(own.name, None), asked, own.unit):
            self._last_known[own.name] = self._write(own, command, asked)

    def _write(self, own: Setting[T], command: str, asked: T) -> T:
        """Order a value, and return what is in force after it if that confirms it."""
        try:
            text = self._order(command, own.encode(asked)).text
        except StateError as error:
            error.remedy = error.remedy or own.when()
            raise
        try:
            got = own.decode(text)
        except (ProtocolError, NoDataError) as error:
            what = f"{own.name} was sent, and the reply is not a value of it"
            raise OutcomeUnknownError.unread(what, error, command=command) from error
        if not own.confirms(asked, got):
            raise DeviceError(
                f"{own.name} was set to {own.encode(asked)} and reads back {own.encode(got)}",
                command=command,
                remedy="Read the value; the device may have rounded it or be in another mode",
            )
        return got

    def ask(self, value: Query[T]) -> T:
        """Ask for a state or flag."""
        own: Query[T] = getattr(type(self), value.name)
        if own.command is None:
            raise UnsupportedError(f"this device has no {own.name}")
        return own.decode(self._ask(own.command).text)

    def _own(self, value: Measured[T]) -> Measured[T]:
        own = getattr(type(self), value.name, None)
        if not isinstance(own, Measured):
            raise UnsupportedError(f"{type(self).__name__} has no value {value.name}")
        calibrated = self._calibrated
        return calibrated.get(own.name, own) if calibrated else own
