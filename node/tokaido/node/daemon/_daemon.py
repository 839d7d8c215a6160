"""The daemon of one node: devices, store, core, listeners, and how it begins and ends."""

from __future__ import annotations

import asyncio
import datetime
import logging
import signal
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from tokaido.hal import SYSTEM_CLOCK, ConfigurationError, RefusedError, Station, TokaidoError
from tokaido.node import tls
from tokaido.node.applications import etsi014_application, skip_application
from tokaido.node.daemon._keeping import Keeping
from tokaido.node.daemon._moving import Moving
from tokaido.node.daemon._operating import Operating
from tokaido.node.daemon._sources import KeySources, Sources
from tokaido.node.endpoint import About, ControlEndpoint, Desk
from tokaido.node.etsi015 import Notices, Site, state_application
from tokaido.node.listening import Limits, Listener
from tokaido.node.messages import MAX_BODY
from tokaido.node.node_file import Address, NodeFile
from tokaido.node.operation.metrics import metrics_application
from tokaido.node.peers import Neighbour, Neighbours, peer_application

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from tokaido.hal import Clock
    from tokaido.node.events import Bus

LOG: Final = logging.getLogger("tokaido.node")
DRAIN_S: Final = 4.0
"""How long what is under way may take to end."""


class NodeDaemon:
    """One node. `run` is its life.

    Args:
        file: The node file.
        emulation: Whether keys of seeded units may be taken; the file must say so, too.
        clock: What the node's age is counted on.
        sources: Makes what gives the blocks of all links; default: the devices of the station file.

    Raises:
        ConfigurationError: The file says that the node is for emulation, and nobody allows that here.
    """

    def __init__(
        self,
        file: NodeFile,
        *,
        emulation: bool = False,
        clock: Clock = SYSTEM_CLOCK,
        sources: Callable[[NodeFile], KeySources] | None = None,
    ) -> None:
        if file.emulation and not emulation:
            raise ConfigurationError(
                f"node {file.name} is for emulation: it takes keys that protect nothing",
                remedy="Start it with --emulation if you mean it, or take emulation out of its file",
            )
        self._file = file
        self._clock = clock
        self._keeping: Keeping | None = None
        self._sources: KeySources | None = None
        self._make_sources = sources or (lambda file: Sources(file, Station.from_file(file.station), clock=clock))
        self._ways: Neighbours | None = None
        self._listeners: list[Listener] = []
        self._operating: Operating | None = None
        self._moving: Moving | None = None
        self._stop = asyncio.Event()
        self._taking: asyncio.Task[None] | None = None
        self._bus: Bus | None = None
        self.ports: dict[str, int] = {}
        """Where it listens: `neighbours`, `applications`, `skip`, `metrics`, `state`, `endpoint`, by number of port."""

    async def run(self, ready: Callable[[], None] | None = None) -> None:
        """Live until SIGTERM, SIGINT or `stop`, then drain and end, within 10 s.

        Args:
            ready: Called once all listeners are open and the store is.

        Raises:
            TokaidoError: The node could not start; everything that was begun is ended.
        """
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as ending:
            for number, act in ((signal.SIGTERM, self.stop), (signal.SIGINT, self.stop), (signal.SIGHUP, self.reload)):
                loop.add_signal_handler(number, act)
                ending.callback(loop.remove_signal_handler, number)
            operating = await self._start(ending)
            operating.notifier.ready(operating.status().headline)
            if ready is not None:
                ready()
            await self._stop.wait()
            LOG.info("the node drains")
            operating.notifier.stopping()
            assert self._keeping is not None
            if not await self._keeping.drain(DRAIN_S):
                LOG.warning("not all that was under way ended in %g s", DRAIN_S)

    def stop(self) -> None:
        """End the node in order."""
        self._stop.set()

    def reload(self) -> None:
        """Read the node file again, and take what can be changed while the node runs."""
        if self._operating is not None:
            self._operating.account(self._operating.itself, "reload, by SIGHUP")
        try:
            self.take_file()
        except TokaidoError as error:
            LOG.warning("the node file was not taken: %s", error)

    def take_file(self) -> tuple[str, ...]:
        """Read the node file again and take it, unless a restart is needed; return for what one is.

        Raises:
            ConfigurationError: The file has mistakes, or a file that it names.
        """
        if self._file.path is None or self._keeping is None or self._operating is None:
            raise ConfigurationError("the node has no file that it could read again, or is starting")
        notifier = self._operating.notifier
        notifier.reloading()
        try:
            file = NodeFile.read(self._file.path)
            if left := self._file.needs_restart(file):
                LOG.warning("not taken until the node is started again: %s", ", ".join(left))
                return left
            context = tls.server_context(file.tls, self._clock)
            self._check_topology(file)
            trusted = self._trusted(file)
            self._keeping.reconfigure(file.core_settings())
            assert self._ways is not None
            self._ways.reload(trusted)
            for listener in self._listeners:
                listener.reload(context)
            assert self._sources is not None
            self._sources.reconfigure(file)
            self._operating.reconfigure(file)
            self._file = file
            if self._bus is not None and file.events is not None:
                self._bus.reload(file.events)
            self._taking = asyncio.get_running_loop().create_task(self._take_topology(self._keeping))
            LOG.info("the node file was read again")
            return ()
        finally:
            notifier.ready(self._operating.status().headline)

    async def move(self, link: str, path: str, *, by: str) -> None:
        """Begin to move a link to another path, and return when that is noted; without a path: forget the move.

        Raises:
            TokaidoError: It was not begun, or not forgotten.
        """
        if self._moving is None:
            raise RefusedError("the node is starting", remedy="Try again in a moment")
        if path:
            await self._moving.move(link, path, by=by)
        else:
            await self._moving.forget(link, by=by)

    # --- how it begins ------------------------------------------------------------------------------------------------

    async def _start(self, ending: AsyncExitStack) -> Operating:
        file = self._file
        trusted = self._trusted(file)
        ways = self._ways = Neighbours(
            {name: Neighbour(name, entry.url, trusted[name]) for name, entry in file.neighbours.items()}
        )
        ending.push_async_callback(ways.close)
        sources = self._sources = self._make_sources(file)
        operating = self._operating = Operating(file, self, clock=self._clock)
        operating.seen = lambda: ways.certificate_ends_s
        keeping = self._keeping = Keeping(
            file.store,
            file.wrapping_key,
            file.core_settings(),
            neighbours=ways,
            sources=sources,
            alarm=operating.alarm,
            clock=self._clock,
        )
        self._check_topology(file)
        moving = self._moving = Moving(
            file.name,
            sources.station,
            sources.ends,
            neighbours=ways,
            store=lambda: keeping.store,
            alarm=operating.alarm,
            account=operating.note,
        )
        about = About(
            file.name,
            version("tokaido"),
            emulated=file.emulation,
            can_move=lambda: moving.can_lead,
            has_boxes=sources.inventory is not None,
        )
        desk = Desk(operating, about, clock=self._clock)
        if file.events is not None:
            from tokaido.node.daemon._on_bus import on_bus  # noqa: PLC0415 - for those who have a hub

            self._bus = on_bus(lambda: self._file, operating, keeping, desk, self.take_file, clock=self._clock)
        await keeping.start()
        ending.push_async_callback(keeping.end)
        if self._bus is not None:
            ending.push_async_callback(self._bus.close)
        ending.push_async_callback(operating.close)
        await self._take_topology(keeping)
        await sources.remember(keeping)
        await moving.remember()
        await operating.start(
            keeping,
            sources.ends,
            sources.link_devices,
            sources.alarm_hooks,
            sources.inventory,
            halves={} if sources.station is None else sources.station.half_links,
        )
        heard = peer_application(keeping, self._is_neighbour, moves=moving)
        await self._listen("neighbours", file.neighbours_at, heard, ending)
        if file.applications_at is not None:
            served = etsi014_application(keeping, self._is_application)
            await self._listen("applications", file.applications_at, served, ending)
        if file.skip_at is not None:
            skip = skip_application(keeping, self._is_application, remotes=self._remotes)
            await self._listen("skip", file.skip_at, skip, ending)
        if file.endpoint is not None:
            keys, clients = file.endpoint.identities()
            endpoint = ControlEndpoint(file.endpoint.listen, keys, clients, desk, operating)
            await endpoint.open()
            ending.push_async_callback(endpoint.close)
            self.ports["endpoint"] = int(endpoint.endpoint.rpartition(":")[2])
            LOG.info("clients of the control endpoint are heard at %s", endpoint.endpoint)
        if isinstance(file.metrics_at, Address):
            metrics = metrics_application(operating.status, file.metrics_readers)
            await self._listen("metrics", file.metrics_at, metrics, ending)
        if file.state_at is not None:
            site = Site.of(file, sources.station, version=version("tokaido"))
            operating.notices = notices = Notices(site)
            await self._listen(
                "state", file.state_at, state_application(operating.status, file.state_readers, notices), ending
            )
        if self._bus is not None:
            await self._bus.start()
        sources.start(keeping.feed, operating.alarm)
        operating.take_up()
        ending.push_async_callback(sources.close)
        moving.resume()
        ending.push_async_callback(moving.close)
        return operating

    def _check_topology(self, file: NodeFile) -> None:
        """See that the topology of a file is valid now, and not older than the one that is taken."""
        if file.network is None:
            return
        topology = file.network.topology
        now = datetime.datetime.fromtimestamp(self._clock.utc_ns() / 1e9, datetime.UTC)
        if not topology.valid_at(now):
            raise ConfigurationError(
                f"the topology {file.network.file} is valid from {topology.valid_from} to "
                f"{topology.valid_until or 'no end'}, and now it is {now:%Y-%m-%d %H:%M:%S} UTC",
                remedy="Get the one of now from the person who signs it",
            )
        taken = self._file.network
        if taken is not None and taken.topology.network == topology.network:
            _see_serial(topology.serial, taken.topology.serial, file.network.file)

    async def _take_topology(self, keeping: Keeping) -> None:
        """Note durably which topology is taken.

        Raises:
            ConfigurationError: The node has taken one of a higher serial before.
        """
        network, store = self._file.network, keeping.store
        if network is None or store is None:
            return
        topology = network.topology
        highest = await store.call(lambda store: store.records.take_topology(topology.network, topology.serial))
        _see_serial(topology.serial, highest, network.file)
        if self._operating is not None:
            self._operating.account(
                self._operating.itself, f"take topology {topology.network}, serial {topology.serial}"
            )

    async def _listen(self, name: str, at: Address, application: object, ending: AsyncExitStack) -> None:
        limits = Limits(body=MAX_BODY) if name == "neighbours" else Limits()
        listener = Listener(application, tls.server_context(self._file.tls, self._clock), limits)  # type: ignore[arg-type]
        await listener.open(at.host, at.port)
        ending.push_async_callback(listener.close)
        self._listeners.append(listener)
        self.ports[name] = listener.port
        LOG.info("%s are heard at %s:%d", name, at.host, listener.port)

    def _trusted(self, file: NodeFile) -> dict[str, ssl.SSLContext]:
        """Return TLS of this node as a client, for each neighbour."""
        return {name: tls.client_context(file.tls, clock=self._clock) for name in file.neighbours}

    def _is_neighbour(self, name: str) -> bool:
        return name in self._file.neighbours

    def _is_application(self, name: str) -> bool:
        found = self._file.applications.get(name)
        return found is not None and found.node == self._file.name

    def _remotes(self, name: str) -> tuple[str, ...]:
        """Return the applications at other nodes."""
        del name
        return tuple(sae for sae, entry in self._file.applications.items() if entry.node != self._file.name)


def _see_serial(serial: int, highest: int, file: Path) -> None:
    if serial < highest:
        raise ConfigurationError(
            f"the topology {file} has serial {serial}, and this node took {highest} before",
            remedy="A node never goes back: sign what you want under a higher serial",
        )
