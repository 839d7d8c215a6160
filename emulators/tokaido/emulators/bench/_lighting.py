"""Where light goes: from every transmitter through the graph to the receiver that it comes to, and what is seen."""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from tokaido.emulators._light import Beam
from tokaido.emulators.bench._pulses import click_chance, understands
from tokaido.emulators.bench._quantum_path import QuantumPath
from tokaido.emulators.optics import DetectorBlinding, Fibre, TrojanHorse
from tokaido.emulators.units import Light
from tokaido.hal.units_of_measure import to_watts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.emulators.bench._elements import FibreOnBench
    from tokaido.emulators.bench._graph import Graph
    from tokaido.emulators.bench._laser import LaserOnBench
    from tokaido.emulators.bench._path import LightPath
    from tokaido.emulators.bench._places import ReceiverPlace, TransmitterPlace
    from tokaido.emulators.optics import DriftSettings, Eavesdropper

CLOCK_LIGHT_DBM: Final = -1.0
"""Power of the clock light where it leaves a transmitter."""
PS_PER_S: Final = 1_000_000_000_000
STRAY: Final = Light(0.0, 0.0, visibility=0.0, bright=True, source="stray", path="stray")
"""What a receiver sees of bright light that is not a transmitter's."""


class Stray(NamedTuple):
    """Light in the fibres that is not a transmitter's, where it comes to a receiver."""

    clicks: float
    """Chance per gate of a click by it."""
    blinds: bool
    """Whether it is so bright that detectors are blind."""
    probes: bool
    """Whether it is there to look into the unit: its input monitor sees it, and no detector."""


NONE_STRAY: Final = Stray(0.0, blinds=False, probes=False)


class Lighting:
    """Follows light through the graph, and lets the receivers see it.

    Args:
        graph: What is joined to what.
        fibres: By name.
        transmitters: By name.
        receivers: By name.
        lasers: By name.
        seed: Decides the drift.
        drift: How every way drifts; default: as buried fibre.
    """

    def __init__(
        self,
        graph: Graph,
        fibres: Mapping[str, FibreOnBench],
        transmitters: Mapping[str, TransmitterPlace],
        receivers: Mapping[str, ReceiverPlace],
        lasers: Mapping[str, LaserOnBench],
        *,
        seed: int,
        drift: DriftSettings | None = None,
    ) -> None:
        self._drift = drift
        self._graph = graph
        self._fibres = fibres
        self._transmitters = transmitters
        self._receivers = receivers
        self._lasers = lasers
        self._seed = seed
        self._stray: dict[str, Stray] = {}
        self._at_work: dict[str, Eavesdropper | None] = {}  # by fibre, at the last look: one look for all who ask

    # --- following --------------------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Trace the light of every transmitter again, as the switches stood at their last look."""
        for place in self._transmitters.values():
            quantum, clock = self._graph.trace(place.name, "quantum"), self._graph.trace(place.name, "clock")
            before = place.quantum, place.clock
            place.steady = all(
                old is not None and old.end == new.end and old.marks == new.marks
                for old, new in zip(before, (quantum, clock), strict=True)
            )
            place.quantum, place.clock = quantum, clock

    def beams(self) -> dict[str, list[Beam]]:
        """Return all light, of both bands, at every port that it enters by; hold every unit."""
        found: dict[str, list[Beam]] = defaultdict(list)
        for place in self._transmitters.values():
            if not place.model.sends_light:
                continue
            _shine_along(place.clock, Beam(to_watts(CLOCK_LIGHT_DBM)), found)
            _shine_along(place.quantum, Beam(place.model.pulse_power_w, place.model.CLOCK_RATE_HZ), found)
        for laser in self._lasers.values():
            _shine_along(self._graph.trace(laser.ports[0], "quantum"), laser.beam, found)
        return found

    def source_of(self, receiver: ReceiverPlace) -> tuple[TransmitterPlace, LightPath] | None:
        """Return whose clock light leads to a receiver, whether it shines or not, and by which path."""
        for place in self._transmitters.values():
            if place.clock is not None and place.clock.unit == receiver.name:
                return place, place.clock
        return None

    def pulses_to(self, receiver: ReceiverPlace) -> TransmitterPlace | None:
        """Return whose pulses lead to a receiver, whether it sends or not."""
        for place in self._transmitters.values():
            if place.quantum is not None and place.quantum.unit == receiver.name:
                return place
        return None

    def _pulses_way(self, receiver: ReceiverPlace) -> tuple[str, str] | None:
        place = self.pulses_to(receiver)
        return None if place is None or place.quantum is None else (place.name, place.quantum.id)

    def eavesdropper(self, path: LightPath) -> Eavesdropper | None:
        """Return the first who was at work on a path when light last fell on the receivers, as their monitors saw."""
        on_path = (at_work for name, at_work in self._at_work.items() if name in path.fibres)
        return next((at_work for at_work in on_path if at_work is not None), None)

    def misalignment(self, path: LightPath) -> float:
        """Return the chance that light takes the wrong detector for what its fibres do to it: contrasts multiply."""
        on_path = (fibre for name, fibre in self._fibres.items() if name in path.fibres)
        return (1 - math.prod(1 - 2 * fibre.misalignment for fibre in on_path)) / 2

    # --- what receivers see -----------------------------------------------------------------------------------------

    def shine(self, seconds: float) -> None:
        """Let light fall on every receiver, as it is after `seconds` s. Call it with every unit held."""
        self._at_work = {name: fibre.eavesdropper for name, fibre in self._fibres.items()}
        self._stray = self._follow_stray_light()
        for receiver in self._receivers.values():
            self._shine_on(receiver, seconds)

    def background(self, receiver: ReceiverPlace, sender: TransmitterPlace | None) -> float:
        """Return the chance per gate of a click by light that is not `sender`'s. Call it with every unit held."""
        stray = self._stray.get(receiver.name, NONE_STRAY).clicks
        other = self.pulses_to(receiver)
        if other is None or other is sender or not other.model.sends_light or other.quantum is None:
            return stray
        optics = receiver.built_with(other.name)
        return 1 - (1 - stray) * (1 - click_chance(other.model, optics, other.quantum.loss_db))

    def _follow_stray_light(self) -> dict[str, Stray]:
        """Return what light that is not a transmitter's does, by the receiver it leads to."""
        found: dict[str, Stray] = {}
        for name, fibre in self._fibres.items():
            at_work = self._at_work[name]
            own = Stray(
                fibre.background,
                fibre.bright or isinstance(at_work, DetectorBlinding),
                isinstance(at_work, TrojanHorse),
            )
            if own == NONE_STRAY:
                continue
            for port in fibre.ports:
                unit = self._graph.trace(port, "quantum").unit
                other = found.get(unit, NONE_STRAY)
                chance = 1 - (1 - other.clicks) * (1 - own.clicks)
                found[unit] = Stray(chance, other.blinds or own.blinds, other.probes or own.probes)
        return found

    def _shine_on(self, receiver: ReceiverPlace, seconds: float) -> None:
        model = receiver.model
        background, bright, model.probed = self._stray.get(receiver.name, NONE_STRAY)
        source = self.source_of(receiver)
        if source is None or not self._reads(receiver, source[0]):
            model.aligned_steps.clear()
            if receiver.path is not None:
                receiver.path.advance(seconds, model)
            model.incoming = STRAY if bright else None
            return
        transmitter, clock = source
        way = transmitter.model.serial_number, clock.id
        pulses = self._pulses_way(receiver) or receiver.pulses_way
        if way != receiver.way:
            self._turn_to(receiver, way, clock)
        elif receiver.pulses_way not in (None, pulses):
            receiver.paths[way].stray()
            self.slip(receiver)  # its pulses have other slots, though its clock light has not
        elif clock.diversions != receiver.diversions:
            self.slip(receiver)
        receiver.diversions, receiver.pulses_way = clock.diversions, pulses
        path = receiver.paths[way]
        path.advance(seconds, model)
        loss_db = clock.loss_db + path.drift.loss_db
        model.incoming = Light(
            clock_power_dbm=CLOCK_LIGHT_DBM - loss_db,
            loss_db=loss_db,
            phase_error_rad=path.drift.phase_error_rad,
            visibility=path.visibility,
            count_rates=receiver.count_rates or self._unsorted_rates(receiver, background),
            bright=bright,
            source=way[0],
            path=way[1],
        )

    def slip(self, receiver: ReceiverPlace) -> None:
        """Let a receiver lose its count of slots: other light came to it meanwhile. Call it with the unit held."""
        if receiver.path is not None:
            receiver.path.numbered = False
        receiver.model.way_changed()

    @staticmethod
    def _reads(receiver: ReceiverPlace, transmitter: TransmitterPlace) -> bool:
        """Whether the transmitter shines, and its clock is one for this receiver."""
        optics = receiver.built_with(transmitter.name)
        return transmitter.model.sends_light and understands(receiver.model, transmitter.model, optics)

    def _turn_to(self, receiver: ReceiverPlace, way: tuple[str, str], clock: LightPath) -> None:
        """Let a receiver's light come another way, to which it is not aligned."""
        if way in receiver.paths:
            receiver.paths[way].stray()
        else:
            names = "/".join((receiver.model.serial_number, *way))
            rng = np.random.default_rng([self._seed, zlib.crc32(names.encode())])
            receiver.paths[way] = QuantumPath(rng, clock.length_km, self._drift)
        receiver.way = way

    def _unsorted_rates(self, receiver: ReceiverPlace, background: float) -> tuple[float, ...]:
        """Return what the detectors count of light that belongs to no session: half of it each."""
        model = receiver.model
        sender = self.pulses_to(receiver)
        if not model.shutter_open or sender is None or sender.quantum is None or not sender.model.sends_light:
            return ()
        dark = model.DARK_RATE
        chance = click_chance(sender.model, receiver.built_with(sender.name), sender.quantum.loss_db)
        chance = 1 - (1 - chance) * (1 - background)
        rate = dark - math.log1p(-min(chance, 0.5)) * sender.model.CLOCK_RATE_HZ / 2
        lit = [i // 2 in sender.model.channels_on for i in range(len(model.detectors))]
        return tuple(rate if on else dark for on in lit)


def _shine_along(path: LightPath | None, beam: Beam, found: dict[str, list[Beam]]) -> None:
    """Note the light of a source at every port that it enters by on its way."""
    power_w, length_km = beam.power_w, 0.0
    for hop in path.hops if path is not None else ():
        power_w *= 10 ** (-hop.loss_db / 10)
        length_km += hop.length_km
        if hop.element == "join" and power_w > 0:
            late_ps = round(Fibre(length_km=length_km, loss_db=0.0).delay_s * PS_PER_S)
            found[hop.left].append(Beam(power_w, beam.pulse_rate_hz, beam.delay_ps + late_ps))
