"""The pulses of every key session: which of them reach the peer, and what the two ends are given of them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tokaido.emulators.bench._pulses import SessionPulses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.emulators.bench._lighting import Lighting
    from tokaido.emulators.bench._places import ReceiverPlace, TransmitterPlace
    from tokaido.emulators.optics import Conditions
    from tokaido.emulators.units import Session


@dataclass(slots=True, eq=False)
class Exchange:
    """A session that both its units are in."""

    transmitter: TransmitterPlace
    receiver: ReceiverPlace
    ends: tuple[Session, Session]
    pulses: SessionPulses | None = None
    """None until the first pulses are exposed."""
    path: str = ""
    """Id of the path over which they were: the only one for this session."""
    slots: int = 0
    """How many slots were exposed."""
    interrupted: bool = False
    """Whether light was away, or came another way, since the last exposure."""


class Shot(NamedTuple):
    """Pulses that are sent in one step, and what they meet."""

    exchange: Exchange
    pulses: SessionPulses
    conditions: list[Conditions]


class Sessions:
    """Exposes what each session sends, and hands each end its own side of the record.

    Args:
        lighting: Knows where light goes.
        transmitters: By name.
        receivers: By name.
        seed: Decides what light and noise do.
    """

    def __init__(
        self,
        lighting: Lighting,
        transmitters: Mapping[str, TransmitterPlace],
        receivers: Mapping[str, ReceiverPlace],
        seed: int,
    ) -> None:
        self.on_exposure: Callable[[str, str, int], None] | None = None
        """Told of every exposure: the session's token, the path's id, and how many pulses."""
        self._lighting = lighting
        self._transmitters = transmitters
        self._receivers = receivers
        self._seed = seed
        self._exchanges: dict[str, Exchange] = {}
        self._physics: dict[tuple[str, str], np.random.Generator] = {}

    def aim(self) -> list[Shot]:
        """Return what is sent and detected now. Call it with every unit held, after the light fell on them."""
        self._follow()
        return [shot for shot in map(self._shot, self._exchanges.values()) if shot is not None]

    def expose(self, shots: list[Shot], from_ns: int, step_ns: int) -> None:
        """Let `step_ns` of pulses pass, from `from_ns` on, and give both ends what they have of them.

        Each end has a part of the record when its last pulse is over, and not before. Needs no unit held.
        """
        for exchange in self._exchanges.values():
            if exchange.interrupted:
                exchange.receiver.end.add(from_ns, None, exchange.slots)
        for exchange, pulses, conditions in shots:
            first, second = exchange.transmitter.end, exchange.receiver.end
            if first.distiller is None or second.distiller is None:
                continue
            exposures = pulses.expose(step_ns, conditions)
            whole, done = sum(exposure.pulses for exposure in exposures), 0
            for exposure in exposures:
                if self.on_exposure is not None:
                    self.on_exposure(exchange.ends[0].token, self._path(exchange), exposure.pulses)
                done += exposure.pulses
                exchange.slots += exposure.pulses
                at_ns = from_ns + step_ns * done // whole
                first.add(at_ns, exposure.transmitter, exchange.slots)
                second.add(at_ns, exposure.receiver, exchange.slots, sub_channels=len(pulses.channels))
            exchange.receiver.count_rates = pulses.count_rates

    def _follow(self) -> None:
        """Note which sessions have two ends."""
        found: dict[str, Exchange] = {}
        taken: set[str] = set()
        for transmitter in self._transmitters.values():
            mine = transmitter.end.session
            for receiver in self._receivers.values():
                theirs = receiver.end.session
                if mine is None or theirs is None or mine.token != theirs.token or receiver.name in taken:
                    continue
                taken.add(receiver.name)
                known = self._exchanges.get(transmitter.name)
                same = known is not None and known.ends[0] is mine and known.ends[1] is theirs
                found[transmitter.name] = known if known and same else Exchange(transmitter, receiver, (mine, theirs))
        self._exchanges = found
        for receiver in self._receivers.values():
            if receiver.name not in taken:
                receiver.count_rates = None

    def _path(self, exchange: Exchange) -> str:
        quantum = exchange.transmitter.quantum
        arrives = quantum is not None and quantum.unit == exchange.receiver.name
        return quantum.id if quantum is not None and arrives else exchange.path

    def _stays(self, exchange: Exchange) -> bool:
        """Whether light comes by the one path of this session, and was on it for all of the step."""
        return self._path(exchange) == (exchange.path or self._path(exchange)) and exchange.transmitter.steady

    def _shot(self, exchange: Exchange) -> Shot | None:
        place, receiver = exchange.transmitter, exchange.receiver
        transmitter, detecting = place.model, receiver.model
        path, quantum = receiver.path, place.quantum
        takes = transmitter.blocks.takes_detections and detecting.blocks.takes_detections and detecting.sees_slots
        ours = receiver.way is not None and receiver.way[0] == transmitter.serial_number
        exchange.interrupted = exchange.pulses is not None and not self._stays(exchange)
        if (
            exchange.interrupted
            or not self._stays(exchange)
            or not takes
            or not ours
            or path is None
            or quantum is None
        ):
            return None
        arrives = quantum.unit == receiver.name
        if exchange.pulses is None:
            if not arrives:
                return None
            exchange.path = quantum.id
            exchange.pulses = self._begin(exchange, quantum.loss_db)
        pulses = exchange.pulses
        conditions = [
            path.conditions(
                transmitter,
                detecting,
                channel,
                arrives=arrives,
                extra_loss_db=quantum.loss_db - pulses.loss_db if arrives else 0.0,
                background=self._lighting.background(receiver, place),
                misalignment=self._lighting.misalignment(quantum),
                eavesdropper=self._lighting.eavesdropper(quantum),
            )
            for channel in pulses.channels
        ]
        return Shot(exchange, pulses, conditions)

    def _begin(self, exchange: Exchange, loss_db: float) -> SessionPulses:
        transmitter, receiver = exchange.transmitter, exchange.receiver
        pair = transmitter.name, receiver.name
        if pair not in self._physics:
            names = f"{transmitter.model.serial_number}/{receiver.model.serial_number}"
            self._physics[pair] = np.random.default_rng([self._seed, zlib.crc32(names.encode())])
        return SessionPulses(
            exchange.ends[0],
            transmitter.model,
            receiver.model,
            receiver.built_with(transmitter.name),
            loss_db,
            physics=self._physics[pair],
            secret=transmitter.secret,
        )
