"""Records: whatever `dataclasses` makes of a class, ours does too, without loading `dataclasses`."""

from __future__ import annotations

import ast
import copy
import dataclasses
import inspect
import pickle
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pytest

import tokaido.hal as hal
from tokaido.hal import _records
from tokaido.hal.transports import Option, Request, TransportKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")


def declared(dataclass: Any, field: Any) -> types.SimpleNamespace:
    """The same classes, made by either module."""

    @dataclass(frozen=True, slots=True)
    class Plain:
        """Two fields."""

        first: int
        second: str = "two"

        def doubled(self) -> int:
            return 2 * self.first

    @dataclass(frozen=True, slots=True)
    class Rich(Plain, Generic[T]):
        """Fields of every kind."""

        third: tuple[float, ...] = ()
        mapping: Mapping[str, int] = field(default_factory=dict, hash=False)
        hidden: str = field(default="s3cret", repr=False)
        named: T | None = field(default=None, kw_only=True)

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Named:
        """Fields by name alone, and one that is made up."""

        given: float
        half: float = 0.0

        def __post_init__(self) -> None:
            object.__setattr__(self, "half", self.given / 2)

        def __str__(self) -> str:
            return f"half of {self.given}"

    @dataclass(frozen=True, slots=True)
    class Single:
        """One field, which equals whatever is identical."""

        only: float

    return types.SimpleNamespace(Plain=Plain, Rich=Rich, Named=Named, Single=Single)


THEIRS = declared(dataclasses.dataclass, dataclasses.field)
OURS = declared(_records.dataclass, _records.field)
NAN = float("nan")

MADE: dict[str, Callable[[Any], Any]] = {
    "defaults": lambda of: of.Plain(1),
    "all": lambda of: of.Plain(first=1, second="x"),
    "inherited": lambda of: of.Rich(1, named=3),
    "rich": lambda of: of.Rich(1, "x", (1.0,), {"a": 1}, "z", named=None),
    "by name": lambda of: of.Named(given=3.0),
    "single": lambda of: of.Single(NAN),
}
WRONG: dict[str, Callable[[Any], Any]] = {
    "missing": lambda of: of.Plain(),
    "unknown": lambda of: of.Plain(1, third=2),
    "too many": lambda of: of.Plain(1, "x", 2),
    "positional": lambda of: of.Named(3.0),
    "assigned": lambda of: setattr(of.Plain(1), "first", 2),
    "deleted": lambda of: delattr(of.Plain(1), "first"),
    "unhashable": lambda of: hash(of.Single([])),
    "replaced by none": lambda of: dataclasses.replace(of.Plain(1), other=2),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_a_record_is_what_dataclasses_make(make: Callable[[Any], Any]) -> None:
    ours, theirs = make(OURS), make(THEIRS)
    assert dataclasses.is_dataclass(type(ours))
    assert repr(ours) == repr(theirs)
    assert str(ours) == str(theirs)
    assert hash(ours) == hash(theirs)
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert dataclasses.astuple(ours) == dataclasses.astuple(theirs)
    assert ours == make(OURS)
    assert theirs == make(THEIRS)
    assert ours != theirs
    assert not hasattr(ours, "__dict__")
    assert copy.copy(ours) == copy.deepcopy(ours) == ours
    assert type(ours).__slots__ == type(theirs).__slots__
    assert type(ours).__match_args__ == type(theirs).__match_args__


@pytest.mark.parametrize("act", WRONG.values(), ids=WRONG)
def test_a_record_refuses_what_dataclasses_refuse(act: Callable[[Any], Any]) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - whatever it is
        act(THEIRS)
    with pytest.raises(type(theirs.value)) as ours:
        act(OURS)
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("name", vars(THEIRS))
def test_a_record_looks_as_dataclasses_look(name: str) -> None:
    ours, theirs = getattr(OURS, name), getattr(THEIRS, name)
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    assert (ours.__name__, ours.__qualname__, ours.__module__, ours.__doc__) == (
        theirs.__name__, theirs.__qualname__, theirs.__module__, theirs.__doc__,
    )  # fmt: skip
    for mine, its in zip(dataclasses.fields(ours), dataclasses.fields(theirs), strict=True):
        for what in ("name", "type", "default", "repr", "hash", "init", "compare", "kw_only"):
            assert getattr(mine, what) == getattr(its, what)
        assert mine.default_factory is its.default_factory
    assert repr(ours.__dataclass_params__) == repr(theirs.__dataclass_params__)
    assert set(dir(theirs)) <= set(dir(ours))


def test_a_plain_subclass_and_a_dataclass_may_inherit_a_record() -> None:
    @dataclasses.dataclass(frozen=True)
    class More(OURS.Plain):  # type: ignore[misc, name-defined]
        more: int = 5

    class Loose(OURS.Plain):  # type: ignore[misc, name-defined]
        pass

    more: Any = More(1)
    assert repr(more).endswith("More(first=1, second='two', more=5)")
    assert _records.replace(more, first=2, more=6) == dataclasses.replace(more, first=2, more=6) == More(2, "two", 6)
    assert copy.copy(More(1, more=7)).more == 7
    assert Loose(1) != OURS.Plain(1)
    loose = Loose(1)
    loose.other = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        loose.first = 3
    assert type(_records.replace(loose, second="x")) is Loose


CHANGES: list[dict[str, Any]] = [{"first": 4}, {"second": "x"}, {"named": 2, "mapping": {"b": 2}}, {}]


def test_a_record_takes_no_other_attribute() -> None:
    with pytest.raises(AttributeError, match="cannot assign to field 'other'"):
        OURS.Plain(1).other = 2


@pytest.mark.parametrize("change", CHANGES)
def test_to_replace_is_what_dataclasses_do(change: dict[str, Any]) -> None:
    ours = OURS.Rich(1)
    assert (
        _records.replace(ours, **change) == dataclasses.replace(ours, **change) == OURS.Rich(**{"first": 1, **change})
    )


def test_only_what_is_frozen_and_has_slots_is_a_record() -> None:
    with pytest.raises(TypeError, match="frozen and has slots"):
        _records.dataclass(frozen=False, slots=True)
    with pytest.raises(TypeError, match="frozen and has slots"):
        _records.dataclass(frozen=True, slots=False)


def test_a_record_that_holds_itself_can_be_shown() -> None:
    record = OURS.Rich(1)
    record.mapping["self"] = record
    assert repr(record).count("Rich(") == 1
    assert "..." in repr(record)


RECORDS: list[Any] = [
    hal.Identity("ACME", "OS-4", "1", "2.0"),
    hal.Resource("serial", "/dev/ttyUSB0", {"baudrate": "9600"}),
    hal.Reading(1.5, "dBm", 1, 0.0, hal.Quality.GOOD),
    hal.Alarm("HOT", hal.Severity.MAJOR, latched=False, age_s=1.0),
    hal.TraceRecord(1, "serial:x", ">", "a"),
    hal.SwitchSize(1, 2),
    hal.LinkSelection("peer", "path"),
    hal.KeyBlockFacts("s", 1, 8, "m", "b", 1e-9, insecure=False, emulated=True),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_public_records_are_dataclasses_that_travel(record: Any) -> None:
    assert pickle.loads(pickle.dumps(record)) == record
    names = [known.name for known in dataclasses.fields(record)]
    assert type(record)(**{name: getattr(record, name) for name in names}) == dataclasses.replace(record) == record
    assert list(inspect.signature(type(record)).parameters) == names
    assert all(name in vars(type(record)) for name in names)
    match record:
        case hal.Identity(vendor, model, _, _):
            assert (vendor, model) == ("ACME", "OS-4")


def test_records_with_a_method_of_their_own_keep_it() -> None:
    with pytest.raises(ValueError, match="lower-case"):
        TransportKind(name="Bad Name", messages=lambda *_, **__: None)  # type: ignore[arg-type]
    assert Option.one_of("a", "b", example="a").complaint("c") == "should be one of a, b"
    request = Request("A?", b"A?\n", lambda frame: frame)
    assert request.repeatable
    assert Request[bytes, bytes]("A?", request.payload, request.accept) == request


SOURCES = [
    path
    for path in sorted((Path(__file__).parents[2] / "hal").rglob("*.py"))
    if "    from tokaido.hal._records import" in path.read_text(encoding="utf-8") and path.name != "_records.py"
]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_checkers_and_documentation_see_the_decorator_of_the_standard_library(path: Path) -> None:
    """Documentation reads code without running it, and believes the last import of a name."""
    imports = {
        (ast.unparse(branch.test), node.module): sorted(name.name for name in node.names)
        for branch in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
    }
    shown, made = ("TYPE_CHECKING", "dataclasses"), ("not TYPE_CHECKING", "tokaido.hal._records")
    assert imports[made] == imports[shown]
    assert list(imports).index(made) < list(imports).index(shown)
