"""A node daemon with a control endpoint, asked and ordered by the driver `repeater.node`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import QkdLink
from tokaido.node.store import DeviceRow, SqliteStore, wrapping_key_from_file
from tokaido_testing.node_files import STATION, living, make_node
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


def test_the_security_officer_accepts_another_box_through_the_driver(folder: Path) -> None:
    def work(opened: Callable[[str], hal.RepeaterNode]) -> None:
        with opened("ann") as node, opened("viewer") as viewer:
            deadline = hal.Deadline(hal.SYSTEM_CLOCK, patient(20.0))
            while "DEVICE_CHANGED" not in {alarm.code for alarm in node.alarms()}:
                assert not deadline.passed
                hal.SYSTEM_CLOCK.wait(0.02)
            assert hal.RepeaterCapability.INVENTORY in node.capabilities
            with pytest.raises(hal.RefusedError, match="takes the role security-officer"):
                viewer.accept_device("alice")
            with pytest.raises(hal.RefusedError, match="no other box waits under the name 'bob'"):
                node.accept_device("bob")
            with pytest.raises(hal.RefusedError, match=r"another box waits there.*TKTX0001"):
                node.accept_device("alice", serial_number="TKTX0008")
            node.accept_device("alice", serial_number="TKTX0001", note="repaired")
            deadline = hal.Deadline(hal.SYSTEM_CLOCK, patient(20.0))
            while "DEVICE_CHANGED" in {alarm.code for alarm in node.alarms()}:
                assert not deadline.passed
                hal.SYSTEM_CLOCK.wait(0.02)
            acts = [(event.by, event.text) for event in node.events().events if event.kind == "act"]
            assert [(by, text.startswith("accept alice")) for by, text in acts] == [("ann", True)]
            deadline = hal.Deadline(hal.SYSTEM_CLOCK, patient(20.0))
            while node.telemetry()["links[0].availability"].value is None:
                assert not deadline.passed
                hal.SYSTEM_CLOCK.wait(0.05)
            assert 0.0 <= node.links[0].availability <= 1.0

    with QkdLink.launch("toshiba", load_preshared_key=True) as link:
        station = STATION.format(name="maibara", control=link.transmitter.resources["control"])
        (folder / "station.toml").write_text(station, encoding="utf-8")
        with wrapping_key_from_file(folder / "store.key") as key:
            store = SqliteStore.open(folder / "keys.sqlite", key, create=True)
        store.records.set_device(DeviceRow("alice", "TKTX0007", True, "Toshiba", "TX", "1.0", 1.8e9, "first seen"))
        store.close()
        run(folder, work)
