"""A USB adapter is plugged in: our rules name it, `tokaido discover` finds it, and a driver opens it by that name.

umockdev pretends that there is an adapter, udev says what our rules make of it, and that is put where udev's daemon
would have put it: a record in the database and a link in /dev. Behind the adapter is an emulated unit. All of it is in
a mount namespace and in umockdev's own /dev and /sys.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tokaido.emulators import launch

from .test_rules import FTDI, NAMESPACE, ask, udev

__all__ = ["udev"]
PLUG_IN = """
mount -t tmpfs tmpfs /run && mkdir -p /run/udev/data && cp "$1" /run/udev/data/c188:0 || exit 99
shift
exec "$@"
"""
INSIDE = """
import fcntl, os, sys, termios
from pathlib import Path

UNKNOWN = termios.TIOCEXCL, termios.TIOCNXCL  # to umockdev, which lets no ioctl through that it does not pretend itself
ioctl = fcntl.ioctl
fcntl.ioctl = lambda fd, request, *rest: 0 if request in UNKNOWN else ioctl(fd, request, *rest)
os.set_blocking = lambda fd, blocking: fcntl.fcntl(fd, fcntl.F_SETFL, 0 if blocking else os.O_NONBLOCK)

from tokaido.console import main

root, terminal, links = Path(os.environ["UMOCKDEV_DIR"]), sys.argv[1], sys.argv[2:]
tty = root / "dev" / "ttyUSB0"
tty.unlink()
tty.symlink_to(terminal)
for link in links:
    place = root / "dev" / link
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to("../ttyUSB0")
codes = [
    main(["discover", "--json"]),
    main(["discover", "--identify", "--json"]),
    main(["read", f"toshiba.transmitter@serial:/dev/{links[0]}", "state"]),
]
sys.exit(max(codes))
"""


@pytest.mark.usefixtures("udev")
def test_an_adapter_that_is_plugged_in_is_found_and_opened_by_its_stable_name(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    said = ask(rules, FTDI)
    properties = dict(re.findall(r"^(ID_[A-Z_]+)=(.*)$", said, re.MULTILINE))
    links = re.findall(r"/dev/(qkd/\S+)", dict(re.findall(r"^(DEVLINKS)=(.*)$", said, re.MULTILINE))["DEVLINKS"])
    record = tmp_path / "c188"
    record.write_text(
        "".join([*(f"S:{link}\n" for link in links), *(f"E:{name}={value}\n" for name, value in properties.items())]),
        encoding="ascii",
    )
    device = tmp_path / "adapter.umockdev"
    device.write_text(FTDI, encoding="ascii")
    with launch("toshiba.transmitter", serial_number="TKTX0001", seed=1) as unit:
        terminal = unit.control.link.resolve()
        umockdev = ["umockdev-run", "-d", str(device), "--", sys.executable, "-c", INSIDE, str(terminal), *links]
        done = subprocess.run(
            [*NAMESPACE, "sh", "-c", PLUG_IN, "sh", str(record), *umockdev],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found, rest = json.JSONDecoder().raw_decode(done.stdout)
    asked, state = json.JSONDecoder().raw_decode(done.stdout[rest:].lstrip())
    (port,) = found
    assert port["resource"] == "serial:/dev/qkd/TKTX0001"
    assert (port["vid_pid"], port["serial_number"]) == ("0403:6015", "TKTX0001")
    assert port["udev"]["ID_TOKAIDO"] == "1"
    assert port["udev"]["ID_MM_DEVICE_IGNORE"] == "1"
    assert asked[0]["answer"]["driver"] == "toshiba.transmitter"
    assert asked[0]["answer"]["serial_number"] == "TKTX0001"
    assert done.stdout.endswith("state\tOFF\n"), state
