"""Components of pre-shared keys, which two custodians hold: made, read, told apart, and joined by XOR."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokaido.hal import ConfigurationError, KeyMaterial, KeyMaterialError
from tokaido.hal.files import MODE_OF_SECRETS, path_of, read_believed, write_new

if TYPE_CHECKING:
    from typing import BinaryIO

COMPONENT_BYTES: Final = 4096
"""What the units that we know take."""
SHORTEST: Final = 32
LONGEST: Final = 16384
_OF_A_COMPONENT: Final = b"tokaido component check value 1"
_OF_A_KEY: Final = b"tokaido pre-shared key check value 1"


def make_component(path: Path | str, size: int = COMPONENT_BYTES) -> str:
    """Write a component of `size` random bytes into a new file of mode 0600, and return its check value.

    Raises:
        ConfigurationError: A file of that name exists, no file can have that name, or no key has that length.
        TokaidoError: It could not be written; nothing of it is left.
    """
    with KeyMaterial(os.urandom(size)) as component:
        _check_length(component)
        write_new(path_of(path, "the component file"), bytes(component.reveal()), mode=MODE_OF_SECRETS)
        return component_check_value(component)


def component_from_file(path: Path | str) -> KeyMaterial:
    """Return the component in a file that nobody but its owner may read.

    Raises:
        ConfigurationError: It is missing, is open to others, or others may replace it; or it has no length of a key.
    """
    data = read_believed(path_of(path, "the component file"), "component", longest=LONGEST + 1, closed=0o077)
    return _checked(data)


def component_from_stdin(stdin: BinaryIO | None = None) -> KeyMaterial:
    """Return the component that is piped into this process.

    Raises:
        ConfigurationError: A person sits there, whose screen would show it; or it has no length of a key.
    """
    stream = sys.stdin.buffer if stdin is None else stdin
    if stream.isatty():
        raise ConfigurationError(
            "a component is not typed: a screen would show it", remedy="Name its file, or pipe it into the command"
        )
    return _checked(stream.read(LONGEST + 1))


def component_check_value(component: KeyMaterial) -> str:
    """Return what tells components apart: 32 bits of an HMAC-SHA-256, as two groups of four hexadecimal digits."""
    return _grouped(component.digest(_OF_A_COMPONENT))


def key_check_value(key: KeyMaterial) -> str:
    """Return what tells keys apart; it is of another domain than that of components."""
    return _grouped(key.digest(_OF_A_KEY))


def joined(first: KeyMaterial, second: KeyMaterial) -> KeyMaterial:
    """Return the key that two components are of: their XOR.

    Raises:
        KeyMaterialError: They differ in length, or are the same.
    """
    if len(first) != len(second):
        raise KeyMaterialError(
            f"the components have {len(first)} and {len(second)} bytes",
            remedy="Both are as long as the key: make them again, for both sites",
        )
    with first.reveal() as one, second.reveal() as other:
        mixed = bytearray(a ^ b for a, b in zip(one, other, strict=True))
    try:
        if not any(mixed):
            raise KeyMaterialError(
                "both components are the same one, and would give a key of zeros",
                remedy="Each custodian enters the component that they made",
            )
        return KeyMaterial(mixed)
    finally:
        mixed[:] = bytes(len(mixed))


def _checked(data: bytes) -> KeyMaterial:
    component = KeyMaterial(data)
    try:
        _check_length(component)
    except BaseException:
        component.wipe()
        raise
    return component


def _check_length(component: KeyMaterial) -> None:
    if not SHORTEST <= len(component) <= LONGEST:
        many = "more" if len(component) > LONGEST else str(len(component))
        raise ConfigurationError(
            f"a component has {SHORTEST} to {LONGEST} bytes, not {many}",
            remedy="It is as long as the key, and binary: `tokaido node preshared make FILE`",
        )


def _grouped(digest: str) -> str:
    return f"{digest[:4]} {digest[4:8]}"
