"""The units as device models: subclasses of the public bases, and nothing of another family's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from tokaido.emulators.units import (
    Body,
    ControlPort,
    Header,
    KeyFormat,
    ReceiverUnit,
    Refusal,
    TransmitterUnit,
    UnitModel,
    of_detector,
    parse_holder,
    parse_link,
)
from tokaido.hal.driver import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokaido.emulators.units import AlarmChange


class JsonFormat(KeyFormat):
    PROTOCOL = "ACME-2"

    def request_id(self, frames: Sequence[bytes]) -> bytes | None:
        return frames[0] if frames and len(frames[0]) == 8 else None

    def decode(self, frames: Sequence[bytes]) -> tuple[Header, list[bytes]]:
        try:
            return dict(json.loads(frames[1])), list(frames[2:])
        except (IndexError, TypeError, ValueError):
            raise Refusal("MALFORMED", "this is not a message") from None

    def encode(self, request_id: bytes | None, header: Header, payload: Sequence[bytes] = ()) -> list[bytes]:
        return [request_id or bytes(8), json.dumps(header).encode(), *payload]


class Panel:
    """Speaks at the control port."""

    def __init__(self, unit: UnitModel) -> None:
        self._unit = unit
        self._heard = b""
        self._said = b""
        self._own: Mapping[str, Callable[[], str]] = {
            "identity": lambda: ",".join(unit.identity().values()),
            "state": lambda: str(unit.state),
            "preshared_key_loaded": lambda: encode(unit.links.pool is not None),
            "link": lambda: f"{unit.links.in_force.peer},{unit.links.in_force.path},{unit.links.fencing_token}",
            "link_keys": lambda: ";".join(f"{at.peer},{at.path},{n}" for at, n in unit.links.remaining().items()),
            "alarms": lambda: ";".join(f"{alarm.kind.code},{alarm.kind.severity}" for alarm in unit.alarms.active()),
        }

    def receive(self, data: bytes) -> None:
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            try:
                reply = f"={self._answer(line.decode('ascii', 'replace').strip())}"
            except Refusal as refusal:
                reply = f"!{refusal.name} {refusal.text}"
            self._said += f"{reply}\n".encode()

    def _answer(self, line: str) -> str:
        unit = self._unit
        match line.split():
            case [question] if question.endswith("?"):
                return self._tell(question[:-1])
            case ["do", "zeroize", serial]:
                unit.orders.obey("zeroize", called="zeroize", serial_number=serial)
            case ["do", ("power_on" | "power_off" | "start" | "stop" | "align" | "apply_safe_state") as order]:
                unit.orders.obey(order, called=order)
            case ["do", ("clear_fault" | "acknowledge_security") as order]:
                unit.orders.obey(order, called=order)
            case ["link", peer, path, token]:
                unit.orders.select_link(parse_link(peer, path), None if token == "-" else int(token), called="link")
            case ["watchdog", seconds, holder]:
                unit.set_watchdog(float(seconds), parse_holder(holder, "watchdog"))
            case ["keep", holder]:
                unit.keep_watchdog(parse_holder(holder, "keep"))
            case [name, value] if name in unit.settings:
                unit.orders.set(name, float(value), called=name)
            case _:
                raise Refusal("RANGE", f"no such request: {line}")
        return "done"

    def _tell(self, name: str) -> str:
        if name in self._own:
            return self._own[name]()
        try:
            return encode(self._unit.value(name).value)
        except KeyError:
            raise Refusal("RANGE", f"no such value: {name}") from None

    def take(self) -> bytes:
        said, self._said = self._said, b""
        return said

    def tell_alarm(self, change: AlarmChange) -> None:
        """Alarms are asked for, and never announced."""


class AcmeUnit(UnitModel):
    VENDOR = "ACME"
    FIRMWARE = "2.1"
    PULSES = "acme"
    KEY_FORMAT = JsonFormat()
    ALIGNMENT: ClassVar[Mapping[str, float]] = {"BIAS": 2.0, "SYNC": 6.0, "DELAY": 8.0, "PHASE": 8.0}

    def _build_control(self) -> ControlPort:
        return Panel(self)

    def telemetry(self) -> dict[str, float | str | None]:
        return {"chassis_temperature": float(self.value("chassis_temperature").value)}

    def _delivery(self) -> dict[str, float]:
        return {"block_bits": 1e6, "key_basis_probability": 0.65}


class AliceModel(AcmeUnit, TransmitterUnit):
    MODEL = "ALICE-1"
    SERIAL_NUMBER = "ACME-A1"
    WARMUP_LIMIT_S = 50.0
    TEMPERATURE_LIMIT = 1.0
    RUNAWAY = 3.0
    CLOCK_RATE_HZ = 1e9
    LASER_POWER_DBM = 2.0
    LASER_POWER_LIMITS_DBM = (0.0, 4.0)
    LASER_POWER_LOSS_DB = 9.0
    LASER_BIAS_MA = 30.0
    MAXIMUM_ATTENUATION_DB = 50.0

    def _build_laser(self) -> Body:
        return Body(28.0, 5.0, settled_within=0.1)

    def _delivery(self) -> dict[str, float]:
        return {
            **super()._delivery(),
            "signal_mean_photon_number": 0.45,
            "decoy_mean_photon_number": 0.20,
            "vacuum_mean_photon_number": 0.001,
            "decoy_probability": 0.30,
            "vacuum_probability": 0.20,
            "attenuation": 20.0,
        }


class BobModel(AcmeUnit, ReceiverUnit):
    """Takes an option of its own: how long its coolers may need."""

    MODEL = "BOB-1"
    SERIAL_NUMBER = "ACME-B1"
    TEMPERATURE_LIMIT = 2.0
    RUNAWAY = 5.0
    WORKING_BIAS = 54.0
    WORKING_EFFICIENCY = 0.205
    DARK_RATE = 21_000.0
    OPTICS = "t12"

    def __init__(self, serial_number: str | None = None, *, warmup_limit_s: float = 90.0, **options: object) -> None:
        self.WARMUP_LIMIT_S = warmup_limit_s
        super().__init__(serial_number, **options)

    def _build_detectors(self) -> tuple[Body, ...]:
        return tuple(Body(-30.0, 4.0, settled_within=0.5) for _ in range(2))

    def _build_interferometer(self) -> Body:
        return Body(30.0, 5.0, settled_within=0.1)

    def efficiency_at(self, bias: float) -> float:
        return self.WORKING_EFFICIENCY * bias / self.WORKING_BIAS

    def _delivery(self) -> dict[str, float]:
        names = ("bias", "gate_delay", "dead_time")
        return {**super()._delivery(), **{of_detector(i, name): 0.0 for i in range(2) for name in names}}

    def step_done(self, step: str) -> None:
        super().step_done(step)
        if step == "DELAY":
            for i in range(2):
                self.settings[of_detector(i, "dead_time")] = 10.0
