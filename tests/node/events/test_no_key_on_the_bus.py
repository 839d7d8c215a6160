"""Daemons and emulated repeaters that relay and supply keys, on a bus: all is heard, and no message shows a key."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tokaido.emulators.repeater import RepeaterModel, RepeaterOnBus
from tokaido.node.core import PutBatch
from tokaido.node.events import Connection, NetworkClient, RelayState, Telemetry
from tokaido.node.node_file import control_socket
from tokaido.node.operation import ControlClient
from tokaido_testing.chaos_line import NODES, ChaosLine
from tokaido_testing.chaos_nodes import block
from tokaido_testing.hubs import Hub, needs_a_hub
from tokaido_testing.key_scan import found, pieces
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tokaido.hal import KeyBlockInfo, KeyMaterial
    from tokaido.node.core import Write
    from tokaido.node.events import Message

pytestmark = needs_a_hub


def alarms(folder: Path, node: str) -> set[str]:
    return {alarm.code for alarm in ControlClient(control_socket(folder / f"{node}.toml")).status().alarms}


async def watched(hub: Hub) -> list[Message]:
    """Make the streams, order a node, and return all that both nodes told within some time."""
    told: list[Message] = []
    async with NetworkClient(hub.settings("operator-ann")) as client:
        await client.make_streams(1)
        view = await client.watch(told.append)
        end_s = time.monotonic() + patient(20)
        while len(view.nodes) < 2 or _waiting(told) > 3:
            assert time.monotonic() < end_s, view.nodes
            await asyncio.sleep(0.05)
        for on in (False, True):
            answer = await client.command(NODES[0], {"do": "relay", "on": on})
            assert answer.ok, answer
        reader = client.reader()
        records: list[Message] = []
        while more := await reader.more():
            records += more
        assert view.refused == 0
        return records + [one for one in told if isinstance(one, Telemetry)]


def _waiting(told: list[Message]) -> int:
    last = {one.node: one.waiting for one in told if isinstance(one, Telemetry)}
    return max(last.values(), default=99)


async def betray(hub: Hub, node: str, secret: bytes) -> None:
    """Publish what no message of ours can hold."""
    connection = Connection(hub.settings(f"node-{node}"), f"node-{node}")
    await connection.open(hub.urls[0])
    for form in (secret, secret.hex().encode(), base64.b64encode(b"y" + secret)):
        await connection.publish(f"tokaido.line.{node}.alarm", form)
    await connection.close()


@pytest.mark.timeout(120)
def test_no_message_shows_a_key_and_nothing_needs_the_hub(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub", NODES, trace=True)
    with ChaosLine(tmp_path / "nodes", more="[alarms]\nhold_off_s = 0.2\n" + hub.table({"ann": ["operator"]})) as pair:
        for node in NODES:
            pair.start(node)
        pair.start_applications(1)
        pair.wait_for_shared(8, within_s=30)  # without a hub
        end_s = time.monotonic() + patient(15)
        while not all("BUS_LOST" in alarms(pair.folder, node) for node in NODES):
            assert time.monotonic() < end_s
            time.sleep(0.1)
        with hub:
            told = asyncio.run(watched(hub))
            pair.wait_for_shared(4, within_s=30)
            for node in NODES:
                pair.kill(node)
            counts = Counter(type(one).__name__ for one in told)
            relays = [one for one in told if isinstance(one, RelayState)]
            assert {one.state for one in relays} >= {"put", "ready"}
            assert {one.node for one in relays} == set(NODES)
            assert min(counts[name] for name in ("Telemetry", "RelayState", "ActDone", "Answer", "Alarm")) > 0, counts

            link = [block(number)[at : at + 24] for number in range(3) for at in (0, 12_000)]
            delivered = list(pair.deliveries.given.values())
            looked_for = pieces([*delivered[:8], *delivered[-4:], *link])
            hub_files = [file.name for file in hub.folder.rglob("*") if file.is_file()]
            assert "hub-0.log" in hub_files
            assert any(name.endswith(".blk") for name in hub_files)  # the streams
            log = hub.log("hub-0")
            assert '"type":"relay"' in log.replace("\\", "")  # every message is in it
            assert found(hub.folder, looked_for) == []

            asyncio.run(betray(hub, NODES[0], delivered[0]))
            assert {line.split(" in ")[0] for line in found(hub.folder, looked_for)} == {"key 0"}


def noted(model: RepeaterModel) -> tuple[list[bytes], list[bytes]]:
    """Have the beginnings of an emulated node's blocks and of its relayed batches noted, and return where."""
    blocks: list[bytes] = []
    batches: list[bytes] = []
    sites = model.node.sites
    draw, committed = sites.draw, sites.committed

    def drawn(link: str, info: KeyBlockInfo, keys: Mapping[str, KeyMaterial]) -> None:
        blocks.append(bytes(next(iter(keys.values())).reveal())[:128])
        draw(link, info, keys)

    def wrote(writes: tuple[Write, ...]) -> None:
        batches.extend(bytes(write.cells.reveal())[:128] for write in writes if isinstance(write, PutBatch))
        committed(writes)

    sites.draw, sites.committed = drawn, wrote  # type: ignore[method-assign]
    return blocks, batches


def test_no_message_of_an_emulated_repeater_shows_a_key(tmp_path: Path) -> None:
    node = "maibara"
    hub = Hub(tmp_path / "hub", (node,), trace=True)
    model = RepeaterModel(node, secrets="seeded", demand=60.0)
    (outbox := tmp_path / "outbox").mkdir()
    on_bus = RepeaterOnBus(model, hub.settings(f"node-{node}", every_s=0.2), outbox)
    blocks, batches = noted(model)

    async def watched() -> set[str]:
        told: list[Message] = []
        async with NetworkClient(hub.settings("operator-ann")) as client:
            await client.make_streams(1)
            await client.watch(told.append)
            ending = asyncio.Event()
            life = asyncio.create_task(on_bus.run(ending))
            async with asyncio.timeout(patient(30)):
                while {one.state for one in told if isinstance(one, RelayState)} < {"put", "ready", "dropped"}:
                    await asyncio.sleep(0.1)
            ending.set()
            await life
        return {type(one).__name__ for one in told}

    with hub:
        assert asyncio.run(watched()) >= {"Telemetry", "RelayState"}
        assert '"type":"relay"' in hub.log("hub-0").replace("\\", "")  # every message is in it
        looked_for = pieces([batches[0], batches[-1], *blocks[:2]])
        assert found(tmp_path, looked_for) == []
        asyncio.run(betray(hub, node, batches[-1]))
        assert {line.split(" in ")[0] for line in found(tmp_path, looked_for)} == {"key 1"}
