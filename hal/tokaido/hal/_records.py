"""Frozen dataclasses that are made quickly: what a record is to people and checkers, without loading `dataclasses`.

`dataclasses` takes 7 ms to load, `inspect` included, and 0.5 ms to make a class; `import tokaido.hal` makes fifteen. A
module takes its decorator from here, and shows checkers and documentation the one of the standard library, behind it,
since documentation believes the last one:

    if not TYPE_CHECKING:
        from tokaido.hal._records import dataclass, field

    if TYPE_CHECKING:
        from dataclasses import dataclass, field

The class behaves as `dataclasses.dataclass(frozen=True, slots=True)` makes it, and is one to `dataclasses.fields`,
`replace`, `asdict` and to dataclasses that inherit it; a test holds the two beside each other. Nothing else is
supported: neither other arguments of the decorator, nor `InitVar`, `ClassVar`, or a base of another kind.
"""

from __future__ import annotations

import sys
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")


class _Missing:
    def __repr__(self) -> str:
        return "<factory>"  # where a signature shows it: the default is made for each record


MISSING: Final = _Missing()
"""Stands for a default that there is not."""


class Field:
    """What a record knows of one of its fields."""

    __slots__ = ("annotation", "default", "factory", "hashed", "kw_only", "shown")

    def __init__(self, default: object, factory: object, hashed: bool | None, kw_only: bool, shown: bool) -> None:
        self.annotation = ""
        self.default = default
        self.factory = factory
        self.hashed = hashed
        self.kw_only = kw_only
        self.shown = shown

    @property
    def optional(self) -> bool:
        """Whether it has a default."""
        return self.default is not MISSING or self.factory is not MISSING


def field(
    *,
    default: object = MISSING,
    default_factory: object = MISSING,
    hash: bool | None = None,  # noqa: A002 - as in `dataclasses`
    kw_only: bool = False,
    repr: bool = True,  # noqa: A002 - as in `dataclasses`
) -> Any:
    """Describe a field, as `dataclasses.field` does."""
    return Field(default, default_factory, hash, kw_only, repr)


def dataclass(*, frozen: bool, slots: bool, kw_only: bool = False) -> Callable[[type[T]], type[T]]:
    """Return what makes a record of a class.

    Raises:
        TypeError: It is not to be frozen, or is to have no slots: that is for `dataclasses`.
    """
    if not (frozen and slots):
        raise TypeError("a record is frozen and has slots")
    return lambda cls: _made(cls, kw_only)


def replace(record: T, /, **changes: Any) -> T:
    """Return a record with some fields changed, as `dataclasses.replace` does."""
    return type(record)(**{name: changes.pop(name, getattr(record, name)) for name in _names(record)}, **changes)


def _names(record: object) -> Iterable[str]:
    """Return the names of the fields, those too that a dataclass has added which inherits a record."""
    known: dict[str, Field] | None = vars(type(record)).get("__record__")
    if known is not None:
        return known
    import dataclasses  # noqa: PLC0415 - for others' classes alone

    return [known.name for known in dataclasses.fields(record)]  # type: ignore[arg-type]


def _made(cls: type[T], kw_only: bool) -> type[T]:
    """Return a class of the same name with slots and with what a record does."""
    members = dict(vars(cls))
    own: dict[str, Field] = {}
    for name, annotation in cls.__annotations__.items():
        default = members.pop(name, MISSING)
        own[name] = default if isinstance(default, Field) else Field(default, MISSING, None, False, True)
        own[name].annotation = annotation
        own[name].kw_only = own[name].kw_only or kw_only
    fields: dict[str, Field] = {}
    for base in reversed(cls.__mro__[1:]):
        fields |= vars(base).get("__record__", {})
    fields |= own
    members.pop("__dict__", None)
    members.pop("__weakref__", None)
    members["__qualname__"] = cls.__qualname__
    members["__slots__"] = tuple(own)
    members["__record__"] = fields
    members["__match_args__"] = tuple(name for name, known in fields.items() if not known.kw_only)
    made: Any = type(cls)(cls.__name__, cls.__bases__, members)  # type: ignore[misc]
    for name, member in _methods(made, fields).items():
        if name not in members:
            setattr(made, name, member)
    return made  # type: ignore[no-any-return]


def _methods(made: Any, fields: dict[str, Field]) -> dict[str, object]:
    """Return what a record does that its class does not say itself."""
    names = tuple(fields)
    hashed = tuple(name for name, known in fields.items() if known.hashed is not False)
    shown = tuple(name for name, known in fields.items() if known.shown)

    def __eq__(self: object, other: object) -> bool:  # noqa: N807
        if other.__class__ is not self.__class__:
            return NotImplemented
        return tuple(getattr(self, name) for name in names) == tuple(getattr(other, name) for name in names)

    def __hash__(self: object) -> int:  # noqa: N807
        return hash(tuple(getattr(self, name) for name in hashed))

    @recursive_repr()
    def __repr__(self: object) -> str:  # noqa: N807
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def __setattr__(self: object, name: str, value: object) -> None:  # noqa: N807
        if type(self) is made or name in fields:
            _refuse("assign to", name)
        super(made, self).__setattr__(name, value)

    def __delattr__(self: object, name: str) -> None:  # noqa: N807
        if type(self) is made or name in fields:
            _refuse("delete", name)
        super(made, self).__delattr__(name)

    methods: dict[str, Any] = {
        method.__name__: method for method in (__eq__, __hash__, __repr__, __setattr__, __delattr__)
    }
    for method in methods.values():
        method.__qualname__ = f"{made.__qualname__}.{method.__name__}"
    return {
        **methods,
        "__init__": _init(made, fields),
        "__getstate__": _state,
        "__setstate__": _set_state,
        "__replace__": replace,  # what `copy.replace` calls, from Python 3.13 on
        **{name: _Late(made, name) for name in _LATE},
    }


def _state(record: object) -> list[object]:
    return [getattr(record, name) for name in _names(record)]


def _set_state(record: object, state: list[object]) -> None:
    for name, value in zip(_names(record), state, strict=True):
        object.__setattr__(record, name, value)


def _init(made: type, fields: dict[str, Field]) -> Callable[..., None]:
    """Return a constructor that shows names, annotations and defaults as if a person had written it."""
    known: dict[str, object] = {"_MISSING": MISSING}
    parameters: dict[bool, list[str]] = {False: [], True: []}
    body: list[str] = []
    for name, its in fields.items():
        value = name
        if its.factory is not MISSING:
            known[f"_make_{name}"] = its.factory
            value = f"_make_{name}() if {name} is _MISSING else {name}"
        if its.optional:
            known[f"_default_{name}"] = its.default
        parameters[its.kw_only].append(f"{name}=_default_{name}" if its.optional else name)
        known[f"_set_{name}"] = getattr(made, name).__set__  # of its slot: quicker than `object.__setattr__`
        body.append(f"  _set_{name}(self, {value})")
    if hasattr(made, "__post_init__"):
        body.append("  self.__post_init__()")
    listed = ["self", *parameters[False], *(["*", *parameters[True]] if parameters[True] else [])]
    lines = [f"def make({', '.join(known)}):", f" def __init__({', '.join(listed)}):", *body, " return __init__"]
    found: dict[str, Any] = {}
    exec("\n".join(lines), vars(sys.modules[made.__module__]), found)  # noqa: S102 - of names of fields alone
    init: Callable[..., None] = found["make"](**known)
    init.__qualname__ = f"{made.__qualname__}.__init__"
    init.__annotations__ = {**{name: its.annotation for name, its in fields.items()}, "return": None}
    return init


# --- what `dataclasses` sees ------------------------------------------------------------------------------------------

_LATE: Final = ("__dataclass_fields__", "__dataclass_params__")


class _Late:
    """An attribute by which `dataclasses` knows its classes, taken from a real one that is made when it is needed."""

    def __init__(self, made: type, name: str) -> None:
        self._made = made
        self._name = name

    def __get__(self, record: object, owner: type | None = None) -> Any:
        import dataclasses  # noqa: PLC0415 - for the few that look at fields

        described = []
        for name, its in vars(self._made)["__record__"].items():
            options: dict[str, Any] = {"hash": its.hashed, "kw_only": its.kw_only, "repr": its.shown}
            if its.factory is not MISSING:
                options["default_factory"] = its.factory
            elif its.optional:
                options["default"] = its.default
            described.append((name, its.annotation, dataclasses.field(**options)))
        twin = dataclasses.make_dataclass(self._made.__name__, described, frozen=True, slots=True)
        for name in _LATE:
            setattr(self._made, name, getattr(twin, name))
        return getattr(twin, self._name)


def _refuse(what: str, name: str) -> NoReturn:
    from dataclasses import FrozenInstanceError  # noqa: PLC0415 - for the mistaken alone

    raise FrozenInstanceError(f"cannot {what} field {name!r}")
