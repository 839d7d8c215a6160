"""Good and bad uses of the typed values, judged by mypy and basedpyright in `make check`, never run.

Each bad use carries an ignore for both checkers; both are set to complain about an ignore that ignores nothing, so a
bad use that became acceptable fails the check.
"""

from typing import assert_type

import tokaido.hal as hal
from tokaido.drivers import nec
from tokaido.drivers.toshiba import Receiver, Transmitter
from tokaido.emulators import Bench, Emulator, InstrumentEmulator, QkdLink, launch
from tokaido.hal.driver import Measured, Setting, measured, setting


def good(tx: hal.Transmitter, rx: hal.Receiver, driver: Transmitter, receiver: Receiver) -> None:
    assert_type(tx.laser_power, float)
    assert_type(driver.laser_power, float)
    assert_type(driver.attenuation, float)
    assert_type(tx.block_bits, int)
    assert_type(rx.shutter, hal.Shutter)
    assert_type(rx.detectors[0].bias, float)
    assert_type(receiver.detectors[0].gate_delay, float)
    assert_type(tx.state(), hal.UnitState)
    assert_type(tx.emitting(), bool)
    assert_type(tx.telemetry()[hal.Transmitter.laser_power], hal.Reading[float])
    assert_type(hal.Transmitter.open("toshiba.transmitter"), hal.Transmitter)
    tx.attenuation = 12.5
    tx.attenuation = 12
    rx.shutter = hal.Shutter.CLOSED
    rx.detectors[0].bias = 50.0
    before = tx.state()
    assert before is hal.UnitState.STANDBY
    tx.start()
    assert tx.state() is hal.UnitState.RUN  # not narrowed: a state is a call


def good_parts(tx: nec.Transmitter, rx: nec.Receiver, unit: hal.Unit) -> None:
    assert_type(tx.sub_channels[0].power, float)
    assert_type(tx.sub_channels[0].enabled, bool)
    assert_type(unit.sub_channels[0].wavelength, float)
    assert_type(rx.sub_channels[0].visibility, float)
    assert_type(rx.detectors[0].bias, float)
    assert_type(rx.interferometer_set_point, float)
    assert_type(tx.random_generator_healthy(), bool)
    tx.sub_channels[2].enabled = True
    rx.detectors[0].bias = 18
    rx.interferometer_set_point = 30.125


def bad_parts(tx: nec.Transmitter, rx: nec.Receiver, unit: hal.Unit) -> None:
    tx.sub_channels[0].power = 1.0  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    tx.sub_channels[0].enabled = "ON"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    _ = unit.sub_channels[0].power  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    rx.sub_channels[0].count_rate = 1.0  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    rx.interferometer_setpoint = 30.0  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


async def good_async(station: hal.Station) -> None:
    assert_type(station.device("alice", hal.Transmitter), hal.Transmitter)
    async with hal.aio.open(hal.Transmitter.open, "toshiba.transmitter", control="serial:/dev/ttyUSB0") as tx:
        assert_type(await tx.get(hal.Transmitter.laser_power), float)
        assert_type(await tx.ask(hal.Transmitter.state), hal.UnitState)
        await tx.set(hal.Transmitter.attenuation, 12.5)
        await tx.call(hal.Transmitter.start)
        await tx.set(hal.Transmitter.laser_power, 1.0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        await tx.set(hal.Transmitter.attenuation, "12")  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
        await tx.call(hal.Transmitter.start, 1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def good_declarations() -> None:
    """A third party's unit of measure is any text."""
    assert_type(measured(float, "POW", unit="mW"), Measured[float])
    assert_type(setting(bool, "LAS:EN", words=("OFF", "ON")), Setting[bool])


def good_launches(bench: Bench, name: str) -> None:
    """Options of our own devices are known by name; those of a third party's are a mapping."""
    assert_type(launch("toshiba.transmitter", warm=True, seed=3, state_directory="pads"), Emulator)
    assert_type(launch("nec.transmitter", sub_channels=2), Emulator)
    assert_type(launch("nec.receiver", sub_channels=2, detectors="avalanche"), Emulator)
    assert_type(launch("polatis.matrix", inputs=4, outputs=4, wire_end="tcp"), InstrumentEmulator)
    assert_type(launch("dicon.selector", channels=8), InstrumentEmulator)
    assert_type(launch("thorlabs.osw", stale="time"), InstrumentEmulator)
    assert_type(launch("acme.switch", model_options={"ports": 8}), InstrumentEmulator)
    assert_type(launch(name, speed=10.0), InstrumentEmulator)
    assert_type(bench.device("bob", "nec.receiver", detectors="nanowire"), Emulator)
    assert_type(bench.device("west", "polatis.matrix", inputs=4), InstrumentEmulator)
    assert_type(bench.device("west", "acme.switch", model_options={"ports": 8}), InstrumentEmulator)
    assert_type(QkdLink.launch("nec", sub_channels=2, block_bits=1_000_000), QkdLink)
    assert_type(QkdLink.launch("acme", model_options={"sub_channels": 2}), QkdLink)
    hal.Transmitter.open("toshiba.transmitter", **launch("toshiba.transmitter").resources)


def bad_launches(bench: Bench) -> None:
    launch("toshiba.transmitter", sub_channels=2)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType,reportCallIssue]
    launch("toshiba.receiver", warm="yes")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType,reportCallIssue]
    launch("nec.transmitter", detectors="avalanche")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    launch("nec.receiver", detectors="photomultiplier")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    launch("polatis.matrix", inputz=4)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    launch("polatis.matrix", warm=True, inputs=4)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    launch("dicon.selector", channels="8")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    launch("acme.switch", ports=8)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    bench.device("bob", "toshiba.receiver", detectors="nanowire")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    bench.device("west", "polatis.matrix", speed=2.0)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    QkdLink.launch("toshiba", sub_channels=2)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    QkdLink.launch(fiber=None)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def bad(tx: hal.Transmitter, rx: hal.Receiver, driver: Transmitter) -> None:
    tx.laser_power = 1.0  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    driver.laser_power = 1.0  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    tx.attenuation = "12"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    tx.attenuaton = 12.0  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    driver.attenuaton = 12.0  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    _ = tx.lazer_power  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    rx.shutter = "CLOSED"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    rx.detectors[0].bais = 1.0  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    rx.detectors[0].temperature = 1.0  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    tx.block_bits = 1.5  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    hal.Transmitter({})  # type: ignore[abstract]  # pyright: ignore[reportAbstractUsage]
    measured(float, "X")  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    measured(float, "X", unit=3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    measured(str, "X", absolute=(0, 1))  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
