from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import zmq.auth

from tokaido.hal import ConfigurationError, create_curve_keys
from tokaido.hal.transports import load_curve_public, load_curve_secret

if TYPE_CHECKING:
    from pathlib import Path


def test_keys_come_back_and_nobody_else_may_read_the_secret_one(tmp_path: Path) -> None:
    files = create_curve_keys(tmp_path / "keys", "alice")
    pair = load_curve_secret(files.secret)
    assert load_curve_public(files.public) == pair.public
    assert files.secret.stat().st_mode & 0o777 == 0o600
    assert pair.secret.decode() not in repr(pair)
    assert pair.secret not in files.public.read_bytes()


def test_pyzmq_reads_our_files_and_we_read_those_of_pyzmq(tmp_path: Path) -> None:
    files = create_curve_keys(tmp_path, "alice")
    pair = load_curve_secret(files.secret)
    assert zmq.auth.load_certificate(files.secret) == (pair.public, pair.secret)
    public, secret = zmq.auth.create_certificates(tmp_path, "bob")
    (tmp_path / "bob.key_secret").chmod(0o600)
    assert load_curve_public(tmp_path / "bob.key") == zmq.auth.load_certificate(public)[0]
    assert load_curve_secret(tmp_path / "bob.key_secret").secret == zmq.auth.load_certificate(secret)[1]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    files = create_curve_keys(tmp_path, "alice")
    files.secret.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {files.secret}"):
        load_curve_secret(files.secret)


def test_no_key_is_ever_overwritten(tmp_path: Path) -> None:
    files = create_curve_keys(tmp_path, "alice")
    before = files.secret.read_bytes()
    with pytest.raises(ConfigurationError, match="exists"):
        create_curve_keys(tmp_path, "alice")
    files.secret.unlink()
    with pytest.raises(ConfigurationError, match="exists"):
        create_curve_keys(tmp_path, "alice")
    assert not files.secret.exists()
    assert before


def test_what_is_no_key_file_says_so(tmp_path: Path) -> None:
    alice, bob = create_curve_keys(tmp_path, "alice"), create_curve_keys(tmp_path, "bob")
    with pytest.raises(ConfigurationError, match="holds a secret key where a public one belongs"):
        load_curve_public(alice.secret)
    alice.public.chmod(0o600)
    with pytest.raises(ConfigurationError, match="holds no secret-key"):
        load_curve_secret(alice.public)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_curve_public(tmp_path / "carol.key")
    mixed = alice.secret.read_text().splitlines()[:-1] + bob.secret.read_text().splitlines()[-1:]
    alice.secret.write_text("\n".join(mixed))
    with pytest.raises(ConfigurationError, match="do not belong together"):
        load_curve_secret(alice.secret)
    bob.public.write_bytes(b"\xff\x00 public-key = \xff")
    with pytest.raises(ConfigurationError, match="holds no public-key"):
        load_curve_public(bob.public)
