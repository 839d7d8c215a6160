"""What a node says of itself: the level, the worst thing, and what to do."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tokaido.hal import KeyBlock, Quality, Reading, Severity, Telemetry, UnitState
from tokaido.node import core
from tokaido.node.core import ApplicationSettings, CoreSettings, NodeCore, Snapshot
from tokaido.node.operation import AlarmBook, NodeStatus, StoreLine, judged, survey
from tokaido.node.supervision import BlockDrawn, LinkEnd, SupervisionSettings, Supervisor, UnitOrder, UnitRead
from tokaido_testing.node_lines import LINK, NEIGHBOUR, PAIR, TAMPER, but
from tokaido_testing.toy_clock import ToyClock

if TYPE_CHECKING:
    from tokaido.node.core import Clear, Fetch, Raise

OPEN = StoreLine(open=True)


def judge(**changes: Any) -> tuple[str, str, str]:
    of: dict[str, Any] = {
        "store": OPEN,
        "draining": False,
        "links": [LINK],
        "pairs": [PAIR],
        "neighbours": [NEIGHBOUR],
        "alarms": [],
    }
    return judged(**{**of, **changes})


EMPTY = but(PAIR, ready=0)


@pytest.mark.parametrize(
    ("changes", "level", "headline", "to_do"),
    [
        ({}, "fine", "Keys are served", ""),
        ({"alarms": [TAMPER]}, "degraded", "Keys are served, and TAMPER of alice: the cover", "Go to the unit"),
        ({"alarms": [but(TAMPER, severity="MINOR")]}, "fine", "Keys are served", ""),
        ({"links": [but(LINK, running=False)]}, "degraded", "Keys are served from stock; field makes none", "Look"),
        ({"neighbours": [but(NEIGHBOUR, up=False)]}, "degraded", "koganei is silent", "See whether it"),
        ({"pairs": [PAIR, but(EMPTY, neighbour="nagoya")]}, "degraded", "but none to nagoya", "Look at the link to it"),
        ({"pairs": [EMPTY]}, "not serving", "NO KEYS ARE SERVED: no key is ready for koganei", "Look at the links"),
        ({"pairs": [EMPTY], "alarms": [TAMPER]}, "not serving", "NO KEYS ARE SERVED: TAMPER of alice", "Go to"),
        ({"draining": True}, "not serving", "the node is draining", "Nothing"),
        ({"pairs": [but(EMPTY, target=0)]}, "fine", "Keys are relayed", ""),
        ({"pairs": [PAIR, but(EMPTY, neighbour="nagoya", target=0)]}, "fine", "Keys are served", ""),
        ({"pairs": [], "links": [but(LINK, running=False)]}, "degraded", "Keys are relayed from stock; field", "Look"),
        (
            {"store": StoreLine(open=False, why="the disk is full")},
            "not serving",
            "NO KEYS ARE SERVED: the disk is full",
            "Look at the disk",
        ),
    ],
)
def test_the_first_line_says_whether_keys_are_served_and_the_worst_thing(
    changes: dict[str, Any], level: str, headline: str, to_do: str
) -> None:
    found = judge(**changes)
    assert found[0] == level
    assert headline in found[1]
    assert found[2].startswith(to_do)
    assert bool(found[2]) == (level != "fine")


class Nowhere:
    def block_offered(self, end: LinkEnd, draw: int, block: KeyBlock) -> None: ...
    def not_fetched(self, end: LinkEnd, action: Fetch, why: str) -> None: ...
    def attempt(self, end: LinkEnd, order: UnitOrder) -> None: ...
    def alarm(self, action: Raise | Clear) -> None: ...


SETTINGS = CoreSettings(
    "otemachi",
    {"koganei": core.NeighbourSettings("koganei", (core.LinkSettings("field"),))},
    {"sae-1": ApplicationSettings("sae-1", "otemachi"), "sae-2": ApplicationSettings("sae-2", "koganei")},
)


def surveyed(keys: core.NodeStatus | None, *, age_s: float = 110.0) -> NodeStatus:
    clock = ToyClock()
    end = LinkEnd(
        Supervisor("field", "alice", SupervisionSettings(), random=Random(1).random), Nowhere(), lambda: 100.0
    )
    readings = Telemetry({"qber": Reading(0.031, "", 0, 0.0, Quality.GOOD)})
    end.feed(UnitRead(UnitState.RUN, authentication_bits=30_000, readings=readings))
    end.feed(BlockDrawn())
    book = AlarmBook(lambda change: None, hold_off_s=0, clock=clock)
    book.raise_("LOS", Severity.MAJOR, "alice", "no clock light")
    return survey(
        node="otemachi",
        utc_s=1_800_000_000.0,
        age_s=age_s,
        up_s=10.0,
        keys=keys,
        store=OPEN,
        ends=[end],
        applications=SETTINGS.applications,
        alarms=book.standing(),
    )


def test_a_status_is_put_together_from_core_supervisors_and_alarms() -> None:
    one = NodeCore(SETTINGS, Snapshot(), bytes(16))
    status = surveyed(one.status())
    [link] = status.links
    assert (link.name, link.device, link.neighbour, link.state) == ("field", "alice", "koganei", "RUN")
    assert (link.qber, link.authentication_bits, link.since_block_s, link.answered_s) == (0.031, 30_000, 10.0, 10.0)
    assert (link.secret_key_rate, link.reserve_s) == (None, None)
    assert [(one.name, one.here) for one in status.applications] == [("sae-1", True), ("sae-2", False)]
    assert [(alarm.code, alarm.of) for alarm in status.alarms] == [("LOS", "alice")]
    assert status.level == "not serving"  # nothing is ready yet
    assert "LOS of alice" in status.headline
    assert status.utc == "2027-01-15T08:00:00Z"


def test_an_alarm_is_as_old_as_the_monotonic_clock_says() -> None:
    assert [alarm.age_s for alarm in surveyed(None, age_s=1060.0).alarms] == [60.0]


def test_a_node_without_a_core_serves_nothing() -> None:
    status = surveyed(None)
    assert (status.level, status.store.open) == ("not serving", False)
    assert status.links[0].state == "RUN"


def test_a_status_crosses_the_wire_and_is_json() -> None:
    status = surveyed(NodeCore(SETTINGS, Snapshot(), bytes(16)).status())
    assert msgspec.convert(msgspec.msgpack.decode(msgspec.msgpack.encode(status)), NodeStatus) == status
    assert msgspec.json.decode(msgspec.json.encode(status))["version"] == 1
