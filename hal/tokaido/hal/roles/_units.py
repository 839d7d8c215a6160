"""The roles of QKD units: vendor-neutral contracts, without any I/O."""

from __future__ import annotations

import threading
from abc import abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from tokaido.hal._declarations import measured, query, setting
from tokaido.hal._device import Part
from tokaido.hal._errors import DeviceTimeoutError, StateError, ValueTypeError
from tokaido.hal._forcing import forced
from tokaido.hal._numbers import real
from tokaido.hal._readings import Telemetry
from tokaido.hal._values import Measured, Query, Setting
from tokaido.hal.roles._ended_blocks import EndedBlock, active_codes, belonging, next_block
from tokaido.hal.roles._interlocks import OPENING, watched
from tokaido.hal.roles._key_sources import KeySource
from tokaido.hal.roles._unit_values import (
    STUCK,
    LinkKey,
    LinkSelection,
    Shutter,
    TelemetryEvent,
    UnitState,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokaido.hal._keys import KeyBlock, KeyMaterial
    from tokaido.hal.roles._alarms import Alarm, AlarmEvent
    from tokaido.hal.roles._interlocks import PumpInterlock, ShutterInterlock

T = TypeVar("T")

_FORCING: Final = threading.Lock()
"""Held for moments, while a receiver's reasons change."""


class SubChannel(Part):
    """One wavelength of a unit that sends or receives several quantum channels at once."""

    enabled: Setting[bool] = setting(bool, light="more")
    """Control whether the sub-channel is used: it is if both ends have enabled it."""
    wavelength: Measured[float] = measured(float, unit="nm")
    """Measure the wavelength of the sub-channel in vacuum."""


class Unit(KeySource):
    """A QKD transmitter or receiver."""

    state: Query[UnitState] = query(UnitState)
    """Ask for the state."""
    preshared_key_loaded: Query[bool] = query(bool)
    """Ask whether a pre-shared key is loaded."""
    session: Query[str] = query(str)
    """Ask for the id of the key session, the same at both ends; "-" when there is none."""

    last_block: Measured[str] = Measured(str, None, unsupported="it does not tell which block its figures are of")
    """Measure which block ended last, and how: session/number/outcome/bits of key. `wait_for_block` reads it."""
    qber: Measured[float] = measured(float, unit="")
    """Measure the error rate in the key basis over the last block, a fraction."""
    qber_check: Measured[float] = measured(float, unit="")
    """Measure the error rate in the check basis over the last block, a fraction."""
    sifted_key_rate: Measured[float] = measured(float, unit="bit/s")
    """Measure the sifted rate of the key basis."""
    secret_key_rate: Measured[float] = measured(float, unit="bit/s")
    """Measure the secret rate over the last blocks."""
    reconciliation_efficiency: Measured[float] = measured(float, unit="")
    """Measure how much was leaked over the Shannon limit, f >= 1, over the last block."""
    authentication_key_remaining: Measured[float] = measured(float, unit="bit")
    """Measure how much authentication key is left."""
    chassis_temperature: Measured[float] = measured(float, unit="degC")
    """Measure the temperature of the chassis."""
    uptime: Measured[float] = measured(float, unit="s")
    """Measure the time since the control interface came up."""
    block_bits: Setting[int] = setting(int, unit="bit")
    """Control how many key-basis bits a block is aimed at; about so many come of its pulses. Both ends must agree."""
    key_basis_probability: Setting[float] = setting(float, unit="")
    """Control the probability of the key basis at this end."""

    @property
    def sub_channels(self) -> Sequence[SubChannel]:
        """The sub-channels of this unit, from 0; none for a unit of a single channel that has no such parts."""
        return ()

    @abstractmethod
    def power_on(self) -> None:
        """Leave OFF: self-test, warm-up, authentication, alignment follow by themselves."""

    @abstractmethod
    def power_off(self) -> None:
        """Stop and switch off. Key blocks that wait to be drawn are kept."""

    @abstractmethod
    def start(self) -> None:
        """Leave STANDBY and begin to exchange keys."""

    @abstractmethod
    def stop(self) -> None:
        """End the key session; the open block is wiped."""

    @abstractmethod
    def align(self) -> None:
        """Repeat the alignment. Allowed in STANDBY only: a running session would lose its correlation."""

    @abstractmethod
    def clear_fault(self) -> None:
        """Leave FAULT, if its cause is gone."""

    @abstractmethod
    def acknowledge_security(self) -> None:
        """Clear latched security alarms and leave SECURITY_HOLD, if their cause is gone. An operator's act."""

    @abstractmethod
    def zeroize(self, serial_number: str) -> None:
        """Erase every key in the unit, the pre-shared key included. Takes the serial number, against mistakes."""

    @abstractmethod
    def set_watchdog(self, seconds: float) -> None:
        """Have the unit go to its safe state when this object does not renew it for `seconds`; 0 ends it.

        It takes the place of a watchdog that another program set. No other program renews it, whatever that reads.
        """

    @abstractmethod
    def alarms(self) -> tuple[Alarm, ...]:
        """Ask for the alarms that are active."""

    @abstractmethod
    def alarm_events(self, timeout: float = 0.0) -> tuple[AlarmEvent, ...]:
        """Return what the unit announced since the last call, after listening for `timeout` s."""

    @property
    def alarm_events_lost(self) -> int:
        """How many changes of alarms are known to be missing among the `alarm_events` since opening, at least.

        An alarm that was raised and cleared while the device could not be reached is one of these where the device
        keeps no log of it. Default: 0, for a driver that cannot tell.
        """
        return 0

    @abstractmethod
    def link(self) -> LinkSelection:
        """Ask which QKD link the unit is set to."""

    @abstractmethod
    def select_link(self, peer: str, path: str, *, fencing_token: int | None = None) -> LinkSelection:
        """Set the unit to a QKD link, and return the selection in force.

        Every link has a pre-shared key, an authentication pool and sessions of its own. Selecting one undoes the
        alignment and takes the safe state; from STANDBY the unit goes through AUTH and ALIGN to STANDBY by itself.

        Args:
            peer: Serial number of the other unit; empty (with an empty path) for any unit.
            path: Name of the path, 1 to 24 of `A-Za-z0-9._-`.
            fencing_token: Fencing token of who orders it; None leaves the number in force.

        Raises:
            RefusedError: No pre-shared key is loaded for that link, or the fencing token is below the one in force.
            StateError: The unit is not in one of the SETUP states.
        """

    @abstractmethod
    def link_keys(self) -> tuple[LinkKey, ...]:
        """Ask for which links a pre-shared key is loaded, and what is left of each."""

    @abstractmethod
    def load_preshared_key(self, key: KeyMaterial, *, peer: str = "", path: str = "") -> None:
        """Load the key that both ends of a QKD link share from the start. There is no default.

        Args:
            key: The same at both ends, and of no other link.
            peer: Serial number of the other unit of the link it is for; empty for the link that is selected.
            path: Name of the link's path; empty together with `peer`.
        """

    @abstractmethod
    def key_blocks(self, timeout: float, *, limit: int | None = None) -> Iterator[KeyBlock]:
        """Draw key blocks, oldest first, until none comes for `timeout` s or `limit` were drawn.

        Each block is acknowledged when it is handed out. It is committed by `with block:` on a clean exit, or by
        `block.commit()`; a block that was not committed is offered again. It may therefore come twice: store it under
        `block.info.name`, which is unique.

        A unit with `Capability.PUSHED_KEYS` sends each block once, when it is made, to those who listen by then: from
        the first draw on, what comes between two draws waits here. Store a block when it comes. A block that was
        lost on the way is gone, and `block.lost` of the next one counts it.
        """

    @abstractmethod
    def telemetry_stream(self, interval: float, timeout: float) -> Iterator[TelemetryEvent]:
        """Subscribe to readings and alarms every `interval` s, until none comes for `timeout` s."""

    def telemetry(self) -> Telemetry:
        """Read every value, bulk first; figures of the last block say which one that was (`Reading.block`).

        A value that the device cannot give is a reading of quality BAD with the reason; it spoils no other.

        Raises:
            TransportError: The device could not be asked at all.
        """
        return belonging(super().telemetry())

    def wait_for_block(self, timeout: float, *, poll: float = 0.1) -> EndedBlock:
        """Wait until a block ends that had not ended when this was called, and return it with its figures.

        A block that gave no key is returned as well: `outcome` says why. Where blocks end faster than the unit is
        asked, it is the newest one.

        Args:
            timeout: How long to wait at most, in s.
            poll: How long to leave the unit alone between two questions, in s.

        Raises:
            StateError: The unit is in a state, or went to one, in which it makes no blocks.
            DeviceTimeoutError: No block ended within `timeout` s.
            UnsupportedError: The unit does not tell which block its figures are of.
        """
        return next_block(self, self._clock, real(timeout, "timeout"), real(poll, "poll"))

    def wait_for(self, *states: UnitState, timeout: float, poll: float = 0.1) -> UnitState:
        """Wait until the unit is in one of `states` and return it.

        Raises:
            StateError: It went to FAULT or SECURITY_HOLD instead, which it never leaves by itself.
            DeviceTimeoutError: It was in none of them within `timeout` s.
            ValueTypeError: No state is given, or one is not a `UnitState`, or a time is not a number.
        """
        timeout, poll = real(timeout, "timeout"), real(poll, "poll")
        if not states or not all(isinstance(wanted, UnitState) for wanted in states):
            raise ValueTypeError(f"wait_for takes states such as UnitState.RUN, not {states!r}")
        start_ns = self._clock.monotonic_ns()
        while True:
            state = self.state()
            if state in states:
                return state
            elapsed_s = (self._clock.monotonic_ns() - start_ns) / 1e9
            wanted = " or ".join(wanted.value for wanted in states)
            if state in STUCK:
                raise StateError(
                    f"waited for {wanted} and the unit is in {state.value} ({active_codes(self)})",
                    code="STATE",
                    device=self.name,
                    remedy="Remove the cause, then clear_fault() or acknowledge_security()",
                )
            if elapsed_s >= timeout:
                raise DeviceTimeoutError(
                    f"waited for {wanted} and the unit is still in {state.value}",
                    device=self.name,
                    elapsed_s=elapsed_s,
                    remedy="Look at alarms() for what holds it, or wait longer",
                )
            self._clock.wait(min(poll, timeout - elapsed_s))


class Transmitter(Unit):
    """A QKD transmitter ("Alice"). Its safe state: laser off, attenuator at its maximum."""

    emitting: Query[bool] = query(bool)
    """Ask whether the laser emits."""

    laser_power: Measured[float] = measured(float, unit="dBm")
    """Measure the optical power at the laser monitor."""
    laser_bias_current: Measured[float] = measured(float, unit="mA")
    """Measure the bias current of the laser."""
    laser_temperature: Measured[float] = measured(float, unit="degC")
    """Measure the temperature of the laser."""
    output_power: Measured[float] = measured(float, unit="dBm")
    """Measure the mean power behind the attenuator."""
    clock_rate: Measured[float] = measured(float, unit="Hz")
    """Measure the pulse rate."""
    laser_cooler_current: Measured[float] = Measured(
        float, None, unit="A", unsupported="its laser has no cooler that it tells of"
    )
    """Measure the current of the laser's thermoelectric cooler in A, where `Capability.LASER_COOLER` says so."""
    modulator_bias: Setting[float] = Setting(
        float, None, unit="V", unsupported="it has no intensity modulator that can be biased"
    )
    """Control the bias of the intensity modulator in V, where `Capability.MODULATOR_BIAS` says so."""
    signal_probability: Measured[float] = measured(float, unit="")
    """Measure the probability of the signal state: what decoy and vacuum state leave."""
    attenuation: Setting[float] = setting(float, unit="dB", light="less")
    """Control the attenuator behind the laser."""
    signal_mean_photon_number: Setting[float] = setting(float, unit="photon/pulse", light="more")
    """Control the mean photon number of the signal state."""
    decoy_mean_photon_number: Setting[float] = setting(float, unit="photon/pulse", light="more")
    """Control the mean photon number of the decoy state."""
    vacuum_mean_photon_number: Setting[float] = setting(float, unit="photon/pulse", light="more")
    """Control the mean photon number of the vacuum state."""
    decoy_probability: Setting[float] = setting(float, unit="")
    """Control the probability of the decoy state."""
    vacuum_probability: Setting[float] = setting(float, unit="")
    """Control the probability of the vacuum state."""

    @property
    def parts(self) -> Sequence[Part]:
        """All parts of the transmitter."""
        return self.sub_channels


class Detector(Part):
    """One single-photon detector of a receiver."""

    purpose: Literal["data", "monitor"] = "data"
    """What its clicks are for: key, or watching the channel, as in protocols with a line of monitoring detectors."""

    temperature: Measured[float] = measured(float, unit="degC")
    """Measure the temperature of the detector; in K where it sits in a cryostat."""
    efficiency: Measured[float] = measured(float, unit="")
    """Measure the detection efficiency at the present bias, a fraction."""
    count_rate: Measured[float] = measured(float, unit="1/s")
    """Measure the counts per second."""
    dark_count_rate: Measured[float] = measured(float, unit="1/s")
    """Measure the counts per second in the dark, at the last alignment."""
    bias: Setting[float] = setting(float, unit="V")
    """Control the bias of the detector; in uA where it is a superconducting nanowire."""
    gate_delay: Setting[float] = setting(float, unit="ps")
    """Control the delay of the detection gate."""
    dead_time: Setting[float] = setting(float, unit="ns")
    """Control the time after a click in which nothing is counted."""


class Receiver(Unit):
    """A QKD receiver ("Bob"). Its safe state: shutter closed, detector bias down.

    Interlocks that it is bound to watch over `shutter = OPEN` and over the orders that lead to an alignment, which
    opens the shutter: `power_on`, `start`, `align`, `clear_fault`, `acknowledge_security`, `select_link`,
    `load_preshared_key`. They raise `InterlockError` before anything is sent, unless `interlocks_forced`.
    """

    clock_locked: Query[bool] = query(bool)
    """Ask whether the clock is locked to the transmitter's."""

    shutter: Setting[Shutter] = setting(Shutter, light="less")
    """Control the shutter at the quantum input. The interlocks watch over opening."""
    visibility: Measured[float] = measured(float, unit="")
    """Measure the visibility of the interference, a fraction."""
    interferometer_temperature: Measured[float] = measured(float, unit="degC")
    """Measure the temperature of the interferometer."""
    interferometer_phase: Measured[float] = measured(float, unit="rad")
    """Measure the phase error that the servo sees."""
    clock_power: Measured[float] = measured(float, unit="dBm")
    """Measure the clock light that arrives."""
    channel_loss: Measured[float] = measured(float, unit="dB")
    """Measure the loss of the channel, from the clock light."""

    @property
    @abstractmethod
    def detectors(self) -> Sequence[Detector]:
        """The detectors of this receiver, from 0."""

    # --- interlocks ---------------------------------------------------------------------------------------------------

    _interlocks: tuple[ShutterInterlock | PumpInterlock, ...] = ()
    _reasons: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        """Let the interlocks watch over the orders of every driver, those of third parties too."""
        super().__init_subclass__()
        for name in OPENING:
            setattr(cls, name, watched(getattr(cls, name)))

    def write(self, value: Setting[T], to: T) -> None:
        """Set one value; the interlocks watch over opening the shutter."""
        wanted: object = to
        if value.name == Receiver.shutter.name and wanted is Shutter.OPEN:
            self.check_interlocks("shutter = OPEN")
        with forced(self.why_forced):
            super().write(value, to)

    def add_interlock(self, interlock: ShutterInterlock | PumpInterlock) -> None:
        """Enforce an interlock from now on. A station does this for those that its file declares."""
        self._interlocks = (*self._interlocks, interlock)

    def check_interlocks(self, order: str) -> None:
        """Ask the switches whether the shutter may be opened now; `order` is what opens it, for the error's text.

        Raises:
            InterlockError: It would open onto classical light.
        """
        self._check_interlocks(order, self.why_forced)

    def check_text(self, text: str, *, force: str = "") -> None:
        """Ask the interlocks about a text of the vendor's that `opens`."""
        if self._interlocks and self.opens(text):
            self._check_interlocks(repr(text[:40]), force)

    def opens(self, text: str) -> bool:  # noqa: ARG002 - for drivers, which know
        """Return whether a text of the vendor's may lead to an open shutter. Default: it cannot be told, so it may."""
        return True

    @property
    def why_forced(self) -> str:
        """The reason for which the interlocks are overruled now; empty: they are not."""
        return next(iter(self._reasons), "")

    def _check_interlocks(self, order: str, force: str) -> None:
        for interlock in self._interlocks:
            interlock.check(self.name, order, force)

    @contextmanager
    def interlocks_forced(self, why: str) -> Iterator[None]:
        """Overrule the interlocks of this receiver within a `with` block; every order that they object to is logged.

        It holds for all threads that use this object meanwhile.

        Args:
            why: The reason, which is logged. Empty: they are not overruled.
        """
        reasons = (why,) if why.strip() else ()
        with _FORCING:
            self._reasons = (*self._reasons, *reasons)
        try:
            yield
        finally:
            with _FORCING:
                left = list(self._reasons)
                for reason in reasons:
                    left.remove(reason)
                self._reasons = tuple(left)

    @property
    def parts(self) -> Sequence[Part]:
        """All parts of the receiver."""
        return (*self.sub_channels, *self.detectors)
