"""The pytest plugin: fixtures of emulated QKD equipment, or of a real station. Loaded by pytest's entry point.

Importing it costs next to nothing: what a fixture needs is imported when it is first asked for.
"""

from __future__ import annotations

import random
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    import tokaido.hal as hal
    from tokaido.emulators import Bench
    from tokaido.emulators.testing import FaultBox, LinkInTest, World

D = TypeVar("D", bound="hal.Device")
_WORLD = pytest.StashKey["World"]()
_FAILED = pytest.StashKey[bool]()


# --- options and markers ----------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("tokaido", "QKD equipment (Tokaido)")
    group.addoption("--tokaido-seed", type=int, metavar="N", help="Seed of the emulated world; default: a new one.")
    group.addoption("--tokaido-station", metavar="FILE", help="Run the tests on the real devices of a station file.")
    group.addoption(
        "--tokaido-link", default="", metavar="NAME", help="Which link of the station; default: the only one."
    )
    group.addoption(
        "--tokaido-vendor", default="toshiba", metavar="FAMILY", help="Family of the emulated units; default: toshiba."
    )
    group.addoption(
        "--tokaido-wire-end",
        default="",
        metavar="END",
        help="What carries the control ports: pty, tcp, hislip or asrl (real wires in real time), emu or visa (within "
        "the process); default: within the process, in time that passes by waiting.",
    )
    parser.addini("tokaido_station_file", "Station file of the fixture tokaido_station, relative to this ini file.")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, and choose the seed once for the run."""
    for line in (
        "tokaido_vendor(family): family of the emulated units, such as 'nec'.",
        "tokaido_wire_end(end): what carries the control ports of emulated devices, such as 'pty'.",
        "tokaido_station_file(file): station file of the fixture tokaido_station, relative to the test's own file.",
        "tokaido_switch(driver, **options): driver of the fixture optical_switch, and options of its emulator.",
        "tokaido_fault(device, kind, **options): a fault that is there from the beginning of the test.",
        "tokaido_in_thread(speed=20): emulated time passes in a thread: for tests with threads of their own.",
        "tokaido_emulated(reason): only an emulator can do this; skipped on a real station.",
    ):
        config.addinivalue_line("markers", line)
    seed = config.getoption("tokaido_seed", default=None)
    worker_input = getattr(config, "workerinput", None)
    if worker_input is not None:  # a worker of pytest-xdist has the seed of its controller
        seed = worker_input["tokaido_seed"]
    config._tokaido_seed = random.SystemRandom().randrange(1 << 31) if seed is None else seed  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give a worker of pytest-xdist the seed."""
    node.workerinput["tokaido_seed"] = node.config._tokaido_seed


def pytest_collection_finish(session: pytest.Session) -> None:
    """Import what the fixtures need if a test asks for one, so that the first link takes no longer than the others."""
    fixtures = (name for item in session.items for name in getattr(item, "fixturenames", ()))
    if session.config.option.collectonly or "tokaido_world" not in fixtures:
        return
    import tokaido.hal as hal

    import_module("tokaido.emulators.testing")
    vendor = session.config.getoption("tokaido_vendor")
    for entry in (*hal.drivers(), *hal.emulators()):
        if entry.name in (f"{vendor}.transmitter", f"{vendor}.receiver"):
            with suppress(Exception):  # the test that needs it says so
                entry.load()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what only an emulator can do."""
    if not item.config.getoption("tokaido_station"):
        return
    for marker in item.iter_markers("tokaido_emulated"):
        reason = marker.args[0] if marker.args else marker.kwargs.get("reason", "only an emulator can do this")
        pytest.skip(f"on a real station: {reason}")
    if item.get_closest_marker("tokaido_fault") is not None:
        pytest.skip("on a real station: faults are for emulators")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show seed and wires with every failure."""
    report = yield
    world = item.stash.get(_WORLD, None)
    if report.failed:
        item.stash[_FAILED] = True
    if world is not None and report.failed:
        lines = [f"--tokaido-seed {world.seed} repeats it"]
        lines += world.records or ["nothing passed on a wire"]
        report.sections.append((f"Tokaido, {call.when}", "\n".join(lines)))
    return report


# --- fixtures ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def tokaido_seed(request: pytest.FixtureRequest) -> int:
    """Seed of all that is random in this test: that of the run, which --tokaido-seed sets and every failure shows."""
    return int(request.config._tokaido_seed)  # type: ignore[attr-defined]


@pytest.fixture
def tokaido_world(
    request: pytest.FixtureRequest,
    tokaido_seed: int,
    tokaido_wire_end: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """The surroundings of this test: clock, bench or station, and what passed on the wires.

    What the other fixtures give lives in it. After the test all of it is closed, and the test fails if threads,
    descriptors, emulated devices or files are left that were not there before.
    """
    import tokaido.hal as hal
    from tokaido.emulators.testing import Leftovers, World

    in_thread = request.node.get_closest_marker("tokaido_in_thread")
    file = request.config.getoption("tokaido_station")
    station = hal.Station.from_file(file) if file else None
    directory: Path = tmp_path_factory.mktemp("tokaido")
    before = Leftovers()
    speed = in_thread.kwargs.get("speed", 20.0) if in_thread is not None else 20.0
    with World(
        seed=tokaido_seed,
        directory=directory,
        station=station,
        in_thread=in_thread is not None,
        speed=speed,
        wire_end=tokaido_wire_end,
    ) as world:
        if world.real:
            world.failing = lambda what: pytest.skip(f"on a real station: {what}")
        request.node.stash[_WORLD] = world
        yield world
    left = before.found(but_under=directory if request.node.stash.get(_FAILED, False) else None)
    left += [f"file {path}" for path in sorted(directory.rglob("*"))]
    if left:
        pytest.fail("the test left behind: " + "; ".join(left), pytrace=False)


@pytest.fixture
def tokaido_clock(tokaido_world: World) -> hal.Clock:
    """The clock of this test: `tokaido_clock.wait(60)` lets a minute pass for the devices, and takes none of yours.

    Give it to devices that the test opens itself, with `nonces=tokaido_world.nonces("alice")` beside it. With threads,
    on real wires and on real equipment it is the clock of the machine.
    """
    return tokaido_world.clock


@pytest.fixture
def tokaido_bench(tokaido_world: World) -> Bench:
    """The bench of this test: the emulated optics. Put devices and fibres on it before anything is asked of them."""
    return tokaido_world.bench


@pytest.fixture
def tokaido_vendor(request: pytest.FixtureRequest) -> str:
    """Family of the emulated units, such as "toshiba" or "nec".

    Set it by indirect parametrization, by the marker `tokaido_vendor("nec")` or by the option --tokaido-vendor.
    """
    return _chosen(request, "tokaido_vendor")


@pytest.fixture
def tokaido_wire_end(request: pytest.FixtureRequest) -> str:
    """What carries the control ports of emulated devices: "pty", "tcp", "hislip", "asrl", "emu" or "visa".

    Set it by indirect parametrization, by the marker `tokaido_wire_end("pty")` or by the option --tokaido-wire-end. By
    default it is empty: devices are within the process, and time passes by waiting. The first four are real wires, and
    time is real then, or scaled by the marker `tokaido_in_thread(speed=20)`.
    """
    return _chosen(request, "tokaido_wire_end")


def _chosen(request: pytest.FixtureRequest, name: str) -> str:
    """Return what a test chose by parameter, by marker, or by option."""
    if hasattr(request, "param"):
        return str(request.param)
    marker = request.node.get_closest_marker(name)
    return str(marker.args[0] if marker is not None else request.config.getoption(name))


@pytest.fixture
def tokaido_station(request: pytest.FixtureRequest, tokaido_world: World) -> hal.Station:
    """A whole station, as a station file describes it, with its devices and its optics emulated.

    The marker `tokaido_station_file("lab.toml")` names the file, relative to the test's own, or the ini option
    `tokaido_station_file` does for all tests. Devices open on first use: `tokaido_station.device("alice",
    hal.Transmitter)`. With --tokaido-station it is the real one.
    """
    if tokaido_world.station is not None:
        return tokaido_world.station
    station = tokaido_world.emulate_station(_station_file(request))
    _add_marked_faults(request, tokaido_world)
    return station


def _station_file(request: pytest.FixtureRequest) -> Path:
    marker = request.node.get_closest_marker("tokaido_station_file")
    if marker is not None:
        return request.path.parent / str(marker.args[0])
    file = str(request.config.getini("tokaido_station_file"))
    if not file:
        pytest.fail(
            "tokaido_station needs a station file: mark the test @pytest.mark.tokaido_station_file('lab.toml'), or set "
            "the ini option tokaido_station_file",
            pytrace=False,
        )
    return (request.config.inipath or request.config.rootpath / "ini").parent / file


@pytest.fixture
def faults(tokaido_world: World) -> FaultBox:
    """Faults to add and remove while the test runs: `faults.cut("A")`, `faults.add("receiver", "drop", count=1)`."""
    from tokaido.emulators.testing import FaultBox

    return FaultBox(tokaido_world)


@pytest.fixture
def qkd_link(request: pytest.FixtureRequest, tokaido_world: World, tokaido_vendor: str) -> LinkInTest:
    """A QKD link at STANDBY: `.transmitter`, `.receiver`, `.start()`, `.wait_for(...)`, `.draw()`.

    A test that asks for `optical_switch` too gets one over a switch and two fibres. With `tokaido_station`, or on real
    equipment, it is the link of the station as it is found.
    """
    switched = "optical_switch" in request.fixturenames or "switched_link" in request.fixturenames
    return _link(request, tokaido_world, tokaido_vendor, switched=switched)


@pytest.fixture
def switched_link(qkd_link: LinkInTest) -> LinkInTest:
    """A QKD link at STANDBY over a switch and two fibres, on A; `.use("B")` brings it onto the other one."""
    return qkd_link


@pytest.fixture
def running_qkd_link(qkd_link: LinkInTest) -> LinkInTest:
    """A QKD link that exchanges keys; `.draw()` gives the next key block of both ends."""
    qkd_link.start()
    return qkd_link


def _link(request: pytest.FixtureRequest, world: World, vendor: str, *, switched: bool) -> LinkInTest:
    import tokaido.hal as hal
    from tokaido.emulators.testing import LinkInTest

    if "tokaido_station" in request.fixturenames:
        request.getfixturevalue("tokaido_station")
    link = LinkInTest(world, vendor, switched=switched, name=str(request.config.getoption("tokaido_link")))
    if world.station is None:
        link.wait_for(hal.UnitState.STANDBY)
        _add_marked_faults(request, world)
    return link


@pytest.fixture
def transmitter(request: pytest.FixtureRequest, tokaido_world: World) -> hal.Transmitter:
    """A transmitter that was just switched on, or that of the link if the test has one."""
    import tokaido.hal as hal

    return _device(request, tokaido_world, hal.Transmitter, "transmitter")


@pytest.fixture
def receiver(request: pytest.FixtureRequest, tokaido_world: World) -> hal.Receiver:
    """A receiver that was just switched on, or that of the link if the test has one."""
    import tokaido.hal as hal

    return _device(request, tokaido_world, hal.Receiver, "receiver")


@pytest.fixture
def optical_switch(request: pytest.FixtureRequest, tokaido_world: World) -> hal.OpticalSwitch:
    """An optical switch: that of the link if the test has one, else one by itself (marker `tokaido_switch`)."""
    import tokaido.hal as hal

    return _device(request, tokaido_world, hal.OpticalSwitch, "optical_switch")


_LINKS = {"qkd_link", "switched_link", "running_qkd_link"}
_DEVICES = {"transmitter": "alice", "receiver": "bob", "optical_switch": "switch"}


def _device(request: pytest.FixtureRequest, world: World, role: Callable[..., D], fixture: str) -> D:
    """Return the device of a fixture: of the link, of the real station, or by itself on the bench."""
    if _LINKS & set(request.fixturenames):
        found: D = getattr(request.getfixturevalue("qkd_link"), fixture)
        return found
    if "tokaido_station" in request.fixturenames:
        request.getfixturevalue("tokaido_station")
    if world.station is not None:
        fitting = [entry.name for entry in world.station.devices.values() if _fits(entry.driver, role)]
        if not fitting:
            world.failing(f"it has no {fixture.replace('_', ' ')}")
        return world.open(role, fitting[0])
    drivers = _drivers(request)
    if not world.bench.devices:  # all of them, before time begins
        for name in _DEVICES.keys() & set(request.fixturenames):
            driver, options = drivers[name]
            world.emulate(_DEVICES[name], driver, **options)
        world.start()
        device = world.open(role, _DEVICES[fixture], drivers[fixture][0])
        _add_marked_faults(request, world)
        return device
    return world.open(role, _DEVICES[fixture], drivers[fixture][0])


def _drivers(request: pytest.FixtureRequest) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return driver and emulator's options of each device that stands by itself."""
    vendor = request.getfixturevalue("tokaido_vendor")
    marker = request.node.get_closest_marker("tokaido_switch")
    switch = ("polatis.matrix", {"inputs": 4, "outputs": 4}) if marker is None else (marker.args[0], marker.kwargs)
    return {
        "transmitter": (f"{vendor}.transmitter", {}),
        "receiver": (f"{vendor}.receiver", {}),
        "optical_switch": switch,
    }


def _fits(driver: str, role: Callable[..., Any]) -> bool:
    """Whether a driver has a role."""
    import tokaido.hal as hal

    try:
        hal.load_driver(driver, role)
    except hal.ConfigurationError:
        return False
    return True


def _add_marked_faults(request: pytest.FixtureRequest, world: World) -> None:
    from tokaido.emulators.testing import FaultBox

    for marker in request.node.iter_markers("tokaido_fault"):
        FaultBox(world).add(*marker.args, **marker.kwargs)
