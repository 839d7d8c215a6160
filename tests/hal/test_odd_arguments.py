"""Arguments of every odd kind: an error of ours that says what is wrong, and nothing is made or opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal

if TYPE_CHECKING:
    from collections.abc import Callable

open_ = hal.Transmitter.open


@pytest.mark.parametrize(
    ("control", "says"),
    [
        (Path("/dev/nope"), "Write 'serial:/dev/nope'"),
        (None, "a resource is text, not NoneType None"),
        (5, "a resource is text, not int 5"),
        (b"serial:/dev/nope", "a resource is text, not bytes"),
        ("", "Begin it with one of https:, replay:, serial:"),
        ("serial:/dev/a\0b", "has a control character"),
        ("serial:/dev/a%00b", "has a control character"),
        ("serial:/dev/a\nb", "has a control character"),
        ("SERIAL:/dev/a", "Begin it with one of https:, replay:, serial:"),
    ],
)
def test_a_resource_that_is_none_says_what_one_is(control: Any, says: str) -> None:
    with pytest.raises(hal.ConfigurationError, match=r"toshiba\.transmitter cannot be opened") as caught:
        open_("toshiba.transmitter", control=control)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "name", ["tcpip::127.0.0.1::9::socket", "tcpip0::127.0.0.1::hislip0,9::instr", "asrl/dev/nope::instr"]
)
def test_a_visa_name_in_small_letters_is_one(name: str) -> None:
    with pytest.raises(hal.NotConnectedError):
        hal.OpticalSwitch.open("polatis.matrix", control=f"visa:{name}")


def test_a_mark_before_the_text_of_a_station_file_is_not_part_of_it(tmp_path: Path) -> None:
    text = '[station]\nname = "marked"\n[devices.a]\ndriver = "toshiba.transmitter"\ncontrol = "serial:/dev/a"\n'
    (tmp_path / "lab.toml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert hal.Station.from_file(tmp_path / "lab.toml").name == "marked"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[station]".encode("utf-16"), r"is not UTF-8.* Save it as UTF-8"),
        ('name = "Zürich"'.encode("latin-1"), "is not UTF-8"),
        (b'name = "\0"', "is not TOML"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "nests its values too deeply"),
    ],
)
def test_a_station_file_that_is_none_says_why(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_bytes(content)
    with pytest.raises(hal.ConfigurationError, match=says):
        hal.Station.from_file(tmp_path / "lab.toml")


@pytest.mark.parametrize("given", [None, 3, b"/nope", "", "/a\0b"])
@pytest.mark.parametrize(
    "use",
    [hal.Station.from_file, hal.LeaseBook, lambda given: hal.create_curve_keys(given, "alice")],
    ids=["station", "leases", "keys"],
)
def test_a_path_that_is_none_is_told(use: Callable[[Any], object], given: Any) -> None:
    with pytest.raises(hal.ConfigurationError, match=r"is named by text or a path|cannot be the name of"):
        use(given)


@pytest.mark.parametrize("name", [None, 5, ["a", 5], ["a", None]])
def test_a_lease_of_nothing_is_told(name: Any, tmp_path: Path) -> None:
    with pytest.raises(hal.LeaseError, match="a lease has a name or several"):
        hal.LeaseBook(tmp_path / "book").acquire(name, "me", 5)
    assert not (tmp_path / "book").exists()
