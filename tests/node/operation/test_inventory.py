"""Another box under the name of a device is not used before somebody has accepted it, now or in a later life."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING

import pytest

from tokaido.emulators import QkdLink
from tokaido.hal import ConfigurationError, Identity, RefusedError
from tokaido.node.node_file import control_socket
from tokaido.node.operation import ControlClient
from tokaido.node.supervision import DeviceSeen, Done, Inventory, Sight, Source
from tokaido_testing.console_runs import run_console
from tokaido_testing.node_files import ALONE, HEAD, living, make_site, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tokaido.node.operation import NodeStatus
    from tokaido.node.supervision import Failed, UnitOrder

ONE, TWO = Identity("Toshiba", "TX", "TKTX0001", "1.0"), Identity("Toshiba", "TX", "TKTX0007", "1.0")


@pytest.fixture
def folder(tmp_path: Path, certificates: Path) -> Path:
    make_site(tmp_path, control=f"serial:{tmp_path}/alice?baudrate=115200")
    (tmp_path / "node.toml").write_text(HEAD.format(name="otemachi", pki=certificates) + ALONE, encoding="utf-8")
    return tmp_path


def run(folder: Path, work: Callable[[ControlClient], None]) -> None:
    living(folder, lambda _: work(ControlClient(control_socket(folder / "node.toml"))))


def codes(status: NodeStatus) -> dict[str, str]:
    return {alarm.code: alarm.cause for alarm in status.alarms if alarm.of in {"alice", "field"}}


@pytest.mark.timeout(180)
@pytest.mark.thorough
def test_another_box_is_not_used_before_somebody_accepts_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ordered: list[UnitOrder] = []
    obey = Source.carry_out

    def carry_out(source: Source, order: UnitOrder) -> Done | Failed:
        told = obey(source, order)
        if isinstance(told, Done):
            ordered.append(order)
        return told

    monkeypatch.setattr(Source, "carry_out", carry_out)

    def stand(resource: str) -> None:
        """Let the box of a resource stand where the station file says."""
        (folder / "alice").unlink(missing_ok=True)
        (folder / "alice").symlink_to(resource.removeprefix("serial:").partition("?")[0])

    def refused(client: ControlClient) -> None:
        status = until(client, lambda status: {"DEVICE_CHANGED", "NOT_ANSWERING"} <= set(codes(status)))
        assert codes(status)["NOT_ANSWERING"] == "DEVICE_CHANGED"
        [alarm] = [one for one in status.alarms if one.code == "DEVICE_CHANGED"]
        assert (alarm.severity, "TKTX0007" in alarm.text, "TKTX0001" in alarm.text) == ("CRITICAL", True, True)
        [line] = client.inventory()
        assert (line.serial_number, "TKTX0007" in line.waiting) == ("TKTX0001", True)

    with QkdLink.launch("toshiba", load_preshared_key=True, serial_numbers=("TKTX0007", None)) as other:
        second = other.transmitter
        with second.lock:
            second.model.prepare("STANDBY")  # type: ignore[attr-defined] # where an order is due
        with QkdLink.launch("toshiba", load_preshared_key=True) as link:
            first = link.transmitter
            stand(first.resources["control"])

            def work(client: ControlClient) -> None:
                until(client, lambda status: status.links[0].state not in {"", "OFF"})
                [line] = client.inventory()
                assert (line.device, line.serial_number, line.accepted_by) == ("alice", "TKTX0001", "first seen")
                stand(second.resources["control"])
                first.close()
                refused(client)
                ordered.clear()

            run(folder, work)

        def again(client: ControlClient) -> None:
            refused(client)
            node = str(folder / "node.toml")
            wrong = run_console("node", "inventory", "accept", node, "alice", "--serial", "TKTX0008")
            assert (wrong.code, "TKTX0007" in wrong.err) == (1, True)
            with pytest.raises(RefusedError, match=r"no other box waits under the name 'bob'. Waiting: alice"):
                client.accept_device("bob")
            assert not ordered
            words = ("node", "inventory", "accept", node, "alice", "--serial", "TKTX0007", "--note", "repaired")
            assert run_console(*words).code == 0
            status = until(client, lambda _: bool(ordered))  # the node goes on with it
            assert "DEVICE_CHANGED" not in codes(status)
            shown = json.loads(run_console("node", "inventory", "show", node, "--json").out)
            [line] = shown["devices"]
            assert (line["serial_number"], line["accepted_by"], line["waiting"]) == ("TKTX0007", getpass.getuser(), "")
            rows = [(row.who, row.what.partition(":")[0], row.why) for row in client.audit_log()]
            assert ("node", "take alice as first seen", "") in rows
            assert rows.count(("node", "refuse alice", "")) == 2
            assert (getpass.getuser(), "accept alice", "repaired") in rows

        run(folder, again)

        def last(client: ControlClient) -> None:
            until(client, lambda status: status.links[0].answered_s is not None)
            assert "DEVICE_CHANGED" not in codes(client.status())

        run(folder, last)


def told_by(inventory: Inventory) -> list[DeviceSeen]:
    told: list[DeviceSeen] = []
    inventory.tell = told.append
    return told


def test_the_first_box_is_taken_and_another_one_waits() -> None:
    inventory = Inventory()
    told = told_by(inventory)
    for _ in range(3):
        inventory.admit("alice", ONE)
    for _ in range(3):
        with pytest.raises(RefusedError, match=r"TKTX0007.*TKTX0001.*was accepted"):
            inventory.admit("alice", TWO)
    assert inventory.held("alice")
    assert [one.sight for one in told] == [Sight.FIRST, Sight.CHANGED]
    inventory.admit("alice", ONE)
    assert (told[-1].sight, inventory.held("alice")) == (Sight.BACK, False)
    with pytest.raises(ConfigurationError, match="Waiting: none"):
        inventory.waiting("alice")


def test_another_firmware_is_noted_and_used() -> None:
    inventory = Inventory()
    inventory.know({"alice": ONE})
    told = told_by(inventory)
    newer = Identity("Toshiba", "TX", "TKTX0001", "1.1")
    inventory.admit("alice", newer)
    inventory.admit("alice", newer)
    assert [(one.sight, one.accepted) for one in told] == [(Sight.UPDATED, ONE)]


def test_a_box_that_is_accepted_is_the_one_that_counts() -> None:
    inventory = Inventory()
    inventory.know({"alice": ONE})
    with pytest.raises(RefusedError):
        inventory.admit("alice", TWO)
    inventory.accept("alice", inventory.waiting("alice"))
    inventory.admit("alice", TWO)
    with pytest.raises(RefusedError):
        inventory.admit("alice", ONE)
