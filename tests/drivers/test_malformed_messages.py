"""Every field of every message of a key channel, malformed: a value or an error of ours, in both families."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import math
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import tokaido.hal as hal
from tokaido.drivers.nec._keychannel import NecKeyChannel
from tokaido.drivers.toshiba._keychannel import ToshibaKeyChannel
from tokaido.emulators import launch
from tokaido.hal._key_messages import telemetry_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokaido.hal.driver import KeyChannel

SERIAL = "TKNT0001"
HOSTILE: tuple[Any, ...] = (
    *(math.inf, -math.inf, math.nan, 1e308, -1, -1.5, 0, 2**63, 2**64 - 1, 2**2000, True, None),
    *("", "x" * 60_000, "\0", "\x1b[2J", "inf", [], [[]], {}, {"a": {}}, [None], [math.nan]),
)
REPLY: dict[str, dict[str, Any]] = {
    "hello": {"ok": True, "serial_number": SERIAL, "protocol": ""},
    "load_psk": {"ok": True, "serial_number": SERIAL, "loaded": 4096},
    "draw": {"ok": True, "serial_number": SERIAL, "blocks": [{}], "lease_s": 10.0},
    "ack": {"ok": True, "serial_number": SERIAL, "session": "S1", "number": 0, "state": "acked"},
    "commit": {"ok": True, "serial_number": SERIAL, "session": "S1", "number": 0, "state": "committed"},
    "subscribe": {"ok": True, "serial_number": SERIAL},
}
KEY = bytes(range(32))
SAID = "\n".join((SERIAL, "S1", "0", "256", "lim2014", "chernoff", "3ddb7cdfd9d7bdbb", "0", "1", "-", "-"))
OFFER = {
    "digest": hmac.new(SAID.encode(), KEY, hashlib.sha256).hexdigest(),
    "session": "S1", "number": 0, "bits": 256, "method": "lim2014", "bound": "chernoff", "eps": 1e-10,
    "insecure": False, "emulated": True, "peer": "-", "path": "-",
}  # fmt: skip
EVENT = {
    "event": "telemetry", "serial_number": SERIAL, "seq": 1, "uptime_ms": 1500, "state": "RUN",
    "values": {"A": 12.5}, "ages": {"A": 1.0}, "change": "RAISED", "code": "LOS", "severity": "MAJOR", "text": "x",
}  # fmt: skip


def written(channel: KeyChannel, header: dict[str, Any]) -> bytes:
    """Return a header as the family writes it, numbers included that its own encoder would refuse."""
    if "toshiba" in type(channel).__module__:
        return json.dumps(header).encode()  # which writes Infinity and NaN
    try:
        return msgspec.msgpack.encode({"n": 1, **header})
    except OverflowError:  # MessagePack ends at 64 bits
        return b"\xc1"


@pytest.fixture(params=["toshiba", "nec"])
def channel(request: pytest.FixtureRequest) -> Iterator[KeyChannel]:
    """A key channel that nobody is at the other end of."""
    kinds = {"toshiba": ToshibaKeyChannel, "nec": NecKeyChannel}
    resource = hal.Resource.parse("zmq:inproc://nobody")
    channel = kinds[request.param](resource, "tx", SERIAL, clock=hal.SYSTEM_CLOCK, timeout_s=0.01)
    yield channel
    channel.close()


def let_reply(channel: KeyChannel, monkeypatch: pytest.MonkeyPatch, spoilt: str, spoil: dict[str, Any]) -> None:
    """Let every request be answered in order, but for those of one verb, whose reply has other members."""
    transport = channel._transport

    def exchange(request: Any, _: float | None = None) -> Any:
        number = channel._unpack(request.write())[0]  # type: ignore[index]  # pyright: ignore[reportOptionalSubscript]
        header = {**REPLY[request.text], **(spoil if request.text == spoilt else {})}
        if request.text == "hello":
            header = {**header, "protocol": channel.protocol, **(spoil if spoilt == "hello" else {})}
        if header.get("blocks") == [{}]:
            header["blocks"] = [OFFER]
        frames = channel._pack(number, {})
        frames[-1] = written(channel, {**header, "n": number} if len(frames) == 1 else header)
        payload = [KEY] if request.text == "draw" else []
        return transport._judge(request, [*frames, *payload])

    monkeypatch.setattr(type(transport), "exchange", lambda _, request, timeout=None: exchange(request, timeout))


def use(channel: KeyChannel) -> list[object]:
    """Use all that a key channel can, and return what it gave."""
    channel._hello(channel._transport)
    channel.load_preshared_key(hal.KeyMaterial(bytes(4096)))
    given: list[object] = []
    for block in itertools.islice(channel.key_blocks(0, 1), 2):
        with block:
            given.append(block.info)
    return given


def test_every_field_of_every_reply(channel: KeyChannel, monkeypatch: pytest.MonkeyPatch) -> None:
    let_reply(channel, monkeypatch, "", {})
    assert len(use(channel)) == 1  # nothing is malformed yet
    foreign: list[str] = []
    spoils = [(verb, {field: value}) for verb in REPLY for field in REPLY[verb] for value in HOSTILE]
    spoils += [("draw", {"blocks": [{**OFFER, field: value}]}) for field in OFFER for value in HOSTILE]
    for verb, spoil in spoils:
        with monkeypatch.context() as patch:
            let_reply(channel, patch, verb, spoil)
            try:
                given = use(channel)
            except hal.TokaidoError:
                continue
            except Exception as error:  # noqa: BLE001 - all of them are listed
                foreign.append(f"{verb} {str(spoil)[:80]}: {error!r}"[:300])
                continue
        for info in given:
            assert isinstance(info, hal.KeyBlockInfo)
            if not 0 <= info.eps <= 1 or not 0 <= info.number < 2**63 or not str(info.session).isprintable():
                foreign.append(f"{verb}: {info!r}"[:300])
            if max(len(text) for text in (info.session, info.method, info.bound, info.peer, info.path)) > 1000:
                foreign.append(f"{verb}: a text of {len(repr(info))} characters")
    assert foreign == []


def test_every_field_of_every_event(channel: KeyChannel) -> None:
    declared = {"A": ("attenuation", hal.Transmitter.attenuation), "E": ("emitting", hal.Transmitter.laser_power)}
    foreign: list[str] = []
    for kind, field, value in itertools.product(("telemetry", "alarm"), EVENT, HOSTILE):
        for spoil in ({field: value}, {field: {"A": value}}):
            events: deque[Any] = deque()
            frames = channel._pack(0, {})
            head = [bytes(8)] if len(frames) == 2 else []
            channel._keep([*head, written(channel, {**EVENT, "event": kind, **spoil, "n": 0})], events)
            for event in events:
                try:
                    told = telemetry_event(event, 0, declared, device="tx", utc_ns=0)
                except hal.TokaidoError:
                    continue
                except Exception as error:  # noqa: BLE001 - as above
                    foreign.append(f"{spoil!r}: {error!r}"[:300])
                    continue
                numbers = [told.uptime_s, told.sequence, told.lost]
                for reading in told.readings.values():
                    numbers += [reading.age_s, reading.utc_ns / 1e9, reading.value or 0.0]
                if not all(isinstance(number, (int, float)) and 0 <= abs(number) < math.inf for number in numbers):
                    foreign.append(f"{spoil!r}: {told!r}"[:300])
    assert foreign == []


@pytest.mark.parametrize("name", ["toshiba.transmitter", "toshiba.receiver", "nec.transmitter", "nec.receiver"])
def test_the_stream_gives_what_telemetry_gives(name: str) -> None:
    """The same kinds, units of measure and limits; and the same values and ages, of what does not change by itself."""
    with (
        launch(name, seed=3, warm=True) as emulator,
        hal.Device.open(name, timeout=2.0, **emulator.resources) as device,
    ):
        unit: Any = device
        streamed = next(iter(unit.telemetry_stream(0.1, timeout=5))).readings
        asked = unit.telemetry()
    assert set(streamed) == {
        path for path, reading in asked.items() if "not in the device's report" not in reading.error
    }
    for path, reading in streamed.items():
        other = asked[path]
        assert type(reading.value) is type(other.value), path
        assert (reading.unit, reading.quality, reading.absolute) == (other.unit, other.quality, other.absolute), path
        assert abs(reading.age_s - other.age_s) < 2, path


@pytest.mark.parametrize("quality", ["GOOD", "STALE", "BAD"])
def test_the_stream_keeps_the_age_of_a_reading(channel: KeyChannel, quality: str) -> None:
    age_s = {"GOOD": 12.5, "STALE": 999.0, "BAD": -1.0}[quality]
    events: deque[Any] = deque()
    head = [bytes(8)] if len(channel._pack(0, {})) == 2 else []
    channel._keep([*head, written(channel, {**EVENT, "ages": {"A": age_s}, "n": 0})], events)
    declared = {"A": ("attenuation", hal.Transmitter.attenuation)}
    event = telemetry_event(events.pop(), 0, declared, device="tx", utc_ns=0)
    reading = event.readings[hal.Transmitter.attenuation]
    assert reading.quality.name == quality
    assert quality == "BAD" or (reading.value, reading.age_s) == (12.5, age_s)
    assert event.values == {"attenuation": reading.value}
