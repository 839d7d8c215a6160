"""States from what nodes say of themselves: of many nodes and a topology, and from the bus."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tokaido.console.page import BusSource, PageState, SpanFacts, relays_between, state_of, state_of_view
from tokaido.hal import ConfigurationError
from tokaido.node.events import Alarm, EventsSettings, LinkState, NetworkView, PairState, Telemetry, encode
from tokaido.node.operation import AlarmLine, ApplicationLine, DeviceLine, LinkLine, NodeStatus, PairLine, StoreLine
from tokaido.node.tls import TlsFiles
from tokaido.node.topology import Topology, TopologyLink, TopologyNode, TopologyPair

if TYPE_CHECKING:
    from pathlib import Path

DAY = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
ROUTE = ("tokyo", "nagoya", "kobe")


def topology(**places: tuple[float, float]) -> Topology:
    def node(name: str) -> TopologyNode:
        latitude, longitude = places.get(name, (None, None))
        return TopologyNode(name, f"https://{name}.example:8471", name.title(), latitude, longitude)

    return Topology(
        "line",
        1,
        DAY,
        None,
        {name: node(name) for name in ROUTE},
        {
            "east": TopologyLink("east", ("tokyo", "nagoya"), 366.0),
            "west": TopologyLink("west", ("nagoya", "kobe")),
        },
        (TopologyPair(("tokyo", "kobe")),),
    )


def link(name: str, **changed: Any) -> LinkLine:
    usual = LinkLine(
        name=name,
        neighbour="",
        device=f"unit-{name}",
        state="RUN",
        phase="",
        why="",
        next_attempt_in_s=None,
        attempts_within_an_hour=0,
        failures=0,
        running=True,
        drawing=True,
        qber=0.03,
        secret_key_rate=20e3,
        authentication_bits=None,
        stock_bits=1000,
        reserve_s=60.0,
        since_block_s=1.0,
        answered_s=1.0,
        counters={},
    )
    return msgspec.structs.replace(usual, **changed)


def pair(neighbour: str, **changed: Any) -> PairLine:
    usual = PairLine(
        neighbour=neighbour,
        ready=100,
        target=400,
        in_flight=0,
        held=0,
        demand=2.0,
        reserve_s=50.0,
        integrity="",
        counters={"born": 64},
    )
    return msgspec.structs.replace(usual, **changed)


def status(node: str, *links: LinkLine, **changed: Any) -> NodeStatus:
    usual = NodeStatus(
        node=node,
        utc="",
        up_s=1.0,
        level="fine",
        headline="Keys are served",
        to_do="",
        draining=False,
        emulation=True,
        store=StoreLine(open=True),
        links=links,
    )
    return msgspec.structs.replace(usual, **changed)


def test_two_ends_of_a_span_are_one_and_the_worse_end_counts() -> None:
    state = state_of(
        topology(),
        {
            "tokyo": status("tokyo", link("east", stock_bits=500, reserve_s=None, secret_key_rate=21e3)),
            "nagoya": status("nagoya", link("east", qber=0.04), link("west")),
            "kobe": status("kobe", link("west", running=False, state="ALIGN", qber=None, secret_key_rate=None)),
        },
        utc_s=5.0,
        spans={"west": SpanFacts(vendor="NEC-style", path="second", speed=0.5)},
    )
    east, west = state.spans
    assert (east.ends, east.length_km, east.running, east.state) == (("tokyo", "nagoya"), 366.0, True, "RUN")
    assert (east.qber, east.secret_key_rate, east.stock_bits, east.reserve_s) == (0.04, 20e3, 500, 60.0)
    assert (west.running, west.state, west.qber) == (False, "ALIGN", 0.03)
    assert (west.vendor, west.path, west.speed) == ("NEC-style", "second", 0.5)
    assert state.emulation
    assert state.utc_s == 5.0


def test_a_node_that_says_nothing_is_silent_and_its_spans_are_not_known() -> None:
    state = state_of(topology(), {"kobe": status("kobe", link("west"))}, utc_s=0.0, titles_ja={"tokyo": "東京"})
    assert [(site.name, site.level) for site in state.sites] == [
        ("tokyo", "silent"),
        ("nagoya", "silent"),
        ("kobe", "fine"),
    ]
    assert (state.sites[0].title, state.sites[0].title_ja) == ("Tokyo", "東京")
    assert (state.spans[0].running, state.spans[0].qber, state.spans[0].stock_bits) == (False, None, None)


def test_devices_alarms_and_applications_of_a_site() -> None:
    alarm = AlarmLine(
        code="QBER_HIGH",
        of="east",
        severity="MAJOR",
        text="too high",
        to_do="look",
        raised="2026-11-28T05:03:00Z",
        age_s=4.0,
        lasts=True,
        latched=False,
        acknowledged_by="ann",
        cause="FIBRE",
    )
    told = status(
        "tokyo",
        link("east", answered_s=31.0),
        devices=(DeviceLine(name="switch", answered_s=None),),
        alarms=(alarm,),
        applications=(
            ApplicationLine(name="bank", node="tokyo", here=True),
            ApplicationLine(name="hospital", node="kobe", here=False),
        ),
    )
    site = state_of(topology(), {"tokyo": told}, utc_s=0.0).sites[0]
    assert [(one.name, one.kind, one.answers) for one in site.devices] == [
        ("unit-east", "unit", False),
        ("switch", "device", None),
    ]
    assert [(one.code, one.acknowledged, one.cause) for one in site.alarms] == [("QBER_HIGH", True, "FIBRE")]
    assert site.applications == ("bank",)


def test_a_pair_is_shown_once_from_its_first_end_by_the_end_that_has_less() -> None:
    second = ("tokyo", "x", "kobe")
    state = state_of(
        topology(),
        {
            "kobe": status("kobe", pairs=(pair("tokyo", ready=90, route=ROUTE[::-1]),)),
            "tokyo": status("tokyo", pairs=(pair("kobe", route=ROUTE, disjoint=(ROUTE, second)), pair("x", target=0))),
        },
        utc_s=0.0,
    )
    (found,) = state.pairs
    assert (found.ends, found.ready, found.demand, found.reserve_s) == (("tokyo", "kobe"), 90, 4.0, 50.0)
    assert (found.route, found.disjoint) == (ROUTE, (ROUTE, second))
    alone = state_of(
        topology(),
        {"kobe": status("kobe", pairs=(pair("tokyo", route=ROUTE[::-1], disjoint=(second[::-1],)),))},
        utc_s=0,
    )
    assert (alone.pairs[0].route, alone.pairs[0].disjoint) == (ROUTE, (second,))


def test_keys_that_were_born_between_two_looks_went_over_the_route() -> None:
    before = {"tokyo": status("tokyo", pairs=(pair("kobe", route=ROUTE), pair("nagoya")))}
    after = {"tokyo": status("tokyo", pairs=(pair("kobe", route=ROUTE, counters={"born": 192}), pair("nagoya")))}
    assert [(one.route, one.keys) for one in relays_between(before, after, utc_s=1.0)] == [(ROUTE, 128)]
    assert relays_between(after, after, utc_s=1.0) == ()
    assert relays_between(after, before, utc_s=1.0) == ()
    assert relays_between({}, after, utc_s=1.0) == ()


def test_coordinates_are_used_if_all_nodes_have_them() -> None:
    known = {"tokyo": (35.7, 139.8), "nagoya": (35.2, 136.9)}
    whole = state_of(topology(**known, kobe=(34.7, 135.2)), {}, utc_s=0.0)
    assert whole.geography
    assert [(site.latitude, site.longitude) for site in whole.sites] == [*known.values(), (34.7, 135.2)]
    partly = state_of(topology(**known), {}, utc_s=0.0)
    assert not partly.geography
    along = {site.name: site.longitude for site in partly.sites}
    assert sorted(along.values()) == [0.0, 1.0, 2.0]
    assert along["nagoya"] == 1.0  # between its neighbours
    assert len({(site.latitude, site.longitude) for site in partly.sites}) == 3


def telemetry(node: str, **changed: Any) -> Telemetry:
    usual = Telemetry(
        network="line",
        node=node,
        id="0123456789abcdef-1",
        utc_s=1.0,
        level="fine",
        headline="Keys are served",
        state="RUN",
        up_s=1.0,
        relaying=True,
        emulation=False,
        alarms=0,
        worst="",
    )
    return msgspec.structs.replace(usual, **changed)


def end(name: str, neighbour: str, **changed: Any) -> LinkState:
    usual = LinkState(
        name=name,
        neighbour=neighbour,
        state="RUN",
        phase="",
        running=True,
        qber=0.02,
        secret_key_rate=1e3,
        stock_bits=10,
    )
    return msgspec.structs.replace(usual, **changed)


def heard(*messages: Telemetry | Alarm) -> NetworkView:
    view = NetworkView("line")
    for message in messages:
        kind = "alarm" if isinstance(message, Alarm) else "telemetry"
        assert view.take(f"tokaido.line.{message.node}.{kind}", encode(message)) is not None
    return view


def test_a_network_on_the_bus_is_shown_as_its_nodes_tell() -> None:
    ready = PairState(neighbour="kobe", ready=30, target=40, in_flight=0, held=0, demand=0.5)
    raised = Alarm(
        network="line",
        node="kobe",
        id="0123456789abcdef-2",
        utc_s=1_794_000_000.0,
        change="raised",
        code="FIBRE",
        of="west",
        severity="MAJOR",
        text="no light",
    )
    view = heard(
        telemetry("tokyo", links=(end("east", "nagoya"),), pairs=(ready,)),
        telemetry("nagoya", links=(end("east", "tokyo", running=False), end("west", "kobe"))),
        telemetry("kobe", level="odd", alarms=2, worst="STORE", headline="no store", links=(end("west", "nagoya"),)),
        raised,
    )
    state = state_of_view(view, topology(), utc_s=9.0, routes={frozenset(("kobe", "tokyo")): ROUTE[::-1]})
    assert [(site.name, site.level) for site in state.sites] == [
        ("tokyo", "fine"),
        ("nagoya", "fine"),
        ("kobe", "not serving"),
    ]
    assert [(span.name, span.running) for span in state.spans] == [("east", False), ("west", True)]
    assert [(one.route, one.reserve_s, one.target) for one in state.pairs] == [(ROUTE, 60.0, 40)]
    assert [(one.code, one.raised) for one in state.sites[2].alarms] == [
        ("STORE", ""),
        ("FIBRE", "2026-11-06T21:20:00+00:00"),
    ]
    alone = state_of_view(view, None, utc_s=9.0)
    assert not alone.geography
    assert {site.name for site in alone.sites} == set(ROUTE)
    assert {(span.name, frozenset(span.ends)) for span in alone.spans} == {
        ("east", frozenset(("tokyo", "nagoya"))),
        ("west", frozenset(("nagoya", "kobe"))),
    }
    assert msgspec.json.decode(msgspec.json.encode(alone), type=PageState) == alone


def test_a_topology_of_another_network_is_refused(tmp_path: Path) -> None:
    files = TlsFiles(tmp_path / "a", tmp_path / "b", tmp_path / "c")
    with pytest.raises(ConfigurationError, match="that of line, and the bus that of other"):
        BusSource(EventsSettings("other", ("tls://192.0.2.1:4222",), files), topology())
