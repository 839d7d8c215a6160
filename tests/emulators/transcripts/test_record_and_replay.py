"""A device recorded from its emulator, and served again from the file."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.emulators import SteppedClock, launch
from tokaido.emulators.transcripts import (
    Recorded,
    Recorder,
    Replayed,
    ReplayPort,
    Served,
    Terminal,
    Transcript,
    script_of,
)
from tokaido.hal.transports import RawStream, Resource, StreamTransport

FAMILIES = {
    "toshiba.transmitter": hal.Transmitter,
    "toshiba.receiver": hal.Receiver,
    "nec.transmitter": hal.Transmitter,
    "nec.receiver": hal.Receiver,
    "polatis.matrix": hal.OpticalSwitch,
    "dicon.selector": hal.OpticalSwitch,
    "thorlabs.osw": hal.OpticalSwitch,
}
"""Every driver of ours, and its role."""


def used(device: hal.Device) -> list[object]:
    """Do what a person does first, and return what came."""
    found: list[object] = [device.identity()]
    found += [(path, reading.value) for path, reading in sorted(device.telemetry().items())]
    if isinstance(device, hal.OpticalSwitch):
        device.replace({1: 2})
        found.append(device.connections())
    else:
        assert isinstance(device, hal.Unit)
        found += [device.state(), device.alarms()]
    return found


@pytest.mark.parametrize("driver", FAMILIES)
def test_every_family_is_recorded_and_replayed(driver: str, tmp_path: Path) -> None:
    role, file = FAMILIES[driver], tmp_path / "device.toml"
    with launch(driver, seed=1) as emulator:
        control = emulator.resources["control"]
        with (
            Recorder(file, driver=driver, transport=control, serial_line=control.startswith("serial:/")) as recorder,
            role.open(driver, control=control, trace=recorder) as device,
        ):
            came = used(device)
    with role.open(driver, control=f"replay:{file}") as replayed:
        assert used(replayed) == came
    with role.open(driver, control=f"replay:{file}?order=strict") as replayed:
        assert used(replayed) == came


@pytest.mark.parametrize("end", ["pty", "tcp", "hislip", "visa"])
def test_a_device_is_recorded_and_replayed_on_every_wire(end: str, tmp_path: Path) -> None:
    file = tmp_path / "switch.toml"
    with launch("polatis.matrix", wire_end=end, seed=1) as emulator:
        control = emulator.resources["control"]
        with (
            Recorder(file, driver="polatis.matrix", transport=control, serial_line=end == "pty") as recorder,
            hal.OpticalSwitch.open("polatis.matrix", control=control, trace=recorder) as switch,
        ):
            came = used(switch)
    with hal.OpticalSwitch.open("polatis.matrix", control=f"replay:{file}") as switch:
        assert used(switch) == came


@pytest.mark.parametrize("driver", ["toshiba.receiver", "dicon.selector"])
def test_a_recorder_stands_between_any_program_and_a_serial_line(driver: str, tmp_path: Path) -> None:
    file, role = tmp_path / "device.toml", FAMILIES[driver]
    with launch(driver, seed=1) as emulator:
        way = Resource.parse(emulator.resources["control"])
        with (
            RawStream(way) as stream,
            Recorder(file, driver=driver, transport=str(way), serial_line=True) as recorder,
            Served(Terminal(Recorded(stream, recorder))) as served,
            role.open(driver, control=served.terminal.resource, timeout=5) as device,
        ):
            came = used(device)
            link = served.terminal.link
        assert not link.exists()
    with role.open(driver, control=f"replay:{file}") as device:
        assert used(device) == came


def test_a_transcript_is_served_to_any_program(tmp_path: Path) -> None:
    file = tmp_path / "device.toml"
    with launch("dicon.selector", seed=1) as emulator:
        control = emulator.resources["control"]
        with (
            Recorder(file, driver="dicon.selector", serial_line=True) as recorder,
            hal.OpticalSwitch.open("dicon.selector", control=control, trace=recorder) as device,
        ):
            came = used(device)
    port = ReplayPort(script_of(Transcript.from_file(file)), hal.SYSTEM_CLOCK)
    with (
        Served(Terminal(Replayed(port), tmp_path / "switch")),
        hal.OpticalSwitch.open("dicon.selector", control=f"serial:{tmp_path / 'switch'}", timeout=5) as device,
    ):
        assert used(device) == came


def test_a_device_that_goes_away_ends_the_recording_with_our_error(tmp_path: Path) -> None:
    with launch("dicon.selector", seed=1) as emulator:
        way = Resource.parse(emulator.resources["control"])
        with (
            RawStream(way) as stream,
            Recorder(tmp_path / "t.toml") as recorder,
            Terminal(Recorded(stream, recorder)) as terminal,
        ):
            emulator.unplug()
            with pytest.raises(hal.NotConnectedError):
                terminal.serve(5)


def test_the_file_is_whole_while_it_is_written(tmp_path: Path) -> None:
    file = tmp_path / "device.toml"
    with (
        launch("dicon.selector", seed=1) as emulator,
        Recorder(file, driver="dicon.selector") as recorder,
        hal.OpticalSwitch.open("dicon.selector", control=emulator.resources["control"], trace=recorder) as device,
    ):
        assert isinstance(device.transport, StreamTransport)
        device.transport.query("ID?")
        transcript = Transcript.from_file(file)  # and nobody closed it
    assert transcript.driver == "dicon.selector"
    assert b"ID?\r" in [record.content for record in transcript.records if record.direction == "sent"]
    times = [record.at_s for record in transcript.records]
    assert times == sorted(times)


def test_bytes_that_are_no_text_come_back_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "odd.toml"
    pieces = bytes(range(256)), b'"\\\t\r\n', "\u00fc\u2028".encode()
    with Recorder(file, driver='a"b\\') as recorder:
        for piece in pieces:
            recorder.sent(piece)
            recorder.received(piece)
    transcript = Transcript.from_file(file)
    for direction in ("sent", "received"):
        assert b"".join(r.content or b"" for r in transcript.records if r.direction == direction) == b"".join(pieces)
    assert transcript.driver == 'a"b\\'


def test_what_is_confidential_leaves_its_size_alone(tmp_path: Path) -> None:
    file = tmp_path / "secret.toml"
    with Recorder(file) as recorder:
        recorder(hal.TraceRecord(0, "serial:x", ">", "<12 bytes>"))
    record = Transcript.from_file(file).records[0]
    assert (record.content, record.size, record.direction) == (None, 12, "sent")


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "device.toml"
    file.write_text("mine", encoding="ascii")
    with pytest.raises(hal.ConfigurationError):
        Recorder(file)
    assert file.read_text(encoding="ascii") == "mine"


MISTAKES = {
    "version": ("[transcript]\nversion = 2\n", "line 2, transcript.version: is 2"),
    "no version": ('[transcript]\ndriver = "x"\n', "transcript.version: is missing"),
    "time": ('[transcript]\nversion = 1\n[[wire]]\nat_s = -1\nsent = "a"\n', "line 3, record 1: at_s: must be a time"),
    "backwards": (
        '[transcript]\nversion = 1\n[[wire]]\nat_s = 1\nsent = "a"\n[[wire]]\nat_s = 0.5\nsent = "b"\n',
        "line 6, record 2: at_s: is earlier",
    ),
    "hex": ('[transcript]\nversion = 1\n[[wire]]\nat_s = 1\nsent_hex = "0g"\n', "record 1: sent_hex: must be hexa"),
    "both": ('[transcript]\nversion = 1\n[[wire]]\nat_s = 1\nsent = "a"\nreceived = "b"\n', "record 1: needs at_s"),
    "unknown": ('[transcript]\nversion = 1\n[[wire]]\nat_s = 1\nsaid = "a"\n', "record 1: said: unknown key"),
    "text": ('[transcript]\nversion = 1\n[[wire]]\nat_s = 1\nsent = "\u00fc"\n', "must be ASCII; write the bytes as"),
    "no table": ("wire = 3\n[transcript]\nversion = 1\n", "must be tables"),
}


@pytest.mark.parametrize(("text", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_file_is_told_with_its_place(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(hal.ConfigurationError) as caught:
        Transcript.from_file(file)
    assert any(told in mistake for mistake in caught.value.mistakes), caught.value.mistakes


@pytest.mark.parametrize("driver", ["toshiba.receiver", "nec.receiver"])
def test_a_seal_that_was_broken_stays_broken(driver: str, tmp_path: Path) -> None:
    file, role = tmp_path / "device.toml", FAMILIES[driver]
    with launch(driver, seed=1) as emulator:
        control = emulator.resources["control"]
        with (
            Recorder(file, driver=driver) as recorder,
            role.open(driver, control=control, trace=recorder, timeout=0.5) as device,
        ):
            emulator.faults.add("garble", match=b"OFF", count=1)
            assert isinstance(device, hal.Unit)
            with pytest.raises((hal.ProtocolError, hal.DeviceTimeoutError)) as recorded:
                device.state()
    with role.open(driver, control=f"replay:{file}?order=strict", clock=SteppedClock()) as device:
        assert isinstance(device, hal.Unit)
        with pytest.raises(type(recorded.value)):
            device.state()


SPOILT = {
    "another digit": lambda at, reply: reply[:at] + (b"0" if reply[at : at + 1] != b"0" else b"1") + reply[at + 1 :],
    "no digit": lambda at, reply: reply[:at] + b"G" + reply[at + 1 :],
    "lost": lambda at, reply: reply[:at] + reply[at + 1 :],
    "a star more": lambda at, reply: reply[:at] + b"*" + reply[at:],
}


@pytest.mark.parametrize(
    ("driver", "spoil"),
    [
        *(("toshiba.receiver", spoil) for spoil in SPOILT),
        ("nec.receiver", "lost"),
        *(pytest.param("nec.receiver", spoil, marks=pytest.mark.thorough) for spoil in SPOILT if spoil != "lost"),
    ],
)
def test_a_reply_spoilt_at_any_place_says_the_same_under_another_id(driver: str, spoil: str, tmp_path: Path) -> None:
    file, role = tmp_path / "device.toml", FAMILIES[driver]
    with launch(driver, seed=1) as emulator:
        control, nonces = emulator.resources["control"], random.Random(3).randbytes
        recorder = Recorder(file, driver=driver)
        with recorder, role.open(driver, control=control, trace=recorder, nonces=nonces) as device:
            assert isinstance(device, hal.Unit)
            device.state()
    before, _, last = file.read_text("ascii").rpartition("\nreceived = ")
    reply = Transcript.from_file(file).records[-1].content
    assert reply is not None
    assert last.count("\n") == 1

    def verdict(spoilt: bytes, ids: int) -> str:
        file.write_text(f'{before}\nreceived_hex = "{spoilt.hex()}"\n', encoding="ascii")
        control, nonces = f"replay:{file}?order=strict", random.Random(ids).randbytes
        with role.open(driver, control=control, nonces=nonces, clock=SteppedClock()) as device:
            assert isinstance(device, hal.Unit)
            try:
                return repr(device.state())
            except hal.TokaidoError as error:
                return type(error).__name__

    assert verdict(reply, 3) == verdict(reply, 4) != hal.ProtocolError.__name__
    for at in range(len(reply) - 2):
        spoilt = SPOILT[spoil](at, reply)
        assert verdict(spoilt, 3) == verdict(spoilt, 4), spoilt
