"""The commands `network hub-config`, `streams` and `topology`: what keepers of a hub do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tokaido.console._output import print_json
from tokaido.hal.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path


def write(file: Path, folder: Path, store_bytes: int, *, as_json: bool) -> None:
    """Write the configuration of each server.

    Raises:
        ConfigurationError: With every mistake in the hub file, or a certificate that cannot be used.
        TokaidoError: A file could not be written.
    """
    from tokaido.node.events import HubFile, hub_configuration  # noqa: PLC0415

    written = hub_configuration(HubFile.read(file), store_bytes=store_bytes)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.conf" for name in written}
    for name, text in written.items():
        write_whole(paths[name], text.encode())
    if as_json:
        print_json({"written": {name: str(path) for name, path in paths.items()}})
        return
    for path in paths.values():
        print(path)
    print("Give each server its file, and SIGHUP if it runs: it then refuses those who are not in it any more")


def make_streams(network: Path, copies: int, *, as_json: bool) -> None:
    """Make the streams.

    Raises:
        TokaidoError: They could not be made.
    """
    from tokaido.node.events import EventsSettings, NetworkClient  # noqa: PLC0415

    async def make() -> tuple[str, str]:
        async with NetworkClient(EventsSettings.from_file(network)) as client:
            await client.make_streams(copies)
            return client.subjects.telemetry_stream, client.subjects.records_stream

    names = asyncio.run(make())
    if as_json:
        print_json({"streams": list(names), "copies": copies})
    else:
        print(f"{' and '.join(names)} are there, each message on {copies} servers")


def hand_out(network: Path, file: Path, public_key: Path, *, as_json: bool) -> None:
    """Publish a signed topology.

    Raises:
        TokaidoError: It is not valid, or did not go out.
    """
    from tokaido.node.events import EventsSettings, NetworkClient  # noqa: PLC0415

    async def publish() -> tuple[str, int]:
        async with NetworkClient(EventsSettings.from_file(network)) as client:
            topology = await client.publish_topology(file, public_key)
            return topology.network, topology.serial

    name, serial = asyncio.run(publish())
    if as_json:
        print_json({"network": name, "serial": serial})
    else:
        print(f"serial {serial} of {name} is on the bus; `tokaido network watch` shows who took it")
