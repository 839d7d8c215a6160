"""What is seen of a node that runs: alarms, status, the control socket, metrics, and systemd's watchdog."""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, RefusedError, Severity
from tokaido.node.daemon._custodians import Custodians
from tokaido.node.daemon._ledger import ActDone, Ledger
from tokaido.node.operation import (
    AcceptDevice,
    Acknowledge,
    Acts,
    AlarmBook,
    AlarmChange,
    Callout,
    Change,
    CheckAudit,
    ControlRequest,
    ControlServer,
    DiscardComponent,
    DrainNode,
    Ending,
    EnterComponent,
    Events,
    ExpiryWatch,
    InventoryDesk,
    LinkNow,
    MaintainLink,
    MoveLink,
    NodeAlarm,
    NodeStatus,
    Notifier,
    Peer,
    Places,
    ReloadFile,
    ResumeLink,
    ServiceTimes,
    SetRelaying,
    ShowAudit,
    ShowInventory,
    ShowPresharedKeys,
    Status,
    StoreLine,
    causes_of,
    devices_answer,
    endings_of_neighbours,
    marks,
    own_endings,
    survey,
    told,
    verdict,
)
from tokaido.node.store import Records
from tokaido.node.supervision import Reopen, described

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from tokaido.hal import AlarmHook, Clock, HalfLinkEntry
    from tokaido.node.core import Clear, Raise
    from tokaido.node.daemon._keeping import Keeping
    from tokaido.node.etsi015 import Notices
    from tokaido.node.events import Outgoing
    from tokaido.node.node_file import NodeFile
    from tokaido.node.store import (
        AuditFinding,
        DeviceRow,
        MaintenanceRow,
        ServiceRow,
        StoreThread,
    )
    from tokaido.node.supervision import Inventory, LinkEnd

LOG: Final = logging.getLogger("tokaido.node.alarms")
LOOK_S: Final = 1.0


class Commanded(Protocol):
    """What an operator may want of the daemon."""

    def stop(self) -> None:
        """End the node in order."""
        ...

    def take_file(self) -> tuple[str, ...]:
        """Read the node file again, and return what needs a restart."""
        ...

    async def move(self, link: str, path: str, *, by: str) -> None:
        """Begin to move a link, and return when that is noted; without a path: forget the move."""
        ...


class Operating:
    """Lives in the node's loop, from before the first device is opened until after the last one is closed.

    Args:
        file: The node file.
        daemon: Carries out what concerns the whole node.
        clock: Where time comes from.
        notifier: Tells systemd.
    """

    def __init__(
        self,
        file: NodeFile,
        daemon: Commanded,
        *,
        clock: Clock = SYSTEM_CLOCK,
        notifier: Notifier | None = None,
    ) -> None:
        self.file = file
        self.notifier = notifier or Notifier(clock=clock)
        self._keeping: Keeping | None = None
        self._daemon = daemon
        self._clock = clock
        self._born_ns = clock.monotonic_ns()
        self._book = AlarmBook(self._changed, hold_off_s=file.hold_off_s, clock=clock, relate=self._relate)
        self._ways: dict[str, str] = {}
        self._expiry = ExpiryWatch(self._book.take, file.expiry, clock=clock)
        self._service = ServiceTimes(self._keep_service, clock=clock)
        self._ledger = Ledger()
        self._maintained: tuple[MaintenanceRow, ...] = ()
        self._inventory = InventoryDesk(self._book.take, self._note_devices, lambda: clock.utc_ns() / NS_PER_S)
        self._endings: tuple[Ending, ...] = ()
        self.seen: Callable[[], Mapping[str, float]] = dict
        """Returns when the certificates end that neighbours showed, by neighbour, in s since 1970-01-01 UTC."""
        self._callout = Callout(file.name, (), clock=clock)
        self._ends: Mapping[str, LinkEnd] = {}
        self._links: Collection[str] = ()
        self.itself = Peer(os.getpid(), os.geteuid(), "node", f"process {os.getpid()}")
        """Who acts when nobody does."""
        self.events = Events(os.urandom(8).hex(), clock=clock)
        """What happened in this run."""
        self._carrying_out = Acts(
            self._book,
            self._ends_now,
            self._relay,
            self.account,
            itself=self.itself,
            keep=self._keep_maintenance,
            clock=clock,
        )
        self._control = ControlServer(file.control, self)
        self._custodians = Custodians(
            lambda: self.file,
            self.account,
            self._write,
            self._ledger,
            self._store,
            itself=self.itself,
            clock=clock,
        )
        self._metrics: Any = None
        self.notices: Notices | None = None
        """Notifications of ETSI GS QKD 015, where somebody may read them."""
        self._outgoing: Outgoing | None = None
        self._posted: Callable[[int], None] = lambda _: None
        self._ended = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    def reconfigure(self, file: NodeFile) -> None:
        """Take a node file that was read again."""
        self.file = file
        self._book.hold_off_s = file.hold_off_s
        self._expiry.settings = file.expiry
        self._endings = _endings(file)
        if self.notices is not None:
            self.notices.end()  # each reader shows its certificate again

    def tell(self, outgoing: Outgoing, posted: Callable[[int], None]) -> None:
        """Have what happens put into the outbox of the bus, too; `posted` is told how many messages were."""
        self._outgoing, self._posted = outgoing, posted

    # --- its life -----------------------------------------------------------------------------------------------------

    async def start(
        self,
        keeping: Keeping,
        ends: Mapping[str, LinkEnd],
        links: Collection[str],
        hooks: Iterable[AlarmHook] = (),
        inventory: Inventory | None = None,
        *,
        halves: Mapping[str, HalfLinkEntry] | None = None,
    ) -> None:
        """Take up the alarms of an earlier life, and listen.

        Args:
            keeping: Custody of keys, started.
            ends: What becomes of each device, by its name; it may fill later.
            links: The devices that give the blocks of links.
            hooks: What else is told of alarms.
            inventory: Which box stands under the name of each device.
            halves: The ends of links that have units, by link.

        Raises:
            ConfigurationError: A socket cannot be made.
        """
        self._keeping, self._ends, self._links = keeping, ends, links
        self._endings = _endings(self.file)
        self._callout = Callout(self.file.name, hooks, clock=self._clock)
        if (store := keeping.store) is not None:
            self._maintained = await store.call(lambda store: store.records.maintenance())
            ends_s = {row.link: row.until_s for row in self._maintained}
            self._service.restore(await store.call(lambda store: store.records.service()), ends_s)
            self._book.restore(await store.call(lambda store: store.records.alarms()))
            if inventory is not None:
                self._inventory.begin(inventory, await store.call(lambda store: store.records.devices()))
                loop = asyncio.get_running_loop()
                inventory.tell = lambda event: loop.call_soon_threadsafe(self._inventory.seen, event)
            self._see_audit(await store.call(lambda store: store.records.check_audit()))
            await self._custodians.start(ends, halves or {}, store)
        self.account(self.itself, f"start node {self.file.name}{', for emulation' if self.file.emulation else ''}")
        await self._control.open()
        if isinstance(self.file.metrics_at, Path):
            await self._open_metrics(self.file.metrics_at)
        self._work = asyncio.get_running_loop().create_task(self._live())

    def take_up(self) -> None:
        """Go on with what people had taken in an earlier life of the node; before any device was heard."""
        self._carrying_out.restore(self._maintained)

    async def close(self) -> None:
        """Listen no more, and write what is not written yet."""
        self._ended.set()
        if self._work is not None:
            await self._work
        await self._control.close()
        await self._custodians.close()
        if self._metrics is not None:
            await self._metrics()
        self._service.write()
        self.account(self.itself, f"end node {self.file.name}")
        await self._write()
        self._callout.end()

    async def _open_metrics(self, where: Path) -> None:
        from tokaido.node._extra import web  # noqa: PLC0415 - for those who have metrics
        from tokaido.node.operation._unix import listening  # noqa: PLC0415
        from tokaido.node.operation.metrics import metrics_application  # noqa: PLC0415

        runner = web.AppRunner(metrics_application(self.status, None), access_log=None)
        await runner.setup()
        self._metrics = runner.cleanup
        await web.SockSite(runner, listening(where, "metrics socket")).start()

    async def _live(self) -> None:
        """Look around once a second, or as often as systemd wants a sign of life."""
        watchdog_s = self.notifier.watchdog_s
        every_s = LOOK_S if watchdog_s is None else min(LOOK_S, watchdog_s / 3)
        while not self._ended.is_set():
            self._book.tick()
            self._callout.tick()
            endings = *self._endings, *self._custodians.endings(), *endings_of_neighbours(self.seen())
            self._expiry.look(endings)
            self._carrying_out.tick()
            await self._custodians.tick(None if self._keeping is None else self._keeping.store)
            for end in self._ends.values():
                end.look()
            await self._write()
            status = self.status()
            maintained = self._carrying_out.maintained
            self._service.look(LinkNow(one.name, one.running, one.name in maintained) for one in status.links)
            self.notifier.status(status.headline)
            if self.notices is not None:
                self.notices.look(status)
            now_s = self._clock.monotonic_ns() / NS_PER_S
            if devices_answer((now_s - end.heard_s, end.mute_s) for end in self._ends.values()):
                self.notifier.alive()
            try:
                async with asyncio.timeout(every_s):
                    await self._ended.wait()
            except TimeoutError:
                continue

    # --- alarms -------------------------------------------------------------------------------------------------------

    def alarm(self, action: Raise | Clear) -> None:
        """Take an alarm of the core, of a device, or of its supervisor."""
        self._book.take(action)

    def _changed(self, change: AlarmChange) -> None:
        alarm = change.alarm
        self.events.changed(change)
        LOG.log(
            logging.WARNING if change.change in {Change.RAISED, Change.ALTERED} else logging.INFO,
            "%s %s %s of %s: %s%s",
            change.change.value,
            alarm.severity.value,
            alarm.code,
            alarm.of or "the node",
            alarm.text,
            f" ({alarm.acknowledged_by}: {alarm.note})" if change.change is Change.ACKNOWLEDGED else "",
        )
        self._ledger.change(change)
        self._callout.changed(change)
        if self.notices is not None:
            self.notices.changed(change)

    def _relate(self, alarms: Iterable[NodeAlarm]) -> dict[tuple[str, str], tuple[str, str]]:
        """Return which alarm follows from which, as things hang together now."""
        keys = None if self._keeping is None else self._keeping.status()
        if keys is not None:
            self._ways |= {pair.neighbour: pair.route[1] for pair in keys.pairs.values() if len(pair.route) > 1}
        links = {device: end.name for device, end in self._ends.items() if device in self._links}
        neighbours = {link: name for name, entry in self.file.neighbours.items() for link in entry.links}
        return causes_of(alarms, Places(links, neighbours, self._ways))

    async def _write(self) -> None:
        """Make changes and acts durable, as soon as a store is open."""
        store = None if self._keeping is None else self._keeping.store
        if store is None:
            return
        posts = [] if self._outgoing is None else self._outgoing.take(self.status)
        if await self._ledger.write(store, posts):
            self._posted(len(posts))
        elif self._outgoing is not None:
            self._outgoing.give_back(posts)

    # --- what can be asked --------------------------------------------------------------------------------------------

    def status(self) -> NodeStatus:
        """Return all that may be known of the node."""
        keeping = self._keeping
        keys = None if keeping is None else keeping.status()
        now_ns = self._clock.monotonic_ns()
        return survey(
            node=self.file.name,
            utc_s=self._clock.utc_ns() / NS_PER_S,
            age_s=now_ns / NS_PER_S,
            up_s=(now_ns - self._born_ns) / NS_PER_S,
            keys=keys,
            store=StoreLine(open=False, why="the node is starting")
            if keeping is None
            else StoreLine(open=keeping.store is not None, why=keeping.why_not, restarts=keeping.restarts),
            ends=[end for device, end in self._ends.items() if device in self._links],
            devices=[end for device, end in self._ends.items() if device not in self._links],
            applications=self.file.applications,
            alarms=self._book.standing(),
            emulation=self.file.emulation,
            maintained_until_s=self._carrying_out.maintained_until_s,
            availability=self._service.all(),
            key_ages_s=self._custodians.ages.ages_s(),
        )

    async def operate(self, request: ControlRequest, peer: Peer) -> Any:
        """Carry out what an operator asks, at the control socket or the control endpoint."""
        match request:
            case Status():
                return self.status()
            case Acknowledge() | ResumeLink() | MaintainLink() | SetRelaying():
                self._carrying_out.carry_out(request, peer)
            case MoveLink(link=link, path=path):
                await self._daemon.move(link, path, by=peer.user)
                self.account(peer, f"move {link} to {path}" if path else f"forget the move of {link}")
            case DrainNode(note=note):
                self.account(peer, "drain", note)
                self._daemon.stop()
                return None
            case ReloadFile(note=note):
                self.account(peer, "reload", note)
                return list(self._daemon.take_file())
            case ShowInventory():
                return self._inventory.lines()
            case AcceptDevice():
                await self._accept(request, peer)
            case EnterComponent() | ShowPresharedKeys() | DiscardComponent():
                return await self._custodians.also(request, peer)
            case CheckAudit(kept=kept):
                await self._write()
                known = marks(kept)
                return verdict(await self._store().call(lambda store: store.records.check_audit(known)))
            case ShowAudit(above=above, most=most):
                await self._write()
                return await self._store().call(lambda store: told(store.records, above, most))
        await self._write()
        return None

    def note(self, by: str, what: str, also: Callable[[Records], object]) -> None:
        """Account for what became of something that somebody ordered earlier; `also` is written with it."""
        self.account(Peer(os.getpid(), os.geteuid(), by), what)
        self._ledger.record(also)

    async def _accept(self, request: AcceptDevice, peer: Peer) -> None:
        """Let another box be used, once it is durable that it is."""
        row, found = self._inventory.wanted(request.device, request.serial_number, peer.user)
        await self._store().call(lambda store: store.records.set_device(row))
        self._inventory.accepted(row, found)
        self.account(peer, f"accept {request.device}: {described(found)}", request.note)
        if request.device in self._ends:
            self._ends[request.device].give(Reopen())

    def _note_devices(self, what: str, rows: Iterable[DeviceRow]) -> None:
        self.account(self.itself, what)
        for row in rows:
            self._ledger.record(partial(Records.set_device, row=row))

    def _keep_service(self, rows: tuple[ServiceRow, ...]) -> None:
        self._ledger.record(partial(Records.set_service, rows=rows))

    def _keep_maintenance(self, link: str, row: MaintenanceRow | None) -> None:
        if row is None:
            self._ledger.record(partial(Records.end_maintenance, link=link))
        else:
            self._ledger.record(partial(Records.begin_maintenance, row=row))

    def _store(self) -> StoreThread:
        store = None if self._keeping is None else self._keeping.store
        if store is None:
            raise RefusedError("the key store is closed, and the audit log is in it", remedy="Try again")
        return store

    def _see_audit(self, finding: AuditFinding) -> None:
        if not finding.fits:
            text = f"row {finding.first_wrong} of the audit log does not fit: {finding.why}"
            self._book.raise_("AUDIT_ALTERED", Severity.CRITICAL, "", text, latched=True)

    def account(self, peer: Peer, what: str, why: str = "") -> None:
        """Take note of an act: it is in the audit log as soon as the store is open."""
        LOG.info("%s: %s", peer.user, what)
        if peer is not self.itself:
            self.events.acted(peer, what, why)
        self._ledger.act(ActDone(peer.user, peer.place, what, why, self._clock.utc_ns() / NS_PER_S))

    def _ends_now(self) -> Iterable[LinkEnd]:
        return self._ends.values()

    def _relay(self, on: bool) -> None:
        if self._keeping is not None:
            self._keeping.set_relaying(on)


def _endings(file: NodeFile) -> tuple[Ending, ...]:
    until = None if file.network is None else file.network.topology.valid_until
    return own_endings(file.tls, None if until is None else until.timestamp())
