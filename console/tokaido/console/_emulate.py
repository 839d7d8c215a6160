"""The command `emulate`: the devices of a station file, at exactly the places that the file names."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

import tokaido.hal as hal
from tokaido.console._emulate_plan import EmulatedDevice, EmulatedLink, read_plan
from tokaido.console._output import print_facts
from tokaido.console._signals import terminated_as_interrupt

if TYPE_CHECKING:
    from tokaido.emulators import Emulator
    from tokaido.emulators.optics import PresetSettings


def run_emulation(station: Path, seconds: float | None) -> None:
    """Serve a station file until Ctrl-C or SIGTERM, or for `seconds`.

    Raises:
        ConfigurationError: With every mistake in the file; nothing was started.
    """
    plan = read_plan(station)
    with terminated_as_interrupt(), ExitStack() as stack:
        try:
            for device in plan.devices.values():
                _ensure_keys(device)
                _ensure_free(device)
            for link in plan.links:
                _serve_link(stack, link)
            for device in plan.alone:
                _serve_alone(stack, device)
            first = next(iter(plan.devices))
            print(f"Ctrl-C ends it. In another terminal: tokaido read '{station}#{first}'", flush=True)
            _wait(seconds)
        except KeyboardInterrupt:
            pass
    print("ended; nothing is left behind but the CURVE keys")


def _wait(seconds: float | None) -> None:
    deadline = None if seconds is None else hal.Deadline(hal.SYSTEM_CLOCK, seconds)
    while deadline is None or not deadline.passed:
        hal.SYSTEM_CLOCK.wait(0.5 if deadline is None else min(0.5, deadline.remaining_s))


def _serve_link(stack: ExitStack, link: EmulatedLink) -> None:
    from tokaido.emulators import QkdLink  # noqa: PLC0415 - numpy and ZeroMQ, when first needed
    from tokaido.emulators.optics import Fibre  # noqa: PLC0415

    units = link.transmitter, link.receiver
    serials = (
        units[0].options.get("serial_number", "TKTX0001"),
        units[1].options.get("serial_number", "TKRX0001"),
    )
    directory = _own_directory(stack, dict(zip(serials, units, strict=True)))
    running = stack.enter_context(
        QkdLink.launch(
            fibre=Fibre(length_km=link.length_km, loss_db=link.loss_db),
            settings=cast("PresetSettings", link.settings),
            serial_numbers=serials,
            seed=link.option("seed", 0),
            speed=link.option("speed", 1.0),
            warm=link.option("warm", False),
            load_preshared_key=link.load_preshared_key,
            directory=directory,
        )
    )
    for emulator, unit in zip((running.transmitter, running.receiver), units, strict=True):
        emulator.move(_places(unit))
        _tell(emulator, unit)
    key = "loaded into both units" if link.load_preshared_key else f"{running.preshared_key_file}, for both units"
    print(f"link {link.name}: {link.length_km:g} km, {link.loss_db:g} dB, settings {link.settings}")
    print_facts([("from, to", f"{units[0].name}, {units[1].name}"), ("pre-shared key", key)])


def _serve_alone(stack: ExitStack, device: EmulatedDevice) -> None:
    from tokaido.emulators import launch  # noqa: PLC0415

    serial = device.options.get("serial_number", device.name.upper())
    options = {**device.options, "serial_number": serial}
    emulator = launch(device.driver, resources=_places(device), **options)
    _tell(stack.enter_context(emulator), device)


def _own_directory(stack: ExitStack, devices: dict[str, EmulatedDevice]) -> Path:
    """Return a folder, removed at the end, in which emulators find the station's keys under their serial numbers."""
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tokaido-")))
    for serial, device in devices.items():
        for name, file in ((serial, device.server_keys), (f"{serial}-host", device.client_keys)):
            for suffix in (".key", ".key_secret"):
                (directory / f"{name}{suffix}").symlink_to(file.with_suffix(suffix))
    return directory


def _places(device: EmulatedDevice) -> dict[str, str]:
    """Return where the station file says that a device is."""
    server, client = device.server_keys.with_suffix(".key"), device.client_keys.with_suffix(".key_secret")
    keys = f"zmq:{device.endpoint}?server_key_file={quote(str(server))}&client_key_file={quote(str(client))}"
    return {"control": f"serial:{quote(str(device.port))}", "keys": keys}


def _tell(emulator: Emulator, device: EmulatedDevice) -> None:
    print(f"device {device.name}: {emulator.serial_number}, {device.driver}")
    print_facts([("control", f"serial:{device.port}"), ("keys", f"zmq:{device.endpoint}")])


def _ensure_keys(device: EmulatedDevice) -> None:
    """Make the CURVE keys of the device and of its host, if they are absent."""
    for file in (device.server_keys, device.client_keys):
        if not file.exists():
            hal.create_curve_keys(file.parent, file.stem)
            print(f"made CURVE keys {file.with_suffix('.key')} and {file.with_suffix('.key_secret').name}")


def _ensure_free(device: EmulatedDevice) -> None:
    """See that the endpoint can be bound.

    Raises:
        ConfigurationError: It cannot.
    """
    import zmq  # noqa: PLC0415 - when first needed

    with zmq.Context() as context, context.socket(zmq.ROUTER) as probe:
        try:
            probe.bind(device.endpoint)
        except zmq.ZMQError as error:
            raise hal.ConfigurationError(
                f"devices.{device.name}.keys: {device.endpoint} cannot be bound: {zmq.strerror(error.errno or 0)}",
                remedy="End what uses it, or name another port",
            ) from error
