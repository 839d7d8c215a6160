"""Start an emulated device: a model on its wire ends, with the resources that a driver opens."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, cast, overload
from urllib.parse import quote

from tokaido.emulators._faults import Faults
from tokaido.emulators._options import build_models, keywords_of
from tokaido.emulators._plugs import Plug, choose_end, https_end, make_end, make_room
from tokaido.emulators._secrets import Secrets, seed_of_run
from tokaido.emulators._stepped import SteppedClock
from tokaido.emulators.ends import SharedModel
from tokaido.hal import SYSTEM_CLOCK, Clock, ConfigurationError, CurveKeyFiles, Resource, create_curve_keys
from tokaido.hal.transports import load_curve_public, load_curve_secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import TypedDict as ClosedTypedDict

    from tokaido.emulators._fault_kinds import FaultPort
    from tokaido.emulators._https_model import HttpsModel
    from tokaido.emulators._model import DeviceModel
    from tokaido.emulators._option_types import (
        AmplifierLaunch,
        AnyLaunch,
        AttenuatorLaunch,
        DetectorLaunch,
        KeyManagersLaunch,
        MatrixLaunch,
        NecLaunch,
        NecReceiverLaunch,
        OswLaunch,
        PaddlesLaunch,
        PowerMeterLaunch,
        RepeaterLaunch,
        SelectorLaunch,
        TaggerLaunch,
        ToshibaUnitName,
        UnitLaunch,
    )
    from tokaido.emulators._plugs import ControlEnd
    from tokaido.emulators.ends import InProcessMessages, ModelLock, PtyEnd, ZmqEnd
    from tokaido.emulators.ends.hislip import Profile
    from tokaido.emulators.units import ModelFaults

if TYPE_CHECKING:  # closed, so that both checkers take **unit.resources for nothing but resources

    class UnitResources(ClosedTypedDict, closed=True):
        """What a driver opens: `hal.Transmitter.open("toshiba.transmitter", **unit.resources)`."""

        control: str
        keys: str

    class ControlResources(ClosedTypedDict, closed=True):
        """What a driver of a device without a key channel opens."""

        control: str

else:
    UnitResources = ControlResources = dict


_numbers = itertools.count(2)


class OwnDirectory:
    """A folder for an emulator's link and keys: the caller's, or one that lives as long as this does."""

    def __init__(self, directory: Path | str | None) -> None:
        self._temporary = directory is None
        self.path = Path(tempfile.mkdtemp(prefix="tokaido-")) if directory is None else Path(directory).absolute()
        self.path.mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        """Remove the folder, if it was made here."""
        if self._temporary:
            shutil.rmtree(self.path, ignore_errors=True)


class Emulator:
    """One emulated device on its wires: a control port on any wire end, and a key channel on ZeroMQ with CURVE.

    It runs until `close`, which leaves no thread, descriptor, socket, link or file behind. Close it, or use it as a
    context manager.

    Args:
        model: The device model.
        shared: The model with its lock and its time.
        directory: Where the link and the key files are made; None for a folder that is removed at the end.
        clock: Times the faults.
        seed: Decides which pieces the faults strike.
        impostor: The other box that answers under the fault `wrong_id`; default: one of the same class.
        wire_end: What carries the control port, one of `WIRE_ENDS`.
        resources: Where to appear, by port: `serial:/tmp/lab/alice`, `zmq:tcp://127.0.0.1:5560?server_key_file=...`.
        pace_baud: Bits per second of a serial line; None for one that takes no time.
        hislip_profile: "lenient", or "strict" with service requests and interruptions.

    Raises:
        ConfigurationError: The model has no such wire end, or a place is taken.
    """

    resources: UnitResources
    """What a driver opens: `control`, and `keys` if there is a key channel."""

    def __init__(
        self,
        model: DeviceModel,
        shared: SharedModel,
        directory: Path | str | None,
        *,
        clock: Clock,
        seed: int,
        impostor: DeviceModel | None = None,
        wire_end: str | None = None,
        resources: Mapping[str, str] | None = None,
        pace_baud: int | None = None,
        hislip_profile: Profile = "lenient",
    ) -> None:
        self.model = model
        """The device model. Hold `lock` to touch it. A unit at rest is brought to the present once a second."""
        self.seed = seed
        """Decides everything that is random here and no secret; the same seed repeats a run."""
        self.faults = Faults(seed, model.FAULTS)
        """Faults on the wires."""
        self.client_keys: CurveKeyFiles
        """CURVE identity of the one host that may connect, if a port is on ZeroMQ."""
        self.server_keys: CurveKeyFiles
        """CURVE identity of the device, if a port is on ZeroMQ."""
        self.keys: ZmqEnd
        """The key channel's wire end, if there is one with a thread."""
        self.messages: InProcessMessages
        """The key channel's wire end under a stepped clock, if there is one."""
        self.end: ControlEnd
        """The control port's wire end."""
        self._shared = shared
        self._stack = ExitStack()
        self._counterpart: ControlResources | None = None
        places = dict(resources or {})
        if unknown := set(places) - {*model.STREAM_PORTS, *model.MESSAGE_PORTS}:
            raise ConfigurationError(f"{type(model).__name__} has no port {', '.join(sorted(unknown))}")
        self.wire_end = choose_end(model, wire_end, places.get("control"), threads=not isinstance(clock, SteppedClock))
        """What carries the control port, one of `WIRE_ENDS`."""
        place = OwnDirectory(directory)
        self._stack.callback(place.remove)
        self._stack.callback(model.forget_secrets)
        serial = model.serial_number
        other = impostor or type(model)(f"{serial[:20]}-X9", seed=seed)  # type: ignore[call-arg]
        model.wire_end = other.wire_end = self.wire_end
        common: dict[str, Any] = {"faults": self.faults, "clock": clock, "impostor": other}
        plug = Plug(shared, place.path, self._stack, pace_baud, hislip_profile, common)
        try:
            found = {"control": self._plug_in_control(plug, places.get("control"))}
            if self.wire_end == "https":
                self._plug_in_counterpart(plug)
            if "keys" in model.MESSAGE_PORTS:
                end, found["keys"] = self._plug_in_messages(plug, "keys", places.get("keys"))
                if isinstance(clock, SteppedClock):
                    self.messages = cast("InProcessMessages", end)
                else:
                    self.keys = cast("ZmqEnd", end)
        except BaseException:
            self._stack.close()
            raise
        self.resources = cast("UnitResources", found)

    def _plug_in_control(self, plug: Plug, place: str | None) -> str:
        if self.wire_end == "zmq":
            self.end, resource = self._plug_in_messages(plug, "control", place)
            return resource
        self.end, tell = make_end(self.wire_end, plug, place)
        try:
            self.end.start()
        except OSError as error:
            raise ConfigurationError(f"{place or self.wire_end} cannot be taken: {error.strerror}") from error
        except ConfigurationError:
            if place is not None:
                raise
            return self._plug_in_control(plug, None)  # another thread took the name that was free
        self._stack.callback(self.end.close)
        return tell()

    def _plug_in_counterpart(self, plug: Plug) -> None:
        for index in range(1, len(cast("HttpsModel", self.model).SERVERS)):
            end, tell = https_end(plug, index)
            end.start()
            self._stack.callback(end.close)
            self._counterpart = {"control": tell()}

    def _plug_in_messages(
        self, plug: Plug, port: FaultPort, place: str | None
    ) -> tuple[ZmqEnd | InProcessMessages, str]:
        """Return the wire end of a message port, started, and the resource that leads to it."""
        from tokaido.emulators.ends import ZmqEnd  # noqa: PLC0415 - zmq is loaded when it is needed

        serial = self.model.serial_number
        if isinstance(plug.common["clock"], SteppedClock):
            if place is not None:
                raise ConfigurationError(f"{place} takes a thread, and a stepped clock has one", remedy="Leave it out")
            own = f"{serial}-{next(_numbers)}"  # so that nobody takes the name while the plug is out
            messages = self._start_messages(plug, port, serial if port == "keys" else own)
            self._stack.callback(messages.close)
            return messages, f"zmq:{messages.endpoint}"
        endpoint = "tcp://127.0.0.1:0"
        if place is None:
            self.server_keys = self._identity(plug.directory, serial)
            self.client_keys = self._identity(plug.directory, f"{serial}-host")
        else:
            resource = Resource.parse(place)
            endpoint = resource.address
            server, client = (Path(resource.options[name]) for name in ("server_key_file", "client_key_file"))
            self.server_keys = self._identity(server.parent, server.stem)
            self.client_keys = self._identity(client.parent, client.stem)
        clients = [load_curve_public(self.client_keys.public)]
        secret = load_curve_secret(self.server_keys.secret)
        end = ZmqEnd(plug.shared, secret, clients, endpoint=endpoint, port=port, **plug.common)
        try:
            end.start()
        except OSError as error:
            raise ConfigurationError(f"{endpoint} cannot be bound: {error.strerror}") from error
        self._stack.callback(end.close)
        server_file, client_file = (quote(str(path)) for path in (self.server_keys.public, self.client_keys.secret))
        own = f"zmq:{end.endpoint}?server_key_file={server_file}&client_key_file={client_file}"
        return end, own if place is None else place

    def _start_messages(self, plug: Plug, port: FaultPort, name: str) -> InProcessMessages:
        from tokaido.emulators.ends import InProcessMessages  # noqa: PLC0415 - as above

        messages = InProcessMessages(plug.shared, name, port=port, **plug.common)
        try:
            messages.start()
        except ConfigurationError:  # another device of this process has the name
            return self._start_messages(plug, port, f"{self.model.serial_number}-{next(_numbers)}")
        return messages

    def _identity(self, directory: Path, name: str) -> CurveKeyFiles:
        files = CurveKeyFiles(directory / f"{name}.key", directory / f"{name}.key_secret")
        if files.secret.exists():
            return files
        self._stack.callback(files.public.unlink, missing_ok=True)
        self._stack.callback(files.secret.unlink, missing_ok=True)
        return create_curve_keys(directory, name, durable=False)  # it is deleted when the emulator ends

    @property
    def counterpart(self) -> ControlResources:
        """What a driver of the other end opens, where one emulator is a pair of devices.

        Raises:
            ConfigurationError: It is not.
        """
        if self._counterpart is None:
            raise ConfigurationError(f"{self.serial_number} is one device and has no counterpart")
        return self._counterpart

    @property
    def control(self) -> PtyEnd:
        """The console's pseudo-terminal.

        Raises:
            ConfigurationError: The control port is on another wire end; see `end`.
        """
        from tokaido.emulators.ends import PtyEnd  # noqa: PLC0415 - when first needed

        if not isinstance(self.end, PtyEnd):
            raise ConfigurationError(f"the control port is on {self.wire_end!r}", remedy="Take `end`")
        return self.end

    @property
    def lock(self) -> ModelLock:
        """The one lock around the model."""
        return self._shared.lock

    @property
    def serial_number(self) -> str:
        """Serial number of the emulated device."""
        return self.model.serial_number

    @property
    def model_faults(self) -> ModelFaults:
        """Faults in the device itself (see `tokaido.emulators.units`); hold `lock` while you change them.

        Raises:
            ConfigurationError: This model has none.
        """
        faults: ModelFaults | None = getattr(self.model, "faults", None)
        if faults is None:
            raise ConfigurationError(f"{type(self.model).__name__} has no faults of its own")
        return faults

    def add_fault(self, fault: str) -> None:
        """Begin a fault in the device itself."""
        with self._shared.lock:
            self._shared.catch_up()
            self.model.add_fault(fault)

    def remove_fault(self, fault: str) -> None:
        """End a fault in the device itself."""
        with self._shared.lock:
            self._shared.catch_up()
            provoked: set[str] | None = getattr(self.model, "provoked", None)
            if provoked is None:
                self.model_faults.remove(fault)
            else:
                provoked.discard(fault)

    def unplug(self) -> None:
        """Pull the plug of the control port: its terminal and link, or its listener and connections, vanish."""
        self.end.unplug()

    def replug(self) -> None:
        """Put it back, at the same place."""
        self.end.replug()

    def darken(self) -> None:
        """Take its mains away: the box is off, and its control port gone."""
        with self._shared.lock:
            self.model.lose_power()
        self.unplug()

    def power(self) -> None:
        """Give it its mains again: the control port is back, and the program that drives the box switches it on."""
        self.replug()

    def move(self, resources: Mapping[str, str]) -> None:
        """Appear at other places from now on: `control` on a pseudo-terminal's link, `keys` at another endpoint.

        Raises:
            ConfigurationError: A place cannot be taken, there is no such port, or it is within the process.
        """
        for port in resources:
            if port not in self.resources:
                raise ConfigurationError(
                    f"{self.serial_number} has no port {port!r}", remedy=f"It has {', '.join(self.resources)}"
                )
        if "keys" in resources and getattr(self, "keys", None) is None:
            raise ConfigurationError(
                f"the keys of {self.serial_number} are within the process, where a stepped clock has them",
                remedy="Unplug and replug them; where a unit is to move, take the clock of the machine",
            )
        if "control" in resources:
            link = Path(Resource.parse(resources["control"]).address).expanduser().absolute()
            make_room(link, self._stack)
            self._stack.callback(self.end.close)  # before the folder is removed
            self.control.move(link)
        if "keys" in resources:
            self.keys.unplug()
            self.keys.endpoint = Resource.parse(resources["keys"]).address
            self.keys.replug()
        self.resources = cast("UnitResources", {**self.resources, **resources})

    def close(self) -> None:
        """End the emulator. May be called again."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Emulator {self.serial_number} {self.resources['control']} seed {self.seed}>"


class InstrumentEmulator(Emulator):
    """An emulated device without a key channel."""

    resources: ControlResources  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleVariableOverride]
    """What a driver opens."""


@overload
def launch(  # type: ignore[overload-overlap]  # a name that is a plain str may be any device's
    name: ToshibaUnitName, **options: Unpack[UnitLaunch]
) -> Emulator: ...
@overload
def launch(  # type: ignore[overload-overlap]
    name: Literal["nec.transmitter"], **options: Unpack[NecLaunch]
) -> Emulator: ...
@overload
def launch(  # type: ignore[overload-overlap]
    name: Literal["nec.receiver"], **options: Unpack[NecReceiverLaunch]
) -> Emulator: ...
@overload
def launch(name: Literal["polatis.matrix"], **options: Unpack[MatrixLaunch]) -> InstrumentEmulator: ...
@overload
def launch(name: Literal["dicon.selector"], **options: Unpack[SelectorLaunch]) -> InstrumentEmulator: ...
@overload
def launch(name: Literal["thorlabs.osw"], **options: Unpack[OswLaunch]) -> InstrumentEmulator: ...
@overload
def launch(name: Literal["fiberlabs.amplifier"], **options: Unpack[AmplifierLaunch]) -> InstrumentEmulator: ...
@overload
def launch(name: Literal["etsi014.source"], **options: Unpack[KeyManagersLaunch]) -> InstrumentEmulator: ...
@overload
def launch(name: Literal["idquantique.detector"], **options: Unpack[DetectorLaunch]) -> InstrumentEmulator: ...
@overload
def launch(name: Literal["repeater.node"], **options: Unpack[RepeaterLaunch]) -> InstrumentEmulator: ...
@overload
def launch(name: Literal["keysight.attenuator"], **options: Unpack[AttenuatorLaunch]) -> InstrumentEmulator: ...
@overload
def launch(name: Literal["sfifteen.tagger"], **options: Unpack[TaggerLaunch]) -> InstrumentEmulator: ...
@overload
def launch(name: Literal["thorlabs.mpc"], **options: Unpack[PaddlesLaunch]) -> InstrumentEmulator: ...
@overload
def launch(name: Literal["thorlabs.pm100"], **options: Unpack[PowerMeterLaunch]) -> InstrumentEmulator: ...
@overload
def launch(name: str, **options: Unpack[AnyLaunch]) -> InstrumentEmulator: ...


def launch(
    name: str,
    *,
    wire_end: str | None = None,
    resources: Mapping[str, str] | None = None,
    serial_number: str | None = None,
    seed: int | None = None,
    speed: float = 1.0,
    warm: bool = False,
    secrets: Secrets = "os",
    pace_baud: int | None = None,
    hislip_profile: Profile = "lenient",
    directory: Path | str | None = None,
    clock: Clock = SYSTEM_CLOCK,
    model_options: Mapping[str, object] | None = None,
    **options: object,
) -> Emulator:
    """Start an emulated device alone: no light, no peer.

    Args:
        name: An emulator's name, such as "toshiba.transmitter".
        wire_end: What carries its control port: one of those that its model has (`wire_ends`), by default the first.
            "tcp" and "hislip" are plain, as such instruments are: on the loopback interface, and never with keys, which
            have a port of their own under CURVE.
        resources: Where to appear, by port; by default at places that are free.
        serial_number: Its serial number; default: the model's own.
        seed: Decides everything that is random and no secret; the emulator's `seed` says it. Default: a new one for
            every run, or 0 if secrets are "seeded".
        speed: Emulated seconds per second of the clock.
        warm: Begin as a unit that has long been on: state AUTH, temperatures settled.
        secrets: "os", or "seeded" for keys that are the same in every run and marked insecure.
        pace_baud: Bits per second of its serial line; by default it takes no time.
        hislip_profile: "lenient", or "strict" with service requests and interruptions (IVI-6.1).
        directory: Where the console's link and the key files appear; one of its own, removed at the end, by default.
        clock: Drives the device.
        model_options: Options of the model, for a device whose options a type checker does not know by name.
        options: The same by name. A unit takes `state_directory`, where it notes which one-time pads were spent.

    Raises:
        ConfigurationError: There is no such emulator, or it takes no such option; the error lists those it takes.
    """
    seed = seed_of_run(seed, secrets)
    model, impostor = build_models(
        name,
        serial_number,
        seed=seed,
        secrets=secrets,
        options={**(model_options or {}), **options},
        launcher=keywords_of(launch),
    )
    if warm:
        model.warm()
    kind = Emulator if "keys" in model.MESSAGE_PORTS else InstrumentEmulator
    return kind(
        model,
        SharedModel(model, clock=clock, speed=speed),
        directory,
        clock=clock,
        seed=seed,
        impostor=impostor,
        wire_end=wire_end,
        resources=resources,
        pace_baud=pace_baud,
        hislip_profile=hislip_profile,
    )
