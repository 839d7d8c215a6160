"""PVs of emulated devices, asked by p4p's own client on the loopback interface."""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import launch
from tokaido_testing.extras import later, needs
from tokaido_testing.patience import in_time
from tokaido_testing.served import address, create_keys, server_of, station_of
from tokaido_testing.table import POWER_DBM, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REASON = "needs the extra `epics`, which `make setup` installs on x86-64"
pytestmark = needs("p4p", REASON)
thread = later("p4p.client.thread")
epics = later("tokaido.lab.epics")
NO_ALARM, MINOR, MAJOR, INVALID = range(4)


@contextmanager
def client_of(server: Any) -> Iterator[Any]:
    """Give a client that finds names over TCP, so that nothing is searched for outside."""
    conf = {"EPICS_PVA_NAME_SERVERS": server.endpoint, "EPICS_PVA_ADDR_LIST": "", "EPICS_PVA_AUTO_ADDR_LIST": "NO"}
    with thread().Context("pva", conf=conf, useenv=False) as client:
        yield client


def server_for(station: hal.Station, **options: Any) -> Any:
    """Return a server on the loopback interface, at ports of its own."""
    choice: dict[str, Any] = {"insecure_pvaccess": True, "port": 0, "search_port": 0, "prefix": "lab", "period_s": 0.05}
    return epics().PvServer(station, **{**choice, **options})


@contextmanager
def served(station: hal.Station, **options: Any) -> Iterator[Any]:
    """Publish a station, and give a client of it."""
    with server_for(station, **options) as server, client_of(server) as client:
        yield client


def got(client: Any, name: str) -> Any:
    return client.get(name, timeout=10)


def until(condition: Callable[[], bool]) -> None:
    start_s = time.monotonic()
    while not condition():
        assert in_time(start_s, 10)
        time.sleep(0.02)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    with Table(tmp_path, timeout=0.5) as table:
        for device in (table.voa, table.pm, table.bob):
            device.close()  # the server opens them
        yield table


@pytest.fixture
def station(table: Table) -> Iterator[hal.Station]:
    devices = {
        "voa": ("keysight.attenuator", table.voa_end.resources["control"]),
        "pm": ("thorlabs.pm100", table.pm_end.resources["control"]),
    }
    with station_of(devices) as station:
        station.on_exit = "keep"
        yield station


def test_values_are_scalars_with_unit_limits_time_and_alarm(station: hal.Station) -> None:
    before = time.time()
    with served(station) as client:
        attenuation, power = got(client, "lab:voa:attenuation"), got(client, "lab:pm:power")
    assert attenuation.raw.getID() == "epics:nt/NTScalar:1.0"
    assert attenuation.raw.display.todict() | {"format": ""} == {
        "limitLow": 0.0,
        "limitHigh": 40.0,
        "description": "Attenuation",
        "format": "",
        "units": "dB",
    }
    assert (attenuation.raw.control.limitLow, attenuation.raw.control.limitHigh) == (0.0, 40.0)
    assert (attenuation.severity, float(attenuation)) == (NO_ALARM, 0.0)
    assert before <= power.timestamp <= time.time()
    assert power == pytest.approx(POWER_DBM, abs=0.01)
    assert power.raw.display.units == "dBm"


def test_flags_words_and_states_are_enums_and_parts_have_names_of_their_own(table: Table) -> None:
    with station_of({"bob": ("toshiba.receiver", table.bob_end.resources["control"])}) as station:
        station.on_exit = "keep"
        with served(station) as client:
            shutter, state = got(client, "lab:bob:shutter"), got(client, "lab:bob:state")
            locked = got(client, "lab:bob:clock_locked")
            bias = got(client, "lab:bob:detectors:1:bias")
            dark = got(client, "lab:bob:detectors:0:dark_count_rate")
            qber, temperature = got(client, "lab:bob:qber"), got(client, "lab:bob:chassis_temperature")
    assert shutter.raw.getID() == "epics:nt/NTEnum:1.0"
    assert (str(shutter), shutter.raw.value.choices) == ("OPEN", ["OPEN", "CLOSED"])
    assert (str(state), str(locked)) == ("STANDBY", "no")
    assert bias.raw.display.description == "Detectors[1] bias"
    assert dark.timestamp < time.time() - 30  # at the last alignment
    assert math.isnan(qber)
    assert (qber.severity, "NO_DATA" in qber.raw.alarm.message) == (INVALID, True)
    alarm = temperature.raw.valueAlarm
    assert (alarm.highWarningLimit, alarm.highAlarmLimit) == (45, 60)
    assert (alarm.lowWarningSeverity, alarm.lowAlarmSeverity) == (MINOR, MAJOR)


def test_a_value_outside_its_limits_has_the_severity_of_the_limit(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    with station_of({"bob": ("toshiba.receiver", table.bob_end.resources["control"])}) as station:
        station.on_exit = "keep"
        with served(station) as client:
            name, declared = "lab:bob:chassis_temperature", type(table.bob).chassis_temperature
            assert got(client, name).severity == NO_ALARM
            monkeypatch.setattr(declared, "operational", (0.0, 20.0))
            until(lambda: got(client, name).severity == MINOR)
            monkeypatch.setattr(declared, "absolute", (0.0, 21.0))
            until(lambda: got(client, name).severity == MAJOR)
            assert got(client, name).raw.alarm.message == "outside absolute limits"


def test_nothing_can_be_put_unless_it_was_made_writable(table: Table, station: hal.Station) -> None:
    with served(station, writable=["voa.attenuation"]) as client:
        got(client, "lab:voa:blocked")
        client.put("lab:voa:attenuation", 7.5, timeout=10)
        assert got(client, "lab:voa:attenuation") == 7.5
        for name, value in (("voa:blocked", 1), ("pm:power", 1.0), ("voa:connected", 0)):
            with pytest.raises(thread().RemoteError, match="read-only here"):
                client.put(f"lab:{name}", value, timeout=10)
        with pytest.raises(thread().RemoteError, match=r"attenuation takes 0 to 40 dB, not 41.*Nothing was sent"):
            client.put("lab:voa:attenuation", 41.0, timeout=10)
        with pytest.raises(thread().RemoteError):
            client.put("lab:voa:attenuation", math.nan, timeout=10)
        assert got(client, "lab:voa:attenuation") == 7.5
    assert station.device("voa", hal.VariableAttenuator).attenuation == 7.5


def test_a_put_of_something_else_than_the_value_sets_nothing(station: hal.Station) -> None:
    with served(station, writable=["voa.attenuation"]) as client:
        client.put("lab:voa:attenuation", 7.5, timeout=10)
        with pytest.raises(thread().RemoteError, match="nothing was put"):
            client.put("lab:voa:attenuation", {"alarm.severity": MAJOR}, timeout=10)
        assert got(client, "lab:voa:attenuation") == 7.5
        assert got(client, "lab:voa:attenuation").severity == NO_ALARM


def test_an_interlock_forbids_a_put(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(receiver: hal.Receiver, order: str) -> None:
        raise hal.InterlockError(f"{order} is forbidden", device=receiver.name)

    with station_of({"bob": ("toshiba.receiver", table.bob_end.resources["control"])}) as station:
        station.on_exit = "keep"
        with served(station, writable=["bob.shutter"]) as client:
            client.put("lab:bob:shutter", "CLOSED", timeout=10)
            monkeypatch.setattr(hal.Receiver, "check_interlocks", forbid)
            with pytest.raises(thread().RemoteError, match="shutter = OPEN is forbidden"):
                client.put("lab:bob:shutter", "OPEN", timeout=10)
            assert str(got(client, "lab:bob:shutter")) == "CLOSED"


def test_a_flag_is_put_by_its_choice(station: hal.Station) -> None:
    with served(station, writable=["*"]) as client:
        got(client, "lab:voa:blocked")
        client.put("lab:voa:blocked", "yes", timeout=10)
        assert str(got(client, "lab:voa:blocked")) == "yes"
        with pytest.raises(thread().RemoteError, match="choices 0 to 1"):
            client.put("lab:voa:blocked", 2, timeout=10)
        client.put("lab:pm:averaging", 5, timeout=10)
        assert got(client, "lab:pm:averaging") == 5
    assert station.device("voa", hal.VariableAttenuator).blocked is True


def test_the_role_at_a_device_server_decides_what_a_put_may(table: Table, tmp_path: Path) -> None:
    create_keys(tmp_path)
    devices = {"voa": ("keysight.attenuator", table.voa_end.resources["control"])}
    with server_of(station_of(devices), tmp_path) as shared:
        for client_name, allowed in (("vic", False), ("ann", True)):
            with (
                hal.Station.connect(address(shared, tmp_path, client_name)) as remote,
                served(remote, writable=["voa.attenuation"]) as client,
            ):
                got(client, "lab:voa:attenuation")
                if allowed:
                    client.put("lab:voa:attenuation", 3.0, timeout=10)
                    assert got(client, "lab:voa:attenuation") == 3.0
                    continue
                with pytest.raises(thread().RemoteError, match="may only look"):
                    client.put("lab:voa:attenuation", 3.0, timeout=10)
                assert got(client, "lab:voa:attenuation") == 0.0


def test_a_device_that_is_gone_is_invalid_and_comes_back(table: Table, station: hal.Station) -> None:
    with served(station) as client:
        assert got(client, "lab:pm:power") == pytest.approx(POWER_DBM, abs=0.01)
        hang = table.pm_end.faults.add("hang", direction="to_unit", seconds=60)
        until(lambda: got(client, "lab:pm:power").severity == INVALID)
        power, connected = got(client, "lab:pm:power"), got(client, "lab:pm:connected")
        assert math.isnan(power)
        assert "no reply" in power.raw.alarm.message
        assert (str(connected), connected.severity) == ("no", MAJOR)
        assert got(client, "lab:voa:attenuation").severity == NO_ALARM  # one device spoils no other
        hang.remove()
        until(lambda: got(client, "lab:pm:power").severity == NO_ALARM)
        assert str(got(client, "lab:pm:connected")) == "yes"


def test_a_device_that_is_not_there_yet_says_so_and_appears_when_it_is(tmp_path: Path) -> None:
    control = f"serial:{tmp_path}/selector?baudrate=115200"
    with station_of({"selector": ("dicon.selector", control)}) as station:
        station.on_exit = "keep"
        with server_for(station) as server:
            with client_of(server) as client:
                until(lambda: got(client, "lab:selector:connected").severity == MAJOR)
                assert "selector" in got(client, "lab:selector:connected").raw.alarm.message
            with launch("dicon.selector", wire_end="pty", resources={"control": control}), client_of(server) as client:
                until(lambda: got(client, "lab:selector:connected").severity == NO_ALARM)
                assert str(got(client, "lab:selector:connected")) == "yes"


def test_clients_are_told_of_changes(table: Table, station: hal.Station) -> None:
    told: list[float] = []
    dark = threading.Event()

    def changed(value: Any) -> None:
        told.append(float(value))
        if math.isnan(told[-1]):
            dark.set()

    queue = later("p4p.util")().ThreadedWorkQueue("told", workers=1, maxsize=0).start()
    try:
        with (
            served(station, writable=["voa.*"]) as client,
            client.monitor("lab:pm:power", changed, queue=queue),
        ):
            until(lambda: bool(told))
            client.put("lab:voa:blocked", "yes", timeout=10)
            table.settle()
            assert dark.wait(10)
    finally:
        queue.stop()
    assert told[0] == pytest.approx(POWER_DBM, abs=0.01)


def listening() -> set[str]:
    """Addresses and ports, in hexadecimal, where this process listens."""
    own = {str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()}
    rows = [
        line.split()
        for protocol in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{protocol}").read_text(encoding="ascii").splitlines()[1:]
    ]
    return {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in own}


def test_it_listens_on_the_loopback_interface_alone(station: hal.Station) -> None:
    before = listening()
    with served(station) as client:
        got(client, "lab:pm:connected")
        opened = listening() - before
        assert len(opened) == 1
        assert opened.pop().startswith("0100007F:")


def test_it_must_be_asked_for_by_name(station: hal.Station) -> None:
    with pytest.raises(hal.ConfigurationError, match="neither encryption nor proof of who asks"):
        epics().PvServer(station, insecure_pvaccess=False)
    with pytest.raises(hal.ConfigurationError) as told:
        epics().PvServer(
            station,
            insecure_pvaccess=True,
            interface="0.0.0.0",
            port=65536,
            prefix="a b",
            writable=["amp.power", "voa"],
            period_s=0.0,
        )
    assert len(told.value.mistakes) == 6


def test_an_address_of_another_machine_is_an_error(station: hal.Station) -> None:
    server = server_for(station, interface="192.0.2.199")
    with pytest.raises(hal.NotConnectedError, match=r"192\.0\.2\.199"):
        server.start()
    server.close()


def test_a_port_that_is_taken_is_an_error_and_no_other_is_used(station: hal.Station) -> None:
    first = epics().PvServer(station, insecure_pvaccess=True, port=0, search_port=0)
    with first, pytest.raises(hal.NotConnectedError, match="taken"):
        epics().PvServer(station, insecure_pvaccess=True, port=int(first.endpoint.split(":")[1]), search_port=0).start()


def test_a_calibrated_value_is_published_as_it_is_so_and_one_that_expired_is_minor(table: Table) -> None:
    corrected = '[devices.{}.calibrations.{}]\nunit = "{}"\noffset = {}\ndate = 2025-01-02\nsource = "bench"\n{}'
    devices = {
        "voa": ("keysight.attenuator", table.voa_end.resources["control"]),
        "pm": ("thorlabs.pm100", table.pm_end.resources["control"]),
    }
    more = corrected.format("voa", "attenuation", "dB", 1.5, "")
    more += corrected.format("pm", "power", "dBm", 20, "valid_until = 2025-02-03\n")
    with station_of(devices, more) as station:
        station.on_exit = "keep"
        with served(station) as client:
            attenuation, power = got(client, "lab:voa:attenuation"), got(client, "lab:pm:power")
    assert (float(attenuation), attenuation.severity) == (1.5, NO_ALARM)
    assert (attenuation.raw.control.limitLow, attenuation.raw.control.limitHigh) == (1.5, 41.5)
    assert power == pytest.approx(POWER_DBM + 20, abs=0.01)
    assert (power.severity, power.raw.alarm.message) == (MINOR, "uncertain: its calibration has expired")
