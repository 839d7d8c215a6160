"""The udev rules: what they match, what they leave alone, and that udev reads them without complaint.

The second half asks udev itself, on devices that umockdev pretends to have. It runs without privileges and with a /run
of its own, so it touches neither the machine's udev database nor its /dev.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = ROOT / "udev"
MARKS, UACCESS, DIALOUT = "60-tokaido.rules", "61-tokaido-uaccess.rules", "61-tokaido-dialout.rules"
NODE = "62-tokaido-node.rules"
FTDI = (Path(__file__).parent / "ftdi-tokaido.umockdev").read_text(encoding="ascii")
USB = "/devices/pci0000:00/0000:00:14.0/usb1/1-2"
PORT = f"{USB}/1-2:1.0/ttyUSB0"
TTY = f"{PORT}/tty/ttyUSB0"
COMPLAINT = re.compile(r"tokaido[^ ]*\.rules:\d+ .*(invalid|no matching|ignoring|unknown|unterminated)", re.IGNORECASE)


def lines(name: str) -> list[str]:
    text = (RULES / name).read_text(encoding="ascii")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


# --- what can be seen without udev ------------------------------------------------------------------------------------


def test_the_files_are_shipped_under_their_own_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shared = project["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert {Path(source).name for source in shared} >= {MARKS, UACCESS, DIALOUT}
    assert "60-serial.rules" < MARKS < UACCESS < "71-seat.rules"


def test_no_adapter_is_matched_by_its_maker_alone_and_no_other_id_is_claimed() -> None:
    for line in lines(MARKS):
        if "idVendor" in line:
            assert re.search(r'ATTRS?\{idVendor\}=="0403"', line)
            assert re.search(r'ATTRS?\{product\}=="Tokaido\*"', line)


def test_nothing_is_opened_to_everybody() -> None:
    for name in (MARKS, UACCESS, DIALOUT):
        assert all(mode == "0660" for line in lines(name) for mode in re.findall(r'MODE:?="(\d+)"', line))
    assert not any("MODE" in line or "GROUP" in line or "TAG" in line for line in lines(MARKS))


def test_every_file_leaves_removed_devices_alone_and_has_its_label() -> None:
    for name in (MARKS, UACCESS, DIALOUT):
        label = re.fullmatch(r'ACTION=="remove", GOTO="(\w+)"', lines(name)[0])
        assert label is not None
        assert lines(name)[-1] == f'LABEL="{label[1]}"'


# --- what udev says ---------------------------------------------------------------------------------------------------

SCRIPT = """
mount -t tmpfs tmpfs /run && mkdir -p /run/udev/rules.d && cp "$1"/* /run/udev/rules.d/ || exit 99
mv /run/udev/rules.d/device.umockdev /run/
chmod -R a+rX /run
if [ "$3" = root ]; then set -- "$1" "$2" setpriv --reuid=65534 --regid=65534 --clear-groups; else set -- "$1" "$2"; fi
device=$2; shift 2
exec "$@" umockdev-run -d /run/device.umockdev -- udevadm test --action=add "/sys$device"
"""
NAMESPACE = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]


@cache
def obstacle() -> str:
    """Why udev cannot be asked here; empty if it can."""
    needed = {"udevadm": "udev", "umockdev-run": "umockdev", "unshare": "util-linux", "setpriv": "util-linux"}
    if missing := sorted({package for tool, package in needed.items() if shutil.which(tool) is None}):
        return f"Debian packages are missing: {', '.join(missing)}"
    if subprocess.run(
        [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/run"], capture_output=True, check=False
    ).returncode:
        return "this machine gives no mount namespace"
    return ""


@pytest.fixture
def udev() -> None:
    """Skip where udev cannot be asked; in CI that is an error, since nobody would notice."""
    if why := obstacle():
        if os.environ.get("CI") == "true":
            pytest.fail(f"the udev rules cannot be tested: {why}")
        pytest.skip(why)


def ask(tmp_path: Path, fixture: str, device: str = TTY, access: str = DIALOUT, **rules: str) -> str:
    """Return all that `udevadm test` says about a pretended device, our rules and perhaps others in place."""
    for name in (MARKS, access):
        shutil.copy(RULES / name, tmp_path)
    for name, text in rules.items():
        (tmp_path / f"{name.removeprefix('_').replace('_', '-')}.rules").write_text(text)
    (tmp_path / "device.umockdev").write_text(fixture)
    who = "root" if os.geteuid() == 0 else "user"
    done = subprocess.run(
        [*NAMESPACE, "sh", "-c", SCRIPT, "sh", tmp_path, device, who],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    said = done.stdout + done.stderr
    assert "tokaido.rules" in said, said
    return said


@pytest.mark.usefixtures("udev")
class TestUdev:
    def test_a_unit_gets_its_name_and_its_mark_and_no_modem_manager(self, tmp_path: Path) -> None:
        said = ask(tmp_path, FTDI)
        assert "/dev/qkd/TKTX0001" in said
        assert "ID_TOKAIDO=1" in said
        assert "ID_MM_DEVICE_IGNORE=1" in said
        assert re.search(rf"{DIALOUT}:\d+ .*group", said, re.IGNORECASE)
        assert not COMPLAINT.search(said), said

    def test_who_sits_at_the_machine_gets_access_by_a_tag(self, tmp_path: Path) -> None:
        said = ask(tmp_path, FTDI, access=UACCESS)
        assert re.search(r"TAGS=.*:uaccess:", said)
        assert not COMPLAINT.search(said), said

    @pytest.mark.parametrize(
        ("what", "by"),
        [
            ("product=Tokaido unit port", "product=FT231X USB UART"),
            ("product=Tokaido unit port", "product=Not a Tokaido"),
            ("idVendor=0403", "idVendor=1209"),
            ("idProduct=6015", "idProduct=8372"),
        ],
    )
    def test_other_peoples_adapters_are_left_alone(self, what: str, by: str, tmp_path: Path) -> None:
        assert what in FTDI
        said = ask(tmp_path, FTDI.replace(what, by))
        assert "qkd/" not in said
        assert "ID_TOKAIDO" not in said
        assert "ID_MM_" not in said
        assert f"{DIALOUT}:" not in said

    @pytest.mark.parametrize("serial", ["", "A: serial=\n", "A: serial=..\n"])
    def test_an_adapter_without_a_proper_serial_number_gets_no_name(self, serial: str, tmp_path: Path) -> None:
        said = ask(tmp_path, FTDI.replace("A: serial=TKTX0001\n", serial))
        assert "ID_TOKAIDO=1" in said
        assert "qkd/" not in said

    def test_the_second_port_of_an_adapter_has_a_name_of_its_own(self, tmp_path: Path) -> None:
        said = ask(tmp_path, FTDI.replace("A: bInterfaceNumber=00", "A: bInterfaceNumber=01"))
        assert "/dev/qkd/TKTX0001-if01" in said

    def test_an_administrator_marks_an_adapter_of_another_make(self, tmp_path: Path) -> None:
        other = FTDI.replace("idVendor=0403", "idVendor=067b").replace("Tokaido unit port", "USB-Serial")
        mine = 'SUBSYSTEM=="tty", ATTRS{idVendor}=="067b", ATTRS{serial}=="TKTX0001", ENV{ID_TOKAIDO}="1", '
        said = ask(tmp_path, other, _59_local=mine + 'ENV{ID_TOKAIDO_SERIAL}="TKRX0009"\n')
        assert "/dev/qkd/TKRX0009" in said
        assert "ID_MM_PORT_IGNORE=1" in said

    def test_the_adapter_is_kept_from_modem_manager_and_answers_at_once(self, tmp_path: Path) -> None:
        assert "ID_MM_DEVICE_IGNORE=1" in ask(tmp_path, FTDI, USB)
        said = ask(tmp_path, FTDI, PORT)
        assert re.search(r"latency_timer.*\b1\b", said)
        assert "latency_timer" not in ask(tmp_path, FTDI.replace("product=Tokaido", "product=Other"), PORT)

    def test_a_node_is_started_by_its_equipment_and_by_nothing_else(self, tmp_path: Path) -> None:
        rules = {"_62_tokaido_node": (RULES / NODE).read_text(encoding="ascii")}
        said = ask(tmp_path, FTDI, **rules)
        assert "SYSTEMD_WANTS=tokaido-node.service" in said
        assert not COMPLAINT.search(said), said
        assert "SYSTEMD_WANTS" not in ask(tmp_path, FTDI.replace("product=Tokaido", "product=Other"), **rules)

    def test_a_mistake_in_a_rule_would_be_noticed(self, tmp_path: Path) -> None:
        """The positive control of the search for complaints."""
        said = ask(tmp_path, FTDI, _62_tokaido_wrong='SUBSYSTEM="tty", SYMLINKS+="qkd/x"\n')
        assert COMPLAINT.search(said), said
