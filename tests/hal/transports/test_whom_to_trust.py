"""Files that say whom to trust, and resources that could do more than to reach a device."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tokaido.hal import ConfigurationError, Resource, create_curve_keys
from tokaido.hal.transports import load_curve_public, load_curve_secret

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("mode", "who"), [(0o666, "everybody"), (0o646, "everybody"), (0o664, "group")])
def test_a_public_key_that_others_may_write_is_refused(tmp_path: Path, mode: int, who: str) -> None:
    files = create_curve_keys(tmp_path, "alice")
    files.public.chmod(mode)
    with pytest.raises(ConfigurationError, match=rf"not believed: {who}.* may write {files.public}.*chmod go-w"):
        load_curve_public(files.public)
    files.public.chmod(0o644)
    assert load_curve_public(files.public)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
@pytest.mark.parametrize("which", ["its own", "one above"])
def test_a_key_in_a_folder_that_others_may_write_is_refused(tmp_path: Path, mode: int, which: str) -> None:
    files = create_curve_keys(tmp_path / "above" / "keys", "alice")
    folder = tmp_path / "above" / ("keys" if which == "its own" else "")
    folder.chmod(mode)
    for load in (lambda: load_curve_public(files.public), lambda: load_curve_secret(files.secret)):
        with pytest.raises(ConfigurationError, match=rf"may write the folder {folder} \(mode {mode:04o}\)"):
            load()
    folder.chmod(mode | 0o1000)  # sticky, as /tmp: nobody can replace what lies in it
    assert load_curve_public(files.public)
    assert load_curve_secret(files.secret)


def test_the_folders_of_both_ends_of_a_link_are_looked_at(tmp_path: Path) -> None:
    files = create_curve_keys(tmp_path / "keys", "alice")
    (tmp_path / "open").mkdir()
    link = tmp_path / "open" / "alice.key"
    link.symlink_to(files.public)
    assert load_curve_public(link)
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(ConfigurationError, match=r"everybody may write the folder .*/open"):
        load_curve_public(link)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_file_of_another_user_is_refused(tmp_path: Path) -> None:
    files = create_curve_keys(tmp_path, "alice")
    os.chown(files.public, 12345, -1)
    with pytest.raises(ConfigurationError, match="user 12345 may write"):
        load_curve_public(files.public)


def test_keys_that_were_made_under_a_generous_umask_are_believed(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files = create_curve_keys(tmp_path / "a" / "b", "alice")
    finally:
        os.umask(before)
    assert load_curve_public(files.public) == load_curve_secret(files.secret).public


WILFUL = [
    "serial:spy:///dev/ttyUSB0?file=/tmp/written",
    "serial:spy:///dev/ttyUSB0",
    "serial:SPY:///dev/ttyUSB0",
    "serial:alt:///dev/ttyUSB0?class=PosixPollSerial",
    "visa:ASRLspy:///dev/ttyUSB0%3Ffile=/tmp/written::INSTR",
    "visa:asrlSpy:///dev/ttyUSB0::INSTR",
    "visa:ASRL/dev/ttyUSB0::INSTR?backend=/tmp/x.so@ivi",
    "visa:TCPIP::192.0.2.7::5025::SOCKET?backend=x.so@ivi",
    "visa:TCPIP::192.0.2.7::5025::SOCKET?backend=/opt/libvisa.so",
    "visa:GPIB0::7::INSTR?backend=x.yaml@sim",
    "visa:GPIB0::7::INSTR?backend=@os.path",
]


@pytest.mark.parametrize("text", WILFUL)
def test_code_is_loaded_and_files_are_written_with_consent_only(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "0", "yes"):
        monkeypatch.setenv("TOKAIDO_TRUST_RESOURCES", value)
        with pytest.raises(ConfigurationError, match="TOKAIDO_TRUST_RESOURCES=1 if you trust who wrote the resource"):
            Resource.parse(text)
    monkeypatch.setenv("TOKAIDO_TRUST_RESOURCES", "1")
    assert Resource.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *("serial:/dev/ttyUSB0", "serial:socket://192.0.2.7:4001", "serial:rfc2217://lab:2217", "serial:loop://"),
        *("visa:ASRL/dev/ttyUSB0::INSTR?backend=@ivi", "visa:GPIB0::7::INSTR?backend=@tokaido", "zmq:inproc://x"),
    ],
)
def test_what_only_reaches_a_device_needs_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKAIDO_TRUST_RESOURCES", raising=False)
    assert Resource.parse(text)
