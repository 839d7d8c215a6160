"""What both Toshiba-style units have in common: docs/protocols/toshiba.md, section 6.1."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

import tokaido.hal as hal
from tokaido.drivers.toshiba._console import PROTOCOL, Console
from tokaido.hal import Identity, UnitState
from tokaido.hal.driver import Answer, UnitDriver, measured, not_negative, query, real, setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal.driver import Codec, KeyChannel

_NOBODY = "-"
"""How the console writes an empty name."""


class ToshibaUnit(UnitDriver):
    """The commands and readings that transmitter and receiver share."""

    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {
        "control": frozenset({"serial"}),
        "keys": frozenset({"zmq"}),
    }
    protocol: ClassVar[str] = "TQC1, TQK1"
    vendor = "TOSHIBA-STYLE"
    alarm_command = "ALM"
    link_command = "LNK"
    link_list_command = "LNK:LIST"
    watchdog_command = "LSE"
    watchdog_range = 5, 3600
    maintenance_commands = ("SEC",)
    resting_commands = ("PWR OFF", "KEY STOP", "SAFE", "SEC ZEROIZE")

    state = query(UnitState, "STAT", field=0)
    """Get the state."""
    alignment_step = query(str, "STAT", field=1)
    """Get the step of the alignment that runs: BIAS, POL, SYNC, DELAY, PHASE or GATES; empty outside it."""
    preshared_key_loaded = query(bool, "PSK")
    """Get whether the pre-shared key is loaded."""
    session = query(str, "SES")
    """Get the id of the key session, or "-"."""
    key_blocks_waiting = query(int, "KEYS", field=0)
    """Get how many key blocks wait to be drawn."""
    key_blocks_committed = query(int, "KEYS", field=1)
    """Get how many key blocks were committed since the unit came up."""

    last_block = measured(str, "BLK:LAST")
    """Measure which block ended last, and how."""
    qber = measured(float, "QBER", unit="", operational=(0, 0.06), absolute=(0, 0.11))
    """Measure the error rate in the key basis over the last block, a fraction."""
    qber_check = measured(float, "QBER:CHK", unit="", operational=(0, 0.06), absolute=(0, 0.11))
    """Measure the error rate in the check basis over the last block, a fraction."""
    sifted_key_rate = measured(float, "RATE:SIFT", unit="bit/s")
    """Measure the sifted rate of the key basis over the last second."""
    secret_key_rate = measured(float, "RATE:SEC", unit="bit/s")
    """Measure the secret rate over the last blocks."""
    reconciliation_efficiency = measured(float, "EC:EFF", unit="", operational=(1, 1.25))
    """Measure the reconciliation efficiency f over the last block."""
    authentication_key_remaining = measured(float, "AUTH:LEFT", unit="bit")
    """Measure the authentication key that is left."""
    chassis_temperature = measured(float, "CHS:TEMP", unit="degC", operational=(0, 45), absolute=(-10, 60))
    """Measure the temperature of the chassis."""
    uptime = measured(float, "UPT", unit="s")
    """Measure the time since the console came up."""
    block_bits = setting(int, "BLK", unit="bit", range=(100_000, 20_000_000), states=hal.SETUP)
    """Control the key-basis bits that are distilled together, 1e5 to 2e7. Both units must agree."""
    key_basis_probability = setting(float, "BAS", unit="", range=(0.5, 0.99), states=hal.SETUP)
    """Control the probability of the key basis at this unit, 0.5 to 0.99."""

    capabilities = frozenset(
        {
            hal.Capability.KEY_CHANNEL,
            hal.Capability.TELEMETRY_STREAM,
            hal.Capability.WATCHDOG,
            hal.Capability.INTERFEROMETER_STRETCHER,
            hal.Capability.POLARISATION_CONTROLLER,
        }
    )

    def power_on(self) -> None:
        """Leave OFF. Allowed in OFF."""
        self._command("PWR ON")

    def power_off(self) -> None:
        """Stop and switch off. Allowed in every state but ZEROIZE."""
        self._command("PWR OFF")

    def start(self) -> None:
        """Begin to exchange keys, after an alignment if the unit is not aligned. Allowed in STANDBY."""
        self._command("KEY START")

    def stop(self) -> None:
        """End the key session; the open block is wiped. Allowed in RUN, TRACK, DEGRADED and REALIGN."""
        self._command("KEY STOP")

    def align(self) -> None:
        """Realign. Allowed in STANDBY."""
        self._command("ALN START")

    def apply_safe_state(self) -> None:
        """Go to the safe state. Allowed in every state."""
        self._command("SAFE")

    def clear_fault(self) -> None:
        """Leave FAULT for SELFTEST; refused while the cause lasts. Allowed in FAULT."""
        self._command("FLT CLR")

    def acknowledge_security(self) -> None:
        """Clear latched security alarms; SECURITY_HOLD leads to AUTH. Refused while a cause lasts."""
        self._command("SEC ACK")

    def zeroize(self, serial_number: str) -> None:
        """Erase every key in the unit. Allowed in every state; takes the unit's own serial number."""
        self._command(f"SEC ZEROIZE,{serial_number}")

    def alarm_events(self, timeout: float = 0.0) -> tuple[hal.AlarmEvent, ...]:
        """Get what the unit announced since the last call, after listening for up to `timeout` s.

        Where announcements were lost, with the cable out or with a line that was spoilt, `ALM?` is asked: an alarm that
        was raised or cleared meanwhile comes as an event with the number 0, and `alarm_events_lost` counts the lines.
        """
        timeout = real(timeout, "timeout")
        known = self._console.alarms
        self._catch_up()
        events = known.take()
        if not events:
            self._control.listen(timeout)
            self._catch_up()
            events = known.take()
        return events

    @property
    def alarm_events_lost(self) -> int:
        """How many alarm lines did not arrive whole, by their numbers; if the unit came up again, at least so many."""
        return self._console.alarms.lost

    def _catch_up(self) -> None:
        if not self._console.alarms.complete:
            self.alarms()

    def _active_alarms(self, text: str) -> tuple[hal.Alarm, ...]:
        alarms = super()._active_alarms(text)
        self._console.compare(self._fields(text)[0], alarms)  # here, within the exchange: no line comes between
        return alarms

    # --- who it is ----------------------------------------------------------------------------------------------------

    _console: Console

    def identity(self) -> Identity:
        """Get vendor, model, serial number and firmware."""
        fields = self._query("IDN?").split(",")
        if len(fields) != 5 or not all(fields):
            raise hal.ProtocolError(
                f"the answer to IDN? has not five fields: {','.join(fields)[:80]!r}", device=self.name
            )
        if fields[4] != PROTOCOL:
            raise hal.WrongDeviceError(f"the unit speaks {fields[4]} and this driver {PROTOCOL}", device=self.name)
        return Identity(vendor=fields[0], model=fields[1], serial_number=fields[2], firmware=fields[3])

    def _codec(self) -> Codec:
        self._console = Console(self._nonces, self._clock.monotonic_ns)
        return self._console

    def _greet(self) -> None:
        self._console.interrupted()
        super()._greet()

    def _learn(self, found: Identity) -> None:
        super()._learn(found)
        self._console.serial_number = found.serial_number

    def _key_channel(self) -> type[KeyChannel]:
        from tokaido.drivers.toshiba._keychannel import ToshibaKeyChannel  # noqa: PLC0415 - ZeroMQ, when first needed

        return ToshibaKeyChannel

    # --- what it says -------------------------------------------------------------------------------------------------

    def _written(self, text: str) -> str:
        return text or _NOBODY

    def _fields(self, text: str) -> list[str]:
        return ["" if field == _NOBODY else field for field in re.split("[,;]", text)] if text else []

    def _put(self, command: str, text: str) -> str:
        return self._command(f"{command} {text}")

    def _answer(self, text: str) -> Answer:
        value, at, age = text.partition("@")
        return Answer(value, not_negative(float, age, "age")) if at else Answer(value)

    def _ask_all(self) -> Mapping[str, Answer | hal.TokaidoError]:
        return self._read("TEL?", self._report)

    def _report(self, text: str) -> dict[str, Answer | hal.TokaidoError]:
        """Return what `TEL?` lists; an item that is not an answer spoils no other."""
        answers: dict[str, Answer | hal.TokaidoError] = {}
        for item in text.split():
            name, _, value = item.partition("=")
            try:
                answers[name] = (
                    hal.NoDataError(f"the unit gives none: {value[1:]}", code=value[1:])
                    if value.startswith("!")
                    else self._answer(value)
                )
            except hal.ProtocolError as error:
                answers[name] = error
        return answers
