"""Interlocks of a server's station bind every program: by drivers, by plain texts, by two at the same moment."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido.hal.driver import LineDevice
from tokaido_testing.patience import patient
from tokaido_testing.served import address, create_keys, server_of, station_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Serve = Callable[[dict[str, str], str], "Site"]

SWITCHES = {
    "polatis.matrix": (3, 1, ":OXC:SWIT:CONN:ADD (@3),(@17)", ":OXC:SWIT:DISC:ALL", ":OXC:SWIT:CONN:STOR"),
    "dicon.selector": (1, 2, "I1 2", "PK", "XX 2"),
    "thorlabs.osw": (1, 2, "S 2", "S 1", "XX 2"),
}
"""By driver: a classical input, the output that leads to bob, what joins them, what parts them, what nobody knows."""
RECEIVERS = {
    "toshiba.receiver": ("PWR ON", "PWR OFF", "LSE:KEEP 0123abcd", "ABC 1"),
    "nec.receiver": ("UNIT:POW ON", "UNIT:POW OFF", "UNIT:LEAS:KEEP '0123abcd'", "ABC:DEF 1"),
}
"""By driver: what switches it on, what switches it off, what changes no light, what nobody knows."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    create_keys(folder)
    return folder


class Site:
    """Emulated devices behind a server, and what connects a client to them."""

    def __init__(self, keys: Path, stack: ExitStack, drivers: dict[str, str], more: str) -> None:
        (keys / "leases.sqlite").unlink(missing_ok=True)
        self._keys = keys
        self._stack = stack
        self.boxes: dict[str, Any] = {}
        devices: dict[str, tuple[str, str]] = {}
        for name, driver in drivers.items():
            options: dict[str, Any] = {"warm": True} if "receiver" in driver else {}
            self.boxes[name] = box = stack.enter_context(launch(driver, **options))
            devices[name] = driver, box.resources["control"]
        self.server = stack.enter_context(server_of(station_of(devices, more), keys))

    def __call__(self, client: str) -> hal.RemoteStation:
        where = address(self.server, self._keys, client)
        return self._stack.enter_context(hal.Station.connect(where, timeout=patient(3)))


@pytest.fixture
def served(keys: Path) -> Iterator[Callable[[dict[str, str], str], Site]]:
    with ExitStack() as stack:
        yield lambda drivers, more: Site(keys, stack, drivers, more)


def interlock(source: int, target: int) -> str:
    return (
        f"[interlocks.dark]\nswitch = 'osw'\nclassical_inputs = [{source}]\n"
        f"single_photon_outputs = {{ {target} = 'bob' }}\n"
    )


AMPLIFIER = "[interlocks.backbone]\namplifier = 'edfa'\nreceivers = ['bob']\n"


def say(station: hal.RemoteStation, name: str, text: str) -> str:
    """Give a command past the driver, with the deadline that a served one has."""
    return station.device(name, LineDevice).transport.command(text, timeout=patient(3))


def receiver(station: hal.RemoteStation) -> hal.Receiver:
    return station.device("bob", hal.Receiver)


@pytest.mark.parametrize("driver", SWITCHES)
def test_a_switch_joins_no_light_to_an_open_receiver_whoever_orders_it(served: Serve, driver: str) -> None:
    source, target, joins, parts, unknown = SWITCHES[driver]
    ann = served({"osw": driver, "bob": "toshiba.receiver"}, interlock(source, target))("ann")
    osw = ann.device("osw", hal.OpticalSwitch)
    say(ann, "osw", parts)
    before = osw.connections()
    for text in (joins, unknown):
        with pytest.raises(hal.InterlockError, match="nothing was sent"):
            say(ann, "osw", text)
    with pytest.raises(hal.InterlockError, match="nothing was sent"):
        osw.replace({source: target})
    assert osw.connections() == before
    receiver(ann).power_off()
    say(ann, "osw", joins)
    assert osw.connections()[source] == target


@pytest.mark.parametrize("driver", RECEIVERS)
def test_a_receiver_does_not_open_onto_light_that_is_joined(served: Serve, driver: str) -> None:
    switches_on, switches_off, harmless, unknown = RECEIVERS[driver]
    ann = served({"osw": "dicon.selector", "bob": driver}, interlock(1, 2))("ann")
    bob = receiver(ann)
    say(ann, "bob", switches_off)
    ann.device("osw", hal.OpticalSwitch).connect(1, 2)
    for text in (switches_on, unknown):
        with pytest.raises(hal.InterlockError, match="nothing was sent"):
            say(ann, "bob", text)
    with pytest.raises(hal.InterlockError, match="nothing was sent"):
        bob.power_on()
    assert bob.state() is hal.UnitState.OFF
    with pytest.raises(hal.DeviceError) as refused:  # by the unit, which it reached
        say(ann, "bob", harmless)
    assert not isinstance(refused.value, hal.InterlockError)
    bob.apply_safe_state()
    ann.device("osw", hal.OpticalSwitch).disconnect(1)
    bob.power_on()


def test_a_setting_that_moves_no_shutter_is_not_asked_about(served: Serve) -> None:
    ann = served({"osw": "dicon.selector", "bob": "nec.receiver"}, interlock(1, 2))("ann")
    bob = receiver(ann)
    bob.power_off()
    ann.device("osw", hal.OpticalSwitch).connect(1, 2)
    bob.detectors[0].bias = 3.0
    assert bob.detectors[0].bias == 3.0
    with pytest.raises(hal.InterlockError):
        bob.shutter = hal.Shutter.OPEN


def test_a_port_that_is_enabled_is_asked_about_for_what_is_joined_there(served: Serve) -> None:
    site = served({"osw": "polatis.matrix", "bob": "toshiba.receiver"}, interlock(3, 1))
    eve = site("eve")
    osw = eve.device("osw", hal.OpticalSwitch)
    osw.connect(3, 1, force="a test")
    osw.connect(4, 2)
    for number in (3, 4):
        osw.set_port_enabled(hal.SwitchPort(hal.Side.INPUT, number), enabled=False)
    for text in (":OXC:SWIT:PORT:ENAB (@3)", ":OXC:SWIT:PORT:ENAB (@17)", ":OXC:SWIT:PORT:ENAB (@1:16)"):
        with pytest.raises(hal.InterlockError):
            say(eve, "osw", text)
    say(eve, "osw", ":OXC:SWIT:PORT:ENAB (@4)")
    osw.disconnect(3)
    say(eve, "osw", ":OXC:SWIT:PORT:ENAB (@3)")


def test_an_amplifier_is_not_switched_on_towards_an_open_receiver_and_none_opens_before_it(served: Serve) -> None:
    ann = served({"edfa": "fiberlabs.amplifier", "bob": "toshiba.receiver"}, AMPLIFIER)("ann")
    edfa, bob = ann.device("edfa", hal.OpticalAmplifier), receiver(ann)
    for order in (
        edfa.enable,
        lambda: say(ann, "edfa", "ACTIVE,1"),
        lambda: say(ann, "edfa", "ACTIVE, 1"),
        lambda: say(ann, "edfa", "ACTALL,1"),
    ):
        with pytest.raises(hal.InterlockError, match="may reach bob"):
            order()
    edfa.target_current = 100.0
    edfa.enabled = False
    bob.power_off()
    edfa.enabled = True
    with pytest.raises(hal.InterlockError, match=r"edfa.*is switched on"):
        bob.power_on()
    with pytest.raises(hal.InterlockError, match=r"edfa.*is switched on"):
        say(ann, "bob", "PWR ON")
    assert bob.state() is hal.UnitState.OFF
    edfa.enabled = False
    bob.power_on()


def test_a_receiver_that_does_not_answer_counts_as_open(served: Serve) -> None:
    site = served({"osw": "dicon.selector", "bob": "toshiba.receiver"}, interlock(1, 2))
    ann = site("ann")
    receiver(ann).power_off()
    site.boxes["bob"].close()
    with pytest.raises(hal.InterlockError, match="cannot be read and so counts as open"):
        say(ann, "osw", "I1 2")
    say(ann, "osw", "PK")


# --- force ------------------------------------------------------------------------------------------------------------


def test_maintenance_alone_forces_an_interlock_and_the_server_logs_who_and_why(
    served: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    connect = served({"osw": "dicon.selector", "bob": "toshiba.receiver"}, interlock(1, 2))
    ann, eve = connect("ann"), connect("eve")
    osw = ann.device("osw", hal.OpticalSwitch)
    with pytest.raises(hal.InterlockError, match="the role maintenance, and ann is an operator"):
        osw.connect(1, 2, force="the laser is unplugged")
    assert osw.connections() == {}
    ann.release("osw")
    with pytest.raises(hal.InterlockError):
        eve.device("osw", hal.OpticalSwitch).connect(1, 2, force=" ")
    with caplog.at_level(logging.WARNING, "tokaido.hal.interlock"):
        eve.device("osw", hal.OpticalSwitch).connect(1, 2, force="the laser is unplugged")
    assert osw.connections() == {1: 2}
    said = [record.getMessage() for record in caplog.records]
    assert any("FORCED (eve (" in text and "): the laser is unplugged)" in text for text in said), said
    with pytest.raises(hal.InterlockError):  # the reason was for that order alone
        say(eve, "osw", "I1 2")


def test_a_receiver_and_an_amplifier_are_forced_in_the_same_way(served: Serve) -> None:
    connect = served(
        {"osw": "dicon.selector", "edfa": "fiberlabs.amplifier", "bob": "toshiba.receiver"},
        interlock(1, 2) + AMPLIFIER,
    )
    ann, eve = connect("ann"), connect("eve")
    with pytest.raises(hal.InterlockError, match="the role maintenance"):
        ann.device("edfa", hal.OpticalAmplifier).enable(force="bob's fibre is unplugged")
    ann.release("edfa")
    edfa, bob = eve.device("edfa", hal.OpticalAmplifier), receiver(eve)
    edfa.enable(force="bob's fibre is unplugged")
    assert edfa.enabled is True
    bob.power_off()
    with pytest.raises(hal.InterlockError):
        bob.power_on()
    with bob.interlocks_forced("a test of the monitor"):
        bob.power_on()
    assert bob.state() is not hal.UnitState.OFF


# --- two programs at the same moment ----------------------------------------------------------------------------------


def test_of_two_programs_that_order_both_ends_at_the_same_moment_one_is_refused(served: Serve) -> None:
    connect = served({"osw": "dicon.selector", "bob": "toshiba.receiver"}, interlock(1, 2))
    ann, ben = connect("ann"), connect("ben")
    osw, bob = ann.device("osw", hal.OpticalSwitch), receiver(ben)

    def refused(order: Callable[[], object]) -> bool:
        try:
            order()
        except hal.InterlockError:
            return True
        return False

    with ThreadPoolExecutor(2) as pool:
        for _ in range(12):
            say(ben, "bob", "PWR OFF")
            say(ann, "osw", "PK")
            orders = [lambda: say(ann, "osw", "I1 2"), lambda: say(ben, "bob", "PWR ON")]
            assert sorted(pool.map(refused, orders)) == [False, True]
            lit, on = osw.connections() == {1: 2}, bob.state() is not hal.UnitState.OFF
            assert lit is not on
