"""Settings are saved whole, compared exactly, and restored in a safe order or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido.hal.driver import Answer, query, setting
from tokaido.lab.settings import Change, RestoreError, Settings, save
from tokaido_testing.toys import Toy

IN_PROCESS = {"keysight.attenuator": "visa", "nec.transmitter": "visa", "nec.receiver": "visa", "repeater.node": "zmq"}
TEXTS = {"POW": "0", "CNT": "1", "LAB": "a", "ATT": "12.5", "SHT": "OPEN", "P0:LEV": "1", "P1:LEV": "1"}
ALL = [entry.name for entry in hal.emulators() if entry.distribution == "tokaido" and entry.name != "etsi014.source"]
"""A key manager has nothing that could be set."""


class Keeper(Toy):
    """A toy that keeps what it is told, and has a state; its shutter takes the attenuation with it if it says so."""

    attenuation = setting(float, "ATT", unit="dB", range=(0, 60), states=hal.SETUP)
    state = query(hal.UnitState, "STA")
    coupled = False

    def _order(self, command: str, text: str) -> Answer:
        self._answers[command] = text
        if command == "SHT" and self.coupled:
            self._answers["ATT"] = "1"
        return Answer(text)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def opened(stack: ExitStack, driver: str, **options: Any) -> Any:
    box = stack.enter_context(launch(driver, wire_end=IN_PROCESS.get(driver, "emu"), **options))
    return stack.enter_context(hal.Device.open(driver, **box.resources))


def with_values(saved: Settings, **values: Any) -> Settings:
    ((name, found),) = saved.devices.items()
    return Settings({name: replace(found, values={**found.values, **values})})


def orders(device: hal.Device, stack: ExitStack) -> list[str]:
    """Collect the paths that are set from now on."""
    told: list[str] = []
    plain = type(device).write

    def write(self: Any, value: Any, to: Any) -> None:
        plain(self, value, to)
        told.append(value.name)

    patch = stack.enter_context(pytest.MonkeyPatch.context())
    patch.setattr(type(device), "write", write)
    return told


# --- save -------------------------------------------------------------------------------------------------------------


def test_what_can_be_set_is_saved_and_nothing_else(stack: ExitStack) -> None:
    tx = opened(stack, "toshiba.transmitter", serial_number="TKTX0007")
    saved = save(tx).devices["toshiba.transmitter"]
    assert (saved.driver, saved.model, saved.serial_number) == ("toshiba.transmitter", "T12-TX", "TKTX0007")
    assert saved.values.keys() == {path for path in tx.value_paths() if tx.find(path)[1].writable}
    assert saved.values["attenuation"] == tx.attenuation
    assert saved.units["attenuation"] == "dB"
    assert saved.missing == {}


def test_what_switches_a_light_source_on_is_no_setting(stack: ExitStack) -> None:
    amplifier = opened(stack, "fiberlabs.amplifier")
    assert set(save(amplifier).devices["fiberlabs.amplifier"].values) == {"mode", "target_power", "target_current"}


def test_a_switch_has_its_map_its_shutters_and_its_boot_mode(stack: ExitStack) -> None:
    switch = opened(stack, "polatis.matrix", inputs=2, outputs=3)
    switch.replace({1: 3})
    values = save(switch).devices["polatis.matrix"].values
    assert values["connections"] == {"1": 3}
    assert values["boot_mode"] == switch.boot_mode().value
    assert sum(path.startswith("ports[") for path in values) == 5


def test_what_a_device_cannot_tell_is_missing_with_the_reason() -> None:
    toy = Toy({**TEXTS, "ATT": None})
    saved = save(toy).devices["toy"]
    assert saved.values == {"shutter": "OPEN"}
    assert saved.missing == {"attenuation": "nothing measured yet"}


@pytest.mark.parametrize("driver", ALL)
def test_every_device_of_ours_saves_and_has_nothing_to_restore(driver: str, tmp_path: Path, stack: ExitStack) -> None:
    device = opened(stack, driver)
    saved = save(device)
    assert saved.devices[driver].values
    saved.to_file(tmp_path / "saved.toml")
    read = Settings.from_file(tmp_path / "saved.toml")
    assert {name: found.values for name, found in read.devices.items()} == {driver: saved.devices[driver].values}
    assert read.diff(device) == read.restore(device) == ()


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_file_says_units_and_what_is_missing_in_comments(tmp_path: Path) -> None:
    toy = Toy({**TEXTS, "SHT": None})
    save(toy).to_file(tmp_path / "toy.toml")
    lines = (tmp_path / "toy.toml").read_text().splitlines()
    assert lines[0] == "[devices.toy]"
    assert "attenuation = 12.5  # dB" in lines
    assert "# shutter: nothing measured yet" in lines
    assert Settings.from_file(tmp_path / "toy.toml").devices["toy"].values == {"attenuation": 12.5}


def test_every_mistake_in_a_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(
        '[devices.a]\nmodel = 3\nserial_number = "1"\nsaved = "now"\nfirmwear = ""\n'
        "[devices.a.settings]\nx = [1]\nm = { 1 = 2.5 }\n"
    )
    with pytest.raises(hal.ConfigurationError) as told:
        Settings.from_file(file)
    assert [mistake.split(":")[0] for mistake in told.value.mistakes] == [
        "line 5, devices.a.firmwear",
        "line 1, devices.a.driver",
        "line 4, devices.a.saved",
        "line 7, devices.a.settings.x",
        "line 8, devices.a.settings.m",
        "line 2, devices.a.model",
    ]
    for text, says in [("", "no table devices.NAME"), ("x = 1", "unknown key"), ("devices = 1", "must be a table")]:
        file.write_text(text)
        with pytest.raises(hal.ConfigurationError, match=says):
            Settings.from_file(file)


# --- diff and restore -------------------------------------------------------------------------------------------------


def test_a_diff_and_a_dry_run_tell_from_what_to_what_and_send_nothing(stack: ExitStack) -> None:
    tx = opened(stack, "toshiba.transmitter")
    tx.attenuation = 30
    saved = save(tx)
    tx.attenuation = 12.5
    told = orders(tx, stack)
    change = Change("toshiba.transmitter", "attenuation", 12.5, 30.0, "dB")
    assert saved.diff(tx) == saved.restore(tx, dry_run=True) == (change,)
    assert str(change) == "toshiba.transmitter attenuation: 12.5 dB -> 30 dB"
    assert told == []
    assert saved.restore(tx) == (change,)
    assert (tx.attenuation, saved.diff(tx)) == (30, ())


def test_what_makes_less_light_comes_first_and_what_makes_more_last(stack: ExitStack) -> None:
    tx = opened(stack, "toshiba.transmitter")
    tx.attenuation = 40
    tx.signal_mean_photon_number = 0.6
    tx.decoy_mean_photon_number = 0.1
    tx.decoy_probability = 0.2
    saved = save(tx)
    tx.attenuation = 12.5
    tx.signal_mean_photon_number = 0.4
    tx.decoy_mean_photon_number = 0.2
    tx.decoy_probability = 0.3
    told = orders(tx, stack)
    saved.restore(tx)
    assert told == ["attenuation", "decoy_mean_photon_number", "decoy_probability", "signal_mean_photon_number"]
    tx.attenuation = 50
    told.clear()
    saved.restore(tx)
    assert told == ["attenuation"]


def test_what_is_refused_beside_another_setting_is_tried_again_after_it(stack: ExitStack) -> None:
    tx = opened(stack, "toshiba.transmitter")
    tx.decoy_mean_photon_number = 0.03
    tx.signal_mean_photon_number = 0.06
    saved = save(tx)
    tx.signal_mean_photon_number = 0.9
    tx.decoy_mean_photon_number = 0.4
    told = orders(tx, stack)
    saved.restore(tx)  # the signal below the decoy of now: refused until the decoy is lower
    assert told == ["decoy_mean_photon_number", "signal_mean_photon_number"]
    assert (tx.signal_mean_photon_number, tx.decoy_mean_photon_number) == (0.06, 0.03)


def test_a_shutter_closes_before_all_and_opens_after_all(stack: ExitStack) -> None:
    rx = opened(stack, "toshiba.receiver")
    rx.shutter = hal.Shutter.OPEN
    rx.detectors[0].dead_time = 12
    is_open = save(rx)
    rx.shutter = hal.Shutter.CLOSED
    rx.detectors[0].dead_time = 14
    closed = save(rx)
    assert [change.path for change in is_open.restore(rx)] == ["detectors[0].dead_time", "shutter"]
    assert [change.path for change in closed.restore(rx)] == ["shutter", "detectors[0].dead_time"]


def test_a_map_goes_back_by_one_command_between_shutters_that_close_and_open(stack: ExitStack) -> None:
    switch = opened(stack, "polatis.matrix", inputs=3, outputs=3)
    one, two = hal.SwitchPort(hal.Side.INPUT, 1), hal.SwitchPort(hal.Side.INPUT, 2)
    switch.replace({1: 2, 3: 3})
    switch.set_port_enabled(one, False)
    saved = save(switch)
    switch.set_port_enabled(one, True)
    switch.set_port_enabled(two, False)
    switch.replace({1: 1, 2: 2, 3: 3})
    switch.set_boot_mode(hal.BootMode.AUTOSAVE if switch.boot_mode() is hal.BootMode.DARK else hal.BootMode.DARK)
    assert [change.path for change in saved.restore(switch)] == [
        "ports[in 1].enabled",
        "connections",
        "boot_mode",
        "ports[in 2].enabled",
    ]
    assert switch.connections() == {1: 2, 3: 3}
    assert saved.diff(switch) == ()


def test_retarders_and_the_range_of_a_meter_go_back(stack: ExitStack) -> None:
    paddles = opened(stack, "thorlabs.mpc")
    paddles.move_to(30, 60)
    saved = save(paddles)
    paddles.move_to(80)
    assert [change.path for change in saved.restore(paddles)] == ["retarders[0].position"]
    assert paddles.positions()[:2] == pytest.approx((30, 60), abs=paddles.tolerance)
    meter = opened(stack, "thorlabs.pm100")
    limit = meter.set_range(-20)
    held = save(meter)
    meter.auto_range = True
    by_itself = save(meter)
    assert by_itself.devices["thorlabs.pm100"].missing == {"range_limit": "not in force"}
    assert [change.path for change in held.restore(meter)] == ["auto_range", "range_limit"]
    assert (meter.range_limit, meter.auto_range) == (pytest.approx(limit), False)
    assert [change.path for change in by_itself.restore(meter)] == ["auto_range"]


# --- what is refused before anything is sent --------------------------------------------------------------------------


def test_settings_of_another_device_are_refused_unless_told(stack: ExitStack) -> None:
    one = opened(stack, "toshiba.transmitter", serial_number="TKTX0001")
    two = opened(stack, "toshiba.transmitter", serial_number="TKTX0002")
    one.attenuation = 31
    saved = save(one)
    told = orders(two, stack)
    with pytest.raises(hal.ConfigurationError, match="number TKTX0001, and its serial number is TKTX0002"):
        saved.restore(two)
    with pytest.raises(hal.ConfigurationError, match=r"those of driver toshiba\.transmitter, and its"):
        saved.restore(opened(stack, "nec.transmitter"))
    assert told == []
    saved.restore(two, other_device=True)
    assert two.attenuation == 31


def test_what_a_device_does_not_take_is_told_at_once_and_nothing_is_sent(tmp_path: Path, stack: ExitStack) -> None:
    rx = opened(stack, "toshiba.receiver")
    save(rx).to_file(tmp_path / "rx.toml")
    text = (tmp_path / "rx.toml").read_text()
    shutter = f'shutter = "{rx.shutter.value}"'
    assert shutter in text
    text = text.replace(shutter, 'shutter = "AJAR"\nwarp = 9\nvisibility = 1').replace("[0].bias", "[7].bias")
    (tmp_path / "rx.toml").write_text(text.replace('detectors[0].dead_time" = ', 'detectors[0].dead_time" = 9000000'))
    told = orders(rx, stack)
    with pytest.raises(hal.ConfigurationError) as error:
        Settings.from_file(tmp_path / "rx.toml").restore(rx)
    mistakes = "\n".join(error.value.mistakes)
    for mistake in ("shutter takes one of OPEN, CLOSED, not 'AJAR'", "no setting warp", "no setting visibility"):
        assert mistake in mistakes
    for mistake in ("no setting detectors[7].bias", "dead_time takes 0 to 1000 ns"):
        assert mistake in mistakes
    assert told == []


@pytest.mark.parametrize(
    ("path", "bad"), [("connections", {"1": 9}), ("connections", {"x": 1}), ("connections", 3), ("boot_mode", "WARM")]
)
def test_a_map_that_a_switch_cannot_have_is_a_mistake(path: str, bad: Any, stack: ExitStack) -> None:
    switch = opened(stack, "polatis.matrix", inputs=2, outputs=2)
    with pytest.raises(hal.ConfigurationError, match=f"polatis.matrix, {path}"):
        with_values(save(switch), **{path: bad}).restore(switch)


def test_nothing_is_restored_in_a_state_that_forbids_it() -> None:
    unit = Keeper({**TEXTS, "STA": "STANDBY"})
    saved = save(unit)
    running = Keeper({**TEXTS, "STA": "RUN", "ATT": "3"})
    why = "toy is in RUN, and it can be set in OFF, WARMUP, AUTH, STANDBY"
    (change,) = saved.restore(running, dry_run=True)
    assert change.hindrance == why
    with pytest.raises(hal.StateError, match=f"attenuation: {why}; nothing was sent"):
        saved.restore(running)
    assert running.attenuation == 3
    standing = Keeper({**TEXTS, "STA": "STANDBY", "ATT": "3"})
    saved.restore(standing)
    assert standing.attenuation == 12.5


# --- what fails in the middle -----------------------------------------------------------------------------------------


def test_a_failure_in_the_middle_says_what_was_set_and_what_was_not(stack: ExitStack) -> None:
    tx = opened(stack, "toshiba.transmitter")
    tx.attenuation = 40
    saved = save(tx)
    changed = [("attenuation", 30), ("key_basis_probability", 0.7), ("decoy_probability", 0.2)]
    for path, value in changed:
        setattr(tx, path, value)
    tx.signal_mean_photon_number = 0.3
    plain = type(tx).write

    def write(self: Any, value: Any, to: Any) -> None:
        if value.name == "decoy_probability":
            raise hal.OutcomeUnknownError("the reply was lost", remedy="Read it")
        plain(self, value, to)

    stack.enter_context(pytest.MonkeyPatch.context()).setattr(type(tx), "write", write)
    made: list[Change] = []
    with pytest.raises(RestoreError) as told:
        saved.restore(tx, on_set=made.append)
    assert [change.path for change in told.value.done] == ["attenuation", "key_basis_probability"]
    assert list(told.value.done) == made
    assert told.value.failed is not None
    assert told.value.failed.path == "decoy_probability"
    assert [change.path for change in told.value.left] == ["signal_mean_photon_number"]
    assert isinstance(told.value.__cause__, hal.OutcomeUnknownError)
    for words in ("the reply was lost", "Set before it: toshiba.transmitter attenuation,", "Read it"):
        assert words in str(told.value)
    assert "Not set: toshiba.transmitter signal_mean_photon_number" in str(told.value)


def test_what_is_refused_for_good_ends_the_restore(stack: ExitStack) -> None:
    tx = opened(stack, "toshiba.transmitter")
    tx.signal_mean_photon_number = 0.5
    saved = with_values(save(tx), decoy_mean_photon_number=0.01, vacuum_mean_photon_number=0.01)
    with pytest.raises(RestoreError, match="the decoy intensity must be below the signal's and above the vacuum's"):
        saved.restore(tx)


def test_a_setting_that_another_one_changes_is_noticed() -> None:
    class Coupled(Keeper):
        coupled = True

    saved = save(Coupled({**TEXTS, "STA": "OFF", "SHT": "CLOSED"}))
    with pytest.raises(RestoreError, match=r"attenuation: 3 dB -> 12.5 dB was set, and 1 dB is in force") as told:
        saved.restore(Coupled({**TEXTS, "STA": "OFF", "ATT": "3"}))
    assert [change.path for change in told.value.done] == ["shutter"]


# --- a station --------------------------------------------------------------------------------------------------------


def station(stack: ExitStack, *drivers: str, wire_end: str = "emu") -> hal.Station:
    found = {}
    for number, driver in enumerate(drivers):
        box = stack.enter_context(launch(driver, wire_end=IN_PROCESS.get(driver, wire_end)))
        resources = {name: hal.Resource.parse(str(text)) for name, text in box.resources.items()}
        found[f"d{number}"] = hal.DeviceEntry(name=f"d{number}", driver=driver, resources=resources)
    return stack.enter_context(hal.Station("lab", found))


def visited(lab: hal.Station, name: str) -> Any:
    return lab.visit(name)


def test_a_station_is_saved_and_restored_device_by_device_and_left_as_it_is(tmp_path: Path, stack: ExitStack) -> None:
    lab = station(stack, "toshiba.transmitter", "keysight.attenuator")
    with visited(lab, "d0") as tx, visited(lab, "d1") as voa:
        tx.signal_mean_photon_number = 0.6
        voa.attenuation = 20
    save(lab).to_file(tmp_path / "lab.toml")
    saved = Settings.from_file(tmp_path / "lab.toml")
    with visited(lab, "d0") as tx, visited(lab, "d1") as voa:
        tx.signal_mean_photon_number = 0.4
        voa.attenuation = 5
        blocked = voa.blocked
    assert [f"{change.device} {change.path}" for change in saved.restore(lab)] == [
        "d1 attenuation",
        "d0 signal_mean_photon_number",
    ]
    assert saved.diff(lab) == ()
    lab.close()
    with visited(lab, "d1") as voa:
        assert (voa.attenuation, voa.blocked) == (20, blocked)


def test_interlocks_see_the_devices_that_are_being_restored(stack: ExitStack) -> None:
    lab = station(stack, "polatis.matrix", "toshiba.receiver", wire_end="pty")  # a port that one alone may open
    lab.interlocks = (hal.InterlockEntry("dark", "d0", frozenset({3}), {1: "d1"}),)
    with visited(lab, "d1") as rx, visited(lab, "d0") as switch:
        rx.shutter = hal.Shutter.CLOSED
        switch.connect(3, 1)
    shut = save(lab)
    with visited(lab, "d1") as rx, visited(lab, "d0") as switch:
        switch.disconnect(3)
        rx.shutter = hal.Shutter.OPEN
    open_ = save(lab)
    assert [change.path for change in shut.restore(lab)] == ["shutter", "connections"]
    both = Settings({"d0": shut.devices["d0"], "d1": open_.devices["d1"]})
    with pytest.raises(RestoreError, match="input 3 may carry classical light") as told:
        both.restore(lab)
    assert isinstance(told.value.__cause__, hal.InterlockError)
    with visited(lab, "d1") as rx:
        assert rx.shutter is hal.Shutter.CLOSED


def test_settings_find_their_device_by_name_or_by_being_the_only_ones(stack: ExitStack) -> None:
    lab = station(stack, "keysight.attenuator", "thorlabs.pm100")
    both = save(lab)
    with lab.visit("d0") as voa:
        assert both.diff(voa) == save(voa).diff(voa) == ()
        only = Settings({"elsewhere": both.devices["d0"]})
        assert only.diff(voa) == ()
        with pytest.raises(hal.ConfigurationError, match=r"no settings of d0\. There are of a, b"):
            Settings({"a": both.devices["d0"], "b": both.devices["d1"]}).diff(voa)
    with pytest.raises(hal.ConfigurationError, match="has no device 'elsewhere'"):
        only.restore(lab)
