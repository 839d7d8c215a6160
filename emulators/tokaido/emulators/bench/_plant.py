"""What stands on the bench, on its wires or bare, and what is joined to what."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal, Unpack, overload

from tokaido.emulators._launch import Emulator, InstrumentEmulator, OwnDirectory
from tokaido.emulators._options import build_models, keywords_of
from tokaido.emulators._secrets import Secrets, secret_source, seed_of_run
from tokaido.emulators.bench._cables import Cables
from tokaido.emulators.bench._elements import FibreOnBench, Multiplexer, Panel
from tokaido.emulators.bench._graph import CONNECTOR_LOSS_DB, Graph
from tokaido.emulators.bench._laser import LaserOnBench
from tokaido.emulators.bench._places import ReceiverPlace, TransmitterPlace, WatchedModel
from tokaido.emulators.bench._standing import Standing
from tokaido.emulators.ends import SharedModel
from tokaido.emulators.optics import Fibre
from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tokaido.emulators._light import Band
    from tokaido.emulators._model import DeviceModel
    from tokaido.emulators._option_types import (
        AmplifierDevice,
        AnyDevice,
        AttenuatorDevice,
        DetectorDevice,
        MatrixDevice,
        NecDevice,
        NecReceiverDevice,
        OswDevice,
        PaddlesDevice,
        PowerMeterDevice,
        SelectorDevice,
        TaggerDevice,
        ToshibaUnitName,
        UnitDevice,
    )
    from tokaido.emulators.bench._elements import Element, SwitchPlace
    from tokaido.emulators.bench._graph import Join
    from tokaido.emulators.bench._passages import Passage
    from tokaido.emulators.bench._path import LightPath
    from tokaido.emulators.bench._places import UnitPlaceOnBench
    from tokaido.hal import Clock


class Plant:
    """Devices and fibres, and the joins of their ports.

    Args:
        seed: Decides everything that is random and no secret; None for a new one (`seed_of_run`).
        speed: Emulated seconds per second of the devices on wires that are not units.
        secrets: Where the units' secrets come from.
        directory: Where consoles and key files appear; None for a folder that is removed at the end.
        clock: The wall clock.
    """

    def __init__(
        self, *, seed: int | None, speed: float, secrets: Secrets, directory: Path | str | None, clock: Clock
    ) -> None:
        self.seed = seed_of_run(seed, secrets)
        """Decides everything that is random and no secret; the same seed repeats a run."""
        self.secrets: Secrets = secrets
        """Where the units' secrets come from."""
        self.devices: dict[str, Emulator] = {}
        """The devices on their wires, by name."""
        self.fibres: dict[str, FibreOnBench] = {}
        """The fibres, by name."""
        self.lasers: dict[str, LaserOnBench] = {}
        """The lasers, by name."""
        self._cables = Cables(self.lasers)
        self._clock = clock
        self._others_speed = speed
        self._graph = Graph()
        self._joining = threading.RLock()
        self._transmitters: dict[str, TransmitterPlace] = {}
        self._receivers: dict[str, ReceiverPlace] = {}
        self._units: dict[str, UnitPlaceOnBench] = {}
        self._others: list[SharedModel] = []
        self._by_hand: list[SharedModel] = []
        self._told: list[tuple[SharedModel, Passage | SwitchPlace]] = []
        self._now_ns = 0
        self._started = False
        self._directory = directory
        self._place: OwnDirectory | None = None
        self._stack = ExitStack()

    # --- what stands on it ------------------------------------------------------------------------------------------

    @overload
    def device(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]  # a plain str may be any device's
        self, name: str, driver: ToshibaUnitName, **options: Unpack[UnitDevice]
    ) -> Emulator: ...
    @overload
    def device(  # type: ignore[overload-overlap]
        self, name: str, driver: Literal["nec.transmitter"], **options: Unpack[NecDevice]
    ) -> Emulator: ...
    @overload
    def device(  # type: ignore[overload-overlap]
        self, name: str, driver: Literal["nec.receiver"], **options: Unpack[NecReceiverDevice]
    ) -> Emulator: ...
    @overload
    def device(
        self, name: str, driver: Literal["polatis.matrix"], **options: Unpack[MatrixDevice]
    ) -> InstrumentEmulator: ...
    @overload
    def device(
        self, name: str, driver: Literal["dicon.selector"], **options: Unpack[SelectorDevice]
    ) -> InstrumentEmulator: ...
    @overload
    def device(
        self, name: str, driver: Literal["thorlabs.osw"], **options: Unpack[OswDevice]
    ) -> InstrumentEmulator: ...
    @overload
    def device(
        self, name: str, driver: Literal["fiberlabs.amplifier"], **options: Unpack[AmplifierDevice]
    ) -> InstrumentEmulator: ...
    @overload
    def device(
        self, name: str, driver: Literal["idquantique.detector"], **options: Unpack[DetectorDevice]
    ) -> InstrumentEmulator: ...
    @overload
    def device(
        self, name: str, driver: Literal["keysight.attenuator"], **options: Unpack[AttenuatorDevice]
    ) -> InstrumentEmulator: ...
    @overload
    def device(
        self, name: str, driver: Literal["sfifteen.tagger"], **options: Unpack[TaggerDevice]
    ) -> InstrumentEmulator: ...
    @overload
    def device(
        self, name: str, driver: Literal["thorlabs.mpc"], **options: Unpack[PaddlesDevice]
    ) -> InstrumentEmulator: ...
    @overload
    def device(
        self, name: str, driver: Literal["thorlabs.pm100"], **options: Unpack[PowerMeterDevice]
    ) -> InstrumentEmulator: ...
    @overload
    def device(self, name: str, driver: str, **options: Unpack[AnyDevice]) -> InstrumentEmulator: ...

    def device(
        self,
        name: str,
        driver: str,
        *,
        serial_number: str | None = None,
        warm: bool = False,
        wire_end: str | None = None,
        resources: Mapping[str, str] | None = None,
        model_options: Mapping[str, object] | None = None,
        **options: object,
    ) -> Emulator:
        """Put a device on the bench and on its wires, and return its emulator. Its ports are named after it.

        Args:
            name: Its name on the bench.
            driver: An emulator's name, such as "toshiba.transmitter".
            serial_number: Its serial number; default: the model's own.
            warm: Begin as a unit that has long been on: state AUTH, temperatures settled.
            wire_end: What carries its control port; see `launch`.
            resources: Where to appear, by port; by default at places that are free.
            model_options: Options of the model, for a device whose options a type checker does not know by name.
            options: The same by name.

        Raises:
            ConfigurationError: There is no such emulator, it takes no such option, or a name or serial number is taken.
        """
        model, impostor = build_models(
            driver,
            serial_number,
            seed=self.seed,
            secrets=self.secrets,
            options={**(model_options or {}), **options},
            launcher=keywords_of(self.device),
        )
        shared = self._put(name, model, by_hand=False)
        self._cables.add(name, shared)
        if warm:
            model.warm()
        kind = Emulator if "keys" in model.MESSAGE_PORTS else InstrumentEmulator
        emulator = kind(
            model,
            shared,
            self._folder(),
            clock=self._clock,
            seed=self.seed,
            impostor=impostor,
            wire_end=wire_end,
            resources=resources,
        )
        self._stack.callback(emulator.close)
        self.devices[name] = emulator
        return emulator

    def add(self, name: str, model: DeviceModel) -> None:
        """Put a model without wires on the bench; its time passes in the steps of the bench.

        Raises:
            ConfigurationError: The name or a unit's serial number is taken, or the time of a unit has passed already.
        """
        self._put(name, model, by_hand=True)

    def fibre(
        self,
        name: str,
        *,
        length_km: float,
        loss_db: float | None = None,
        loss_db_per_km: float | None = None,
    ) -> FibreOnBench:
        """Put a fibre on the bench, with its loss either in all or per km; its ends are `A.a` and `A.b`.

        Raises:
            ConfigurationError: The name is taken, or the loss is given twice or not at all.
        """
        try:
            fibre = Fibre(length_km=length_km, loss_db=loss_db, loss_db_per_km=loss_db_per_km)
        except ValueError as error:
            raise ConfigurationError(f"fibre {name}: {error}") from error
        place = FibreOnBench(name, fibre)
        self._add(place)
        self.fibres[name] = place
        return place

    def laser(self, name: str, *, power_dbm: float, pulse_rate_hz: float = 0.0) -> LaserOnBench:
        """Put a plain laser on the bench, whose light leaves by `L.out`: steady, or in pulses.

        It is for detectors and power meters: no QKD unit takes note of its light.

        Args:
            name: Its name.
            power_dbm: Mean power that leaves it.
            pulse_rate_hz: Pulses per second; 0 for steady light.

        Raises:
            ConfigurationError: The name is taken, or a number is out of its range.
        """
        place = LaserOnBench(name, power_dbm, pulse_rate_hz)
        self._add(place)
        self.lasers[name] = place
        return place

    def cable(self, source: str, to: str, *, channel: int) -> None:
        """Lead electrical pulses from a device, or the moments of a laser's pulses, to a channel of a tagger, from 1.

        Put both on the bench before time passes: their times then begin together.

        Raises:
            ConfigurationError: The device is not on its wires or a laser, it has no pulses, or the other one does
                not take them there.
        """
        self._cables.lead(source, to, channel)

    def panel(self, name: str, positions: int, loss_db: float = 0.0) -> None:
        """Put a patch panel on the bench: `P.front1` leads to `P.back1`. Its connectors have their loss by `join`."""
        self._add(Panel(name, positions, loss_db))

    def multiplexer(self, name: str, loss_db: float = 0.5) -> None:
        """Put a multiplexer on the bench, which joins `M.quantum` and `M.clock` onto `M.line`; loss in dB a band."""
        self._add(Multiplexer(name, loss_db))

    def _put(self, name: str, model: DeviceModel, *, by_hand: bool) -> SharedModel:
        if self._started:
            raise ConfigurationError(f"{name} comes too late", remedy="Put devices on a bench before it is started")
        standing = Standing(name, model)
        if standing.is_unit:
            self._check_unit(name, model)
        if standing.element is not None:
            self._add(standing.element)
        if standing.is_unit:
            model.advance(self._now_ns)
            return self._put_unit(name, standing).shared
        clock = None if by_hand else self._clock
        shared: SharedModel
        if standing.element is None:
            shared = SharedModel(model, clock=clock, speed=self._others_speed)
        else:
            shared = WatchedModel(model, standing.element, clock, self._others_speed)
        if standing.told is not None:
            self._told.append((shared, standing.told))
        (self._by_hand if by_hand else self._others).append(shared)
        return shared

    def _check_unit(self, name: str, model: DeviceModel) -> None:
        for other, place in self._units.items():
            if place.model.serial_number == model.serial_number:
                raise ConfigurationError(
                    f"{name} and {other} both have the serial number {model.serial_number}",
                    remedy="Give each unit one of its own",
                )
        if model.now_ns > self._now_ns:
            raise ConfigurationError(f"{name} was used before; its time has passed", remedy="Put a new model here")

    def _put_unit(self, name: str, standing: Standing) -> UnitPlaceOnBench:
        if standing.sends is not None:
            raw = secret_source(self.secrets, self.seed, standing.sends.serial_number, "raw")
            self._units[name] = self._transmitters[name] = TransmitterPlace(name, standing.sends, raw)
        if standing.detects is not None:
            self._units[name] = self._receivers[name] = ReceiverPlace(name, standing.detects)
        return self._units[name]

    def _add(self, element: Element) -> None:
        with self._joining:
            self._graph.add(element)

    def _folder(self) -> Path:
        if self._place is None:
            self._place = OwnDirectory(self._directory)
            self._stack.callback(self._place.remove)
        return self._place.path

    # --- joins and light --------------------------------------------------------------------------------------------

    def join(self, one: str, other: str, loss_db: float = CONNECTOR_LOSS_DB) -> None:
        """Join two ports with a connector of `loss_db` dB.

        Raises:
            ConfigurationError: There is no such port, or it is joined, or cannot be while another one is.
        """
        with self._joining:
            self._graph.join(one, other, loss_db)

    def unjoin(self, port: str) -> str:
        """Pull the connector at a port and return the port that it was joined to.

        Raises:
            ConfigurationError: There is no such port, or it is not joined.
        """
        with self._joining:
            return self._graph.unjoin(port)

    @property
    def joins(self) -> tuple[Join, ...]:
        """The joins that there are: both ports, and the loss in dB."""
        with self._joining:
            return self._graph.joins

    @property
    def elements(self) -> Mapping[str, Element]:
        """Everything that light can meet, by name."""
        return self._graph.elements

    def trace(self, start: str, band: Band = "quantum") -> LightPath:
        """Follow light of a band that leaves a port, or a unit, to where it ends now.

        Raises:
            ConfigurationError: There is no such port or band.
        """
        self._look()
        with self._joining:
            return self._graph.trace(start, band)

    def path(self, transmitter: str, receiver: str) -> LightPath | None:
        """Return the way that pulses take now from a transmitter to a receiver, or None if they do not get there.

        Raises:
            ConfigurationError: There is no such transmitter or receiver.
        """
        self._pair(transmitter, receiver)
        path = self.trace(transmitter)
        return path if path.unit == receiver else None

    def _look(self) -> None:
        for shared in (*self._others, *self._by_hand):
            with shared.lock:
                shared.catch_up()

    def _pair(self, transmitter: str, receiver: str) -> tuple[TransmitterPlace, ReceiverPlace]:
        for name, sides, side in (
            (transmitter, self._transmitters, "transmitter"),
            (receiver, self._receivers, "receiver"),
        ):
            if name not in sides:
                known = f"There are: {', '.join(sides)}" if sides else f"Put a {side} on the bench first"
                raise ConfigurationError(f"there is no {side} {name!r} on the bench", remedy=known)
        return self._transmitters[transmitter], self._receivers[receiver]
