"""The drivers, against the public faces of `tokaido.hal` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec

import tokaido.hal as hal
from tokaido.hal.driver import (
    EVENT,
    NOT_MINE,
    KeyChannel,
    LineCodec,
    LineDevice,
    NotMine,
    Request,
    WatchdogHolder,
    measured,
    query,
)
from tokaido.hal.driver import setting as declared_setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tokaido.hal.driver import Answer

H = TypeVar("H")
V = TypeVar("V")

ERRORS = {"STATE": hal.StateError, "NO_DATA": hal.NoDataError, "REFUSED": hal.RefusedError}


class AcmeCodec(LineCodec):
    """A reply is `=TEXT` or `!CODE TEXT`."""

    def request(self, text: str, *, repeatable: bool) -> Request[bytes, str]:
        plain = super().request(text, repeatable=repeatable)

        def accept(frame: bytes) -> str | NotMine:
            line = plain.accept(frame)
            if line is NOT_MINE:
                return line
            if line.startswith("!"):
                code, _, why = line[1:].partition(" ")
                raise ERRORS.get(code, hal.DeviceError)(why, code=code, command=text)
            return line.removeprefix("=")

        return Request(text, plain.payload, accept, repeatable=repeatable)


class AcmeKeys(KeyChannel):
    protocol = "ACME-2"
    preshared_key_bytes = 4096
    max_offers = 8
    interval_range = (0.1, 60.0)
    subscription_renewal_s = 10.0

    def _pack(self, number: int, header: dict[str, Any]) -> list[bytes]:
        return [number.to_bytes(8, "big"), msgspec.json.encode(header)]

    def _unpack(self, frames: list[bytes]) -> tuple[int, bytes, list[bytes]] | None:
        if len(frames) < 2 or len(frames[0]) != 8:
            return None
        return int.from_bytes(frames[0], "big") or EVENT, frames[1], frames[2:]

    def _decode(self, header: bytes, kind: type[H]) -> H:
        return msgspec.json.decode(header, type=kind)


def of(name: str, unit: str) -> Any:
    return measured(float, name, unit=unit)


def setting(name: str, unit: str) -> Any:
    return declared_setting(float, name, unit=unit)


class AcmeUnit(hal.Unit, LineDevice):
    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {
        "control": frozenset({"serial"}),
        "keys": frozenset({"zmq"}),
    }
    protocol = "ACME-2"

    state = query(hal.UnitState, "state")
    preshared_key_loaded = query(bool, "preshared_key_loaded")
    session = query(str, "session")
    qber = of("qber", "")
    qber_check = of("qber_check", "")
    sifted_key_rate = of("sifted_key_rate", "bit/s")
    secret_key_rate = of("secret_key_rate", "bit/s")
    reconciliation_efficiency = of("reconciliation_efficiency", "")
    authentication_key_remaining = of("authentication_key_remaining", "bit")
    chassis_temperature = of("chassis_temperature", "degC")
    uptime = of("uptime", "s")
    block_bits = declared_setting(int, "block_bits", unit="bit")
    key_basis_probability = setting("key_basis_probability", "")

    capabilities = frozenset({hal.Capability.WATCHDOG})

    _channel: AcmeKeys | None = None

    def __init__(self, resources: Mapping[str, hal.Resource], **options: Any) -> None:
        super().__init__(resources, **options)
        self._watchdog = WatchdogHolder(self._clock)

    def _codec(self) -> LineCodec:
        return AcmeCodec()

    def identity(self) -> hal.Identity:
        return hal.Identity(*self._query("identity?").split(","))

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        super().close()

    def power_on(self) -> None:
        self._command("do power_on")

    def power_off(self) -> None:
        self._command("do power_off")

    def start(self) -> None:
        self._command("do start")

    def stop(self) -> None:
        self._command("do stop")

    def align(self) -> None:
        self._command("do align")

    def apply_safe_state(self) -> None:
        self._command("do apply_safe_state")

    def clear_fault(self) -> None:
        self._command("do clear_fault")

    def acknowledge_security(self) -> None:
        self._command("do acknowledge_security")

    def zeroize(self, serial_number: str) -> None:
        self._command(f"do zeroize {serial_number}")

    def set_watchdog(self, seconds: float) -> None:
        command = f"watchdog {seconds:g} {self._watchdog.token}"
        self._watchdog.set(seconds, lambda: self._command(command))

    def _exchange(self, request: Request[bytes, V]) -> V:
        value = super()._exchange(request)
        if self._seen is not None:
            self._watchdog.renew(lambda: self._query(f"keep {self._watchdog.token}"), self.name)
        return value

    def alarms(self) -> tuple[hal.Alarm, ...]:
        entries = [entry.split(",") for entry in self._query("alarms?").split(";") if entry]
        return tuple(hal.Alarm(code, hal.Severity(severity), latched=False, age_s=0.0) for code, severity in entries)

    def alarm_events(self, timeout: float = 0.0) -> tuple[hal.AlarmEvent, ...]:
        return ()

    def link(self) -> hal.LinkSelection:
        peer, path, token = self._query("link?").split(",")
        return hal.LinkSelection(peer.replace("-", "", peer == "-"), path.replace("-", "", path == "-"), int(token))

    def select_link(self, peer: str, path: str, *, fencing_token: int | None = None) -> hal.LinkSelection:
        self._command(f"link {peer or '-'} {path or '-'} {'-' if fencing_token is None else fencing_token}")
        return self.link()

    def link_keys(self) -> tuple[hal.LinkKey, ...]:
        entries = [entry.split(",") for entry in self._query("link_keys?").split(";") if entry]
        return tuple(hal.LinkKey(peer, path, int(left)) for peer, path, left in entries)

    def load_preshared_key(self, key: hal.KeyMaterial, *, peer: str = "", path: str = "") -> None:
        self._keys().load_preshared_key(key, peer, path)

    def key_blocks(self, timeout: float, *, limit: int | None = None) -> Iterator[hal.KeyBlock]:
        return self._keys().key_blocks(timeout, limit)

    def telemetry_stream(self, interval: float, timeout: float) -> Iterator[hal.TelemetryEvent]:
        return self._keys().telemetry_stream(interval, timeout, {})

    def _keys(self) -> AcmeKeys:
        if self._channel is None:
            self._channel = AcmeKeys(
                self._resources["keys"],
                self.name,
                self.identity().serial_number,
                clock=self._clock,
                timeout_s=self._timeout_s,
            )
        return self._channel


class Transmitter(AcmeUnit, hal.Transmitter):
    emitting = query(bool, "emitting")
    laser_power = of("laser_power", "dBm")
    laser_bias_current = of("laser_bias_current", "mA")
    laser_temperature = of("laser_temperature", "degC")
    output_power = of("output_power", "dBm")
    clock_rate = of("clock_rate", "Hz")
    signal_probability = of("signal_probability", "")
    attenuation = setting("attenuation", "dB")
    signal_mean_photon_number = setting("signal_mean_photon_number", "photon/pulse")
    decoy_mean_photon_number = setting("decoy_mean_photon_number", "photon/pulse")
    vacuum_mean_photon_number = setting("vacuum_mean_photon_number", "photon/pulse")
    decoy_probability = setting("decoy_probability", "")
    vacuum_probability = setting("vacuum_probability", "")


class Detector(hal.Detector):
    temperature = of("temperature", "degC")
    efficiency = of("efficiency", "")
    count_rate = of("count_rate", "1/s")
    dark_count_rate = of("dark_count_rate", "1/s")
    bias = setting("bias", "V")
    gate_delay = setting("gate_delay", "ps")
    dead_time = setting("dead_time", "ns")


class Receiver(AcmeUnit, hal.Receiver):
    clock_locked = query(bool, "clock_locked")
    shutter = declared_setting(hal.Shutter, "shutter")
    visibility = of("visibility", "")
    interferometer_temperature = of("interferometer_temperature", "degC")
    interferometer_phase = of("interferometer_phase", "rad")
    clock_power = of("clock_power", "dBm")
    channel_loss = of("channel_loss", "dB")

    @property
    def detectors(self) -> Sequence[Detector]:
        return tuple(Detector(self, f"detectors[{i}]", f"detectors[{i}].") for i in range(2))

    def _ask_all(self) -> Mapping[str, Answer | hal.TokaidoError]:
        answers = dict(super()._ask_all())
        for detector in self.detectors:
            for value in detector.values().values():
                command = f"{detector.path}.{value.command}"
                try:
                    answers[command] = self._ask(command)
                except hal.DeviceError as error:
                    answers[command] = error
        return answers
