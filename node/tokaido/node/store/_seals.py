"""How a store's key is sealed, and its rows are marked as its own.

Everything hangs on one data key of 32 random bytes. A block, a batch or a supply is sealed with AES-256-GCM under a key
of its own, the HMAC-SHA-256 of its name under the data key: so no key seals more than some thousand times, and random
nonces of 96 bits never meet (NIST SP 800-38D, 8.3, allows 2^32). The associated data name store, thing and part.
"""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tokaido.hal import KeyMaterial
from tokaido.node.store._errors import Damage
from tokaido.node.store._wrapping_keys import KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

NONCE: Final = 12
MAC: Final = 32

Value: TypeAlias = int | float | str | bytes | None
_encode = msgspec.msgpack.Encoder().encode


def wrap(data_key: KeyMaterial, key: KeyMaterial, store: bytes) -> bytes:
    """Return the data key, sealed under the wrapping key for the store of this id."""
    return _seal(_cipher(key), data_key.reveal(), _encode([store, "data key"]))


def unwrap(wrapped: bytes, key: KeyMaterial, store: bytes) -> KeyMaterial:
    """Return the data key.

    Raises:
        Damage: It was wrapped under another key, or altered.
    """
    return KeyMaterial(_open(_cipher(key), wrapped, _encode([store, "data key"]), "the data key"))


class Seal:
    """Seals and opens the parts of one thing: of a block, a batch or a supply."""

    def __init__(self, key: bytes, store: bytes, name: tuple[Value, ...]) -> None:
        self._cipher = AESGCM(key)
        self._said = (store, *name)

    def seal(self, data: bytes | memoryview, *part: int) -> bytes:
        """Return a part, sealed: nonce, ciphertext, tag."""
        return _seal(self._cipher, data, _encode((*self._said, *part)))

    def open(self, sealed: bytes, *part: int) -> bytes:
        """Return what was sealed.

        Raises:
            Damage: It was altered, or is not this part of this thing of this store.
        """
        return _open(self._cipher, sealed, _encode((*self._said, *part)), str(self._said[1]))


class Seals:
    """What is derived from a store's data key."""

    def __init__(self, data_key: KeyMaterial, store: bytes) -> None:
        self._key = data_key
        self._store = store
        self._row_key = hmac.digest(data_key.reveal(), b"rows", "sha256")

    def of(self, *name: Value) -> Seal:
        """Return what seals the thing of that name; the first word says what it is."""
        return Seal(hmac.digest(self._key.reveal(), b"seal" + _encode(name), "sha256"), self._store, name)

    def mac(self, table: str, values: Iterable[Value]) -> bytes:
        """Return the MAC of a row: HMAC-SHA-256, of 32 bytes."""
        return hmac.digest(self._row_key, _encode([self._store, table, *values]), "sha256")

    def wrapped(self, key: KeyMaterial) -> bytes:
        """Return the data key, sealed under a wrapping key."""
        return wrap(self._key, key, self._store)

    def wipe(self) -> None:
        """Forget the keys, as far as Python lets them be forgotten."""
        self._key.wipe()
        self._row_key = b""


def _cipher(key: KeyMaterial) -> AESGCM:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a wrapping key has {KEY_BYTES} bytes, not {len(key)}")
    return AESGCM(key.reveal())


def _seal(cipher: AESGCM, data: bytes | memoryview, said: bytes) -> bytes:
    nonce = os.urandom(NONCE)
    return nonce + cipher.encrypt(nonce, data, said)


def _open(cipher: AESGCM, sealed: bytes, said: bytes, what: str) -> bytes:
    try:
        return cipher.decrypt(sealed[:NONCE], sealed[NONCE:], said)
    except (InvalidTag, ValueError) as error:  # ValueError: too short for a nonce
        raise Damage(f"the seal of a {what} in it is broken") from error
