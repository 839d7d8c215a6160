"""The driver against a unit on a bad wire: the right value or a TokaidoError, nothing twice, and soon well again.

Every question has an answer of its own, so an answer to another question is seen as a wrong value.
"""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

import tokaido.hal as hal
from tokaido.emulators._faults import Direction
from tokaido.emulators._launch import Emulator
from tokaido_testing.peers import TcpProxy

OVERRUN_S = 0.6  # of a shared machine; what is asked of a call is its deadline
TIMEOUT_S = 0.4

WAYS: tuple[Direction, ...] = ("to_unit", "from_unit")
CONSOLE_FAULTS: list[tuple[str, Direction]] = [
    *[
        (kind, direction)
        for kind in ("latency", "drop", "duplicate", "garble", "truncate", "split", "unplug", "hang", "endless")
        for direction in WAYS
    ],
    ("wrong_id", "to_unit"),
    ("alarm", "to_unit"),
]
KEY_FAULTS: list[tuple[str, Direction]] = [
    *[(kind, way) for kind in ("latency", "drop", "duplicate", "unplug", "hang", "endless") for way in WAYS],
    ("wrong_id", "to_unit"),
    ("alarm", "to_unit"),
]

LASTS_S = {"split": 0.05}
"""How long a fault holds things back, where it is not 0.6 s."""

TRUTH: dict[str, float] = {
    "modulator_bias": 3.2,
    "signal_mean_photon_number": 0.5,
    "decoy_mean_photon_number": 0.13,
    "vacuum_mean_photon_number": 0.001,
    "decoy_probability": 0.27,
    "key_basis_probability": 0.82,
    "block_bits": 10_000_000,
    "clock_rate": 1e9,
}


def timed(call: Callable[[], object], timeout: float = TIMEOUT_S) -> object:
    """Return what the call gives or the TokaidoError it raises; it must not outlast its deadline."""
    start = time.monotonic()
    result: object
    try:
        result = call()
    except hal.TokaidoError as error:
        result = error
    assert time.monotonic() - start < timeout + OVERRUN_S
    return result


def check(name: str, result: object) -> bool:
    """Whether a reading came; a wrong one fails the test."""
    if isinstance(result, hal.TokaidoError):
        return False
    assert result == TRUTH[name], f"a wrong value for {name}"
    return True


def recovers(ask: Callable[[], bool]) -> None:
    """After the fault has ended the second call at the latest succeeds, and so does every later one."""
    assert ask() or ask()
    assert ask()


@pytest.mark.parametrize(("kind", "direction"), CONSOLE_FAULTS)
def test_console_gives_the_right_value_or_an_error(
    emulator: Emulator, tx: hal.Transmitter, kind: str, direction: Direction
) -> None:
    names = itertools.cycle(TRUTH)

    def ask() -> bool:
        name = next(names)
        return check(name, timed(lambda: getattr(tx, name)))

    assert all(ask() for _ in range(3))
    fault = emulator.faults.add(kind, direction=direction, port="control", seconds=LASTS_S.get(kind, 0.6), size=60_000)
    for _ in range(3):
        ask()
    assert fault.fired
    emulator.faults.clear()
    if kind == "unplug":
        wait_for_port(emulator)
    recovers(ask)


@pytest.mark.parametrize(("kind", "direction"), CONSOLE_FAULTS)
def test_no_command_is_carried_out_twice(
    emulator: Emulator, tx: hal.Transmitter, kind: str, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: Counter[str] = Counter()
    interpreter = type(emulator.model.interpreter)  # type: ignore[attr-defined]
    carry_out = interpreter.carry_out

    def spy(self: object, name: str, argument: str | None, *, person: bool) -> str:
        text: str = carry_out(self, name, argument, person=person)
        if argument is not None:
            done[f"{name} {argument}"] += 1
        return text

    monkeypatch.setattr(interpreter, "carry_out", spy)
    sent: list[float] = []
    for number in range(4):
        value = 10 + number + 0.25
        sent.append(value)
        if number == 1:
            emulator.faults.add(
                kind, direction=direction, port="control", seconds=LASTS_S.get(kind, 0.6), count=2, size=60_000
            )
        result = timed(lambda value=value: setattr(tx, "attenuation", value))  # type: ignore[misc]
        if result is None:
            assert done[f"VOA:ATT {value:g}"] == 1
        else:
            known = isinstance(result, hal.TransportError) and not isinstance(result, hal.OutcomeUnknownError)
            assert not known or done[f"VOA:ATT {value:g}"] == 0, f"{type(result).__name__} after it was carried out"
    emulator.faults.clear()
    wait_for_port(emulator)
    timed(lambda: tx.attenuation)
    assert tx.attenuation in (*sent, 35.0, *((60.0,) if kind == "alarm" else ()))
    assert all(count <= 1 for count in done.values()), done


@pytest.mark.parametrize(("kind", "direction"), KEY_FAULTS)
def test_key_channel_gives_the_right_blocks_or_an_error(
    emulator: Emulator, tx: hal.Transmitter, kind: str, direction: Direction
) -> None:
    nonce = secrets.token_bytes(16)
    digests = fill(emulator, 6, nonce)
    drawn: Counter[int] = Counter()

    def draw() -> bool:
        blocks = tx.key_blocks(0, limit=1)
        block = timed(lambda: next(blocks, None), 3 * TIMEOUT_S)
        if not isinstance(block, hal.KeyBlock):
            return not isinstance(block, hal.TokaidoError)
        assert block.key.digest(nonce) == digests[block.info.number], "a wrong key"
        if timed(block.commit) is not None:
            return False
        drawn[block.info.number] += 1
        return True

    assert draw()
    fault = emulator.faults.add(kind, direction=direction, port="keys", seconds=0.6, count=2, size=60_000)
    for _ in range(2):
        draw()
    assert fault.fired
    emulator.faults.clear()
    time.sleep(0.7 if kind in ("unplug", "hang", "latency") else 0)
    recovers(draw)
    while True:
        blocks = list(tx.key_blocks(0))
        if not blocks:
            break
        for block in blocks:
            assert block.key.digest(nonce) == digests[block.info.number]
            block.commit()
            drawn[block.info.number] += 1
    assert all(count == 1 for count in drawn.values()), drawn
    assert emulator.model.store.committed == 6  # type: ignore[attr-defined]
    assert emulator.model.store.waiting == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("fault", ["garble", "cut", "drop", "duplicate", "reset"])
def test_key_channel_survives_what_happens_below_its_encryption(emulator: Emulator, fault: str) -> None:
    nonce = secrets.token_bytes(16)
    digests = fill(emulator, 8, nonce)
    port = int(emulator.resources["keys"].partition("?")[0].rpartition(":")[2])
    with TcpProxy(port) as proxy:
        keys = emulator.resources["keys"].replace(f":{port}?", f":{proxy.port}?")
        with hal.Transmitter.open(
            "toshiba.transmitter", timeout=TIMEOUT_S, control=emulator.resources["control"], keys=keys
        ) as tx:

            def draw() -> bool:
                block = timed(lambda: next(tx.key_blocks(0, limit=1), None), 3 * TIMEOUT_S)
                if not isinstance(block, hal.KeyBlock):
                    return not isinstance(block, hal.TokaidoError)
                assert block.key.digest(nonce) == digests[block.info.number], "a wrong key"
                return timed(block.commit) is None

            assert draw()
            proxy.fault(fault)
            for _ in range(2):
                draw()
            proxy.heal()
            recovers(draw)


def test_two_threads_on_one_device_never_get_each_others_values(tx: hal.Transmitter) -> None:
    wrong: list[str] = []

    def hammer(offset: int) -> None:
        names = list(TRUTH)
        for i in range(150):
            name = names[(i + offset) % len(names)]
            if getattr(tx, name) != TRUTH[name]:
                wrong.append(name)

    threads = [threading.Thread(target=hammer, args=(3 * i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_another_box_on_the_same_port_is_refused_until_the_first_is_back(
    emulator: Emulator, tx: hal.Transmitter
) -> None:
    assert tx.decoy_probability == 0.27
    fault = emulator.faults.add("wrong_id", direction="to_unit", port="control")
    results = [timed(lambda: tx.decoy_probability) for _ in range(3)]
    assert all(isinstance(result, hal.TokaidoError) for result in results)
    assert isinstance(results[-1], hal.WrongDeviceError)
    assert "TKTX0001" in str(results[-1])
    fault.remove()
    timed(lambda: tx.decoy_probability)
    assert tx.decoy_probability == 0.27


def test_a_receiver_is_no_transmitter() -> None:
    from tokaido.emulators import launch

    with (
        launch("toshiba.receiver", serial_number="TKRX0001") as unit,
        pytest.raises(hal.WrongDeviceError, match="T12-RX"),
        hal.Transmitter.open("toshiba.transmitter", control=unit.resources["control"]),
    ):
        pass


def test_the_key_channel_of_another_unit_is_refused(emulator: Emulator) -> None:
    from tokaido.emulators import launch

    with (
        launch("toshiba.transmitter", serial_number="TKTX0002") as other,
        hal.Transmitter.open(
            "toshiba.transmitter", control=emulator.resources["control"], keys=other.resources["keys"]
        ) as tx,
        pytest.raises(hal.WrongDeviceError, match="TKTX0002"),
    ):
        list(tx.key_blocks(0))


def test_a_wrong_curve_key_is_an_authentication_error(emulator: Emulator) -> None:
    from tokaido.emulators import launch

    with launch("toshiba.transmitter", serial_number="TKTX0002") as other:
        wrong_client = emulator.resources["keys"].partition("&")[0] + "&" + other.resources["keys"].partition("&")[2]
        with (
            hal.Transmitter.open("toshiba.transmitter", control=emulator.resources["control"], keys=wrong_client) as tx,
            pytest.raises(hal.AuthenticationError),
        ):
            list(tx.key_blocks(0))


def test_opening_and_closing_changes_nothing_in_the_unit(emulator: Emulator) -> None:
    before = snapshot_of_settings(emulator)
    interpreter = emulator.model.interpreter  # type: ignore[attr-defined]
    seen: list[str] = []
    carry_out = interpreter.carry_out

    def spy(name: str, argument: str | None, *, person: bool) -> str:
        seen.append(name if argument is None else f"{name} {argument}")
        text: str = carry_out(name, argument, person=person)
        return text

    interpreter.carry_out = spy
    with hal.Transmitter.open("toshiba.transmitter", **emulator.resources):
        pass
    assert seen
    assert all(text.endswith("?") for text in seen)
    assert snapshot_of_settings(emulator) == before


def test_a_lost_unit_is_told_with_device_transport_command_time_and_remedy(
    emulator: Emulator, tx: hal.Transmitter
) -> None:
    emulator.faults.add("hang", port="control", seconds=5)
    with pytest.raises(hal.DeviceTimeoutError) as caught:
        _ = tx.laser_temperature
    emulator.faults.clear()
    text = str(caught.value)
    for part in ("toshiba.transmitter", emulator.resources["control"].partition("?")[0], "LAS:TEMP?", "after 0."):
        assert part in text
    assert caught.value.remedy


def fill(emulator: Emulator, count: int, nonce: bytes) -> dict[int, str]:
    """Put key blocks into the unit's store and return their digests."""
    digests = {}
    with emulator.lock:
        for number in range(count):
            key = hal.KeyMaterial(secrets.token_bytes(512))
            info = hal.KeyBlockInfo(
                "TKTX0001",
                "00ff00ff00ff00ff",
                number,
                key.bits,
                "lim2014",
                "chernoff",
                1e-10,
                insecure=False,
                emulated=True,
            )
            digests[number] = key.digest(nonce)
            emulator.model.store.add(info, key)  # type: ignore[attr-defined]
    return digests


def snapshot_of_settings(emulator: Emulator) -> dict[str, object]:
    """All that can be set in the unit."""
    with emulator.lock:
        return dict(emulator.model.settings)  # type: ignore[attr-defined]


def wait_for_port(emulator: Emulator) -> None:
    """Wait until a pulled plug is back."""
    from pathlib import Path

    path = Path(hal.Resource.parse(emulator.resources["control"]).address)
    for _ in range(200):
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError("the plug never came back")
