"""No key byte in a log, trace, error, representation, reading, event or pickle; and the scan can find one."""

from __future__ import annotations

import base64
import itertools
import json
import logging
import os
import pickle

import pytest

import tokaido.hal as hal
from tokaido.emulators import QkdLink
from tokaido.emulators.conformance._leaks import LeakScanner
from tokaido.emulators.optics import Fibre
from tokaido.hal.transports import StreamTransport


def test_the_scan_finds_a_planted_key_in_every_form() -> None:
    secret = os.urandom(64)
    scanner = LeakScanner([secret])
    planted = [
        secret.hex(),
        secret.hex().upper()[7:41],
        base64.b64encode(secret).decode(),
        "key=" + base64.urlsafe_b64encode(secret[5:]).decode(),
        repr(secret),
        repr(list(secret)),
        secret.decode("latin1"),
        str(int.from_bytes(secret, "big")),
        f"... {secret[20:28].hex()} ...",
        json.dumps({"key": base64.b64encode(secret[1:30]).decode()}),
    ]
    assert [scanner.found(f"drew {text} today") for text in planted] == [True] * len(planted)
    assert not scanner.found(os.urandom(4096).hex() + repr(os.urandom(64)) + "QKD link TKTX0001 in RUN, 14.5 dB")


@pytest.mark.parametrize("start", range(9))
def test_the_scan_finds_eight_bytes_wherever_they_stand_and_takes_seven_for_chance(start: int) -> None:
    secret = bytes(range(0x80, 0x100, 7))  # no byte of it is in what stands around
    scanner = LeakScanner([secret])
    for before in range(9):
        eight, seven = secret[start : start + 8], secret[start : start + 7]
        assert scanner.found(f"{'.' * before}{eight.decode('latin1')}.")
        assert not scanner.found(f"{'.' * before}{seven.decode('latin1')}.")


def test_no_key_byte_shows_while_a_link_makes_and_hands_over_keys(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []
    secrets: list[bytes] = []
    caplog.set_level(logging.DEBUG)
    with (
        QkdLink.launch(fibre=Fibre(length_km=15, loss_db=5.0), block_bits=3_000_000, seed=5, speed=30) as link,
        hal.Transmitter.open("toshiba.transmitter", **link.transmitter.resources) as tx,
        hal.Receiver.open("toshiba.receiver", **link.receiver.resources) as rx,
    ):
        assert link.preshared_key_file is not None
        preshared = link.preshared_key_file.read_bytes()
        secrets.append(preshared)
        for unit in (tx, rx):
            channel = unit._keys()._transport  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]
            for transport in (unit.transport, channel):
                transport.add_sink(lambda record: seen.append(repr(record)))
            with pytest.raises(hal.KeyMaterialError) as refused:
                unit.load_preshared_key(hal.KeyMaterial(preshared[:-1]))
            seen.append(repr(refused.value))
            unit.load_preshared_key(hal.KeyMaterial(preshared))
            assert isinstance(unit.transport, StreamTransport)
            with pytest.raises(hal.DeviceError, match="UNKNOWN"):
                unit.transport.query("AUTH:LOAD " + "x")  # there is no such command: keys never cross the console
            seen.append(str(unit.snapshot()))
        for unit in (tx, rx):
            unit.wait_for(hal.UnitState.STANDBY, timeout=20)
        for unit in (tx, rx):
            unit.start()
        for unit in (tx, rx):
            for block in unit.key_blocks(120, limit=1):
                secrets.append(bytes(block.key.reveal()))
                seen += [repr(block), repr(block.info), f"{block.key} {block.key!r}", repr(vars(unit))]
                with pytest.raises(hal.KeyMaterialError) as unpicklable:
                    pickle.dumps(block.key)
                seen.append(str(unpicklable.value))
                block.commit()
        seen += [repr(event) for event in itertools.islice(rx.telemetry_stream(0.1, 2), 3)]
        seen += [
            str(tx.snapshot()),
            repr(link.transmitter),
            repr(link.transmitter.model),
            repr(vars(link.receiver.model)),
        ]
        seen += [repr(rx.telemetry()._readings), str(tx.alarms()), str(tx.alarm_events())]
    drawn_bits = [8 * len(secret) for secret in secrets[1:]]  # an assertion must not print the secrets themselves
    assert len(drawn_bits) == 2
    assert min(drawn_bits) > 30_000
    output = capfd.readouterr()
    seen += [caplog.text, output.out, output.err]
    scanner = LeakScanner(secrets)
    leaks = [index for index, text in enumerate(seen) if scanner.found(text)]
    assert leaks == []
    assert any("load_psk" in text or "<4096 bytes>" in text for text in seen), (
        "the trace saw nothing of the key channel"
    )
