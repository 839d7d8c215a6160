"""Three nodes in a ring, fed by key managers: applications ask by ETSI GS QKD 014 for keys of two routes."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tokaido.emulators import launch
from tokaido.node import NodeDaemon, NodeFile
from tokaido.node.client import AsyncKeyClient, ClientKey, KeyManagerError, Reason
from tokaido.node.pki import files_of, issue
from tokaido.node.store import new_wrapping_key
from tokaido.node.topology import new_signing_key, sign
from tokaido_testing.patience import patient
from tokaido_testing.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

NODES = {"otemachi": "bank", "koganei": "hospital", "hachioji": "court"}
LINKS = {"north": ("otemachi", "koganei"), "west": ("koganei", "hachioji"), "south": ("hachioji", "otemachi")}
DISJOINT = {"tokaido_route_type": "disjoint"}


def write_topology(folder: Path, ports: Mapping[str, tuple[int, int]], links: Mapping[str, tuple[str, str]]) -> None:
    """Sign a topology whose pair otemachi and koganei keeps keys."""
    lines = ["[topology]", 'network = "ring"', "serial = 1", "valid_from = 2026-01-01T00:00:00Z"]
    lines += [f'[nodes.{node}]\nurl = "https://127.0.0.1:{ports[node][0]}"' for node in NODES]
    lines += [f'[links.{link}]\nends = ["{ends[0]}", "{ends[1]}"]' for link, ends in links.items()]
    lines += ['[[pairs]]\nends = ["otemachi", "koganei"]\nstock = 16', "[applications]"]
    lines += [f'{sae} = {{ node = "{node}" }}' for node, sae in NODES.items()]
    (folder / "ring.toml").write_text("\n".join(lines))
    private, _ = new_signing_key(folder / "signing")
    sign(folder / "ring.toml", private, folder / "ring.signed.toml")


def write(folder: Path, node: str, controls: Mapping[str, str], ports: Mapping[str, tuple[int, int]]) -> NodeFile:
    """Write the files of a node whose links are fed by key managers, and read them."""
    devices = "".join(
        f'[devices.{link}]\ndriver = "etsi014.source"\ntimeout = 5\ncontrol = "{control}"\n'
        for link, control in controls.items()
    )
    (folder / f"{node}-station.toml").write_text(f'[station]\nname = "{node}"\n{devices}')
    others = {link: next(end for end in LINKS[link] if end != node) for link in controls}
    links = "".join(f'[links.{link}]\nsource = "{link}"\nneighbour = "{other}"\n' for link, other in others.items())
    (folder / f"{node}.toml").write_text(
        f"""
[node]
name = "{node}"
station = "{node}-station.toml"
[topology]
file = "ring.signed.toml"
public_key = "signing/topology.pub"
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
{links}
[supervision]
poll_s = 0.2
"""
    )
    new_wrapping_key(folder / f"{node}.key")
    return NodeFile.read(folder / f"{node}.toml")


@contextlib.asynccontextmanager
async def running(files: list[NodeFile]) -> AsyncIterator[None]:
    """Run nodes until the end of the block."""
    daemons = [NodeDaemon(file) for file in files]
    ready = [asyncio.Event() for _ in daemons]
    lives = [asyncio.create_task(daemon.run(event.set)) for daemon, event in zip(daemons, ready, strict=True)]
    try:
        async with asyncio.timeout(patient(30)):
            await asyncio.gather(*(event.wait() for event in ready))
        yield
    finally:
        for daemon in daemons:
            daemon.stop()
        await asyncio.gather(*lives)


async def given(client: AsyncKeyClient, asked: Mapping[str, str]) -> ClientKey:
    """Ask again for as long as there is no key yet."""
    for _ in range(round(300 * patient(1.0))):
        try:
            (key,) = await client.enc_keys("hospital", mandatory=asked)
        except KeyManagerError as error:
            if error.reason not in {Reason.NO_KEY, Reason.STARTING, Reason.PEER_SILENT}:
                raise
            await asyncio.sleep(0.1)
        else:
            return key
    raise AssertionError(f"no key for {asked}")


def run(folder: Path, links: Mapping[str, tuple[str, str]], work: str) -> None:
    """Run three nodes that are joined by links, and what an application does there."""
    issue(folder / "pki", nodes=dict.fromkeys(NODES, ()), saes=list(NODES.values()))
    ports = {node: (free_port(), free_port()) for node in NODES}
    write_topology(folder, ports, links)

    async def live(files: list[NodeFile]) -> None:
        async with running(files):
            clients = {
                sae: AsyncKeyClient(f"https://127.0.0.1:{ports[node][1]}", files_of(folder / "pki", f"sae-{sae}"))
                for node, sae in NODES.items()
            }
            await (got_over_two(clients) if work == "two" else told_the_cut_node(clients))

    with contextlib.ExitStack() as stack:
        controls: dict[str, dict[str, str]] = {node: {} for node in NODES}
        for link, (one, other) in links.items():
            pair = launch("etsi014.source", directory=folder / link, stored=400, rate_per_s=200.0)
            stack.enter_context(pair)
            controls[one][link], controls[other][link] = pair.resources["control"], pair.counterpart["control"]
        asyncio.run(live([write(folder, node, controls[node], ports) for node in NODES]))


async def got_over_two(clients: Mapping[str, AsyncKeyClient]) -> None:
    bank, hospital = clients["bank"], clients["hospital"]
    plain = await given(bank, {})
    assert plain.route_type == ""
    made = await given(bank, DISJOINT)
    assert made.route_type == "disjoint"
    nonce = os.urandom(16)
    for key in (plain, made):
        (taken,) = await hospital.dec_keys("bank", [key.key_id])
        assert taken.key.digest(nonce) == key.key.digest(nonce)
        assert taken.route_type == key.route_type


async def told_the_cut_node(clients: Mapping[str, AsyncKeyClient]) -> None:
    bank = clients["bank"]
    await given(bank, {})
    with pytest.raises(KeyManagerError) as told:
        await bank.enc_keys("hospital", mandatory=DISJOINT)
    assert told.value.status == 400
    assert told.value.cut_nodes == ("hachioji",)
    (key,) = await bank.enc_keys("hospital", optional=DISJOINT)
    assert key.route_type == "relayed"


@pytest.mark.timeout(120)
def test_an_application_gets_keys_of_two_routes_and_its_peer_the_same(tmp_path: Path) -> None:
    run(tmp_path, LINKS, "two")


@pytest.mark.timeout(120)
def test_on_a_line_it_is_told_the_cut_node(tmp_path: Path) -> None:
    run(tmp_path, {link: ends for link, ends in LINKS.items() if link != "north"}, "line")
