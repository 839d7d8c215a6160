"""An ID120-style detector: a cooled photodiode that clicks by the light on the bench, and a counter."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from tokaido.emulators.optics import DetectorConditions, FreeRunningDetector, dark_count_scale
from tokaido.emulators.scpi import Parameters, ScpiModel, command
from tokaido.hal import NS_PER_S, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from tokaido.emulators._light import Band, Beam
    from tokaido.emulators._secrets import Secrets

MODEL: Final = re.compile(r"ID120[A-Z0-9-]*")
BIAS_UV: Final = (0, 250_000_000, 80_000)
DEAD_US: Final = (40, 1_000_000, 40)
COUNTING_MS: Final = (200, 100_000, 200)
TARGET_MC: Final = (-50_000, -10_000, 1_000)
"""Least, most and step of each setting, in the units of measure of the box."""
BREAKDOWN_V: Final = 140.0
FULL_EXCESS_V: Final = 10.0
"""How far above breakdown the efficiency and the dark counts are those of the options; in between they rise evenly."""
REFERENCE_C: Final = -40.0
"""Temperature for which the dark counts of the options hold."""
ROOM_C: Final = 23.0
AFTERPULSE_TIME_S: Final = 5e-6
LONG_NS: Final = 10 * NS_PER_S
"""Time that is not lived through click by click when it passes at once and nobody takes the clicks."""


class DetectorModel(ScpiModel):
    """An ID120-style detector. Light ends in it, at port `in`.

    It takes all light that enters for photons of 1550 nm, and clicks as `tokaido.emulators.optics` has it. Efficiency
    and dark counts rise evenly from breakdown at 140 V to those of the options at 150 V and above; dark counts double
    every 9 K. It is cold as soon as it runs, and warm as soon as it does not.

    Args:
        serial_number: The third field of `*IDN?`.
        seed: Decides when it clicks, together with the serial number.
        secrets: It has none.
        vendor: The first field of `*IDN?`.
        model: The second field of `*IDN?`.
        running: Whether it runs when it comes up.
        bias_voltage: Its bias when it comes up, in V.
        efficiency: Detection efficiency at full bias, for the light on this bench.
        dark_count_rate: Dark counts per second at full bias and -40 degC.
        afterpulse_probability: Chance that a click is followed by an afterpulse.
        jitter_ps: Standard deviation of the time of a click, in ps.

    Raises:
        ConfigurationError: There is no such model, or a number is out of its range.
    """

    SERIAL_NUMBER: ClassVar[str] = "2000001"
    FAULTS = ("bias",)  # the bias has broken down: nothing clicks, and the box says so
    wire_ends = ("visa", "pty", "emu")
    optical_ports = ("in",)

    def __init__(
        self,
        serial_number: str | None = None,
        *,
        seed: int = 0,
        secrets: Secrets = "os",
        vendor: str = "IDQuantique",
        model: str = "ID120",
        running: bool = True,
        bias_voltage: float = BREAKDOWN_V + FULL_EXCESS_V,
        efficiency: float = 0.2,
        dark_count_rate: float = 200.0,
        afterpulse_probability: float = 0.005,
        jitter_ps: float = 200.0,
    ) -> None:
        chances = efficiency, afterpulse_probability
        if not MODEL.fullmatch(model) or not all(0 <= chance < 1 for chance in chances) or dark_count_rate < 0:
            raise ConfigurationError(
                f"there is no {model!r} of efficiency {efficiency!r}, {dark_count_rate!r} dark counts/s, afterpulses "
                f"{afterpulse_probability!r}",
                remedy="Choose a model such as ID120; chances from 0 to below 1; dark counts of 0 or more",
            )
        if not 0 <= bias_voltage <= 250 or jitter_ps < 0:
            raise ConfigurationError(f"a bias is 0 to 250 V, not {bias_voltage!r}; jitter 0 ps or more")
        self.vendor, self.model = vendor, model
        self._first = running, bias_voltage
        self._full = DetectorConditions(
            efficiency,
            dark_count_rate,
            afterpulse_probability=afterpulse_probability,
            afterpulse_time_s=AFTERPULSE_TIME_S,
            jitter_s=jitter_ps * 1e-12,
        )
        self._beams: tuple[Beam, ...] = ()
        own = zlib.crc32((serial_number or self.SERIAL_NUMBER).encode())
        self._physics = FreeRunningDetector(np.random.default_rng([seed, own]))
        self._taken: list[NDArray[np.int64]] | None = None
        super().__init__(serial_number, seed=seed, secrets=secrets)

    def reset(self) -> None:
        """Run with the bias that it came up with, dead for 40 us after a click, counting for 1 s, at -40 degC."""
        self.running, self.bias_v = self._first
        self.dead_time_s = DEAD_US[0] * 1e-6
        self.counting_ns = NS_PER_S
        self.target_c = REFERENCE_C
        self._count_anew()
        self._become()

    def identity(self) -> str:
        """Return vendor, model, serial number, firmware."""
        return f"{self.vendor},{self.model},{self.serial_number},1.04"

    # --- light and clicks -------------------------------------------------------------------------------------------

    def through(self, port: str, band: Band) -> tuple[str, float] | None:
        """Return None: light ends in the photodiode."""
        del port, band
        return None

    def note_beams(self, beams: Mapping[str, Sequence[Beam]]) -> None:
        """Let the light fall onto the photodiode."""
        self._beams = tuple(beams.get("in", ()))
        self._become()

    @property
    def enabled(self) -> bool:
        """Whether it clicks at all: it runs, above breakdown."""
        return self.conditions.efficiency > 0 or self.conditions.dark_count_rate > 0

    @property
    def conditions(self) -> DetectorConditions:
        """What it is like now."""
        share = min(max((self.bias_v - BREAKDOWN_V) / FULL_EXCESS_V, 0.0), 1.0)
        if not self.running or "bias" in self.provoked:
            share = 0.0
        full = self._full
        return DetectorConditions(
            full.efficiency * share,
            full.dark_count_rate * share * dark_count_scale(self.target_c - REFERENCE_C),
            self.dead_time_s,
            full.afterpulse_probability if share else 0.0,
            full.afterpulse_time_s,
            full.jitter_s,
        )

    @property
    def expected_rate(self) -> float:
        """Clicks per second that are to be expected now, without afterpulses."""
        return self._physics.expected_rate

    def take_pulses(self, *, wanted: bool) -> NDArray[np.int64]:
        """Return the times of the clicks since the last call, if that wanted them, in ps of `now_ns`, shape (n,)."""
        taken = self._taken or []
        self._taken = [] if wanted else None
        return np.concatenate([np.empty(0, np.int64), *taken])

    def _become(self) -> None:
        """Let light and settings count from now on."""
        self._broken = "bias" in self.provoked
        self._physics.change(self._beams, self.conditions, self.now_ns * 1000)

    # --- counting ---------------------------------------------------------------------------------------------------

    def advance(self, to_ns: int) -> None:
        """Let time pass, and count the clicks in it."""
        if ("bias" in self.provoked) is not self._broken:
            self._become()
        if self._taken is None and to_ns - self.now_ns > LONG_NS + 3 * self.counting_ns:
            skipped_ns = (to_ns - self.now_ns) // self.counting_ns - 2  # whole counting times that nobody will see
            self._window_ns += skipped_ns * self.counting_ns
            self._running_count = 0
            self._physics.skip(self._window_ns * 1000)
        super().advance(to_ns)
        times = self._physics.take(to_ns * 1000)
        if self._taken is not None:
            self._taken.append(times)
        ended = (to_ns - self._window_ns) // self.counting_ns
        if not ended:
            self._running_count += times.size
            return
        last_ps = (self._window_ns + (ended - 1) * self.counting_ns) * 1000
        before, within = np.searchsorted(times, [last_ps, last_ps + self.counting_ns * 1000])
        self.last_count = int(within - (before if ended > 1 else 0)) + (self._running_count if ended == 1 else 0)
        self._running_count = int(times.size - within)
        self._window_ns += ended * self.counting_ns

    def _count_anew(self) -> None:
        self._window_ns = self.now_ns
        self._running_count = 0
        self.last_count = 0
        """Clicks of the last counting time that has ended."""

    # --- commands ---------------------------------------------------------------------------------------------------

    @command("REG:RUN", 1)
    def _set_running(self, p: Parameters) -> None:
        self.running = p.choice(0, "TRUE", "FALSE") == "TRUE"
        self._become()

    @command("REG:RUN?")
    def _ask_running(self, _: Parameters) -> str:
        return _word(self.running)

    @command("REG:TEMP_SET_POINT", 1)
    def _set_target(self, p: Parameters) -> None:
        self.target_c = _stepped(p, TARGET_MC) / 1000
        self._become()

    @command("REG:TEMP_SET_POINT?")
    def _ask_target(self, _: Parameters) -> str:
        return str(round(self.target_c * 1000))

    @command("REG:MEASURED_TEMP?")
    def _ask_temperature(self, _: Parameters) -> str:
        return str(round((self.target_c if self.running else ROOM_C) * 1000))

    @command("BIAS:VOLTAGE", 1)
    def _set_bias(self, p: Parameters) -> None:
        self.bias_v = _stepped(p, BIAS_UV) / 1e6
        self._become()

    @command("BIAS:VOLTAGE?")
    def _ask_bias(self, _: Parameters) -> str:
        return str(round(self.bias_v * 1e6))

    @command("BIAS:ERROR_STATUS?")
    def _ask_bias_error(self, _: Parameters) -> str:
        return _word("bias" in self.provoked)

    @command("DEADTIME:TIME", 1)
    def _set_dead_time(self, p: Parameters) -> None:
        self.dead_time_s = _stepped(p, DEAD_US) * 1e-6
        self._become()

    @command("DEADTIME:TIME?")
    def _ask_dead_time(self, _: Parameters) -> str:
        return str(round(self.dead_time_s * 1e6))

    @command("COUNTERS:INTEGRATION_TIME", 1)
    def _set_counting(self, p: Parameters) -> None:
        self.counting_ns = _stepped(p, COUNTING_MS) * 1_000_000
        self._count_anew()

    @command("COUNTERS:INTEGRATION_TIME?")
    def _ask_counting(self, _: Parameters) -> str:
        return str(self.counting_ns // 1_000_000)

    @command("COUNTERS:DETECTION_COUNT?")
    def _ask_count(self, _: Parameters) -> str:
        return str(self.last_count)

    @command("COUNTERS:DETECTION_FREQ?")
    def _ask_rate(self, _: Parameters) -> str:
        return str(round(self.last_count * NS_PER_S / self.counting_ns))


def _word(state: bool) -> str:
    return "TRUE" if state else "FALSE"


def _stepped(p: Parameters, limits: tuple[int, int, int]) -> int:
    """Return a whole number within limits, as the nearest step."""
    low, high, step = limits
    return low + round((p.whole(0, low, high) - low) / step) * step
