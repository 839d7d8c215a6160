"""What both Toshiba-style units have in common: docs/protocols/toshiba.md, section 6.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import tokaido.hal as hal
from tokaido.drivers.toshiba._console import PROTOCOL, Console
from tokaido.hal import Identity, UnitState
from tokaido.hal.driver import Answer, measured, query, setting
from tokaido.hal.transports import SerialTransport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokaido.drivers.toshiba._keychannel import ToshibaKeyChannel

VENDOR = "TOSHIBA-STYLE"


class ToshibaUnit(hal.Unit):
    """The commands and readings that transmitter and receiver share."""

    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {
        "control": frozenset({"serial"}),
        "keys": frozenset({"zmq"}),
    }
    optional_resources: ClassVar[frozenset[str]] = frozenset({"keys"})
    protocol: ClassVar[str] = "TQC1, TQK1"
    model: ClassVar[str]
    """What the unit calls its model in `IDN?`."""

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
    """Get how many key blocks were committed since power-on."""

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

    def set_watchdog(self, seconds: float) -> None:
        """Set the watchdog, 5 to 3600 s; 0 ends it. Every later exchange starts it again."""
        if seconds != 0 and not 5 <= seconds <= 3600:
            raise hal.RangeError(
                f"a watchdog lasts 5 to 3600 s, or 0 for none, not {seconds!r}", remedy="Nothing was sent"
            )
        self._command(f"LSE {seconds:g}")

    def watchdog_remaining(self) -> float:
        """Get the time in s after which the unit will go to its safe state; 0 when there is no watchdog."""
        return float(self._query("LSE?").split(",")[1])

    def alarms(self) -> tuple[hal.Alarm, ...]:
        """Get the alarms that are active."""
        _, *entries = self._query("ALM?").split(";")
        return tuple(_alarm(entry) for entry in entries)

    def alarm_events(self, timeout: float = 0.0) -> tuple[hal.AlarmEvent, ...]:
        """Get what the unit announced since the last call, after listening for up to `timeout` s."""
        if not self._console.events:
            self._control.listen(timeout)
        events = tuple(self._console.events)
        self._console.events.clear()
        return events

    def link(self) -> hal.LinkSelection:
        """Get the QKD link that the unit is set to."""
        return _selection(self._query("LNK?"))

    def select_link(self, peer: str, path: str, *, fencing_token: int | None = None) -> hal.LinkSelection:
        """Set the unit to a QKD link. Allowed in OFF, WARMUP, AUTH and STANDBY."""
        wanted = f"{peer or '-'},{path or '-'}"
        return _selection(self._command(f"LNK {wanted}" if fencing_token is None else f"LNK {wanted},{fencing_token}"))

    def link_keys(self) -> tuple[hal.LinkKey, ...]:
        """Get for which links a pre-shared key is loaded."""
        return tuple(_link_key(entry) for entry in self._query("LNK:LIST?").split(";") if entry)

    def load_preshared_key(self, key: hal.KeyMaterial, *, peer: str = "", path: str = "") -> None:
        """Load the pre-shared key of a link, exactly 4096 bytes, over the key channel.

        Raises:
            KeyMaterialError: The key is of another length; it is never padded or cut.
        """
        self._keys().load_preshared_key(key, peer, path)

    def key_blocks(self, timeout: float, *, limit: int | None = None) -> Iterator[hal.KeyBlock]:
        """Draw key blocks, oldest first, until none comes for `timeout` s or `limit` were drawn."""
        return self._keys().key_blocks(timeout, limit)

    def telemetry_stream(self, interval: float, timeout: float) -> Iterator[hal.TelemetryEvent]:
        """Subscribe to readings every `interval` s, 0.1 to 60, until nothing comes for `timeout` s."""
        names = {
            f"{prefix}{value.command}": path + name
            for owner, path, prefix in self._owners()
            for name, value in owner.values().items()
        }
        return self._keys().telemetry_stream(interval, timeout, names)

    def identity(self) -> Identity:
        """Get vendor, model, serial number and firmware."""
        return self._identify(self._query("IDN?"))

    def _connect(self, timeout: float | None = None) -> None:
        """Open the console and check who is there. Sends one query. The key channel is opened when it is first used."""
        self._control.open(timeout)

    def close(self) -> None:
        """Disconnect; changes nothing in the unit."""
        if self._channel is not None:
            self._channel.close()
        self._control.close()

    @property
    def transport(self) -> SerialTransport:
        """The console's transport: `unit.transport.query("LAS:POW?")` for what no declaration covers."""
        return self._control

    def __init__(
        self,
        resources: Mapping[str, hal.Resource],
        *,
        name: str = "",
        serial_number: str = "",
        timeout_s: float = 1.0,
        clock: hal.Clock = hal.SYSTEM_CLOCK,
    ) -> None:
        super().__init__(resources, name=name, serial_number=serial_number, timeout_s=timeout_s, clock=clock)
        self._console = Console()
        self._channel: ToshibaKeyChannel | None = None
        self._control = SerialTransport(resources["control"], self._console, clock=clock, timeout_s=timeout_s)
        self._control.device = self.name
        self._control.on_open(self._check_identity)

    def _check_identity(self) -> None:
        """Ask who is there, after every opening: the first unit, or the one that was asked for, and no other."""
        self._console.forget_sequence()
        found = self._identify(self._query("IDN?"))
        expected = self._expected_serial_number
        if found.vendor != VENDOR or found.model != self.model or (expected and found.serial_number != expected):
            wanted = f"{VENDOR} {self.model}{f' {expected}' if expected else ''}"
            raise hal.WrongDeviceError(
                f"expected {wanted} and found {found.vendor} {found.model} {found.serial_number}",
                device=self.name,
                transport=self._control.name,
                remedy="Check the cabling and the resource",
            )
        self._expected_serial_number = self._console.serial_number = found.serial_number

    def _identify(self, text: str) -> Identity:
        fields = text.split(",")
        if len(fields) != 5 or not all(fields):
            raise hal.ProtocolError(f"the answer to IDN? has not five fields: {text[:80]!r}", device=self.name)
        if fields[4] != PROTOCOL:
            raise hal.WrongDeviceError(f"the unit speaks {fields[4]} and this driver {PROTOCOL}", device=self.name)
        return Identity(vendor=fields[0], model=fields[1], serial_number=fields[2], firmware=fields[3])

    def _query(self, text: str) -> str:
        return self._control.exchange(self._console.request(text, repeatable=True))

    def _command(self, text: str) -> str:
        return self._control.exchange(self._console.request(text, repeatable=False))

    def _ask(self, command: str) -> Answer:
        return _answer(self._query(f"{command}?"))

    def _order(self, command: str, text: str) -> Answer:
        return _answer(self._command(f"{command} {text}"))

    def _ask_all(self) -> Mapping[str, Answer | hal.TokaidoError]:
        answers: dict[str, Answer | hal.TokaidoError] = {}
        for item in self._query("TEL?").split():
            name, _, text = item.partition("=")
            answers[name] = (
                hal.NoDataError(f"the unit gives none: {text[1:]}", code=text[1:])
                if text.startswith("!")
                else _answer(text)
            )
        return answers

    def _keys(self) -> ToshibaKeyChannel:
        if self._channel is None:
            if "keys" not in self._resources:
                raise hal.UnsupportedError(
                    f"{self.name} was opened without its key channel", remedy='Give a resource keys="zmq:..."'
                )
            from tokaido.drivers.toshiba._keychannel import ToshibaKeyChannel  # noqa: PLC0415 - ZeroMQ, when first needed

            self._channel = ToshibaKeyChannel(
                self._resources["keys"],
                self.name,
                self._console.serial_number,
                clock=self._clock,
                timeout_s=self._timeout_s,
            )
        return self._channel


def _answer(text: str) -> Answer:
    value, at, age = text.partition("@")
    if not at:
        return Answer(text)
    try:
        return Answer(value, float(age))
    except ValueError:
        raise hal.ProtocolError(f"{text[:80]!r} has no age behind its @") from None


def _selection(text: str) -> hal.LinkSelection:
    fields = text.split(",")
    if len(fields) != 3 or not fields[2].isdecimal():
        raise hal.ProtocolError(f"{text[:80]!r} is not a selection of a link")
    peer, path = ("" if field == "-" else field for field in fields[:2])
    return hal.LinkSelection(peer, path, int(fields[2]))


def _link_key(entry: str) -> hal.LinkKey:
    fields = entry.split(",")
    if len(fields) != 3 or not fields[2].isdecimal():
        raise hal.ProtocolError(f"{entry[:80]!r} is not a link with a key")
    peer, path = ("" if field == "-" else field for field in fields[:2])
    return hal.LinkKey(peer, path, int(fields[2]))


def _alarm(entry: str) -> hal.Alarm:
    fields = entry.split(",")
    try:
        code, severity, age, latched = fields
        return hal.Alarm(code=code, severity=hal.Severity(severity), latched=latched == "1", age_s=float(age))
    except ValueError:
        raise hal.ProtocolError(f"{entry[:80]!r} is not an alarm") from None
