"""Two nodes whose link is a pair of key managers of ETSI GS QKD 014, as real equipment gives its keys."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tokaido.emulators import launch
from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, Clock, ConfigurationError
from tokaido.node import NodeDaemon, NodeFile
from tokaido.node.client import AsyncKeyClient, KeyManagerError
from tokaido.node.operation import ControlClient
from tokaido.node.pki import files_of, issue
from tokaido.node.store import new_wrapping_key
from tokaido_testing.patience import patient
from tokaido_testing.ports import free_port

NODES = {"otemachi": "bank", "koganei": "hospital"}


def write(folder: Path, node: str, control: str, ports: Mapping[str, tuple[int, int]]) -> NodeFile:
    """Write the files of a node whose one device is a key manager, and read them."""
    (other,) = NODES.keys() - {node}
    (folder / f"{node}-station.toml").write_text(
        f'[station]\nname = "{node}"\n[devices.kme]\ndriver = "etsi014.source"\ntimeout = 5\ncontrol = "{control}"\n'
    )
    (folder / f"{node}.toml").write_text(
        f"""
[node]
name = "{node}"
station = "{node}-station.toml"
[store]
path = "{node}.sqlite"
key_file = "{node}.key"
[tls]
certificate = "pki/node-{node}.pem"
key = "pki/node-{node}.key"
authority = "pki/ca.pem"
revoked = "pki/crl.pem"
[listen]
neighbours = "127.0.0.1:{ports[node][0]}"
applications = "127.0.0.1:{ports[node][1]}"
[links.bought]
source = "kme"
neighbour = "{other}"
[neighbours.{other}]
url = "https://127.0.0.1:{ports[other][0]}"
stock = 16
batch = 8
[applications]
{"".join(f'{sae} = {{ node = "{at}" }}' + chr(10) for at, sae in NODES.items())}
[supervision]
poll_s = 0.2
"""
    )
    new_wrapping_key(folder / f"{node}.key")
    return NodeFile.read(folder / f"{node}.toml")


@asynccontextmanager
async def running(file: NodeFile, clock: Clock = SYSTEM_CLOCK) -> AsyncIterator[NodeDaemon]:
    daemon, ready = NodeDaemon(file, clock=clock), asyncio.Event()
    life = asyncio.create_task(daemon.run(ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({life, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield daemon
    finally:
        daemon.stop()
        await life


async def stocked(client: AsyncKeyClient, other: str, least: int) -> None:
    for _ in range(round(300 * patient(1.0))):
        if (await client.status(other)).stored_key_count >= least:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"no stock: {await client.status(other)}")


class SetClock:
    """The machine's clock, whose time of day is set by hand."""

    def __init__(self) -> None:
        self.ahead_s = 0

    def monotonic_ns(self) -> int:
        return SYSTEM_CLOCK.monotonic_ns()

    def utc_ns(self) -> int:
        return SYSTEM_CLOCK.utc_ns() + self.ahead_s * NS_PER_S

    def wait(self, seconds: float, event: threading.Event | None = None) -> bool:
        return SYSTEM_CLOCK.wait(seconds, event)


@pytest.mark.timeout(120)
@pytest.mark.thorough
def test_a_time_of_day_that_is_set_changes_nothing_for_keys_and_alarms(tmp_path: Path) -> None:
    issue(tmp_path / "pki", nodes=dict.fromkeys(NODES, ()), saes=list(NODES.values()))
    ports = {node: (free_port(), free_port()) for node in NODES}
    clock = SetClock()

    async def work(first: NodeFile, second: NodeFile) -> None:
        control = ControlClient(first.control)
        async with running(first, clock) as daemon, running(second, clock):
            bank, hospital = (
                AsyncKeyClient(f"https://127.0.0.1:{ports[node][1]}", files_of(tmp_path / "pki", f"sae-{sae}"))
                for node, sae in NODES.items()
            )
            async with bank, hospital:
                await stocked(bank, "hospital", 8)
                given = await bank.enc_keys("hospital", number=1)
                for ahead_s in (10 * 3600, -30 * 3600, 0):
                    clock.ahead_s = ahead_s
                    before = given
                    given = await bank.enc_keys("hospital", number=1)
                    for key in before:
                        [taken] = await hospital.dec_keys("bank", [key.key_id])
                        assert taken.key.digest(bytes(16)) == key.key.digest(bytes(16))
                    status = await asyncio.to_thread(control.status)
                    assert status.up_s < 120
                    assert status.neighbours[0].up
                    assert (status.links[0].answered_s or 0.0) < 60
                    assert all(alarm.age_s < 120 for alarm in status.alarms)
                clock.ahead_s = 10 * 365 * 86400
                with pytest.raises(ConfigurationError, match="ended on"):
                    daemon.take_file()
                await bank.enc_keys("hospital", number=1)
                clock.ahead_s = 0
                assert daemon.take_file() == ()

    with launch("etsi014.source", directory=tmp_path / "kme", stored=400, rate_per_s=200.0) as pair:
        first = write(tmp_path, "otemachi", pair.resources["control"], ports)
        second = write(tmp_path, "koganei", pair.counterpart["control"], ports)
        asyncio.run(work(first, second))


@pytest.mark.timeout(120)
def test_keys_of_a_pair_of_key_managers_reach_the_applications_of_both_ends(tmp_path: Path) -> None:
    issue(tmp_path / "pki", nodes=dict.fromkeys(NODES, ()), saes=list(NODES.values()))
    ports = {node: (free_port(), free_port()) for node in NODES}

    async def work(first: NodeFile, second: NodeFile) -> None:
        async with running(first), running(second):
            bank, hospital = (
                AsyncKeyClient(f"https://127.0.0.1:{ports[node][1]}", files_of(tmp_path / "pki", f"sae-{sae}"))
                for node, sae in NODES.items()
            )
            async with bank, hospital:
                await stocked(bank, "hospital", 8)
                await stocked(hospital, "bank", 8)
                for master, slave, names in (
                    (bank, hospital, ("bank", "hospital")),
                    (hospital, bank, ("hospital", "bank")),
                ):
                    given = await master.enc_keys(names[1], number=3)
                    taken = await slave.dec_keys(names[0], [key.key_id for key in given])
                    nonce = os.urandom(16)
                    assert [key.key.digest(nonce) for key in given] == [key.key.digest(nonce) for key in taken]
                    with pytest.raises(KeyManagerError):
                        await slave.dec_keys(names[0], [given[0].key_id])

    with launch("etsi014.source", directory=tmp_path / "kme", stored=400, rate_per_s=200.0) as pair:
        first = write(tmp_path, "otemachi", pair.resources["control"], ports)
        second = write(tmp_path, "koganei", pair.counterpart["control"], ports)
        asyncio.run(work(first, second))
