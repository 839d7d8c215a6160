"""Files are whole or absent: nothing half-made is left by what failed, and the call can be repeated."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

import pytest

from tokaido.hal import ConfigurationError, TokaidoError, create_curve_keys
from tokaido.hal.files import write_new, write_whole
from tokaido.hal.transports import load_curve_public, load_curve_secret


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def disk_full_after(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full when the file number `calls`, counted from 0, is to be on the disk."""
    real, seen = os.fsync, 0

    def fsync(descriptor: int) -> None:
        nonlocal seen
        seen += 1
        if seen > calls:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr("os.fsync", fsync)


def test_a_new_file_has_its_mode_whatever_the_mask_and_is_never_overwritten(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_new(tmp_path / "a", b"one", mode=0o644)
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == 0o644
    with pytest.raises(ConfigurationError, match="exists, and is not overwritten"):
        write_new(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"
    assert names(tmp_path) == ["a"]


def test_a_full_disk_leaves_nothing_and_the_next_call_succeeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "old", b"old")
    with monkeypatch.context() as patch:
        disk_full_after(0, patch)
        for write in (write_new, write_whole):
            with pytest.raises(TokaidoError, match="could not be written: No space left on device"):
                write(tmp_path / "new", b"new")
        with pytest.raises(TokaidoError, match="No space left"):
            write_whole(tmp_path / "old", b"new")
    assert names(tmp_path) == ["old"]
    assert (tmp_path / "old").read_bytes() == b"old"
    write_new(tmp_path / "new", b"new")


def test_what_is_replaced_keeps_its_mode_and_a_link_stays_one(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"one")
    (tmp_path / "a").chmod(0o600)
    (tmp_path / "link").symlink_to("a")
    write_whole(tmp_path / "link", b"two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "a").read_bytes() == b"two"
    assert mode(tmp_path / "a") == 0o600


def test_a_pipe_is_written_as_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(tmp_path / "pipe", b"through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("write", [write_new, write_whole])
@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "no/such/folder"])
def test_a_name_that_no_file_can_have_is_an_error_of_ours(write: object, name: str, tmp_path: Path) -> None:
    assert callable(write)
    with pytest.raises(TokaidoError, match=r"cannot be the name of a file|could not be written"):
        write(tmp_path / name, b"")
    assert names(tmp_path) == []


# --- the kind: key files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["東京", "Zürich", "a{b}", "two\nlines = 1", os.fsdecode(b"odd\xff")])
def test_a_key_may_have_any_name_that_a_file_may(name: str, tmp_path: Path) -> None:
    files = create_curve_keys(tmp_path, name)
    assert files.secret.name == f"{name}.key_secret"
    assert load_curve_public(files.public) == load_curve_secret(files.secret).public


def test_keys_that_could_not_be_written_are_made_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for calls in (0, 1, 2):  # the secret file, its name in the folder, the public file
        with monkeypatch.context() as patch:
            disk_full_after(calls, patch)
            with pytest.raises(TokaidoError, match="No space left"):
                create_curve_keys(tmp_path, "alice")
        assert names(tmp_path) == []
    load_curve_secret(create_curve_keys(tmp_path, "alice").secret)


def test_a_folder_that_is_a_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("")
    with pytest.raises(ConfigurationError, match=re.escape(str(tmp_path / "keys"))):
        create_curve_keys(tmp_path / "keys", "alice")
