"""What both NEC-style units have in common: docs/protocols/nec.md, section 4.1."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

import tokaido.hal as hal
from tokaido.drivers.nec import _texts
from tokaido.drivers.nec._seal import WHO, SealedMessages
from tokaido.hal import Identity, UnitState
from tokaido.hal.driver import AlarmLedger, Answer, Codec, Query, UnitDriver, measured, query, setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal.driver import KeyChannel

T = TypeVar("T")

SERIAL_NUMBERS: Final = re.compile(r"[A-Z0-9-]{4,24}")
ALARM_POLL_S: Final = 0.1
"""How long to leave the unit alone between two looks at its alarm log."""
ATTEMPTS: Final = 3
"""How often to ask for log and active alarms, in turn, until no change came between."""


class NecUnit(UnitDriver):
    """The commands and readings that transmitter and receiver share."""

    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {
        "control": frozenset({"visa"}),
        "keys": frozenset({"zmq"}),
    }
    protocol: ClassVar[str] = "NQC1, NQK1"
    vendor = "NEC-STYLE"
    models: ClassVar[re.Pattern[str]]
    """What the unit may call its model in `*IDN?`; the group `channels` is the number of its sub-channels."""
    alarm_command = "STAT:ALAR"
    link_command = "LINK:SEL"
    link_list_command = "LINK:LIST"
    watchdog_command = "UNIT:LEAS"
    watchdog_range = 5, 3600
    maintenance_commands = ("SEC",)
    resting_commands = ("UNIT:POW OFF", "KEY:STOP", "UNIT:SAFE", "SEC:ZER")

    state = query(UnitState, "UNIT:STAT", field=0)
    """Get the state."""
    alignment_step = query(str, "UNIT:STAT", field=1)
    """Get the step of the alignment that runs: BIAS, SYNC, DELAY or PHASE; NONE outside it."""
    preshared_key_loaded = query(bool, "KEY:PSK")
    """Get whether a pre-shared key is loaded for the link in force."""
    session = query(str, "KEY:SESS")
    """Get the id of the key session, or "-"."""
    key_blocks_waiting = query(int, "KEY:COUN", field=0)
    """Get how many key blocks wait to be drawn."""
    key_blocks_committed = query(int, "KEY:COUN", field=1)
    """Get how many key blocks were committed since the unit came up."""

    last_block = measured(str, "FETC:BLOC")
    """Measure which block ended last, and how."""
    qber = measured(float, "FETC:QBER", unit="", operational=(0, 0.06), absolute=(0, 0.11))
    """Measure the error rate in the key basis over the last block, a fraction."""
    qber_check = measured(float, "FETC:QBER:CHEC", unit="", operational=(0, 0.06), absolute=(0, 0.11))
    """Measure the error rate in the check basis over the last block, a fraction."""
    sifted_key_rate = measured(float, "FETC:RATE:SIFT", unit="bit/s")
    """Measure the sifted rate of the key basis over the last second."""
    secret_key_rate = measured(float, "FETC:RATE:SECR", unit="bit/s")
    """Measure the secret rate over the last blocks."""
    reconciliation_efficiency = measured(float, "FETC:EFF", unit="", operational=(1, 1.25))
    """Measure the reconciliation efficiency f over the last block."""
    authentication_key_remaining = measured(float, "KEY:AUTH", unit="bit")
    """Measure the authentication key that is left for the link in force."""
    chassis_temperature = measured(float, "FETC:TEMP:CHAS", unit="degC", operational=(0, 45))
    """Measure the temperature of the chassis."""
    uptime = measured(float, "UNIT:UPT", unit="s")
    """Measure the time since the control port came up."""
    block_bits = setting(int, "KEY:BLOC", unit="bit", range=(100_000, 20_000_000), states=hal.SETUP)
    """Control the key-basis bits that are distilled together, 1e5 to 2e7. Both units must agree."""
    key_basis_probability = setting(float, "KEY:BAS", unit="", range=(0.5, 0.99), states=hal.SETUP)
    """Control the probability of the key basis at this unit, 0.5 to 0.99."""

    capabilities = frozenset({hal.Capability.KEY_CHANNEL, hal.Capability.TELEMETRY_STREAM, hal.Capability.WATCHDOG})

    # --- commands -----------------------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Leave OFF. Allowed in OFF."""
        self._command("UNIT:POW ON")

    def power_off(self) -> None:
        """Stop and switch off. Allowed in every state but ZEROIZE."""
        self._command("UNIT:POW OFF")

    def start(self) -> None:
        """Begin to exchange keys, after an alignment if the unit is not aligned. Allowed in STANDBY."""
        self._command("KEY:STAR")

    def stop(self) -> None:
        """End the key session; the open block is wiped. Allowed in RUN, TRACK, DEGRADED and REALIGN."""
        self._command("KEY:STOP")

    def align(self) -> None:
        """Realign. Allowed in STANDBY."""
        self._command("CAL:STAR")

    def apply_safe_state(self) -> None:
        """Go to the safe state. Allowed in every state."""
        self._command("UNIT:SAFE")

    def clear_fault(self) -> None:
        """Leave FAULT for SELFTEST; refused while the cause lasts. Allowed in FAULT."""
        self._command("FAUL:CLE")

    def acknowledge_security(self) -> None:
        """Clear latched security alarms; SECURITY_HOLD leads to AUTH. Refused while a cause lasts."""
        self._command("SEC:ACKN")

    def zeroize(self, serial_number: str) -> None:
        """Erase every key in the unit. Allowed in every state; takes the unit's own serial number."""
        self._command(f"SEC:ZER {_texts.quoted(serial_number)}")

    # --- alarms -----------------------------------------------------------------------------------------------------

    def alarm_events(self, timeout: float = 0.0) -> tuple[hal.AlarmEvent, ...]:
        """Get what the unit logged since the last call (the first call: since opening), waiting up to `timeout` s.

        The unit keeps the last 64 changes; `alarm_events_lost` counts those that were pushed out unread. Where some
        were, or the unit came up again, an event with the number 0 tells what its active alarms show.
        """
        deadline = hal.Deadline(self._clock, timeout)
        while True:
            self._read_log()
            events = self._known.take()
            if events or deadline.passed:
                return events
            self._clock.wait(min(ALARM_POLL_S, deadline.remaining_s))

    @property
    def alarm_events_lost(self) -> int:
        """How many changes were pushed out of the unit's log before they were read."""
        return self._known.lost

    def _read_log(self) -> None:
        now_ns = self._clock.monotonic_ns()
        self._read_changes()
        if not self._known.complete:
            self._compare((now_ns - self._log_read_ns) / hal.NS_PER_S)
        self._log_read_ns = now_ns

    def _read_changes(self) -> None:
        known = self._known
        last, events = self._read(f"STAT:ALAR:LOG? {known.last or 0}", _texts.alarm_log)
        came_up_again = last < (known.last or 0)
        if self._interrupted:  # before this question, or by it
            came_up_again |= self._came_up_again()
            self._interrupted = False
        if came_up_again:
            known.came_up_again()
            _, events = self._read("STAT:ALAR:LOG? 0", _texts.alarm_log)
        for event in events:
            known.announced(event)

    def _compare(self, gap_s: float) -> None:
        for _ in range(ATTEMPTS):
            last, alarms = self._read("STAT:ALAR?", self._alarms_and_last_change)
            if last == self._known.last:
                self._known.compare(last, alarms, gap_s)
                return
            self._read_changes()  # one came between

    def _came_up_again(self) -> bool:
        """Return whether the unit was without its supply since its log was read last.

        It was up when it was opened: if it still is the same time, it has been up for longer than since then. If not,
        it has been up for less than since its log was read. The middle decides, so that clocks may differ.
        """
        uptime_s = self.read(type(self).uptime)
        now_ns = self._clock.monotonic_ns()
        if uptime_s * hal.NS_PER_S >= now_ns - (self._met_ns + self._log_read_ns) / 2:
            return False
        self._met_ns = now_ns
        return True

    def _alarms_and_last_change(self, text: str) -> tuple[int, tuple[hal.Alarm, ...]]:
        return _texts.last_change(text), self._active_alarms(text)

    # --- who it is ----------------------------------------------------------------------------------------------------

    _sealed: SealedMessages
    _found: re.Match[str] | None = None
    _known: AlarmLedger
    _interrupted = False  # whether the connection was gone since the log was read
    _met_ns = 0  # when the unit was first met since it came up
    _log_read_ns = 0

    def identity(self) -> Identity:
        """Get vendor, model, serial number and firmware."""
        return self._read(WHO, _texts.identity)

    def _codec(self) -> Codec:
        self._known = AlarmLedger()
        self._sealed = SealedMessages(self._nonces)
        return self._sealed

    def _learn(self, found: Identity) -> None:
        """Check what it is, seal with its serial number from now on, and ask how far its alarm log is."""
        super()._learn(found)
        if not SERIAL_NUMBERS.fullmatch(found.serial_number):
            raise hal.WrongDeviceError(
                f"expected {self.vendor} with a serial number and found {found.serial_number!r}",
                device=self.name,
                transport=self._control.name,
                remedy="Check the cabling and the resource",
            )
        self._sealed.serial_number = found.serial_number
        self._found = self.models.fullmatch(found.model)
        if self._known.last is None:
            self._known.compare(*self._read("STAT:ALAR?", self._alarms_and_last_change), gap_s=0.0)
            self._met_ns = self._log_read_ns = self._clock.monotonic_ns()
        else:
            self._interrupted = True

    def _model(self) -> re.Match[str]:
        """Return the model's name as the unit gave it at the last opening, taken apart."""
        while self._found is None:
            self._control.open()
        return self._found

    def _key_channel(self) -> type[KeyChannel]:
        from tokaido.drivers.nec._keychannel import NecKeyChannel  # noqa: PLC0415 - ZeroMQ, when first needed

        return NecKeyChannel

    # --- what it says -------------------------------------------------------------------------------------------------

    def ask(self, value: Query[T]) -> T:
        """Ask for a state or flag."""
        own: Query[T] = getattr(type(self), value.name)
        return self._read(f"{own.command}?", lambda text: own.decode(_texts.plain(text)))

    def _written(self, text: str) -> str:
        return _texts.quoted(text)

    def _fields(self, text: str) -> list[str]:
        fields = _texts.fields_of(text)
        return [] if fields == [""] else fields

    def _put(self, command: str, text: str) -> str:
        return self._command(f"{command} {text};:{command}?")

    def _answer(self, text: str) -> Answer:
        return _texts.answer(text)

    def _ask_all(self) -> Mapping[str, Answer | hal.TokaidoError]:
        return self._read("FETC:ALL?", _texts.report)
