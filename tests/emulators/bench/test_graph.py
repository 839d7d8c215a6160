"""Tracing light through joins, panels, fibres and switches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokaido.emulators.bench import Graph, LightPath
from tokaido.emulators.bench._elements import FibreOnBench, Multiplexer, Panel, SwitchPlace, UnitPlace
from tokaido.emulators.optics import Fibre
from tokaido.emulators.polatis import MatrixSwitchModel
from tokaido.hal import ConfigurationError


class Mirrors:
    """A switch of which only the mirrors matter."""

    def __init__(self, inputs: int, outputs: int, pairs: dict[int, int] | None = None) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.pairs = pairs or {}

    def light_path(self, input: int) -> tuple[int, float] | None:  # noqa: A002
        return (self.pairs[input], 1.0) if input in self.pairs else None


class Bench:
    """A graph with two units, a 4x4 switch and the fibres A and B."""

    def __init__(self, pairs: dict[int, int] | None = None) -> None:
        self.graph = Graph()
        self.mirrors = Mirrors(4, 4, pairs or {1: 1})
        self.west = SwitchPlace("west", self.mirrors)
        self.a = FibreOnBench("A", Fibre(length_km=45, loss_db=14.5))
        self.b = FibreOnBench("B", Fibre(length_km=20, loss_db_per_km=0.2))
        for element in (UnitPlace("alice"), UnitPlace("bob"), self.west, self.a, self.b):
            self.graph.add(element)
        self.west.look()

    def join(self, *pairs: tuple[str, str]) -> Bench:
        for one, other in pairs:
            self.graph.join(one, other)
        self.west.look()
        return self

    def trace(self, start: str = "alice", band: str = "quantum") -> LightPath:
        return self.graph.trace(start, band)  # type: ignore[arg-type]


@pytest.fixture
def bench() -> Bench:
    return Bench().join(("alice", "west.in1"), ("west.out1", "A.a"), ("A.b", "bob"))


def test_losses_of_all_hops_add_up_and_each_says_its_own(bench: Bench) -> None:
    path = bench.trace()
    assert [(hop.element, hop.entered, hop.left, hop.loss_db, hop.length_km) for hop in path.hops] == [
        ("join", "alice", "west.in1", 0.3, 0),
        ("west", "west.in1", "west.out1", 1.0, 0),
        ("join", "west.out1", "A.a", 0.3, 0),
        ("A", "A.a", "A.b", 14.5, 45),
        ("join", "A.b", "bob", 0.3, 0),
    ]
    assert path.loss_db == pytest.approx(16.4)
    assert (path.length_km, path.fibres, path.id, path.end, path.unit) == (45, ("A",), "A", "bob", "bob")
    assert str(path) == "alice > west > A > bob: 45 km, 16.40 dB"


def test_light_takes_the_same_way_back(bench: Bench) -> None:
    there, back = bench.trace("alice"), bench.trace("bob")
    assert [hop.element for hop in back.hops] == [hop.element for hop in reversed(there.hops)]
    assert back.loss_db == pytest.approx(there.loss_db)
    assert (back.unit, back.id) == ("alice", "A")


def test_a_join_has_the_loss_that_is_given() -> None:
    graph = Bench().graph
    graph.join("alice", "bob", 0.0)
    path = graph.trace("alice")
    assert (path.loss_db, path.id, path.unit) == (0.0, "direct", "bob")


def test_fibres_in_line_name_the_path() -> None:
    bench = Bench().join(("alice", "B.b"), ("B.a", "A.a"), ("A.b", "bob"))
    path = bench.trace()
    assert path.id == "B+A"
    assert path.length_km == 65
    assert path.loss_db == pytest.approx(14.5 + 4.0 + 3 * 0.3)


def test_an_open_switch_ends_the_light_where_it_stands(bench: Bench) -> None:
    bench.mirrors.pairs = {2: 1}
    bench.west.look()
    path = bench.trace()
    assert not path.arrives
    assert (path.end, path.reason, path.unit) == ("west.in1", "west lets no light through at west.in1", "")
    back = bench.trace("bob")
    assert (back.end, back.reason) == ("west.out1", "west joins nothing to west.out1")


def test_a_switch_that_moves_leads_light_to_another_fibre(bench: Bench) -> None:
    bench.join(("west.out2", "B.a"))
    bench.mirrors.pairs = {1: 2}
    bench.west.look()
    assert (bench.trace().end, bench.trace().reason, bench.trace().fibres) == ("B.b", "B.b is not joined", ("B",))


def test_the_emulated_matrix_switch_takes_light_both_ways_with_the_loss_that_it_tells() -> None:
    model = MatrixSwitchModel(inputs=4, outputs=4)
    place = SwitchPlace("west", model)
    graph = Graph()
    for element in (UnitPlace("alice"), UnitPlace("bob"), place):
        graph.add(element)
    graph.join("alice", "west.out3", 0)
    graph.join("west.in2", "bob", 0)
    model.receive("control", b":OXC:SWIT:CONN:ADD (@2),(@7)\n")
    place.look()
    assert not graph.trace("alice").arrives
    model.advance(25_000_000)
    place.look()
    told = model.light_path(2)
    assert told is not None
    assert graph.trace("alice").loss_db == graph.trace("bob").loss_db == told[1]


def test_a_cut_fibre_ends_the_light_at_its_near_end(bench: Bench) -> None:
    bench.a.add_cut()
    assert (bench.trace().end, bench.trace().reason) == ("A.a", "A is cut")
    assert bench.trace("bob").end == "A.b"
    bench.a.remove_cut()
    assert bench.trace().arrives


def test_a_bend_costs_until_it_is_straightened(bench: Bench) -> None:
    before = bench.trace().loss_db
    bench.a.add_bend(2.5)
    assert bench.trace().loss_db == pytest.approx(before + 2.5)
    bench.a.remove_bend()
    assert bench.trace().loss_db == pytest.approx(before)
    with pytest.raises(ConfigurationError, match="a bend costs 0 to 100 dB"):
        bench.a.add_bend(-1)
    with pytest.raises(ConfigurationError, match="a chance per gate"):
        bench.a.add_light(1.0)


def test_light_that_goes_round_is_noticed(bench: Bench) -> None:
    bench = Bench({1: 1}).join(("west.out1", "A.a"), ("A.b", "west.in1"))
    path = bench.trace("A.b")
    assert (path.end, path.reason) == ("A.b", "light goes round in a loop at A.b")


def test_a_panel_leads_front_to_back() -> None:
    bench = Bench()
    bench.graph.add(Panel("P", 12, 0.2))
    bench.join(("alice", "P.front3"), ("P.back3", "bob"))
    assert bench.trace().loss_db == pytest.approx(0.3 + 0.2 + 0.3)
    with pytest.raises(ConfigurationError, match=r"P.front13.*P.front1 to front12, P.back1 to back12"):
        bench.graph.join("P.front13", "A.a")


def test_a_multiplexer_joins_separate_ports_onto_one_line() -> None:
    bench = Bench()
    bench.graph.add(Multiplexer("M", 0.5))
    bench.join(("alice.quantum", "M.quantum"), ("alice.clock", "M.clock"), ("M.line", "A.a"), ("A.b", "bob"))
    for band in ("quantum", "clock"):
        path = bench.trace("alice", band)
        assert (path.start, path.unit, path.id) == (f"alice.{band}", "bob", "A")
        assert path.loss_db == pytest.approx(0.3 + 0.5 + 0.3 + 14.5 + 0.3)
        back = bench.trace("bob", band)
        assert (back.end, back.unit) == (f"alice.{band}", "alice")
    assert bench.trace("alice.quantum", "clock").reason == "M.quantum takes no clock light"


def test_separate_fibres_carry_one_band_each() -> None:
    bench = Bench().join(("alice.quantum", "A.a"), ("A.b", "bob.quantum"), ("alice.clock", "B.a"), ("B.b", "bob.clock"))
    assert bench.trace("alice", "quantum").id == "A"
    assert bench.trace("alice", "clock").id == "B"


def test_a_unit_takes_no_light_of_the_wrong_band() -> None:
    bench = Bench().join(("alice", "A.a"), ("A.b", "bob.quantum"))
    assert bench.trace("alice", "quantum").unit == "bob"
    path = bench.trace("alice", "clock")
    assert (path.unit, path.reason) == ("", "bob.quantum takes no clock light")


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("alice", "B.a", r"alice is joined to west.in1. Call unjoin\('alice'\) first"),
        ("alice.quantum", "B.a", r"alice.quantum cannot be joined while alice is joined to west.in1"),
        ("west.in5", "B.a", r"there is no port 'west.in5'. west has west.in1 to in4, west.out1 to out4"),
        ("wset.in2", "B.a", r"there is no port 'wset.in2'. Did you mean west\?"),
        ("B.c", "west.in2", r"there is no port 'B.c'. B has B.a, B.b"),
        ("B.a", "B.a", r"B.a cannot be joined to itself"),
    ],
)
def test_a_join_that_cannot_be_says_why_and_what_to_do(bench: Bench, one: str, other: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        bench.graph.join(one, other)
    assert len(bench.graph.joins) == 3


def test_other_mistakes_are_told_too(bench: Bench) -> None:
    with pytest.raises(ConfigurationError, match="must cost 0 to 100 dB"):
        bench.graph.join("B.a", "west.in2", -0.1)
    with pytest.raises(ConfigurationError, match="'A' on the bench already"):
        bench.graph.add(UnitPlace("A"))
    with pytest.raises(ConfigurationError, match=r"not a name for something on the bench"):
        UnitPlace("alice.one")
    with pytest.raises(ConfigurationError, match="there is no band 'red'"):
        bench.trace("alice", "red")
    with pytest.raises(ConfigurationError, match=r"B\.a is not joined"):
        bench.graph.unjoin("B.a")


def test_fibres_are_patched_by_hand_too(bench: Bench) -> None:
    assert bench.graph.unjoin("A.a") == "west.out1"
    assert bench.trace().reason == "west.out1 is not joined"
    bench.join(("west.out1", "B.a"))
    assert bench.trace().end == "B.b"


def test_marks_tell_a_path_that_was_left_alone_from_one_that_came_back(bench: Bench) -> None:
    def marks() -> tuple[object, ...]:
        bench.west.look()
        return bench.trace().marks

    first = marks()
    bench.mirrors.pairs = {1: 1, 3: 3}  # another pair: nothing to do with this path
    assert marks() == first
    bench.mirrors.pairs = {1: 2}
    bench.west.look()
    bench.mirrors.pairs = {1: 1}
    second = marks()
    assert second != first
    bench.a.add_cut()
    bench.a.remove_cut()
    third = marks()
    assert third != second
    bench.graph.unjoin("bob")
    bench.join(("bob", "A.b"))
    assert marks() != third


@given(st.permutations(range(1, 9)), st.permutations(range(1, 9)), st.integers(1, 8))
def test_every_light_ends_somewhere_and_every_way_can_be_gone_back(
    first: list[int], second: list[int], start: int
) -> None:
    graph = Graph()
    one, two = (SwitchPlace(n, Mirrors(8, 8, dict(enumerate(o, 1)))) for n, o in (("one", first), ("two", second)))
    graph.add(one)
    graph.add(two)
    for number in range(1, 9):
        graph.add(UnitPlace(f"u{number}"))
        graph.join(f"u{number}", f"one.in{number}", 0)
        graph.join(f"one.out{number}", f"two.out{number}", 0)
        if number <= 4:
            graph.add(UnitPlace(f"v{number}"))
            graph.join(f"two.in{number}", f"v{number}", 0)
    one.look()
    two.look()
    path = graph.trace(f"u{start}")
    assert path.arrives or path.reason == f"two joins nothing to {path.end}"
    if path.arrives:
        assert graph.trace(path.end).end == f"u{start}"
