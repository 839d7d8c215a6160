"""Emulated repeaters on a bus, some in each process: `python -m tokaido_testing.bus_nodes FOLDER EVERY_S NAME...`."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from tokaido.emulators.repeater import RepeaterModel, RepeaterOnBus
from tokaido.node.events import EventsSettings
from tokaido.node.pki import files_of
from tokaido_testing.hubs import NETWORK


async def live(folder: Path, every_s: float, names: list[str], servers: tuple[str, ...]) -> None:
    """Live as nodes of a ring, until SIGTERM."""
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    nodes = []
    for name in names:
        settings = EventsSettings(
            NETWORK,
            servers,
            files_of(folder / "pki", f"node-{name}"),
            every_s=every_s,
            operators={"ann": frozenset({"operator"})},
        )
        nodes.append(RepeaterOnBus(RepeaterModel(name, secrets="seeded", demand=0.1), settings, folder / "nodes"))
    (folder / "nodes" / f"{names[0]}.ready").touch()
    await asyncio.gather(*(node.run(ending) for node in nodes))


def main() -> None:
    """Live."""
    folder, every_s, servers, *names = sys.argv[1:]
    asyncio.run(live(Path(folder), float(every_s), names, tuple(servers.split(","))))


if __name__ == "__main__":
    main()
