"""Chances of a gate: how often it clicks, and with which labels, under any conditions and any attack."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from ._attacks import (
    DetectorBlinding,
    InterceptResend,
    PhotonNumberSplitting,
    TimeShift,
    several_detected,
    split_pulses,
)
from ._conditions import Conditions
from ._labels import (
    DOUBLE,
    ERROR,
    INTENSITY_SHIFT,
    RECEIVER_BASIS_SHIFT,
    SENT_SHIFT,
    TRANSMITTER_BASIS_SHIFT,
    LabelSampler,
)
from ._parameters import LinkParameters
from ._rates import expected_gains

_FWHM_OVER_SIGMA: Final = 2 * math.sqrt(2 * math.log(2))
_NO_LIGHT: Final = 0.0, 0.0, 0.0

Arrivals = tuple[float, float, float]
"""Chances that the light of a gate would click the right detector alone, the wrong one alone, and both."""


@dataclass(frozen=True, slots=True)
class ClickTable:
    """Chance of a click per gate, and samplers of the labels of gates that clicked and of gates that did not."""

    click_probability: float
    clicked: LabelSampler
    silent: LabelSampler
    """For afterpulses in a gate without a click of its own: label as of any such gate. The error bit is random, and
    gives way to what the detector says that the afterpulse fires."""
    biased: bool
    """Whether the detectors differ, so that clicks tell something of the bit that was sent."""
    blinded: bool
    """Whether the detectors are blind: no afterpulses follow."""


def click_table(params: LinkParameters, conditions: Conditions) -> ClickTable:
    """Return the click statistics of one gate, afterpulses and dead time left out.

    Light of mean photon number m = eta k splits into Poissonian m (1 - e) and m e for the right and the wrong detector
    (e = 1/2 where the bases differ), unless an attack leaves other light; dark counts come on top. Double clicks become
    a random bit and are kept. Physics: Lim et al. PRA 89 022307 Sec. IV, and threshold detectors.
    """
    light = _Light(params, conditions)
    p_z = (params.key_basis_probability_transmitter, params.key_basis_probability_receiver)
    clicked: dict[int, float] = {}
    silent: dict[int, float] = {}
    settings: dict[int, float] = {}
    for k, p_k in enumerate(params.probabilities):
        for tx_basis in (0, 1):
            for rx_basis in (0, 1):
                label = k << INTENSITY_SHIFT | tx_basis << TRANSMITTER_BASIS_SHIFT | rx_basis << RECEIVER_BASIS_SHIFT
                p = p_k * abs(tx_basis - p_z[0]) * abs(rx_basis - p_z[1])
                settings[label] = p
                for sent in (0, 1) if light.biased else (0,):
                    share = p / 2 if light.biased else p
                    key = label | sent << SENT_SHIFT
                    right, wrong, double = light.clicks(k, tx_basis, rx_basis, sent)
                    clicked[key], clicked[key | ERROR] = share * right, share * wrong
                    clicked[key | DOUBLE] = clicked[key | DOUBLE | ERROR] = share * double / 2
                    silent[key] = silent[key | ERROR] = share * (1 - right - wrong - double) / 2
    probability = math.fsum(clicked.values())
    if conditions.frame_misaligned:
        clicked, silent = _unrelated(clicked, settings)
    if probability <= 0:
        clicked = silent  # never drawn from, and so is the other way round
    elif math.fsum(silent.values()) <= 0:
        silent = clicked
    return ClickTable(probability, LabelSampler(clicked), LabelSampler(silent), light.biased, light.blinded)


class _Light:
    """What the light of a gate does under given conditions, and the clicks that light and darkness make."""

    def __init__(self, params: LinkParameters, conditions: Conditions) -> None:
        self._params = params
        self._conditions = conditions
        self._attack = conditions.eavesdropper
        dark = min(params.dark_count_probability * conditions.dark_count_scale, 1.0)
        zero, one = conditions.detector_efficiencies
        shifts = [(1.0, 1.0)]
        if isinstance(self._attack, TimeShift):
            first, second = self._attack.efficiencies
            shifts = [(first, second), (second, first)] if self._attack.alternating else [(first, second)]
        ratios = [(zero * a, one * b) for a, b in shifts]
        mean_ratio = sum(a + b for a, b in ratios) / (2 * len(ratios))
        self._ratios = [(a / mean_ratio, b / mean_ratio) for a, b in ratios] if mean_ratio > 0 else [(1.0, 1.0)]
        """Relative efficiencies of the two detectors, for each way in which light is shifted; all are equally often."""
        self._efficiency = _efficiency(params, conditions) * mean_ratio
        self.blinded = isinstance(self._attack, DetectorBlinding) and self._efficiency > 0
        self.biased = any(a != b for a, b in self._ratios) and not self.blinded
        self._noise = 0.0 if self.blinded else dark + (1 - dark) * -math.expm1(math.log1p(-conditions.background) / 2)
        self._errors = _error(params, conditions, 0), _error(params, conditions, 1)
        if isinstance(self._attack, PhotonNumberSplitting):
            ceiling = min(self._efficiency * 10 ** (params.channel_loss_db / 10), 1.0)
            self._split = split_pulses(self._attack, params.intensities[0], self._efficiency, ceiling)
        elif self.blinded:
            self._fake(dark)

    def clicks(self, intensity: int, tx_basis: int, rx_basis: int, sent: int) -> tuple[float, float, float]:
        """Return the chances of a click of the right detector alone, of the wrong one alone, and of both.

        Sums of chances of what light and noise do, no differences, so that small ones keep their digits.
        """
        right, wrong, both = self._arrivals(self._params.intensities[intensity], tx_basis, rx_basis, sent)
        noise = self._noise
        dark = 1 - right - wrong - both
        one = dark * noise * (1 - noise)
        double = both + (right + wrong) * noise + dark * noise**2
        return one + right * (1 - noise), one + wrong * (1 - noise), double

    def _arrivals(self, mean: float, tx_basis: int, rx_basis: int, sent: int) -> Arrivals:
        attack, same = self._attack, tx_basis == rx_basis
        error = self._errors[rx_basis] if same else 0.5
        if self._efficiency <= 0:
            return _NO_LIGHT
        if isinstance(attack, DetectorBlinding):
            chance = attack.in_basis(rx_basis) * -math.expm1(-self._fake_efficiency * mean)
            error = self._fake_errors[rx_basis] if same else 0.5
            return chance * (1 - error), chance * error, 0.0
        if isinstance(attack, PhotonNumberSplitting):
            return self._split_arrivals(mean, error, sent)
        if isinstance(attack, InterceptResend) and same:
            spoilt = attack.in_basis(1 - tx_basis)
            kept, mixed = self._poissonian(mean, error, sent), self._poissonian(mean, 0.5, sent)
            right, wrong, both = ((1 - spoilt) * a + spoilt * b for a, b in zip(kept, mixed, strict=True))
            return right, wrong, both
        return self._poissonian(mean, error, sent)

    def _toward(self, error: float, sent: int, shift: int = 0) -> tuple[float, float]:
        """Return which share of the efficiency is that of the right detector and which that of the wrong one."""
        ratios = self._ratios[shift]
        return (1 - error) * ratios[sent], error * ratios[1 - sent]

    def _poissonian(self, mean: float, error: float, sent: int) -> Arrivals:
        shifts = len(self._ratios)
        of_right = of_wrong = of_both = 0.0
        for shift in range(shifts):
            right, wrong = (-math.expm1(-self._efficiency * mean * part) for part in self._toward(error, sent, shift))
            of_right += right * (1 - wrong) / shifts
            of_wrong += wrong * (1 - right) / shifts
            of_both += right * wrong / shifts
        return of_right, of_wrong, of_both

    def _split_arrivals(self, mean: float, error: float, sent: int) -> Arrivals:
        split = self._split
        to_right, to_wrong = self._toward(error, sent)
        right, wrong, any_ = (
            several_detected(mean, min(split.several * share, 1.0))
            for share in (to_right, to_wrong, to_right + to_wrong)
        )
        both = max(right + wrong - any_, 0.0)
        single = (1 - split.blocked) * mean * math.exp(-mean) * split.single
        return right - both + single * to_right, wrong - both + single * to_wrong, both

    def _fake(self, dark: float) -> None:
        """Choose how the faked states keep gain and error rate of the signal, afterpulses and dark counts included."""
        params, attack = self._params, self._attack
        assert isinstance(attack, DetectorBlinding)
        undisturbed = expected_gains(
            replace(
                params,
                channel_loss_db=0.0,
                receiver_loss_db=0.0,
                detector_efficiency=min(self._efficiency, 1.0),
                dark_count_probability=min(dark + self._conditions.background / 2, 0.999),
                misalignment_key=min(max(self._errors[0], 0.0), 0.5),
                misalignment_check=min(max(self._errors[1], 0.0), 0.5),
            )
        )
        p_z, mean = params.key_basis_probability_receiver, params.intensities[0]
        heard = p_z * attack.in_basis(0) + (1 - p_z) * attack.in_basis(1)
        wanted = min(undisturbed.gains[0] / heard, -math.expm1(-mean))  # she detects at most all that is sent
        self._fake_efficiency = -math.log1p(-wanted) / mean
        self._fake_errors = undisturbed.error_rates_key[0], undisturbed.error_rates_check[0]


def _efficiency(params: LinkParameters, conditions: Conditions) -> float:
    if not (conditions.laser_on and conditions.shutter_open):
        return 0.0
    offset = conditions.delay_offset_ps * _FWHM_OVER_SIGMA / params.gate_width_ps
    return params.transmittance * 10 ** (-conditions.extra_loss_db / 10) * math.exp(-(offset**2) / 2)


def _error(params: LinkParameters, conditions: Conditions, basis: int) -> float:
    own = params.misalignment_check if basis else params.misalignment_key
    return (1 - (1 - 2 * own) * conditions.visibility) / 2


def _unrelated(clicked: dict[int, float], settings: dict[int, float]) -> tuple[dict[int, float], dict[int, float]]:
    """Return the tables for a click that happened in another slot than the one it is booked to.

    The detector that clicked is what it was; the bit that is booked as sent has nothing to do with it.
    """
    double = math.fsum(p for key, p in clicked.items() if key & DOUBLE)
    received = [
        math.fsum(p for key, p in clicked.items() if not key & DOUBLE and (key & ERROR ^ key >> SENT_SHIFT) == bit)
        for bit in (0, 1)
    ]
    if not any(key >> SENT_SHIFT for key in clicked):  # sent bits are not told apart: neither are the detectors
        received = [sum(received) / 2] * 2
    mixed: dict[int, float] = {}
    silent: dict[int, float] = {}
    for label, p in settings.items():
        for sent in (0, 1):
            for error in (0, ERROR):
                key = label | sent << SENT_SHIFT | error
                mixed[key] = p * received[sent ^ error]
                mixed[key | DOUBLE] = p * double / 2
                silent[key] = p
    return mixed, silent
