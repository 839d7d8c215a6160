"""The key under which a store's data key is wrapped: from systemd's credentials, or from a file of mode 0600."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokaido.hal import ConfigurationError, KeyMaterial
from tokaido.hal.files import MODE_OF_SECRETS, path_of, read_believed, write_new

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_BYTES: Final = 32
_WHAT: Final = "wrapping key"


def new_wrapping_key(path: Path | str) -> None:
    """Write a new key of 32 random bytes into a new file of mode 0600.

    Raises:
        ConfigurationError: A file of that name exists, or no file can have that name.
        TokaidoError: It could not be written; nothing of it is left.
    """
    write_new(path_of(path, f"the {_WHAT} file"), os.urandom(KEY_BYTES), mode=MODE_OF_SECRETS)


def wrapping_key_from_file(path: Path | str) -> KeyMaterial:
    """Return the key in a file of 32 bytes that nobody but its owner may read.

    Raises:
        ConfigurationError: It is missing, is open to others, or others may replace it; or it is not 32 bytes long.
    """
    return _read(path_of(path, f"the {_WHAT} file"), closed=0o077)


def wrapping_key_from_credential(name: str, environment: Mapping[str, str] | None = None) -> KeyMaterial:
    """Return the key in a credential of 32 bytes that systemd handed to this service (systemd.exec(5), Credentials).

    Args:
        name: Of the credential, as `LoadCredential=` or `LoadCredentialEncrypted=` has it.
        environment: Where `CREDENTIALS_DIRECTORY` is looked up; None: the process's own.

    Raises:
        ConfigurationError: There are no credentials, or none of that name, or it is not 32 bytes long.
    """
    folder = (os.environ if environment is None else environment).get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise ConfigurationError(
            f"there is no credential {name!r}: CREDENTIALS_DIRECTORY is not set",
            remedy="Run as a service of systemd with LoadCredentialEncrypted=, or name a key file",
        )
    if not name or name != os.path.basename(name) or name in {".", ".."}:  # noqa: PTH119 - text, not a path yet
        raise ConfigurationError(f"{name!r} cannot be the name of a credential")
    # Where systemd grants the service's user access by an access list, the mask of the list shows as the group's bits.
    return _read(path_of(folder, "the folder of credentials") / name, closed=0o007)


def _read(path: Path, *, closed: int) -> KeyMaterial:
    data = read_believed(
        path, _WHAT, longest=KEY_BYTES + 1, closed=closed, absent="Correct its name, or create the key"
    )
    if len(data) != KEY_BYTES:
        raise ConfigurationError(
            f"the {_WHAT} file {path} does not hold {KEY_BYTES} bytes", remedy="Name a key file, or create the key"
        )
    return KeyMaterial(data)
