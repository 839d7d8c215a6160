"""Nodes that relay and tell a bus of it: daemons with stores on disk, and emulated repeaters. One test asks both."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final, Self

from tokaido.emulators.repeater import RepeaterModel, RepeaterOnBus
from tokaido.node.node_file import control_socket
from tokaido.node.operation import ControlClient
from tokaido_testing.chaos_line import NODES, ChaosLine
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tokaido.node.operation import NodeStatus
    from tokaido_testing.hubs import Hub

OPERATORS = {"ann": ["operator"]}


class RelayTellers(ABC):
    """Nodes on a hub that relay keys, and applications that take them. Use it as a context manager.

    Args:
        hub: Has certificates for `nodes`.
        folder: Of their files.
    """

    nodes: ClassVar[tuple[str, ...]]
    """Those that tell."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self.hub = hub
        self.folder = folder

    @abstractmethod
    def __enter__(self) -> Self: ...
    @abstractmethod
    def __exit__(self, *_: object) -> None: ...

    @abstractmethod
    def status(self, node: str) -> NodeStatus:
        """Return what a node says of itself, past the bus."""

    @abstractmethod
    def end(self) -> None:
        """Let the nodes end as they do at SIGTERM."""

    def relayed(self, node: str) -> dict[tuple[str, bool], int]:
        """Return how many keys a node relayed, by the node at the other end and whether it started them."""
        pairs = self.status(node).pairs
        kinds = (True, "born"), (False, "held")
        return {(pair.neighbour, here): pair.counters.get(name, 0) for pair in pairs for here, name in kinds}


class Daemons(RelayTellers):
    """Two daemons in processes of their own, and applications at both."""

    nodes = NODES

    def __enter__(self) -> Self:
        more = "[alarms]\nhold_off_s = 0.2\n" + self.hub.table(OPERATORS)
        self._line = ChaosLine(self.folder, more=more).__enter__()
        for node in self.nodes:
            self._line.start(node)
        for node in self.nodes:
            self._line.wait_ready(node, patient(20.0))
        self._line.start_applications(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._line.__exit__(None, None, None)

    def status(self, node: str) -> NodeStatus:
        return ControlClient(control_socket(self.folder / f"{node}.toml")).status()

    def end(self) -> None:
        for node in self.nodes:
            self._line.end(node)


class Emulated(RelayTellers):
    """Two emulated repeaters in a thread, each with neighbours and applications of its own."""

    nodes = ("maibara", "otsu")

    def __enter__(self) -> Self:
        self.models = {
            name: RepeaterModel(name, secrets="seeded", seed=seed, demand=60.0) for seed, name in enumerate(self.nodes)
        }
        self._loop, self._ending = asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(target=self._live, name="emulated-repeaters", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._loop.close()

    def status(self, node: str) -> NodeStatus:
        async def ask() -> NodeStatus:
            return self.models[node].status()

        return asyncio.run_coroutine_threadsafe(ask(), self._loop).result(patient(10.0))

    def end(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join(patient(20.0))
            assert not self._thread.is_alive()

    def _live(self) -> None:
        roles = {who: frozenset(roles) for who, roles in OPERATORS.items()}
        self.folder.mkdir(exist_ok=True)

        async def live() -> None:
            nodes = (
                RepeaterOnBus(model, self.hub.settings(f"node-{name}", every_s=0.3, operators=roles), self.folder)
                for name, model in self.models.items()
            )
            await asyncio.gather(*(node.run(self._ending) for node in nodes))

        self._loop.run_until_complete(live())


TELLERS: Final[Mapping[str, type[Daemons] | type[Emulated]]] = {"daemon": Daemons, "emulated": Emulated}
