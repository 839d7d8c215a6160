"""A node daemon with a control endpoint, asked and ordered by the driver `repeater.node`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido_testing.node_files import living, make_node
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.node import NodeDaemon

NODE = """
[neighbours.koganei]
url = "https://127.0.0.1:1"
[endpoint]
listen = "127.0.0.1:0"
key_file = "node.key_secret"
[endpoint.clients.vic]
key_file = "viewer.key"
roles = ["viewer"]
[endpoint.clients.ann]
key_file = "ann.key"
roles = ["maintenance", "security-officer"]
"""


@pytest.fixture
def folder(tmp_path: Path, certificates: Path) -> Path:
    make_node(tmp_path, certificates, NODE, name="maibara")
    for name in ("node", "viewer", "ann", "stranger"):
        hal.create_curve_keys(tmp_path, name, durable=False)
    return tmp_path


def run(folder: Path, work: Callable[[Callable[[str], hal.RepeaterNode]], None]) -> None:
    """Run the node while `work` opens drivers on it, and end it."""

    def asked(daemon: NodeDaemon) -> None:
        def opened(who: str) -> hal.RepeaterNode:
            keys = f"server_key_file={folder}/node.key&client_key_file={folder}/{who}.key_secret"
            place = f"zmq:tcp://127.0.0.1:{daemon.ports['endpoint']}?{keys}"
            return hal.RepeaterNode.open("repeater.node", timeout=patient(5.0), control=place)

        work(opened)

    living(folder, asked)


def test_a_driver_reads_and_orders_a_daemon(folder: Path) -> None:
    def work(opened: Callable[[str], hal.RepeaterNode]) -> None:
        with opened("ann") as node:
            assert node.identity().serial_number == "maibara"
            assert node.state() is hal.RepeaterState.RELAYING
            assert [link.link for link in node.links] == ["field"]
            telemetry: Mapping[str, Any] = node.telemetry()
            assert telemetry["links[0].neighbour"].value == "koganei"
            assert telemetry["links[0].qber"].quality is hal.Quality.BAD
            assert telemetry["pairs[0].target"].value == 4096
            node.relaying = False
            assert node.state() is hal.RepeaterState.PAUSED
            node.start_relaying()
            assert node.state() is hal.RepeaterState.RELAYING
            events = node.events()
            assert [event.text for event in events.events if event.kind == "act"] == ["relay no more", "relay"]
            assert {event.by for event in events.events if event.kind == "act"} == {"ann"}
            assert node.events(events.last).events == ()

    run(folder, work)


def test_roles_decide_and_strangers_stay_outside(folder: Path) -> None:
    def work(opened: Callable[[str], hal.RepeaterNode]) -> None:
        with opened("viewer") as node:
            with pytest.raises(hal.RefusedError, match="takes the role operator or maintenance, and vic has viewer"):
                node.relaying = False
            with pytest.raises(hal.RefusedError, match="maintenance"):
                node.drain("for fun")
            assert node.state() is hal.RepeaterState.RELAYING
        with pytest.raises(hal.AuthenticationError):
            opened("stranger")

    run(folder, work)
