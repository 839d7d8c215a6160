"""Wire ends sleep until there is something to do, and miss nothing: counted by how often their threads look."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tokaido.emulators import Emulator, InstrumentEmulator, launch
from tokaido.emulators.ends import End, SharedModel
from tokaido.emulators.ends._shared import tells_of_output
from tokaido.emulators.toshiba import TransmitterModel
from tokaido.hal import NS_PER_S
from tokaido_testing.console import KeyClient, open_port
from tokaido_testing.hislip import Client
from tokaido_testing.patience import patient
from tokaido_testing.voa import Attenuator, hislip_port, launch_voa, open_serial

if TYPE_CHECKING:
    from collections.abc import Callable

THREADED = ("pty", "tcp", "hislip")
A_WHILE_S = 0.3


def end_of(emulator: InstrumentEmulator) -> End:
    assert isinstance(emulator.end, End)
    return emulator.end


def rounds_in_a_while(*ends: End) -> int:
    """Return how often threads looked for something to do while nobody asked."""
    time.sleep(0.05)  # a thread that has just served goes to sleep
    before = sum(end.rounds for end in ends)
    time.sleep(A_WHILE_S)
    return sum(end.rounds for end in ends) - before


def eventually(true: Callable[[], Any]) -> Any:
    """Return what is true at last."""
    deadline = time.monotonic() + patient(5)
    while not (found := true()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return found


# --- idle -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", THREADED)
def test_an_idle_instrument_never_wakes(end: str) -> None:
    with launch_voa(end) as voa:
        assert rounds_in_a_while(end_of(voa)) == 0


def test_an_unplugged_instrument_never_wakes() -> None:
    with launch_voa("pty") as voa:
        voa.unplug()
        assert rounds_in_a_while(end_of(voa)) == 0


@pytest.mark.parametrize("name", ["toshiba.transmitter", "toshiba.receiver", "nec.transmitter", "nec.receiver"])
def test_a_unit_at_rest_wakes_once_a_second_and_its_key_channel_never(name: str) -> None:
    with launch(name) as unit:
        with unit.lock:
            unit.model.prepare("STANDBY")  # type: ignore[attr-defined]
        assert eventually(lambda: (unit.model.due_ns() or 1) % NS_PER_S == 0)
        began_ns = unit.model.now_ns
        before = end_of(unit).rounds
        assert rounds_in_a_while(unit.keys) == 0
        passed_s = (unit.model.now_ns - began_ns) / NS_PER_S
        assert end_of(unit).rounds - before <= passed_s + 2


# --- what is due comes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", THREADED)
def test_a_reply_that_waits_for_settling_comes_at_its_end_without_further_looks(end: str) -> None:
    with launch_voa(end) as voa:
        wire = end_of(voa)
        ended: list[int] = []
        voa.model.operation_complete = lambda: ended.append(voa.model.now_ns)  # type: ignore[attr-defined]
        if end == "hislip":
            client = Client(hislip_port(voa))
            time.sleep(0.05)
            before = wire.rounds
            client.write(b"INP:ATT 5;*OPC?")
            assert client.sync.receive().payload == b"1\n"
            client.close()
        else:
            with _line(voa, end) as line:
                time.sleep(0.05)
                before = wire.rounds
                line.write(b"INP:ATT 5;*OPC?\n")
                assert line.read_until(b"\n").strip() == b"1"
        assert voa.model._busy_until_ns == ended[0]  # type: ignore[attr-defined]
        assert wire.rounds - before <= 5


def _line(voa: InstrumentEmulator, end: str) -> Any:
    import serial

    if end == "pty":
        return open_serial(voa)
    return serial.serial_for_url(f"socket://127.0.0.1:{voa.resources['control'].split('::')[2]}", timeout=patient(2))


def test_an_operation_that_another_thread_begins_ends_in_time() -> None:
    with launch_voa("tcp") as voa:
        time.sleep(0.05)
        with voa.lock:
            voa.model.begin_operation(25_000_000)  # type: ignore[attr-defined]
        assert eventually(lambda: not voa.model.busy)  # type: ignore[attr-defined]


def test_an_alarm_that_another_thread_raises_reaches_a_console_and_a_subscriber() -> None:
    with launch("toshiba.transmitter", warm=True) as unit, open_port(unit) as line, KeyClient(unit) as keys:
        assert keys.ask("subscribe", interval_ms=60_000)
        time.sleep(0.05)
        unit.add_fault("rng_failure")
        line.timeout = patient(2)
        assert b"RAISED RNG_FAIL" in line.read_until(b"\n")
        assert keys.socket.poll(round(1000 * patient(2)))
        assert json.loads(keys.socket.recv_multipart()[-1])["code"] == "RNG_FAIL"


def test_telemetry_that_was_subscribed_to_comes_though_nobody_asks() -> None:
    with launch("toshiba.receiver", warm=True, speed=20.0) as unit, KeyClient(unit) as keys:
        assert keys.ask("subscribe", interval_ms=1000)
        for _ in range(3):
            assert keys.socket.poll(round(1000 * patient(2)))
            keys.socket.recv_multipart()


def test_a_status_that_another_thread_changes_requests_service() -> None:
    with launch_voa("hislip", hislip_profile="strict") as voa:
        client = Client(hislip_port(voa))
        client.write(b"*CLS;*ESE 16;*SRE 32;*OPC?")
        assert client.sync.receive().payload == b"1\n"
        time.sleep(0.05)
        with voa.lock:
            voa.model.error(-240)  # type: ignore[attr-defined]
        client.asynchronous.socket.settimeout(patient(2))
        request = client.asynchronous.receive()
        assert request.control & 0x60 == 0x60
        client.close()


def test_a_unit_becomes_ready_though_nobody_asks() -> None:
    with launch("toshiba.receiver", speed=100.0) as unit:
        with unit.lock:
            unit.model.orders.obey("power_on", called="PWR ON")  # type: ignore[attr-defined]
        assert eventually(lambda: unit.model.state == "AUTH")  # type: ignore[attr-defined]


def test_another_speed_holds_at_once() -> None:
    with launch_voa("tcp") as voa:
        with voa.lock:
            voa._shared.run_at(1e-3)
            voa.model.begin_operation(25_000_000)  # type: ignore[attr-defined]
        time.sleep(0.05)
        assert voa.model.busy  # type: ignore[attr-defined]
        with voa.lock:
            voa._shared.run_at(1.0)
        assert eventually(lambda: not voa.model.busy)  # type: ignore[attr-defined]


# --- who cannot tell --------------------------------------------------------------------------------------------------


class Talker(Attenuator):
    """Says something by itself, and says of nothing when."""

    def has_output(self, port: str) -> bool | None:  # type: ignore[override]
        del port
        return None

    def advance(self, to_ns: int) -> None:
        if self.now_ns < 50_000_000 <= to_ns:
            self.send_reply("hello")
        super().advance(to_ns)


class Pusher(TransmitterModel):
    """Has messages that the class which it is made of knows nothing of."""

    def __init__(self, serial_number: str | None = None, **options: Any) -> None:
        super().__init__(serial_number, **options)
        self.pushed: list[tuple[bytes, list[bytes]]] = []

    def take_messages(self) -> list[tuple[bytes, list[bytes]]]:
        pushed, self.pushed = self.pushed, []
        return pushed + super().take_messages()


def test_a_subclass_that_sends_something_else_is_looked_at_often() -> None:
    from tokaido.hal import SYSTEM_CLOCK

    model = Pusher()
    with Emulator(model, SharedModel(model, clock=SYSTEM_CLOCK), None, clock=SYSTEM_CLOCK, seed=3) as unit:
        with unit.lock:
            model.pushed.append((b"nobody", [b"hello"]))
        assert eventually(lambda: not model.pushed)
        assert rounds_in_a_while(unit.keys) >= 3


@pytest.mark.parametrize(
    "name", ["toshiba.transmitter", "nec.receiver", "polatis.matrix", "dicon.selector", "thorlabs.osw"]
)
def test_our_own_models_can_tell(name: str) -> None:
    with launch(name) as device:
        model = type(device.model)
        assert all(tells_of_output(model, port) for port in (*model.STREAM_PORTS, *model.MESSAGE_PORTS))
        assert device.model.has_output("control") is not None


def test_a_model_that_cannot_tell_is_looked_at_often() -> None:
    from tokaido.hal import SYSTEM_CLOCK

    model = Talker()
    shared = SharedModel(model, clock=SYSTEM_CLOCK)
    with (
        InstrumentEmulator(model, shared, None, clock=SYSTEM_CLOCK, seed=3, wire_end="pty") as talker,
        open_serial(talker) as line,
    ):
        line.timeout = patient(2)
        assert line.read_until(b"\n") == b"hello\n"
        assert rounds_in_a_while(end_of(talker)) >= 3
