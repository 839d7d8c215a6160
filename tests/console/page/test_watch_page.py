"""`tokaido network watch --page`: the page of nodes on a real bus, with its hub away and back."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.console.page import BusSource
from tokaido.emulators.repeater import RepeaterModel, RepeaterOnBus
from tokaido.node.events import Connection, NetworkClient, RelayState, encode
from tokaido_testing.console_runs import run_console
from tokaido_testing.hubs import NETWORK, Hub, needs_a_hub
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tokaido.console.page import PageRelay

pytestmark = needs_a_hub
aiohttp = pytest.importorskip("aiohttp", reason="needs the extra `node`")
NODES = ("maibara", "otsu")
TOPOLOGY = f"""
[topology]
network = "{NETWORK}"
serial = 1
valid_from = 2026-11-01T00:00:00+09:00
[nodes.maibara]
url = "https://192.0.2.1:8471"
site = "Maibara"
latitude = 35.314
longitude = 136.290
[nodes.otsu]
url = "https://192.0.2.2:8471"
latitude = 35.003
longitude = 135.865
[nodes.kyoto]
url = "https://192.0.2.3:8471"
latitude = 34.985
longitude = 135.758
[links.maibara-otsu]
ends = ["maibara", "otsu"]
length_km = 60.5
[links.otsu-kyoto]
ends = ["otsu", "kyoto"]
"""


async def events(session: Any, url: str) -> AsyncIterator[tuple[str, Any]]:
    async with session.get(url) as answer:
        name = ""
        async for line in answer.content:
            word, _, rest = line.decode().rstrip("\n").partition(": ")
            name = rest if word == "event" else name
            if word == "data":
                yield name, json.loads(rest)


async def watched(hub: Hub, file: Path, folder: Path) -> int:
    """Look at the page of one node that runs, take its hub away and bring it back; return the command's exit code."""
    async with NetworkClient(hub.settings("operator-ann")) as client:
        await client.make_streams(1)
    ending = asyncio.Event()
    (folder / "node").mkdir()
    node = RepeaterOnBus(
        RepeaterModel("maibara", secrets="seeded", demand=20.0),
        hub.settings("node-maibara", every_s=0.2),
        folder / "node",
    )
    life = asyncio.create_task(node.run(ending))
    words = ("network", "watch", "--page", "--json", "--network", str(hub.network_file("operator-ann")))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import sys, tokaido.console as c; sys.exit(c.main())",
        *words,
        "--topology",
        str(file),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(patient(30)):
            told = json.loads(await process.stdout.readline())
            assert told["event"] == "served"
            async with aiohttp.ClientSession(
                cookie_jar=aiohttp.CookieJar(unsafe=True), read_bufsize=1 << 20
            ) as session:
                await (await session.get(told["url"])).read()
                stream = events(session, told["url"].partition("?")[0] + "events")
                levels: dict[str, str] = {}
                async for _, data in stream:
                    levels |= {site["name"]: site["level"] for site in data.get("sites", ())}
                    if "geography" in data:
                        assert data["geography"]
                        assert [span["length_km"] for span in data["spans"]] == [60.5, None]
                        assert data["drills"] == data["applications"] == []
                    if levels.get("maibara", "silent") != "silent":
                        break
                assert (levels["otsu"], levels["kyoto"]) == ("silent", "silent")
                async for name, data in stream:
                    if name == "relay":
                        assert data["state"] == "ready"
                        assert "maibara" in (data["route"][0], data["route"][-1])
                        break
                hub.kill()
                async for name, data in stream:
                    if name == "lost":
                        assert "hub" in data["why"]
                        break
                await asyncio.to_thread(hub.start)
                async for name, _ in stream:
                    if name == "state":
                        break
        process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(process.wait(), patient(10))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        ending.set()
        await life


def test_the_page_of_a_network_from_its_bus(tmp_path: Path) -> None:
    file = tmp_path / "topology.toml"
    file.write_text(TOPOLOGY, encoding="utf-8")
    with Hub(tmp_path, NODES, ("ann",)) as hub:
        assert asyncio.run(watched(hub, file, tmp_path)) == 0


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    ran = run_console("network", "watch", "--page", "--once")
    assert ran.code == 2
    assert "leave --once out" in ran.err
    ran = run_console("network", "watch", "--port", "8000")
    assert ran.code == 2
    assert "are for --page" in ran.err


def test_what_became_of_each_batch_is_shown_once(tmp_path: Path) -> None:
    route = ("maibara", "otsu", "kyoto")
    lives = {"aa": ("put", "ready", "dropped"), "bb": ("put", "dropped"), "cc": ("ready", "dropped")}

    async def shown(hub: Hub) -> list[PageRelay]:
        async with NetworkClient(hub.settings("operator-ann")) as client:
            await client.make_streams(1)
        node = Connection(hub.settings("node-maibara"), "node-maibara")
        await node.open(hub.urls[0])
        numbers = count(1)
        async with BusSource(hub.settings("operator-ann")) as source:
            for relay, states in (*lives.items(), ("dd", ("put", "ready"))):
                for state in states:
                    facts: dict[str, Any] = {"neighbour": "kyoto", "route": route, "keys": 64, "started_here": True}
                    told = RelayState(
                        network=NETWORK,
                        node="maibara",
                        id=f"00000000000000aa-{next(numbers)}",
                        utc_s=1.0,
                        relay=relay * 16,
                        state=state,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
                        **(facts if state == "put" else {}),
                    )
                    await node.publish(f"tokaido.{NETWORK}.maibara.relay", encode(told))
            async with asyncio.timeout(patient(20)):
                found = [await source.relay() for _ in range(3)]
        await node.close()
        return found

    with Hub(tmp_path, NODES, ("ann",)) as hub:
        found = asyncio.run(shown(hub))
    assert [(one.state, one.route, one.keys) for one in found] == [
        ("ready", route, 64),
        ("dropped", route, 64),  # cc: nobody knows its way
        ("ready", route, 64),
    ]
