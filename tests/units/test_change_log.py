"""What a program changes in a device is logged: who, what, from what to what; a failure too, and never a key."""

from __future__ import annotations

import logging
import secrets
import subprocess
import sys

import pytest

import tokaido.hal as hal
from tokaido.emulators import Emulator, launch
from tokaido_testing.patience import patient
from tokaido_testing.unit_vendors import Vendor

CHANGES = "tokaido.hal.changes"
WIRE = "tokaido.hal.transport"


def told(caplog: pytest.LogCaptureFixture, level: int = logging.INFO, name: str = CHANGES) -> list[str]:
    """Return what was logged at a level, and forget it."""
    found = [record.getMessage() for record in caplog.records if (record.name, record.levelno) == (name, level)]
    caplog.clear()
    return found


def test_a_setting_is_told_from_what_was_seen_last(
    vendor: Vendor, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with hal.Transmitter.open(vendor.transmitter, name="alice", **emulator.resources) as tx:
        tx.attenuation = 30
        assert told(caplog) == ["alice: attenuation: -> 30 dB"]
        tx.attenuation = 31.5
        assert told(caplog) == ["alice: attenuation: 30 -> 31.5 dB"]
        mean = tx.signal_mean_photon_number
        assert told(caplog) == []
        tx.signal_mean_photon_number = 0.45
        assert told(caplog) == [f"alice: signal_mean_photon_number: {mean:g} -> 0.45 photon/pulse"]


def test_nothing_is_asked_for_the_log(vendor: Vendor, emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    def exchanges(level: int) -> int:
        caplog.set_level(level, CHANGES)
        records: list[hal.TraceRecord] = []
        with hal.Transmitter.open(vendor.transmitter, trace=records.append, **emulator.resources) as tx:
            tx.attenuation = 30
            tx.power_off()
        return sum(record.direction == ">" for record in records)

    assert exchanges(logging.CRITICAL) == exchanges(logging.DEBUG) > 2


def test_commands_are_told_and_what_belongs_to_a_setting_is_not_told_twice(
    vendor: Vendor, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, CHANGES)
    with hal.Transmitter.open(vendor.transmitter, name="alice", **emulator.resources) as tx:
        tx.set_watchdog(30)
        assert told(caplog) == ["alice: watchdog: -> 30 s"]
        tx.apply_safe_state()
        (line,) = told(caplog)
        assert line.startswith("alice: ")
        assert "SAFE" in line
        tx.attenuation = 30
        assert [vendor.attenuate.partition(" ")[0] in line for line in told(caplog, logging.DEBUG)] == [True]
        tx.select_link("", "")
        assert told(caplog) == ["alice: link: -> any, path any"]


def test_a_failure_is_a_warning_with_its_reason(
    vendor: Vendor, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    with hal.Transmitter.open(vendor.transmitter, name="alice", timeout=patient(0.3), **emulator.resources) as tx:
        with pytest.raises(hal.StateError):
            tx.start()
        (line,) = told(caplog, logging.WARNING)
        assert line.startswith("alice: KEY")
        assert "failed: " in line
        emulator.unplug()
        with pytest.raises(hal.TransportError):
            tx.attenuation = 30
        (line,) = told(caplog, logging.WARNING)
        assert line.startswith("alice: attenuation: -> 30 dB failed: ")
        emulator.replug()
        with pytest.raises(hal.RangeError):
            tx.attenuation = 1000  # nothing was sent
        assert told(caplog, logging.WARNING) == []


def test_a_switch_tells_what_of_its_map_changes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with (
        launch("polatis.matrix", inputs=4, outputs=4) as emulator,
        hal.OpticalSwitch.open("polatis.matrix", name="osw", **emulator.resources) as switch,
    ):
        switch.connect(1, 2)
        switch.connect(2, 3)
        switch.connect(1, 2)  # is so already
        switch.reroute(disconnect=[1], connect={3: 2})
        switch.disconnect(2)
        switch.replace({4: 4})
        switch.disconnect_all()
    assert told(caplog) == [
        "osw: connections: -> 1:2",
        "osw: connections: -> 2:3",
        "osw: connections: 1:2 -> 3:2",
        "osw: connections: 2:3 -> none",
        "osw: the whole map: -> 4:4",
        "osw: the whole map: -> empty",
    ]


def test_exchanges_are_told_at_debug_and_keys_never(
    vendor: Vendor, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = secrets.token_bytes(4096)
    with hal.Transmitter.open(vendor.transmitter, name="alice", **emulator.resources) as tx:
        tx.load_preshared_key(hal.KeyMaterial(key))
        assert told(caplog) == ["alice: pre-shared key of the link that is selected: -> loaded"]
        assert tx.attenuation == 35
        lines = told(caplog, logging.DEBUG, WIRE)
        assert any(vendor.attenuation_is_35 in line for line in lines)
        assert all(line.startswith("alice ") for line in lines)
        tx.load_preshared_key(hal.KeyMaterial(key))
        everything = caplog.text
    hexed = key.hex()
    assert not any(key_text in everything for key_text in (hexed[:16], hexed[:16].upper(), str(key[:6])[2:-1]))


def test_nothing_is_printed_where_nobody_listens() -> None:
    """A failed change is raised: beside that, Python's handler of last resort must not print it."""
    script = (
        "import logging, tokaido.hal as hal\n"
        "from tokaido.emulators import launch\n"
        "with launch('toshiba.transmitter') as e, hal.Transmitter.open('toshiba.transmitter', **e.resources) as tx:\n"
        "    try:\n        tx.start()\n"
        "    except hal.StateError:\n        print('refused')\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert (ran.stdout, ran.stderr) == ("refused\n", "")
