"""Pre-shared keys of a node that runs: the socket of their custodians, the desk behind it, and the loading of units."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, RefusedError, TokaidoError
from tokaido.node.operation import (
    ControlServer,
    DiscardComponent,
    EnterComponent,
    KeyAges,
    PresharedDesk,
    PresharedKeys,
    ShowPresharedKeys,
)
from tokaido.node.store import Records
from tokaido.node.supervision import Resume

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.hal import Clock, HalfLinkEntry
    from tokaido.node.daemon._ledger import Ledger
    from tokaido.node.node_file import NodeFile
    from tokaido.node.operation import Account, ControlRequest, Ending, Entered, Peer
    from tokaido.node.store import PresharedKeyRow, StoreThread
    from tokaido.node.supervision import LinkEnd, LoadPresharedKey

LOG: Final = logging.getLogger("tokaido.node.alarms")
ELSEWHERE: Final = "At the custodians' socket: `tokaido node preshared enter NODE.toml LINK --component FILE`"


class Custodians:
    """What concerns pre-shared keys.

    Args:
        file: Returns the node file as it is now.
        account: Takes note of acts.
        write: Makes what was noted durable.
        ledger: Takes what is to be written down.
        store: Returns the store, or refuses.
        itself: Who acts when nobody does.
        clock: Where the time of day comes from.
    """

    def __init__(
        self,
        file: Callable[[], NodeFile],
        account: Account,
        write: Callable[[], Any],
        ledger: Ledger,
        store: Callable[[], StoreThread],
        *,
        itself: Peer,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._write = write
        self._store = store
        self._ends: Mapping[str, LinkEnd] = {}
        self._desk = PresharedDesk(
            account,
            self._load,
            self._loaded,
            itself=itself,
            settings=lambda: file().preshared,
            utc_s=lambda: clock.utc_ns() / NS_PER_S,
        )
        self._links: Mapping[str, str] = {}
        self.ages = KeyAges(
            lambda row: ledger.record(partial(Records.set_preshared_key, row=row)),
            lambda *name: ledger.record(lambda records: records.drop_preshared_key(*name)),
            settings=lambda: file().preshared,
            utc_s=lambda: clock.utc_ns() / NS_PER_S,
        )
        place = file().custodians_at
        self._server = None if place is None else ControlServer(place, self, others=lambda: file().preshared.custodians)

    async def start(self, ends: Mapping[str, LinkEnd], halves: Mapping[str, HalfLinkEntry], store: StoreThread) -> None:
        """Take up what waits, and listen.

        Raises:
            ConfigurationError: The socket cannot be made.
        """
        self._ends = ends
        self._links = {half.unit: half.name for half in halves.values()}
        self.ages.restore(await store.call(lambda store: store.records.preshared_keys()))
        self._desk.begin(halves, await store.call(lambda store: store.components()))
        if self._server is not None:
            await self._server.open()

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            await self._server.close()

    async def tick(self, store: StoreThread | None) -> None:
        """See which keys units hold, and destroy components whose time is over; call it now and then."""
        for device, end in self._ends.items():
            self.ages.look(device, end.supervisor.reading)
        try:
            await self._desk.tick(store)
        except TokaidoError as error:
            LOG.warning("a component whose time is over was not destroyed yet: %s", error)

    def endings(self) -> tuple[Ending, ...]:
        """Return when pre-shared keys get too old."""
        return self.ages.endings(self._links)

    async def operate(self, request: ControlRequest, peer: Peer) -> Any:
        """Carry out what is asked at the custodians' socket."""
        if isinstance(request, EnterComponent):
            return await self._enter(request, peer)
        return await self.also(request, peer)

    async def also(self, request: ControlRequest, peer: Peer) -> Any:
        """Carry out what may be asked at the control socket, too.

        Raises:
            RefusedError: It may not.
        """
        match request:
            case ShowPresharedKeys():
                return PresharedKeys(waiting=self._desk.lines(), keys=self.ages.lines())
            case DiscardComponent(link=link, path=path, note=note):
                await self._desk.discard(link, path, note, peer, self._store())
                await self._write()
                return None
            case EnterComponent():
                request.component[:] = bytes(len(request.component))
                raise RefusedError("a component is not entered here", remedy=ELSEWHERE)
            case _:
                raise RefusedError("custodians do nothing but enter components", remedy="Ask at the control socket")

    async def _enter(self, request: EnterComponent, peer: Peer) -> Entered:
        try:
            return await self._desk.enter(request, peer, self._store())
        finally:
            await self._write()

    def _load(self, device: str, order: LoadPresharedKey) -> bool:
        end = self._ends.get(device)
        if end is None or end.device is None:
            return False
        end.give(order)
        return True

    def _loaded(self, row: PresharedKeyRow) -> None:
        end = self._ends[row.device]
        self.ages.loaded(row, end.supervisor.reading)
        end.feed(Resume())  # all that failed without it is tried at once
