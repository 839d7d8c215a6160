"""The role of an optical switch: which input is joined to which output, verified after every change."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from tokaido.hal._change_log import LoggedChange
from tokaido.hal._clock import Deadline
from tokaido.hal._device import Device
from tokaido.hal._errors import (
    DeviceError,
    OutcomeUnknownError,
    RangeError,
    RefusedError,
    TransportError,
    UnsupportedError,
    ValueTypeError,
    WrongDeviceError,
)
from tokaido.hal._forcing import forcible
from tokaido.hal._numbers import whole
from tokaido.hal.roles._switch_values import BootMode, PortState, SwitchCapability, SwitchPort, SwitchSize

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal._further_settings import FurtherSetting
    from tokaido.hal._readings import Reading, Telemetry
    from tokaido.hal.roles._interlocks import LightInterlock

T = TypeVar("T")

FORCIBLE = ("connect", "replace", "reroute", "set_port_enabled")
"""Orders that take a reason, by which interlocks are overruled."""
POLL_S = 0.005
"""How often the map is read while a change settles."""


class OpticalSwitch(Device):
    """A switch that joins inputs to outputs, one to one. Its safe state is its map as it stands: darkness cuts others.

    Every change is checked before it is sent, and read back within `settle_timeout` after it. Ports are counted from 1
    on either side; a driver translates where its vendor counts otherwise.
    """

    settle_timeout: float = 1.0
    """How long a change may take to show, in s."""

    @abstractmethod
    def size(self) -> SwitchSize:
        """Ask how many inputs and outputs there are."""

    @abstractmethod
    def connections(self) -> dict[int, int]:
        """Ask for the whole map: output by input."""

    @abstractmethod
    def _add(self, pairs: Mapping[int, int]) -> None:
        """Join these inputs to these outputs, which are free. One command."""

    @abstractmethod
    def _remove(self, pairs: Mapping[int, int]) -> None:
        """Part these pairs, which are joined. One command."""

    @abstractmethod
    def _replace(self, pairs: Mapping[int, int]) -> None:
        """Make this the whole map. One command."""

    def connect(self, input: int, output: int, *, force: str = "") -> None:  # noqa: A002 - the word users type
        """Join an input to an output that are both free, or already joined to each other.

        Args:
            input: From 1.
            output: From 1.
            force: Why an interlock may be overruled; it is logged. Empty: it may not.

        Raises:
            RangeError: The switch has no such port; nothing was sent.
            RefusedError: One of the ports is joined to another; nothing was sent.
            InterlockError: Classical light would reach a single-photon receiver; nothing was sent.
            DeviceError: The switch refused, or its map did not become this within `settle_timeout`.
            OutcomeUnknownError: The reply was lost; read `connections`.
        """
        source, target = self._port("input", input), self._port("output", output)
        self._pairs({source: target}, force)
        present = self.connections()
        if present.get(source) == target:
            return
        taken = {o: i for i, o in present.items()}
        if source in present or target in taken:
            which = (
                f"input {source} is joined to output {present[source]}"
                if source in present
                else (f"output {target} is joined to input {taken[target]}")
            )
            raise RefusedError(
                f"{which}; nothing was sent",
                device=self.name,
                command=f"connect {source} to {target}",
                remedy="Disconnect it first, or replace the whole map",
            )
        self._check_interlocks({source: target}, force)
        with self._changing({}, {source: target}):
            self._add({source: target})
            self._verify({**present, source: target}, f"connect {source} to {target}")

    def disconnect(self, *inputs: int) -> None:
        """Part these inputs from their outputs. Inputs that are free stay so.

        Raises:
            RangeError: The switch has no such input; nothing was sent.
            UnsupportedError: Every input of this switch always has an output.
            DeviceError: The switch refused, or its map did not become this within `settle_timeout`.
        """
        asked = self._inputs(inputs)
        present = self.connections()
        pairs = {i: present[i] for i in asked if i in present}
        if pairs:
            self._require(SwitchCapability.DISCONNECT)
            with self._changing(pairs, {}):
                self._remove(pairs)
                self._verify({i: o for i, o in present.items() if i not in pairs}, f"disconnect {sorted(pairs)}")

    def disconnect_all(self) -> None:
        """Part every pair."""
        self._require(SwitchCapability.DISCONNECT)
        self.replace({})

    def replace(self, connections: Mapping[int, int], *, force: str = "") -> None:
        """Make `connections` (output by input) the whole map, at once.

        Raises:
            RangeError: A port does not exist, or an output stands twice; nothing was sent.
            InterlockError: Classical light would reach a single-photon receiver; nothing was sent.
            DeviceError: The switch refused, or its map did not become this within `settle_timeout`.
            OutcomeUnknownError: The reply was lost; read `connections`.
        """
        wanted = self._pairs(connections, force)
        self._check_outputs_once(wanted)
        self._check_interlocks(wanted, force)
        with LoggedChange(self.name, "the whole map", after=wanted):
            self._replace(wanted)
            self._verify(wanted, "replace")

    def reroute(
        self, *, disconnect: Iterable[int] = (), connect: Mapping[int, int] | None = None, force: str = ""
    ) -> None:
        """Disconnect some inputs and connect others, with one command, and leave every other connection alone.

        The command carries the whole map as it was read just before. A change that another client makes between that
        reading and the command is undone, unnoticed: move light on a shared switch under a lease.

        Args:
            disconnect: Inputs to part from their outputs. Inputs that are free stay so.
            connect: Output by input; ports that are free, or become so by `disconnect`, or are joined so already.
            force: Why an interlock may be overruled; it is logged. Empty: it may not.

        Raises:
            RangeError: A port does not exist, or an output stands twice; nothing was sent.
            RefusedError: A port is joined to another that is not parted; nothing was sent.
            InterlockError: Classical light would reach a single-photon receiver; nothing was sent.
            UnsupportedError: An input would be left without an output, and this switch cannot; nothing was sent.
            DeviceError: The switch refused, or its map did not become this within `settle_timeout`.
            OutcomeUnknownError: The reply was lost; read `connections`.
        """
        parted, joined = frozenset(self._inputs(disconnect)), self._pairs(connect or {}, force)
        self._check_outputs_once(joined)
        command = f"disconnect {sorted(parted)}, connect {joined}"
        present = self.connections()
        kept = {i: o for i, o in present.items() if i not in parted}
        taken = {o: i for i, o in kept.items()}
        for source, target in joined.items():
            if kept.get(source, target) != target or taken.get(target, source) != source:
                busy = (
                    f"input {source} is joined to output {kept[source]}"
                    if kept.get(source, target) != target
                    else f"output {target} is joined to input {taken[target]}"
                )
                raise RefusedError(
                    f"{busy}; nothing was sent",
                    device=self.name,
                    command=command,
                    remedy="Whose connection is it? Part it first",
                )
        wanted = {**kept, **joined}
        if wanted == present:
            return
        if not wanted.keys() >= present.keys():
            self._require(SwitchCapability.DISCONNECT)
        self._check_interlocks({i: o for i, o in joined.items() if present.get(i) != o}, force)
        with self._changing(
            {i: o for i, o in present.items() if wanted.get(i) != o},
            {i: o for i, o in wanted.items() if present.get(i) != o},
        ):
            self._replace(wanted)
            self._verify(wanted, command)

    def port_states(self) -> dict[SwitchPort, PortState]:
        """Ask for the state of every port.

        Raises:
            UnsupportedError: This switch has none to tell.
        """
        raise self._lacks(SwitchCapability.PORT_STATES)

    def set_port_enabled(self, port: SwitchPort, enabled: bool, *, force: str = "") -> None:  # noqa: ARG002 - for switches that have it
        """Open or close the shutter of one port, and verify it. The interlocks watch over opening.

        Raises:
            InterlockError: Classical light would reach a single-photon receiver; nothing was sent.
            UnsupportedError: This switch has no port shutters.
        """
        raise self._lacks(SwitchCapability.PORT_STATES)

    def port_powers(self) -> dict[SwitchPort, Reading[float]]:
        """Ask for the optical power in dBm at every port that has a monitor.

        Raises:
            UnsupportedError: This switch has no monitors.
        """
        raise self._lacks(SwitchCapability.POWER_MONITORS)

    def boot_mode(self) -> BootMode:
        """Ask which map the switch will have after power came back.

        Raises:
            UnsupportedError: This switch has no choice.
        """
        raise self._lacks(SwitchCapability.BOOT_MODE)

    def set_boot_mode(self, mode: BootMode) -> None:  # noqa: ARG002 - for switches that have it
        """Choose which map the switch will have after power came back, and verify it.

        Raises:
            UnsupportedError: This switch has no choice.
        """
        raise self._lacks(SwitchCapability.BOOT_MODE)

    def further_settings(self) -> Mapping[str, FurtherSetting]:
        """Ask for the map, for the shutters of the ports and for the boot mode, as far as the switch has them."""
        from tokaido.hal.roles._switch_settings import settings_of  # noqa: PLC0415 - for who saves them

        return settings_of(self)

    def telemetry(self) -> Telemetry:
        """Read every value; a switch whose driver declares none is asked who it is, so that one that hangs is found.

        Raises:
            TransportError: The device could not be asked at all.
        """
        readings = super().telemetry()
        if not readings:
            self.identity()
        return readings

    def _describe(self, record: dict[str, Any], ask: Callable[[str, Callable[[], Any]], Any]) -> None:
        from dataclasses import asdict  # noqa: PLC0415 - `inspect` comes with it, for snapshots alone

        asked: dict[str, Callable[[], Any]] = {
            "size": lambda: asdict(self.size()),
            "outputs_by_input": lambda: {str(i): o for i, o in sorted(self.connections().items())},
        }
        if SwitchCapability.PORT_STATES in self.capabilities:
            asked["port_states"] = lambda: {str(port): state.value for port, state in self.port_states().items()}
        if SwitchCapability.POWER_MONITORS in self.capabilities:
            asked["port_powers_dbm"] = lambda: {str(port): power.value for port, power in self.port_powers().items()}
        if SwitchCapability.BOOT_MODE in self.capabilities:
            asked["boot_mode"] = lambda: self.boot_mode().value
        record["connections"] = {key: ask(key, question) for key, question in asked.items()}

    def add_interlock(self, interlock: LightInterlock) -> None:
        """Enforce an interlock from now on. A station does this for those in its file, at the receivers too."""
        self._interlocks = (*self._interlocks, interlock)

    _interlocks: tuple[LightInterlock, ...] = ()

    def __init_subclass__(cls) -> None:
        """Let every driver's orders tell why they are forced, those of third parties too."""
        super().__init_subclass__()
        for name in FORCIBLE:
            setattr(cls, name, forcible(getattr(cls, name)))

    def check_text(self, text: str, *, force: str = "") -> None:
        """Ask the interlocks about the pairs that a text of the vendor's `joins`."""
        if not self._interlocks:
            return
        pairs = self.joins(text)
        if pairs is not None:
            self._check_interlocks(pairs, force)
            return
        for interlock in self._interlocks:
            for output in interlock.shuttered:
                interlock.check(self.name, {min(interlock.classical_inputs): output}, force)

    def joins(self, text: str) -> Mapping[int, int] | None:  # noqa: ARG002 - for drivers, which know
        """Return output by input that a text of the vendor's may join; None: it cannot be told, so it may be any."""
        return None

    def apply_safe_state(self) -> None:
        """Leave the map as it is."""

    # --- checks -----------------------------------------------------------------------------------------------------

    def _inputs(self, numbers: Iterable[int]) -> list[int]:
        """Return these inputs as plain numbers."""
        if not isinstance(numbers, Iterable) or isinstance(numbers, (str, bytes)):
            raise ValueTypeError(f"inputs are numbers in a list, not {numbers!r}", device=self.name)
        found = [self._port("input", number) for number in numbers]
        self._check_ports("input", found, self.size().inputs)
        return found

    def _pairs(self, pairs: Mapping[int, int], force: str = "") -> dict[int, int]:
        """Return a map as plain numbers."""
        if not isinstance(force, str):
            raise ValueTypeError(f"force is the reason, in words, not {force!r}", device=self.name)
        if not isinstance(pairs, Mapping):
            raise ValueTypeError(f"a map is {{input: output}}, not {pairs!r}", device=self.name)
        found = {self._port("input", i): self._port("output", o) for i, o in pairs.items()}
        self._check_ports("input", found, self.size().inputs)
        self._check_ports("output", found.values(), self.size().outputs)
        return found

    def _port(self, side: str, number: object) -> int:
        try:
            return whole(number, side)
        except ValueTypeError as error:
            raise RangeError(
                f"there is no {side} {number!r}", device=self.name, remedy="A port is a whole number; nothing was sent"
            ) from error

    def _check_ports(self, side: str, numbers: Iterable[int], last: int) -> None:
        for number in numbers:
            if not 1 <= number <= last:
                raise RangeError(
                    f"there is no {side} {number!r}", device=self.name, remedy=f"It has 1 to {last}; nothing was sent"
                )

    def _check_outputs_once(self, pairs: Mapping[int, int]) -> None:
        if len(set(pairs.values())) != len(pairs):
            raise RangeError(f"an output stands twice in {dict(pairs)}", device=self.name, remedy="Nothing was sent")

    def _check_interlocks(self, pairs: Mapping[int, int], force: str) -> None:
        for interlock in self._interlocks:
            interlock.check(self.name, pairs, force)

    def _changing(self, parted: Mapping[int, int], joined: Mapping[int, int]) -> LoggedChange:
        return LoggedChange(self.name, "connections", parted or None, joined or "none")

    def _verify(self, wanted: Mapping[int, int], command: str) -> None:
        self._read_back(self.connections, dict(wanted), "the map", command)

    def _read_back(self, read: Callable[[], T], wanted: T, what: str, command: str) -> None:
        """Read until it is what it was to become; a lost reply to the question is not a reason to give up early."""
        deadline = Deadline(self._clock, self.settle_timeout)
        while True:
            try:
                found = read()
            except WrongDeviceError:
                raise
            except TransportError as error:
                if deadline.passed:
                    raise OutcomeUnknownError(
                        f"a command was sent and {what} could not be read after it ({error.what})",
                        device=self.name,
                        command=command,
                        remedy="It may or may not have been carried out: read the state, then decide",
                    ) from error
            else:
                if found == wanted:
                    return
                if deadline.passed:
                    raise DeviceError(
                        f"{what} was to be {wanted} and is {found} after {deadline.elapsed_s:.3f} s",
                        device=self.name,
                        command=command,
                        remedy="Look at port_states(), or allow it more settle_timeout",
                    )
            self._clock.wait(POLL_S)

    def _require(self, capability: SwitchCapability) -> None:
        if capability not in self.capabilities:
            raise self._lacks(capability)

    def _lacks(self, capability: SwitchCapability) -> UnsupportedError:
        return UnsupportedError(f"this switch cannot: {capability.value}", device=self.name)
