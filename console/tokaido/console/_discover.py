"""The command `discover`: which serial ports there are, and, if asked to, who answers on them.

Without `--identify` no port is opened: the list comes from the kernel, from links in /dev and from udev.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokaido.hal as hal
from tokaido.console._output import escaped, on_terminal, print_json, table, terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokaido.hal import DriverEntry

LINK_DIRECTORIES = (Path("/dev/qkd"), Path("/dev/serial/by-id"))
UDEV_PROPERTIES = ("ID_TOKAIDO", "ID_MODEL", "ID_SERIAL_SHORT", "ID_MM_DEVICE_IGNORE")
UDEV_DEADLINE_S = 1.0
PORT_DEADLINE_S = 1.0


@dataclass(slots=True)
class FoundPort:
    """One serial port and what is known about it without opening it."""

    device: str
    description: str = ""
    vid_pid: str = ""
    serial_number: str = ""
    links: list[str] = field(default_factory=list)
    udev: dict[str, str] = field(default_factory=dict)
    answer: dict[str, str] | None = None
    """Who answered, or why nobody did; None if nobody was asked."""

    @property
    def address(self) -> str:
        """The name to use: a stable link before the kernel's own."""
        return self.links[0] if self.links else self.device

    def record(self) -> dict[str, Any]:
        """Return the port ready for JSON."""
        found: dict[str, Any] = {
            "device": self.device,
            "resource": f"serial:{self.address}",
            "description": self.description,
            "vid_pid": self.vid_pid,
            "serial_number": self.serial_number,
            "links": self.links,
            "udev": self.udev,
        }
        return found if self.answer is None else {**found, "answer": self.answer}


def discover(*, identify: bool, as_json: bool) -> None:
    """Print the serial ports, and who answers on them if `identify`."""
    ports = find_ports()
    if identify:
        ask_all(ports)
    if as_json:
        print_json([port.record() for port in ports])
        return
    if not ports:
        print("no serial ports found")
    elif on_terminal():
        terminal().print(_table(ports, identify=identify))
    else:
        for port in ports:
            print("\t".join((port.address, _what(port), _answer(port) if identify else _marks(port))))
    if ports and not identify and on_terminal():
        print("Nothing was opened; `tokaido discover --identify` asks who is there.")


def _table(ports: Iterable[FoundPort], *, identify: bool) -> Any:
    grid = table("resource", "what the port is", "who answers" if identify else "udev")
    for port in ports:
        said = _answer(port) if identify else _marks(port)
        colour = "green" if port.answer and "driver" in port.answer else ""
        grid.add_row(escaped(f"serial:{port.address}"), escaped(_what(port)), escaped(said), style=colour)
    return grid


def _what(port: FoundPort) -> str:
    words = (port.description, port.vid_pid, port.serial_number)
    return ", ".join(word for word in words if word) or "-"


def _marks(port: FoundPort) -> str:
    return ", ".join(f"{name}={value}" for name, value in port.udev.items()) or "-"


def _answer(port: FoundPort) -> str:
    answer = port.answer or {}
    if "driver" in answer:
        return f"{answer['driver']}: {answer['vendor']} {answer['model']} {answer['serial_number']}"
    return answer.get("error", "-")


# --- what the machine knows -------------------------------------------------------------------------------------------


def find_ports(link_directories: Sequence[Path] = LINK_DIRECTORIES) -> list[FoundPort]:
    """Return the serial ports, those behind links of ours included. Opens none of them."""
    from serial.tools import list_ports  # noqa: PLC0415 - pyserial, when first needed

    ports = {
        info.device: FoundPort(
            device=info.device,
            description="" if info.description in (None, "n/a") else info.description,
            vid_pid=f"{info.vid:04x}:{info.pid:04x}" if info.vid is not None and info.pid is not None else "",
            serial_number=info.serial_number or "",
        )
        for info in list_ports.comports()
    }
    for directory in link_directories:
        for link in sorted(directory.glob("*")):
            device = str(link.resolve())
            if link.is_symlink() and Path(device).is_char_device():
                ports.setdefault(device, FoundPort(device=device)).links.append(str(link))
    for port in ports.values():
        port.udev = udev_properties(port.device)
    return sorted(ports.values(), key=lambda port: (not port.links, port.device))


def udev_properties(device: str) -> dict[str, str]:
    """Return those properties of a port that matter here; none where there is no udev."""
    udevadm = shutil.which("udevadm")
    if udevadm is None:
        return {}
    known = Path("/sys/class/tty") / Path(device).name
    which = f"--path={known}" if known.exists() else f"--name={device}"
    try:
        said = subprocess.run(  # noqa: S603 - what is asked for is an argument of its own and begins with a path
            [udevadm, "info", "--query=property", which],
            capture_output=True,
            timeout=UDEV_DEADLINE_S,
            check=True,
            text=True,
            errors="replace",
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    properties = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    return {name: properties[name] for name in UDEV_PROPERTIES if name in properties}


# --- who answers ------------------------------------------------------------------------------------------------------


def ask_all(ports: Sequence[FoundPort]) -> None:
    """Ask who is there, on all ports at the same time; a silent port takes one second."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    entries = hal.drivers()
    with ThreadPoolExecutor(max_workers=8, thread_name_prefix="tokaido-identify") as executor:
        for port, answer in zip(ports, executor.map(lambda port: ask(port, entries), ports), strict=True):
            port.answer = answer


def ask(port: FoundPort, entries: Sequence[DriverEntry]) -> dict[str, str]:
    """Return who answers on a port: driver, vendor, model, serial_number and firmware, or the error that says why none.

    The drivers of one package speak the same protocol: where one of them hears nothing, the next would hear nothing
    either, so the second that a port gets is divided among packages and not among drivers.
    """
    families: dict[str, list[str]] = {}
    for entry in entries:
        families.setdefault(entry.target.partition(":")[0], []).append(entry.name)
    deadline = hal.Deadline(hal.SYSTEM_CLOCK, PORT_DEADLINE_S)
    errors: list[str] = []
    for index, names in enumerate(families.values()):
        share = hal.Deadline(hal.SYSTEM_CLOCK, deadline.remaining_s / (len(families) - index))
        error = ""
        for name in names:
            try:
                with hal.Device.open(name, control=f"serial:{port.address}", timeout=share.remaining_s) as device:
                    found = device.identity()
            except hal.DeviceBusyError as busy:
                return {"error": str(busy)}
            except hal.WrongDeviceError as wrong:
                error = f"{name}: {wrong.what}"  # somebody is there; the next driver of the family may know them
                continue
            except hal.ConfigurationError:
                continue  # a driver that takes no serial port, or cannot be imported, is none that could answer
            except hal.TokaidoError as silent:
                error = f"{name}: {silent.what}"
                break
            return {
                "driver": name,
                "vendor": found.vendor,
                "model": found.model,
                "serial_number": found.serial_number,
                "firmware": found.firmware,
            }
        if error:
            errors.append(error)
    return {"error": "; ".join(errors) or "no driver speaks over a serial port"}
