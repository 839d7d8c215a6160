"""A node daemon with a table `events`: orders and their audit, roles at SIGHUP, topologies, mistakes of its file."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import SYSTEM_CLOCK, AuthenticationError, ConfigurationError, Deadline, NotConnectedError
from tokaido.node import NodeFile
from tokaido.node.events import NetworkClient
from tokaido.node.node_file import control_socket
from tokaido.node.operation import ControlClient
from tokaido.node.store import SqliteStore, wrapping_key_from_file
from tokaido.node.topology import new_signing_key, sign
from tokaido_testing.console_runs import run_console
from tokaido_testing.hubs import Hub, needs_a_hub
from tokaido_testing.node_files import HEAD, living, make_site
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

STOP: dict[str, object] = {"do": "relay", "on": False}
NODE = """
[topology]
file = "line.signed.toml"
public_key = "signing/topology.pub"
"""
TOPOLOGY = """
[topology]
network = "tokyo"
serial = {serial}
valid_from = {begin}
[nodes.otemachi]
url = "https://127.0.0.1:1"
[nodes.{other}]
url = "https://127.0.0.1:2"
[links.field]
ends = ["otemachi", "{other}"]
[[pairs]]
ends = ["otemachi", "{other}"]
stock = {stock}
"""


def signed(
    folder: Path, serial: int, *, stock: int = 8, other: str = "koganei", begin: str = "2026-01-01T00:00:00Z"
) -> Path:
    """Return a signed topology."""
    path = folder / f"line-{serial}.toml"
    text = TOPOLOGY.format(serial=serial, stock=stock, other=other, begin=begin)
    path.write_text(text, encoding="utf-8")
    sign(path, folder / "signing" / "topology.key", output := path.with_suffix(".signed.toml"))
    return output


def write(folder: Path, hub: Hub, roles: Sequence[str], more: str = "") -> None:
    head = HEAD.format(name="otemachi", pki=hub.pki)
    table = hub.table({"ann": roles}).replace("[events]\n", f"[events]\n{more}")
    (folder / "node.toml").write_text(head + NODE + table.format(node="otemachi"), encoding="utf-8")


def until(condition: Callable[[], bool]) -> None:
    deadline = Deadline(SYSTEM_CLOCK, patient(15))
    while not condition():
        assert not deadline.passed
        SYSTEM_CLOCK.wait(0.05)


@needs_a_hub
def test_a_daemon_takes_orders_roles_and_topologies(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub", ("otemachi",))
    make_site(tmp_path)
    new_signing_key(tmp_path / "signing")
    signed(tmp_path, 3).rename(tmp_path / "line.signed.toml")
    write(tmp_path, hub, ["viewer"], "topology = true\n")
    file = str(hub.network_file("operator-ann"))

    async def order(wanted: dict[str, object]) -> tuple[bool, str]:
        async with NetworkClient(hub.settings("operator-ann")) as client:
            while True:
                with suppress(NotConnectedError):  # it is just taking new files
                    answer = await client.command("otemachi", wanted, within_s=250)  # its clock is hasty
                    return answer.ok, answer.error
                await asyncio.sleep(0.05)

    async def hand_out(path: Path) -> None:
        async with NetworkClient(hub.settings("operator-ann")) as client:
            await client.publish_topology(path, tmp_path / "signing" / "topology.pub")

    def work(control: ControlClient) -> None:
        def stock() -> int:
            return next(pair.target for pair in control.status().pairs)

        until(lambda: "BUS_LOST" not in {alarm.code for alarm in control.status().alarms})
        assert asyncio.run(order(STOP)) == (False, "ROLE")
        write(tmp_path, hub, ["operator", "maintenance"], "topology = true\n")
        assert control.reload() == ()
        assert asyncio.run(order(STOP)) == (True, "")
        assert control.status().relaying is False

        assert stock() == 8
        key = str(tmp_path / "signing" / "topology.pub")
        ran = run_console(
            "network", "topology", str(signed(tmp_path, 4, stock=20)), "--public-key", key, "--network", file
        )
        assert ran.code == 0, ran.err
        until(lambda: stock() == 20)
        for bad in (signed(tmp_path, 5, other="kobe"), signed(tmp_path, 6, begin="2126-01-01T00:00:00Z")):
            asyncio.run(hand_out(bad))  # rightly signed, and not for this node now
        forged = tmp_path / "forged.toml"
        forged.write_bytes((tmp_path / "line-4.signed.toml").read_bytes().replace(b"stock = 20", b"stock = 99"))
        with pytest.raises(AuthenticationError):
            asyncio.run(hand_out(forged))
        asyncio.run(hand_out(signed(tmp_path, 7, stock=30)))
        until(lambda: stock() == 30)
        assert b"serial = 7" in (tmp_path / "line.signed.toml").read_bytes()
        assert asyncio.run(order({"do": "drain", "why": "the test is over"})) == (True, "")  # it answers before it ends

    async def streams() -> None:
        async with NetworkClient(hub.settings("operator-ann")) as client:
            await client.make_streams(1)

    with hub:
        asyncio.run(streams())
        living(tmp_path, lambda _: work(ControlClient(control_socket(tmp_path / "node.toml"))))
    with wrapping_key_from_file(tmp_path / "store.key") as wrapping:
        store = SqliteStore.open(tmp_path / "keys.sqlite", wrapping)
    acts = [(row.who, row.place, row.what) for row in store.records.audit_log()]
    store.close()
    assert ("ann", "bus, by certificate", "relay no more") in acts
    assert sum(what == "relay no more" for _, _, what in acts) == 1
    assert ("ann", "bus, by certificate", "drain") in acts


@pytest.mark.parametrize(
    ("table", "mistake"),
    [
        ('network = "a.b"\nservers = ["tls://h:1"]', "events.network: must be a name"),
        ('network = "line"\nservers = ["nats://h:1"]', "events.servers: must be a list of servers"),
        ('network = "line"', "servers is missing"),
        ('network = "line"\nservers = ["tls://h:1"]\ncertificate = "x.pem"', "key is missing"),
        ('network = "line"\nservers = ["tls://h:1"]\n[events.operators.ann]\nroles = ["king"]', "each one of viewer"),
        ('network = "line"\nservers = ["tls://h:1"]\nevery_s = 0', "events.every_s: must be a number of seconds"),
    ],
)
def test_mistakes_of_the_table_are_told(tmp_path: Path, certificates: Path, table: str, mistake: str) -> None:
    make_site(tmp_path)
    text = HEAD.format(name="otemachi", pki=certificates) + '[neighbours.koganei]\nurl = "https://h:1"\n'
    with pytest.raises(ConfigurationError) as caught:
        NodeFile.from_text(f"{text}[events]\n{table}\n", tmp_path)
    assert any(mistake in one for one in caught.value.mistakes), caught.value.mistakes


def test_no_node_on_a_bus_is_called_as_a_subject(tmp_path: Path, certificates: Path) -> None:
    make_site(tmp_path, name="command")
    text = HEAD.format(name="command", pki=certificates) + '[neighbours.koganei]\nurl = "https://h:1"\n'
    NodeFile.from_text(text, tmp_path)
    with pytest.raises(ConfigurationError, match="no node on a bus may be called 'command'"):
        NodeFile.from_text(f'{text}[events]\nnetwork = "line"\nservers = ["tls://h:1"]\n', tmp_path)
