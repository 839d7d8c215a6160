"""Who may let another box stand under the name of a device, over TRN1."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tokaido.hal.transports import CurveClient
from tokaido.node.endpoint import About, Desk, Order
from tokaido.node.operation import AcceptDevice, Events, NodeStatus
from tokaido_testing.node_lines import FINE

if TYPE_CHECKING:
    from collections.abc import Iterable

ASKED = {"do": "accept", "device": "alice", "serial_number": "TKTX0007", "note": "repaired"}


class Managed:
    """A node of which nothing is asked but its status."""

    events = Events("run")

    def status(self) -> NodeStatus:
        return FINE


def ask(roles: Iterable[str], asked: dict[str, Any], *, has_boxes: bool = True) -> Order | dict[str, Any]:
    identifier, body = bytes(7) + b"\1", msgspec.msgpack.encode(asked)
    check = zlib.crc32(identifier + body, zlib.crc32(b">")).to_bytes(4, "big")
    client = CurveClient(b"k" * 40, "ann", frozenset(roles))
    answer = Desk(Managed(), About("otemachi", "1", has_boxes=has_boxes)).hear(client, b"c", identifier + check + body)
    if isinstance(answer, Order):
        return answer
    assert answer is not None
    told: dict[str, Any] = msgspec.msgpack.decode(answer[12:])
    return told


def test_the_security_officer_may_accept_another_box() -> None:
    order = ask(["security-officer"], ASKED)
    assert isinstance(order, Order)
    assert order.request == AcceptDevice(device="alice", serial_number="TKTX0007", note="repaired")
    assert (order.peer.user, order.peer.place.startswith("control endpoint, key kkkkkkkk")) == ("ann", True)


@pytest.mark.parametrize("role", ["viewer", "operator", "maintenance"])
def test_nobody_else_may(role: str) -> None:
    told = ask([role], ASKED)
    assert isinstance(told, dict)
    assert (told["ok"], told["error"]) == (False, "ROLE")
    assert "takes the role security-officer" in told["text"]


def test_a_node_without_boxes_never_does_and_says_so_before() -> None:
    told = ask(["security-officer"], ASKED, has_boxes=False)
    assert isinstance(told, dict)
    assert (told["ok"], told["error"]) == (False, "UNSUPPORTED")
    greeting = {"do": "hello", "protocol": "TRN1", "who": "ann"}
    for has_boxes in (False, True):
        greeted = ask(["viewer"], greeting, has_boxes=has_boxes)
        assert isinstance(greeted, dict)
        assert ("inventory" in greeted["capabilities"]) == has_boxes
