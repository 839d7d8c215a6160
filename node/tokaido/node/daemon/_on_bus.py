"""A daemon's way to the bus, put together from its parts; none without a table `events` in its file."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from tokaido.hal import SYSTEM_CLOCK, TokaidoError
from tokaido.hal.files import write_whole
from tokaido.node.events import Bus, Commands, Outgoing, Tapped, take_topology

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal import Clock
    from tokaido.node.daemon._keeping import Keeping
    from tokaido.node.daemon._operating import Operating
    from tokaido.node.endpoint import Desk
    from tokaido.node.node_file import NodeFile
    from tokaido.node.store import StoreThread

LOG: Final = logging.getLogger("tokaido.node.events")


def on_bus(
    file: Callable[[], NodeFile],
    operating: Operating,
    keeping: Keeping,
    desk: Desk,
    take_file: Callable[[], tuple[str, ...]],
    *,
    clock: Clock = SYSTEM_CLOCK,
) -> Bus | None:
    """Return a node's bus, which does not run yet; None if its file wants none. Call it before the core starts.

    Args:
        file: Returns the node file in force.
        operating: Tells what happens, and carries out orders.
        keeping: Has the store.
        desk: Says what role an order takes.
        take_file: Reads the node file again.
        clock: Where time comes from.
    """
    settings, name = file().events, file().name
    if settings is None:
        return None

    def serial() -> int:
        network = file().network
        return 0 if network is None else network.topology.serial

    async def topology(payload: bytes) -> None:
        network = file().network
        if network is None:
            return
        data = await asyncio.to_thread(take_topology, payload, settings.network, network.topology, network.public_key)
        if data is None:
            return
        before = await asyncio.to_thread(network.file.read_bytes)
        await asyncio.to_thread(write_whole, network.file, data)
        try:
            left = take_file()
        except TokaidoError:
            await asyncio.to_thread(write_whole, network.file, before)  # the node shall start again with what it has
            raise
        LOG.info("a topology came over the bus%s", f"; it needs a restart: {', '.join(left)}" if left else "")

    def store() -> StoreThread | None:
        return keeping.store

    outgoing = Outgoing(settings, name, operating.events, serial=serial, clock=clock)
    commands = Commands(settings, desk, operating, outgoing, store, clock=clock)
    bus = Bus(
        settings,
        outgoing,
        store,
        operating.alarm,
        commands=commands,
        topology=topology if settings.topology else None,
        clock=clock,
    )
    operating.tell(outgoing, bus.posted)
    keeping.tap = lambda store: Tapped(store, outgoing, bus)
    return bus
