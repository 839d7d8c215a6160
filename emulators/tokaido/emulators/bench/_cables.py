"""Electrical pulses from one device on the bench to another one, in the time of the one that takes them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tokaido.emulators._light import PulseInputs, PulseSource
from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from tokaido.emulators._model import DeviceModel
    from tokaido.emulators.bench._laser import LaserOnBench
    from tokaido.emulators.ends import SharedModel

    Source = Callable[[bool], NDArray[np.int64]]

PS_PER_S = 1_000_000_000_000
MOST_PULSES = 4_000_000
"""Most pulses of a laser that one look brings: the last ones before it."""


class Cables:
    """Leads cables between the devices of a bench.

    Args:
        lasers: By name; a cable may begin at each.
    """

    def __init__(self, lasers: Mapping[str, LaserOnBench]) -> None:
        self._lasers = lasers
        self._devices: dict[str, SharedModel] = {}
        self._sources: dict[str, str] = {}  # which device pulses come from, by serial number

    def add(self, name: str, device: SharedModel) -> None:
        """Take note of a device on its wires."""
        self._devices[name] = device

    def lead(self, source: str, to: str, channel: int) -> None:
        """Lead a cable from a device or a laser to a channel of a device.

        Raises:
            ConfigurationError: One of them is not there, or has no such end.
        """
        tagger = self._device(to)
        if not isinstance(tagger.model, PulseInputs):
            raise ConfigurationError(f"{to} has no inputs for electrical pulses", remedy="Lead the cable to a tagger")
        if source in self._lasers:
            pulses = sync_pulses(self._lasers[source], tagger.model)
        else:
            detector = self._device(source)
            if not isinstance(detector.model, PulseSource):
                raise ConfigurationError(f"{source} gives no electrical pulses", remedy="Take a detector, or a laser")
            self._check_twin(source, detector.model.serial_number)
            pulses = timed_alike(detector, detector.model, tagger)
        with tagger.lock:
            tagger.model.plug_in(channel, pulses)

    def _check_twin(self, source: str, serial_number: str) -> None:
        """See that no two sources have one serial number: they would have the same dice."""
        twin = self._sources.setdefault(serial_number, source)
        if twin != source:
            raise ConfigurationError(
                f"{source} and {twin} both have the serial number {serial_number}, and would click alike",
                remedy="Give each detector one of its own",
            )

    def _device(self, name: str) -> SharedModel:
        if name not in self._devices:
            raise ConfigurationError(
                f"there is no device {name!r} on its wires", remedy=f"There are: {', '.join(self._devices) or 'none'}"
            )
        return self._devices[name]


def timed_alike(giver: SharedModel, source: PulseSource, taker: SharedModel) -> Source:
    """Return what brings pulses from one model to another one, which holds its own lock and takes the giver's.

    The giver is brought to the present first. Its time and the taker's differ by what they differ by now, for good.
    """
    ahead_ps = (taker.time_now_ns() - giver.time_now_ns()) * 1000

    def take(wanted: bool) -> NDArray[np.int64]:
        with giver.lock:
            giver.catch_up()
            times = source.take_pulses(wanted=wanted)
        return times + ahead_ps

    return take


def sync_pulses(laser: LaserOnBench, taker: DeviceModel) -> Source:
    """Return what brings the moments of a laser's pulses, in the time of the model that takes them."""
    last_ps: int | None = None

    def take(wanted: bool) -> NDArray[np.int64]:
        nonlocal last_ps
        since_ps, last_ps = last_ps, taker.now_ns * 1000 if wanted else None
        rate = laser.pulse_rate_hz
        if since_ps is None or not rate or not laser.emitting:
            return np.empty(0, np.int64)
        period_ps = PS_PER_S / rate
        first, end = math.ceil(since_ps / period_ps), math.ceil(taker.now_ns * 1000 / period_ps)
        first = max(first, end - MOST_PULSES)
        within = np.rint(np.arange(end - first) * period_ps).astype(np.int64)
        times: NDArray[np.int64] = within + round(first * period_ps)
        return times

    return take
