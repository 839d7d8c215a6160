"""What a node takes that reads its devices once a second: processor time of the daemon alone.

The devices are emulated in a process of their own, as in `idle`; units stand at STANDBY, and the node asks each for
state, alarms, link, authentication key, telemetry and, twice a second, for key blocks. Its neighbour does not answer.
Run it by `python benchmarks/node_devices.py`.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from idle import served
from measuring import Figure, show, spread
from node import process
from tokaido.node.operation import ControlClient
from tokaido.node.pki import issue
from tokaido.node.store import new_wrapping_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokaido.node.operation import NodeStatus

TOSHIBA = "toshiba.transmitter", "toshiba.receiver"
NEC = "nec.transmitter", "nec.receiver"
OTHERS = *["polatis.matrix"] * 4, *["fiberlabs.amplifier"] * 2
STATIONS = {
    "6 units, 4 switches, 2 amplifiers": (*TOSHIBA, *NEC, *NEC, *OTHERS),
    "12 Toshiba-style units": TOSHIBA * 6,
    "12 NEC-style units": NEC * 6,
    "12 switches": ["polatis.matrix"] * 12,
}
SETTLING_S = 6.0
"""Until all devices are open and caches are full."""
WINDOWS = 4
WINDOW_S = 5.0


def measure() -> list[Figure]:
    """Return the rows of the table."""
    return [polled(name, devices) for name, devices in STATIONS.items()]


def polled(name: str, devices: Sequence[str]) -> Figure:
    """Return what a node takes that polls devices at 1 Hz, in percent of a core."""
    with tempfile.TemporaryDirectory() as folder, served(devices) as (_, resources):
        issue(Path(folder) / "pki", nodes={"otemachi": ()}, saes=())
        write_files(Path(folder), ({"driver": driver, **of} for driver, of in zip(devices, resources, strict=True)))
        with process("devices", folder, "otemachi") as pid:
            time.sleep(SETTLING_S)
            shares = []
            for _ in range(WINDOWS):
                began_s, began = cpu_s(pid), time.perf_counter()
                time.sleep(WINDOW_S)
                shares.append(100 * (cpu_s(pid) - began_s) / (time.perf_counter() - began))
            check(ControlClient(Path(folder) / "otemachi.sock").status())
    return spread(shares).figure(f"a node that polls {name} at 1 Hz: CPU", "%", "<= 10 %")


def check(status: NodeStatus) -> None:
    """See that all devices were read."""
    answered = [
        *((one.name, one.answered_s) for one in status.links),
        *((it.name, it.answered_s) for it in status.devices),
    ]
    late = [name for name, answered_s in answered if answered_s is None or answered_s > 3]
    if late or any(link.state not in {"", "STANDBY"} for link in status.links):
        raise RuntimeError(f"not read: {late}; {status.links}")


def write_files(
    folder: Path,
    devices: Iterable[dict[str, str]],
    *,
    names: tuple[str, str] = ("otemachi", "koganei"),
    listen: str = 'neighbours = "127.0.0.1:0"',
    url: str = "https://127.0.0.1:1",
    more: str = "[supervision]\nstart = false\n",
) -> Path:
    """Write the files of a node whose links have the units among these devices, and return its own.

    Args:
        folder: Where the certificates are, in `pki`.
        devices: Driver and resources of each; they are called d0, d1 and so on, and the links of units l0, l1.
        names: Of the node and its neighbour.
        listen: The table `listen`.
        url: Where the neighbour listens.
        more: Further tables.
    """
    name, other = names
    station = [f'[station]\nname = "{name}"']
    for number, device in enumerate(devices):
        station += [f"[devices.d{number}]", *(f'{key} = "{value}"' for key, value in device.items())]
        if "keys" in device:
            station += [f"[links.l{number}]", f'unit = "d{number}"', f'neighbour = "{other}"']
    (folder / f"{name}-station.toml").write_text("\n".join(station), encoding="utf-8")
    new_wrapping_key(folder / f"{name}.key")
    link = "" if "[links." in "".join(station) else f'[links.l0]\nsource = "d0"\nneighbour = "{other}"\n'
    (folder / f"{name}.toml").write_text(
        f'[node]\nname = "{name}"\nstation = "{name}-station.toml"\nemulation = true\n'
        f'[store]\npath = "{name}.sqlite"\nkey_file = "{name}.key"\n'
        f'[tls]\ncertificate = "pki/node-{name}.pem"\nkey = "pki/node-{name}.key"\nauthority = "pki/ca.pem"\n'
        f'[listen]\n{listen}\n{link}[neighbours.{other}]\nurl = "{url}"\n{more}',
        encoding="utf-8",
    )
    return folder / f"{name}.toml"


def cpu_s(pid: int) -> float:
    """Return what all threads of a process took, in s; Linux gives each process a clock of its own."""
    return time.clock_gettime((~pid << 3) | 2)


if __name__ == "__main__":
    show(measure())
