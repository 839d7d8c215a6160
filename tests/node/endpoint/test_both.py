"""One suite, through the driver, for both who serve TRN1: the emulated repeater, and a daemon in its own process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido.node.store import new_wrapping_key
from tokaido_testing.node_files import HEAD
from tokaido_testing.patience import patient
from tokaido_testing.ports import free_port

STATION = """
[station]
name = "maibara"
[devices.alice]
driver = "toshiba.transmitter"
control = "serial:/nowhere/at/all"
[devices.bob]
driver = "toshiba.transmitter"
control = "serial:/nowhere/at/all/2"
[links.maibara-west]
unit = "alice"
neighbour = "west"
[links.maibara-east]
unit = "bob"
neighbour = "east"
"""
NODE = """
[neighbours.west]
url = "https://127.0.0.1:1"
stock = 64
[neighbours.east]
url = "https://127.0.0.1:1"
stock = 64
[endpoint]
listen = "127.0.0.1:0"
key_file = "node.key_secret"
[endpoint.clients.host]
key_file = "host.key"
roles = ["operator", "maintenance", "security-officer"]
[endpoint.clients.vic]
key_file = "vic.key"
roles = ["viewer"]
"""
Opens = Callable[..., hal.RepeaterNode]


@contextmanager
def emulated(_folder: Path, _certificates: Path) -> Iterator[Opens]:
    with ExitStack() as stack:

        def opened(who: str = "host", **options: Any) -> hal.RepeaterNode:
            roles = {"roles": "viewer"} if who == "vic" else {}
            emulator = stack.enter_context(launch("repeater.node", seed=1, model_options=roles))
            return hal.RepeaterNode.open("repeater.node", timeout=patient(5.0), **emulator.resources, **options)

        yield opened


@contextmanager
def daemon(folder: Path, certificates: Path) -> Iterator[Opens]:
    (folder / "station.toml").write_text(STATION, encoding="utf-8")
    (folder / "node.toml").write_text(HEAD.format(name="maibara", pki=certificates) + NODE, encoding="utf-8")
    new_wrapping_key(folder / "store.key")
    for name in ("node", "host", "vic"):
        hal.create_curve_keys(folder, name, durable=False)
    port = free_port()
    text = (folder / "node.toml").read_text(encoding="utf-8")
    (folder / "node.toml").write_text(text.replace('listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{port}"'), "utf-8")
    program = "from tokaido.console import main; main()"
    command = [sys.executable, "-c", program, "node", "run", str(folder / "node.toml")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)

    def opened(who: str = "host", **options: Any) -> hal.RepeaterNode:
        keys = f"server_key_file={folder}/node.key&client_key_file={folder}/{who}.key_secret"
        place = f"zmq:tcp://127.0.0.1:{port}?{keys}"
        deadline = hal.Deadline(hal.SYSTEM_CLOCK, 60)
        while True:
            try:
                return hal.RepeaterNode.open("repeater.node", timeout=patient(5.0), control=place, **options)
            except hal.NotConnectedError:  # it is still starting
                log = (folder / "log").read_text(encoding="utf-8")
                assert process.poll() is None, log
                assert not deadline.passed, log
                hal.SYSTEM_CLOCK.wait(0.05)

    try:
        yield opened
    finally:
        process.terminate()
        assert process.wait(60) in {0, -signal.SIGTERM}  # one that was drained may be past its handlers


@pytest.fixture(params=[emulated, daemon])
def opened(request: pytest.FixtureRequest, tmp_path: Path, certificates: Path) -> Iterator[Opens]:
    with request.param(tmp_path, certificates) as opens:
        yield opens


def test_it_says_who_it_is_and_what_it_has(opened: Opens) -> None:
    with opened(serial_number="maibara") as node:
        identity = node.identity()
        assert (identity.vendor, identity.model, identity.serial_number) == ("Tokaido", "repeater node", "maibara")
        assert {link.link for link in node.links} <= {"maibara-west", "maibara-east"}
        assert [one.node for one in node.neighbours] == [one.node for one in node.pairs] == ["west", "east"]
        assert node.capabilities >= {hal.RepeaterCapability.MAINTENANCE, hal.RepeaterCapability.DRAIN}
        assert hal.RepeaterCapability.SWITCH_MOVE not in node.capabilities
    with pytest.raises(hal.WrongDeviceError):
        opened(serial_number="otsu")


def test_every_value_is_right_or_says_why_it_is_not_there(opened: Opens) -> None:
    with opened() as node:
        readings = node.telemetry()
        assert set(node.value_paths()) == set(readings)
        for path, reading in readings.items():
            owner, value = node.find(path)
            try:
                got = owner.read(value)
            except hal.NoDataError:
                assert reading.quality is hal.Quality.BAD, path
            else:
                assert isinstance(got, value.kind), path
        assert [pair.target for pair in node.pairs] == [64, 64]
        assert abs(node.utc - hal.SYSTEM_CLOCK.utc_ns() / hal.NS_PER_S) < 60
        assert node.snapshot()["errors"] == []


def test_relaying_stops_and_starts_and_both_are_events(opened: Opens) -> None:
    with opened() as node:
        before = node.events()
        node.apply_safe_state()
        assert node.state() is hal.RepeaterState.PAUSED
        assert not node.telemetry()[hal.RepeaterNode.relaying].value
        node.start_relaying()
        assert node.state() is hal.RepeaterState.RELAYING
        after = node.events(before.last)
        assert (after.run, after.lost) == (before.run, 0)
        acts = [(event.by, event.text) for event in after.events if event.kind == "act"]
        assert acts == [("host", "relay no more"), ("host", "relay")]


def test_maintenance_has_an_end_and_unknown_links_are_refused(opened: Opens) -> None:
    with opened() as node:
        link = node.links[0]
        end_s = float(round(node.utc) + 3600)
        node.maintain(link.link, until_utc_s=end_s, note="a new laser")
        assert link.maintained_until == end_s
        node.end_maintenance(link.link)
        assert link.maintained_until == 0.0
        refusals: list[Callable[[], None]] = [
            lambda: node.maintain(link.link, until_utc_s=1.0),
            lambda: node.maintain("kobe"),
            lambda: node.resume("kobe"),
            lambda: node.acknowledge("TAMPER", "alice"),
        ]
        for refused in refusals:
            with pytest.raises(hal.RefusedError):
                refused()
        node.resume(link.link)
        texts = [event.text for event in node.events().events if event.kind == "act"]
        name = link.link
        assert texts == [
            f"begin maintenance of {name}: a new laser",
            f"end maintenance of {name}",
            f"resume {name}",
        ]


def test_a_viewer_looks_and_orders_nothing(opened: Opens) -> None:
    with opened("vic") as node:
        assert node.state() is hal.RepeaterState.RELAYING
        link = node.links[0].link
        for order in (
            node.stop_relaying,
            lambda: node.resume(link),
            lambda: node.acknowledge("TAMPER", "alice"),
            lambda: node.maintain(link),
            lambda: node.drain("for fun"),
        ):
            with pytest.raises(hal.RefusedError) as caught:
                order()
            assert caught.value.code == "ROLE"
        assert node.events().events == () or all(event.kind != "act" for event in node.events().events)
        assert node.state() is hal.RepeaterState.RELAYING


def test_a_drained_node_ends_what_is_under_way(opened: Opens) -> None:
    with opened() as node:
        node.drain("a new disk")
        deadline = hal.Deadline(hal.SYSTEM_CLOCK, patient(20.0))
        while True:  # a daemon that has ended answers no more
            try:
                if node.state() is hal.RepeaterState.DRAINING:
                    break
            except hal.TransportError:
                break
            assert not deadline.passed
