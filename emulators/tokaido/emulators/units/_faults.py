"""Faults in a unit itself, by name, so that every alarm can be reached.

| fault | unit | alarm | how |
|---|---|---|---|
| `laser_temperature_runaway` | transmitter | `LASER_TEMP` | the cooler drives the laser far off its set point |
| `laser_warmup_failure` | transmitter | `LASER_TEMP` | the cooler is dead: warm-up never ends |
| `laser_power_loss` | transmitter | `LASER_POWER` | the laser monitor falls to -12 dBm while emitting |
| `laser_seeding` | transmitter | `PHOTON_NUMBER` | light from outside makes the laser emit 3 dB more than set |
| `rng_failure` | transmitter | `RNG_FAIL` | the health test of the random generator fails |
| `detector_temperature_runaway` | receiver | `DET_TEMP` | detector 0 is driven far off its set point |
| `detector_warmup_failure` | receiver | `DET_TEMP` | the coolers are dead: warm-up never ends |
| `detector_blinding` | receiver | `DETECTOR_BLINDING` | bright light on a detector |
| `trojan_light` | receiver | `TROJAN_LIGHT` | light from outside looks into the unit |
| `light_lost` | receiver | `LOS` | the clock light is gone |
| `clock_unlocked` | receiver | `SYNC_LOSS` | light, but no lock |
| `cover_opened` | both | `TAMPER` | the cover stays open |
| `wrong_tag` | both | `AUTH_MISMATCH` | the next tag from the peer is taken for a wrong one |
| `qber_abort` | both | `QBER_ABORT` | a block with QBER 0.25 |
| `phase_error_abort` | both | `PHASE_ERROR_ABORT` | a block with a check-basis error rate of 0.25 |
| `detectors_uneven` | both | `DETECTOR_MISMATCH` | a block with three ones to every seven zeros |
| `accept_lost` | both | `QUARANTINE` | the peer's final accept of a block is missing |
| `block_altered` | both | `QUARANTINE` | one byte of the oldest block that waits changes in the store |
| `authentication_key_low` | both | `AUTH_KEY_LOW` | all but 15 blocks' worth of authentication key counts as spent |
| `qber_high` | both | `QBER_HIGH` | a block with QBER 0.07 |
| `rate_drop` | both | `RATE_LOW` | one sifted bit of a hundred is left |
| `verification_failure` | both | `EC_FAIL` | a block whose verification failed |
| `few_statistics` | both | `NO_KEY` | a block too small for a key |
| `peer_silent` | both | `PEER_UNREACHABLE` | nothing of the peer arrives any more |
| `peer_otherwise` | both | `SETTINGS_MISMATCH` | the peer is set to blocks of another length |
| `keystore_full` | both | `KEYSTORE_FULL` | the store counts as full |
| `watchdog_expired` | both | `LEASE_EXPIRED` | the watchdog ends at once, also one that was off |
| `chassis_hot` | both | `CHASSIS_TEMP` | the chassis drifts to 50 degC |

A fault lasts until it is removed, except those of one block (`qber_abort` to `block_altered`, `qber_high`,
`verification_failure`, `few_statistics`), `wrong_tag` and `watchdog_expired`, which happen once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

UnitSide = Literal["transmitter", "receiver"]

_BOTH = {
    "cover_opened": "TAMPER",
    "wrong_tag": "AUTH_MISMATCH",
    "qber_abort": "QBER_ABORT",
    "phase_error_abort": "PHASE_ERROR_ABORT",
    "detectors_uneven": "DETECTOR_MISMATCH",
    "accept_lost": "QUARANTINE",
    "block_altered": "QUARANTINE",
    "authentication_key_low": "AUTH_KEY_LOW",
    "qber_high": "QBER_HIGH",
    "rate_drop": "RATE_LOW",
    "verification_failure": "EC_FAIL",
    "few_statistics": "NO_KEY",
    "peer_silent": "PEER_UNREACHABLE",
    "peer_otherwise": "SETTINGS_MISMATCH",
    "keystore_full": "KEYSTORE_FULL",
    "watchdog_expired": "LEASE_EXPIRED",
    "chassis_hot": "CHASSIS_TEMP",
}
MODEL_FAULTS: dict[UnitSide, dict[str, str]] = {
    "transmitter": {
        "laser_temperature_runaway": "LASER_TEMP",
        "laser_warmup_failure": "LASER_TEMP",
        "laser_power_loss": "LASER_POWER",
        "laser_seeding": "PHOTON_NUMBER",
        "rng_failure": "RNG_FAIL",
        **_BOTH,
    },
    "receiver": {
        "detector_temperature_runaway": "DET_TEMP",
        "detector_warmup_failure": "DET_TEMP",
        "detector_blinding": "DETECTOR_BLINDING",
        "trojan_light": "TROJAN_LIGHT",
        "light_lost": "LOS",
        "clock_unlocked": "SYNC_LOSS",
        **_BOTH,
    },
}
"""For each side, its faults and the alarm that each one leads to."""

ONCE = {
    "qber_abort",
    "phase_error_abort",
    "detectors_uneven",
    "accept_lost",
    "block_altered",
    "qber_high",
    "verification_failure",
    "few_statistics",
    "wrong_tag",
    "watchdog_expired",
}
"""Faults that happen once and are gone."""


class ModelFaults:
    """The faults of one unit that are present now.

    Args:
        side: Which unit it is.
        known: Its faults, and the alarm that each one leads to.
        begun: Told the name of a fault that begins.
        ended: Told the name of a fault that ends.
    """

    def __init__(
        self,
        side: UnitSide,
        known: Mapping[str, str],
        begun: Callable[[str], None],
        ended: Callable[[str], None],
    ) -> None:
        self._known = known
        self._side = side
        self._begun = begun
        self._ended = ended
        self._present: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._present

    def __bool__(self) -> bool:
        return bool(self._present)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._present))

    def add(self, name: str) -> None:
        """Begin a fault at once.

        Raises:
            ConfigurationError: This unit has no such fault.
        """
        if name not in self._known:
            known = ", ".join(sorted(self._known))
            raise ConfigurationError(f"a {self._side} has no fault {name!r}", remedy=f"Choose one of: {known}")
        if name not in ONCE:
            self._present.add(name)
        self._begun(name)

    def remove(self, name: str) -> None:
        """Mend a fault; one that is not there is no error."""
        if name in self._present:
            self._present.remove(name)
            self._ended(name)

    def alarm(self, name: str) -> str:
        """Return the code of the alarm that a fault leads to."""
        return self._known[name]
