"""A line that runs: a process of every node and of every span's emulation, and what can be done to them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import tokaido.hal as hal
from tokaido.console._demo_processes import Started, command
from tokaido.console._line.back_door import BackDoor
from tokaido.console._line.pace import Pace
from tokaido.console._line.watch import LineWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from tokaido.console._line.plant import Plant
    from tokaido.console._line.watch import Seen
    from tokaido.node.client import KeyClient
    from tokaido.node.operation import ControlClient


class LineRun:
    """All processes of a line, as a context: leaving it ends them, whatever happened.

    Args:
        plant: Its files.
        sifted_bps: What each span sifts in an emulated second.
        deadline: By when all must run.
        say: Is told how far it is.
    """

    def __init__(
        self, plant: Plant, sifted_bps: Mapping[str, float], deadline: hal.Deadline, say: Callable[[str], None]
    ) -> None:
        self.plant = plant
        self.doors = {name: BackDoor(files.back_door) for name, files in plant.spans.items()}
        """Back door of each span's emulation."""
        self.pace = Pace.of(self.doors, sifted_bps)
        self.watch = LineWatch({name: files.control for name, files in plant.nodes.items()}, self.doors)
        self._deadline = deadline
        self._say = say
        self._stack = ExitStack()
        self._emulations: dict[str, Started] = {}
        self._nodes: dict[str, Started] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for name, files in self.plant.spans.items():
                stations = (str(path) for path in files.stations)
                words = ("emulate", *stations, "--back-door", str(files.back_door), "--json")
                self._emulations[name] = stack.enter_context(Started(f"the emulation of {name}", *words))
            for emulation in self._emulations.values():
                emulation.wait_for("emulated", self._deadline)
            self._say(f"{len(self._emulations)} spans are emulated: all {2 * len(self._emulations)} units answer.")
            for name in self.plant.nodes:
                self._nodes[name] = stack.enter_context(self._node(name))
            for node in self._nodes.values():
                node.wait_for("ready", self._deadline)
            self._say(f"{len(self._nodes)} nodes run, each a process with a store and a certificate of its own.")
            for name, files in self.plant.spans.items():
                if files.span.paths:
                    self.control(files.span.ends[0]).move(name, files.span.paths[0])
            stack.enter_context(self.watch)
            self.watch.listen(self.pace.keep)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def seen(self) -> Seen:
        """What was seen last."""
        return self.watch.seen

    @property
    def processes(self) -> tuple[int, ...]:
        """Ids of all processes."""
        return tuple(one.pid for one in (*self._emulations.values(), *self._nodes.values()))

    def check(self) -> None:
        """See that every process runs that was not killed.

        Raises:
            TokaidoError: One ended.
        """
        for process in (*self._emulations.values(), *self._nodes.values()):
            process.check()

    def control(self, site: str) -> ControlClient:
        """Return a client of a node's control socket."""
        from tokaido.node.operation import ControlClient  # noqa: PLC0415 - aiohttp, when first needed

        return ControlClient(self.plant.nodes[site].control)

    def client(self, site: str) -> KeyClient:
        """Return a client of the node of a site, for its application.

        Raises:
            ConfigurationError: The site has no application.
        """
        from tokaido.node.client import KeyClient  # noqa: PLC0415

        files = self.plant.nodes[site]
        if not files.applications:
            raise hal.ConfigurationError(f"{site} has no application")
        return KeyClient(files.applications, self.plant.certificate(files.site.application))

    def kill(self, site: str) -> None:
        """Have a node fail at once, as if its machine lost power."""
        self._nodes[site].kill()

    def end_node(self, site: str, deadline: hal.Deadline) -> None:
        """End a node in order.

        Raises:
            TokaidoError: It did not end in order.
        """
        self._nodes[site].end(deadline)

    def start_again(
        self,
        site: str,
        deadline: hal.Deadline,
        *,
        program: Callable[[], int] = command,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start a node that was killed or ended, and wait until it runs.

        Args:
            site: Its name.
            deadline: By when it must run.
            program: What runs it, a function of a module.
            environment: Variables that it gets.

        Raises:
            TokaidoError: It did not come up in time.
        """
        self._nodes[site] = self._stack.enter_context(self._node(site, program, environment))
        self._nodes[site].wait_for("ready", deadline)

    def said(self, site: str, event: str) -> list[dict[str, Any]]:
        """Return what a node said with an event since it was asked last."""
        return self._nodes[site].said(event)

    def end(self, deadline: hal.Deadline) -> None:
        """End every process in order.

        Raises:
            TokaidoError: One did not end in order.
        """
        self.watch.end()
        for processes in (self._nodes.values(), self._emulations.values()):
            for process in processes:
                process.ask_to_end()
            for process in processes:
                process.end(deadline)

    def _node(
        self, site: str, program: Callable[[], int] = command, environment: Mapping[str, str] | None = None
    ) -> Started:
        words = ("node", "run", str(self.plant.nodes[site].node), "--json")
        return Started(f"node {site}", *words, program=program, environment=environment)
