"""The command `emulate`: the devices of a station file, at exactly the places that the file names."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

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
        _place(stack, emulator, unit)
    key = "loaded into both units" if link.load_preshared_key else f"{running.preshared_key_file}, for both units"
    print(f"link {link.name}: {link.length_km:g} km, {link.loss_db:g} dB, settings {link.settings}")
    print_facts([("from, to", f"{units[0].name}, {units[1].name}"), ("pre-shared key", key)])


def _serve_alone(stack: ExitStack, device: EmulatedDevice) -> None:
    from tokaido.emulators import launch  # noqa: PLC0415

    serial = device.options.get("serial_number", device.name.upper())
    directory = _own_directory(stack, {serial: device})
    options = {**device.options, "serial_number": serial}
    _place(stack, stack.enter_context(launch(device.driver, directory=directory, **options)), device)


def _own_directory(stack: ExitStack, devices: dict[str, EmulatedDevice]) -> Path:
    """Return a folder, removed at the end, in which emulators find the station's keys under their serial numbers."""
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tokaido-")))
    for serial, device in devices.items():
        for name, file in ((serial, device.server_keys), (f"{serial}-host", device.client_keys)):
            for suffix in (".key", ".key_secret"):
                (directory / f"{name}{suffix}").symlink_to(file.with_suffix(suffix))
    return directory


def _place(stack: ExitStack, emulator: Emulator, device: EmulatedDevice) -> None:
    """Bring an emulator's console and key channel to where the station file says they are."""
    emulator.keys.unplug()
    emulator.keys.endpoint = device.endpoint
    emulator.keys.replug()
    try:
        if not device.port.parent.exists():
            device.port.parent.mkdir(parents=True)
            stack.callback(_remove_folder, device.port.parent)
        temporary = device.port.with_name(f".{device.port.name}.new")
        temporary.unlink(missing_ok=True)
        temporary.symlink_to(emulator.control.link)
        temporary.replace(device.port)
    except OSError as error:
        raise hal.ConfigurationError(
            f"devices.{device.name}.control: {device.port} cannot be made: {error.strerror}"
        ) from error
    stack.callback(_remove, device.port, emulator.control.link)
    print(f"device {device.name}: {emulator.serial_number}, {device.driver}")
    print_facts([("control", f"serial:{device.port}"), ("keys", f"zmq:{device.endpoint}")])


def _remove(port: Path, target: Path) -> None:
    with suppress(OSError):
        if port.readlink() == target:  # and not what somebody else put there since
            port.unlink()


def _remove_folder(folder: Path) -> None:
    with suppress(OSError):  # somebody keeps something in it
        folder.rmdir()


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
