"""`tokaido emulate` with every kind of device, and with the optics that a table `bench` describes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import tokaido.hal as hal
from tokaido.console import main
from tokaido.emulators import bench_from_station
from tokaido_testing.ports import free_port

from .test_emulate import emulated

Capture = pytest.CaptureFixture[str]
EXAMPLES = Path(__file__).parents[2] / "examples"


def two_paths(tmp_path: Path) -> str:
    """The example, at places of this test's own."""
    text = (EXAMPLES / "two_paths.toml").read_text(encoding="utf-8")
    text = text.replace("/tmp/tokaido-two-paths", str(tmp_path / "dev")).replace("speed = 10", "speed = 20")
    for port in (":5570?", ":5571?", "::5025::", ",4880::"):
        assert port in text
        text = text.replace(port, re.sub("[0-9]+", str(free_port()), port))
    return text


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "station.toml"
    path.write_text(text, encoding="utf-8")
    return path


def keys(name: str) -> str:
    return f'keys = "zmq:tcp://127.0.0.1:{free_port()}?server_key_file={name}.key&client_key_file=host.key_secret"\n'


# --- real runs --------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_the_example_fails_over_when_its_fibre_is_cut(tmp_path: Path) -> None:
    station = written(tmp_path, two_paths(tmp_path))
    code = "import sys, pathlib, runpy; runpy.run_path(sys.argv[1])['main'](pathlib.Path(sys.argv[2]))"
    with (
        emulated(station, tmp_path / "scratch") as emulation,
        subprocess.Popen(
            [sys.executable, "-c", code, str(EXAMPLES / "fail_over.py"), str(station)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as program,
    ):
        assert emulation.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline().startswith("link field from no path to A, fencing token 1:")
        emulation.stdin.write("cut A\n")
        emulation.stdin.flush()
        rest = program.stdout.read().splitlines()
        assert program.wait(timeout=20) == 0
        assert rest[0] == "LOS: the light is lost; moving to B"
        assert rest[-1].startswith("link field from A to B, fencing token 2:")
        with hal.Station.from_file(station) as site:
            assert site.link("field").path() == "B"
            bob = site.device("bob", hal.Receiver)
            assert bob.state() in hal.RUNNING
            assert bob.channel_loss == pytest.approx(9.3 + 6 * 0.3 + 1.5, abs=1.5)  # of B, connectors, two switches
    assert not (tmp_path / "dev").exists()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_every_vendor_is_served_on_the_wire_that_the_file_names(tmp_path: Path, capsys: Capture) -> None:
    station = written(
        tmp_path,
        f"""
        [devices.tx]
        driver = "nec.transmitter"
        serial_number = "TKNT0007"
        control = "visa:TCPIP::127.0.0.1::{free_port()}::SOCKET"
        {keys("tx")}
        emulator = {{ warm = true, sub_channels = 4, speed = 20 }}
        [devices.rx]
        driver = "nec.receiver"
        control = "visa:TCPIP::127.0.0.1::hislip0,{free_port()}::INSTR"
        {keys("rx")}
        emulator = {{ warm = true, detectors = "avalanche" }}
        [devices.matrix]
        driver = "polatis.matrix"
        control = "visa:ASRL{tmp_path}/dev/matrix::INSTR?baud_rate=38400"
        emulator = {{ inputs = 4, outputs = 8 }}
        [devices.plain]
        driver = "polatis.matrix"
        control = "serial:socket://127.0.0.1:{free_port()}"
        emulator = {{ inputs = 2, outputs = 2 }}
        [devices.selector]
        driver = "dicon.selector"
        control = "serial:{tmp_path}/dev/selector?baudrate=115200"
        emulator = {{ channels = 5 }}
        [devices.osw]
        driver = "thorlabs.osw"
        control = "serial:{tmp_path}/dev/osw?baudrate=115200"
        emulator = {{ model = "OSW22-1550E" }}
        [devices.real]
        driver = "thorlabs.osw"
        control = "serial:/dev/qkd/REAL"
        [links.field]
        transmitter = "tx"
        receiver = "rx"
        emulator = {{ length_km = 50, loss_db = 10 }}
        """,
    )
    with emulated(station, tmp_path / "scratch"):
        with hal.Station.from_file(station) as site:
            for name, size in (("matrix", (4, 8)), ("plain", (2, 2)), ("selector", (1, 5)), ("osw", (2, 2))):
                found = site.device(name, hal.OpticalSwitch).size()
                assert (found.inputs, found.outputs) == size
            site.device("matrix", hal.OpticalSwitch).connect(2, 7)
            assert site.device("matrix", hal.OpticalSwitch).connections() == {2: 7}
            tx, rx = site.device("tx", hal.Transmitter), site.device("rx", hal.Receiver)
            assert tx.identity().serial_number == "TKNT0007"
            assert len(tx.sub_channels) == 4
            assert rx.identity().model == "TB-RX8A"
            assert list(rx.key_blocks(0.1)) == []
        assert main(["emulate", str(station), "--seconds", "0"]) == 2
    said = capsys.readouterr().err
    assert f"devices.osw.control: {tmp_path}/dev/osw is there already" in said
    assert re.search(r"devices\.tx\.control: TCPIP::127\.0\.0\.1::[0-9]+::SOCKET cannot be bound", said)
    assert re.search(r"devices\.rx\.keys: tcp://127\.0\.0\.1:[0-9]+ cannot be bound", said)


# --- in a program -----------------------------------------------------------------------------------------------------

IN_PROCESS = """
[station]
on_exit = "keep"
[devices.alice]
driver = "toshiba.transmitter"
control = "serial:emu://from-station-alice"
keys = "zmq:ipc://{folder}/alice.ipc?server_key_file=alice.key&client_key_file=host.key_secret"
[devices.bob]
driver = "toshiba.receiver"
control = "serial:emu://from-station-bob"
keys = "zmq:ipc://{folder}/bob.ipc?server_key_file=bob.key&client_key_file=host.key_secret"
[devices.patch]
driver = "thorlabs.osw"
control = "serial:emu://from-station-patch"
[links.field]
transmitter = "alice"
receiver = "bob"
[bench.panels.P]
positions = 2
[bench.multiplexers.M]
loss_db = 0.5
[bench.fibres.A]
length_km = 10
loss_db_per_km = 0.2
[bench]
joins = [
    ["alice.quantum", "M.quantum", 0],
    ["alice.clock", "M.clock", 0],
    ["M.line", "P.front1", 0],
    ["P.back1", "A.a", 0.25],
    ["A.b", "bob"],
]
"""


def test_a_program_gets_the_bench_of_a_station_and_opens_its_devices(tmp_path: Path) -> None:
    text = IN_PROCESS.format(folder=tmp_path)
    station = hal.Station.from_text(text, base=tmp_path)
    with bench_from_station(station) as bench, station:
        path = bench.path("alice", "bob")
        assert path is not None
        assert path.fibres == ("A",)
        assert path.loss_db == pytest.approx(0.5 + 0.25 + 2.0 + 0.3)
        assert bench.preshared_key("alice", "bob").stat().st_mode & 0o777 == 0o600
        assert station.device("alice", hal.Transmitter).state() is hal.UnitState.OFF
        assert station.device("patch", hal.OpticalSwitch).connections() == {1: 1}
    assert (tmp_path / "alice.key_secret").exists()  # the station names it, so it stays


def test_no_other_program_could_open_a_place_within_this_one(tmp_path: Path) -> None:
    station = hal.Station.from_text(IN_PROCESS.format(folder=tmp_path), base=tmp_path)
    with pytest.raises(hal.ConfigurationError, match="no other one can open it") as refused:
        bench_from_station(station, for_others=True)
    assert len(refused.value.mistakes) == 3
    assert not (tmp_path / "alice.key").exists()


# --- mistakes ---------------------------------------------------------------------------------------------------------


def mistakes(text: str, tmp_path: Path) -> tuple[str, ...]:
    with pytest.raises(hal.ConfigurationError) as refused:
        bench_from_station(hal.Station.from_text(text, base=tmp_path), for_others=True)
    assert not (tmp_path / "keys").exists()
    assert not (tmp_path / "dev").exists()
    return refused.value.mistakes


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ('"west.in1"', '"west.in9"', "bench.joins, number 1: there is no port 'west.in9'. west has west.in1 to in4"),
        ('"B.b"', '"C.b"', "bench.joins, number 5: there is no port 'C.b'. "),
        ('"B.b"', '"A.b"', "bench.joins, number 5: A.b is joined to east.in1"),
        ('["B.b", "east.in2"]', '["B.b"]', "bench.joins, number 5: must be two ports"),
        ('["B.b", "east.in2"]', '["B.b", "east.in2", -1]', "bench.joins, number 5: must be two ports"),
        ("joins = [", "joints = [", "bench.joints: unknown key; known are seed, speed, fibres, panels, "),
        ("speed = 20", "speed = 0", "bench.speed: must be a number of emulated s per s"),
        ("length_km = 31, ", "", "bench.fibres.B: length_km is missing"),
        (
            "loss_db = 9.3",
            "loss_db = 9.3, loss_db_per_km = 0.3",
            "bench.fibres.B: fibre B: a fibre needs its loss once",
        ),
        ("B = { length_km = 31, loss_db = 9.3 }", "B = 9.3", "bench.fibres.B: must be a table with length_km"),
        ("inputs = 4", "inputs = 4000", "devices.west.emulator: there is no 4000x4 switch"),
        ("inputs = 4", 'inputs = "4"', "devices.west.emulator.inputs: must be a whole number, not '4'"),
        ("inputs = 4", "warm = true", "devices.west.emulator.warm: unknown key; known are serial_number, inputs"),
        ("warm = true", "seed = 3", "devices.alice.emulator.seed: is one for all devices; put it into [bench]: 3"),
        ('"TKRX0001"', '"TKTX0001"', "devices.bob: bob and alice both have the serial number TKTX0001"),
        ("load_preshared_key = true", "loss_db = 3", "links.field.emulator.loss_db: the bench has the fibres"),
        (
            "127.0.0.1::5025",
            "192.0.2.11::5025",
            "devices.west.control: TCPIP::192.0.2.11::5025::SOCKET is another host",
        ),
        ("127.0.0.1:5570", "192.0.2.11:5570", "devices.alice.keys: tcp://192.0.2.11:5570 is another host's address"),
        ("127.0.0.1:5570", "127.0.0.1:5571", "devices.bob.keys: tcp://127.0.0.1:5571 belongs to alice already"),
        (
            "::127.0.0.1::hislip0,4880::",
            "::127.0.0.1::",
            "devices.east.control: no emulated device can be at visa:TCPIP::127.0.0.1::INSTR",
        ),
        (
            "serial:/tmp/tokaido-two-paths/alice?baudrate=115200",
            "visa:ASRL/tmp/alice::INSTR",
            "devices.alice.control: TransmitterModel has no wire end 'asrl'",
        ),
        (
            "B = { west = [[1, 2]]",
            "B = { west = [[1, 3]]",
            "links.field.paths.B: light of alice does not come to bob: ",
        ),
        (
            "east = [[2, 1]]",
            "east = [[2, 7]]",
            "links.field.paths.B.east: [2, 7] does not exist; east is emulated as 4",
        ),
        ('"toshiba.receiver"', '"nec.receiver"', "links.field: bob makes nothing of the pulses of alice"),
    ],
)
def test_a_mistake_is_told_with_its_place(right: str, wrong: str, said: str, tmp_path: Path) -> None:
    text = two_paths(tmp_path)
    if right not in text:  # it is about a place of the example itself
        text = (EXAMPLES / "two_paths.toml").read_text(encoding="utf-8")
    assert right in text
    text = text.replace(right, wrong, 1)
    found = mistakes(text, tmp_path)
    assert any(mistake.startswith(said) for mistake in found), found


def test_mistakes_of_all_tables_are_told_at_once(tmp_path: Path) -> None:
    text = two_paths(tmp_path)
    for right, wrong in (
        ("load_preshared_key = true", 'settings = "fast"'),
        ('"east.out1", "bob"', '"east.out9", "bob"'),
        ("loss_db = 7.5", 'loss_db = "7.5"'),
        (
            "[bench.fibres]",
            '[bench.panels]\nP = { positions = 0 }\n[bench.fibres]\n"A B" = { length_km = 1, loss_db = 1 }',
        ),
        ('serial_number = "002415"', "serial_number = 2415"),
    ):
        assert right in text
        text = text.replace(right, wrong, 1)
    found = mistakes(text, tmp_path)
    places = [
        "devices.east.emulator.serial_number",
        "bench.fibres.A.loss_db",
        "bench.panels.P.positions",
        "links.field.emulator.settings",
        "bench.fibres.A B",
        "bench.joins, number 6",
    ]
    assert [mistake.partition(": ")[0] for mistake in found] == places


def test_a_link_with_paths_needs_the_optics(tmp_path: Path) -> None:
    text = two_paths(tmp_path).partition("[bench]")[0]
    found = mistakes(text, tmp_path)
    assert "links.field.paths: they lead over switches; describe the optics in a table [bench]" in found
    assert "links.field.emulator: length_km is missing" in found
