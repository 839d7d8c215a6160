"""`network watch --page`: the page of a network, from its bus."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from tokaido.console._output import tell
from tokaido.console.page import BusSource, PageServer

if TYPE_CHECKING:
    from pathlib import Path


def serve(network: Path, topology: Path | None, port: int, *, as_json: bool) -> None:
    """Serve the page of a network until Ctrl-C, SIGTERM or SIGHUP.

    Raises:
        ConfigurationError: With every mistake in a file; or the two are of different networks.
        NotConnectedError: No server of the hub answers when it begins, or the port is taken.
    """
    from tokaido.node.events import EventsSettings  # noqa: PLC0415 - an extra
    from tokaido.node.topology import read_topology  # noqa: PLC0415 - when first needed

    places = None if topology is None else read_topology(topology)
    source = BusSource(EventsSettings.from_file(network), places)
    asyncio.run(_serve(source, port, as_json=as_json))


async def _serve(source: BusSource, port: int, *, as_json: bool) -> None:
    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` means it
            asyncio.get_running_loop().add_signal_handler(number, ending.set)
    async with source, PageServer(source, port=port) as server:
        tell(
            f"Open {server.url}\nWho has this address reads the page, on this machine alone. Ctrl-C ends it.",
            {"event": "served", "url": server.url},
            as_json=as_json,
        )
        await ending.wait()
