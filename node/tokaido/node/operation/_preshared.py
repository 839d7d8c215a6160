"""Takes the two components of a pre-shared key from two people, and has the unit loaded: dual control, split knowledge.

One component alone waits in the store, sealed. NIST SP 800-57 Part 2 Rev. 1 and ISO 11568 name the practice.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from tokaido.hal import (
    ConfigurationError,
    DeviceTimeoutError,
    KeyMaterial,
    OutcomeUnknownError,
    RefusedError,
    TokaidoError,
)
from tokaido.node.operation._components import component_check_value, joined, key_check_value
from tokaido.node.operation._preshared_lines import Entered, WaitingLine
from tokaido.node.operation._survey import iso
from tokaido.node.store import ComponentRow, PresharedKeyRow
from tokaido.node.supervision import LoadPresharedKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokaido.hal import HalfLinkEntry
    from tokaido.node.operation._acts import Account
    from tokaido.node.operation._control_messages import EnterComponent
    from tokaido.node.operation._control_server import Peer
    from tokaido.node.operation._preshared_settings import PresharedSettings
    from tokaido.node.store import StoreThread

LOAD_S: Final = 8.0
"""How long a unit, and what it does just now, may take."""
HOUR_S: Final = 3600.0


class Loads(Protocol):
    """Has the thread of a unit load a key."""

    def __call__(self, device: str, order: LoadPresharedKey) -> bool:
        """Whether there is such a thread; then it ends `order.done`."""
        ...


class PresharedDesk:
    """Takes components.

    Args:
        account: Takes note of each step.
        loads: Has units load keys.
        loaded: Is told what was loaded.
        itself: Who acts when the time of a component is over.
        settings: Returns what the node file says now.
        utc_s: Returns the time of day, in s since 1970-01-01 UTC.
    """

    def __init__(
        self,
        account: Account,
        loads: Loads,
        loaded: Callable[[PresharedKeyRow], object],
        *,
        itself: Peer,
        settings: Callable[[], PresharedSettings],
        utc_s: Callable[[], float],
    ) -> None:
        self._account = account
        self._loads = loads
        self._loaded = loaded
        self._itself = itself
        self._settings = settings
        self._utc_s = utc_s
        self._halves: Mapping[str, HalfLinkEntry] = {}
        self._waiting: dict[tuple[str, str], ComponentRow] = {}
        self._busy = asyncio.Lock()

    def begin(self, halves: Mapping[str, HalfLinkEntry], rows: Iterable[ComponentRow]) -> None:
        """Take up what waits from an earlier life of the node."""
        self._halves = halves
        self._waiting = {(row.link, row.path): row for row in rows}

    def lines(self) -> tuple[WaitingLine, ...]:
        """Return what waits, by link and path."""
        return tuple(
            WaitingLine(
                link=row.link,
                path=row.path,
                by=row.by,
                since=iso(row.at_s),
                until=iso(row.until_s),
                check_value=row.check_value,
            )
            for _, row in sorted(self._waiting.items())
        )

    async def enter(self, request: EnterComponent, peer: Peer, store: StoreThread) -> Entered:
        """Take a component; with the second one load the unit.

        Raises:
            TokaidoError: It was not taken, or the unit has no key by it.
        """
        component = KeyMaterial(request.component)
        request.component[:] = bytes(len(request.component))
        async with self._busy:
            with component:
                try:
                    return await self._take(request, component, peer, store)
                except TokaidoError as error:
                    self._account(peer, f"enter a component for {_named(request.link, request.path)}: no", error.what)
                    raise

    async def discard(self, link: str, path: str, note: str, peer: Peer, store: StoreThread) -> None:
        """Destroy a component that waits.

        Raises:
            ConfigurationError: None does.
        """
        async with self._busy:
            _, path = self._place(link, path)
            if (link, path) not in self._waiting:
                raise ConfigurationError(f"no component waits for {_named(link, path)}")
            await self._drop(self._waiting[link, path], store)
            self._account(peer, f"discard the component for {_named(link, path)}", note)

    async def tick(self, store: StoreThread | None) -> None:
        """Destroy components whose time is over; call it now and then."""
        now_s = self._utc_s()
        # A clock that was set back lengthens the time to twice as much, at most.
        over = [row for row in self._waiting.values() if not 2 * row.at_s - row.until_s <= now_s < row.until_s]
        if not over or store is None:
            return
        async with self._busy:
            for row in over:
                if self._waiting.get((row.link, row.path)) == row:
                    await self._drop(row, store)
                    what = f"discard the component for {_named(row.link, row.path)}"
                    self._account(self._itself, what, f"its time was over; {row.by} had entered it")

    # ------------------------------------------------------------------------------------------------------------------

    async def _take(self, request: EnterComponent, component: KeyMaterial, peer: Peer, store: StoreThread) -> Entered:
        entry, path = self._place(request.link, request.path)
        to = entry.peer if path else ""
        settings, now_s = self._settings(), self._utc_s()
        if peer.user not in settings.custodians:
            raise RefusedError(
                f"{peer.user} is not a custodian of pre-shared keys",
                remedy="The node file names them: [preshared_keys]",
            )
        value = component_check_value(component)
        first = self._waiting.get((entry.name, path))
        if first is None:
            until_s = now_s + settings.wait_hours * HOUR_S
            row = ComponentRow(entry.name, path, to, peer.uid, peer.user, now_s, until_s, value)
            await store.call(lambda store: store.keep_component(row, component))
            self._waiting[entry.name, path] = row
            what = f"enter the first component for {_named(entry.name, path)}: check value {value}"
            self._account(peer, what, request.note)
            return Entered(check_value=value, loaded=False, until=iso(until_s))
        if peer.uid == first.uid or peer.user == first.by:
            raise RefusedError(
                f"{peer.user} has entered one component already, and nobody enters both",
                remedy="Another custodian enters the second; `tokaido node preshared discard` destroys the first",
            )
        waited = await store.call(lambda store: store.component(entry.name, path))
        if waited is None:
            raise RefusedError("the component that waited is gone", remedy="Enter both again")
        with waited:
            key = joined(waited, component)
        key_value = key_check_value(key)
        told = await self._load(entry, LoadPresharedKey(key, first.peer, path))
        by = f"{first.by} and {peer.user}"
        self._loaded(PresharedKeyRow(entry.unit, *told, self._utc_s(), by, key_value))
        what = f"enter the second component for {_named(entry.name, path)}: check value {value}"
        self._account(peer, f"{what}; {entry.unit} has the key of check value {key_value}", request.note)
        await self._drop(first, store)
        return Entered(check_value=value, loaded=True, key_check_value=key_value)

    async def _load(self, entry: HalfLinkEntry, order: LoadPresharedKey) -> tuple[str, str]:
        """Have the unit load the key; it is wiped by then, or as soon as the unit's thread is done with it."""
        still = "The first component goes on waiting: enter the second again"
        if not self._loads(entry.unit, order):
            order.key.wipe()
            raise RefusedError(f"{entry.unit} is not there yet", remedy=still)
        try:
            async with asyncio.timeout(LOAD_S):
                return await asyncio.wrap_future(order.done)
        except TimeoutError:
            if order.done.cancel():
                order.key.wipe()
                raise DeviceTimeoutError(
                    f"{entry.unit} was busy with something else, and has no key by this", remedy=still
                ) from None
            raise OutcomeUnknownError(
                f"{entry.unit} did not answer within {LOAD_S:g} s, and may have the key", remedy=still
            ) from None
        except TokaidoError as error:
            raise RefusedError(f"{entry.unit} did not take the key: {error.what}", remedy=still) from error

    async def _drop(self, row: ComponentRow, store: StoreThread) -> None:
        await store.call(lambda store: store.drop_component(row.link, row.path))
        del self._waiting[row.link, row.path]

    def _place(self, link: str, path: str) -> tuple[HalfLinkEntry, str]:
        """Return the end of a link and its path; an empty one is that which the unit is set to."""
        entry = self._halves.get(link)
        if entry is None:
            names = ", ".join(sorted(self._halves)) or "none"
            raise ConfigurationError(f"this node has no unit of a link {link!r}", remedy=f"It has those of {names}")
        known = tuple(entry.paths)
        if path and (path not in known or not entry.peer):
            raise ConfigurationError(
                f"the link {link} has no path {path!r}",
                remedy=f"The station file names its peer and its paths: {', '.join(known) or 'none'}",
            )
        if not path and entry.peer and len(known) > 1:
            raise ConfigurationError(
                f"the link {link} has several paths, each with a key of its own", remedy=f"Name one: {', '.join(known)}"
            )
        return entry, path or (known[0] if entry.peer and known else "")


def _named(link: str, path: str) -> str:
    return f"{link}, path {path}" if path else link
