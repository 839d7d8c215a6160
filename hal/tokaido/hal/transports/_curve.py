"""CURVE key files: who a ZeroMQ peer is. The format is the ZeroMQ certificate (ZPL), which pyzmq and czmq read too."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tokaido.hal._errors import ConfigurationError
from tokaido.hal.files import MODE_OF_SECRETS, path_of, read_believed, write_new

_Z85 = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#")
_LONGEST_FILE = 4096


@dataclass(frozen=True, slots=True)
class CurveKeyFiles:
    """The two files of one CURVE identity."""

    public: Path
    """File with the public key, for anybody: the peer's `server_key_file` names a server's."""
    secret: Path
    """File with both keys, for its owner only: `client_key_file` names one's own."""


@dataclass(frozen=True, slots=True)
class CurveKeyPair:
    """A CURVE identity as ZeroMQ takes it: 40 characters of Z85 (ZeroMQ RFC 32) each."""

    public: bytes
    secret: bytes = field(repr=False)


def create_curve_keys(directory: str | Path, name: str, *, durable: bool = True) -> CurveKeyFiles:
    """Make a new CURVE identity and write `name.key` and `name.key_secret` (mode 0600) into `directory`.

    Args:
        directory: Made if it is not there.
        name: Of the files.
        durable: Whether they must outlive a power cut; those of one run need not.

    Raises:
        ConfigurationError: A file of that name exists, or no file can have that name; no key is ever overwritten.
        TokaidoError: They could not be written; nothing of them is left.
    """
    import zmq  # noqa: PLC0415 - loaded by those who use it

    directory = path_of(directory, "the folder of CURVE keys")
    public, secret = zmq.curve_keypair()
    files = CurveKeyFiles(directory / f"{name}.key", directory / f"{name}.key_secret")
    public_line = f'    public-key = "{public.decode("ascii")}"\n'
    secret_line = f'    secret-key = "{secret.decode("ascii")}"\n'
    try:
        for folder in (*reversed(directory.parents), directory):  # of this mode under any umask, for loading asks it
            folder.mkdir(mode=0o755, exist_ok=True)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the folder {str(directory)!r} cannot be made: {error}") from error
    secret_text = _head("secret", name, "Show it to nobody.") + public_line + secret_line
    write_new(files.secret, _encoded(secret_text), mode=MODE_OF_SECRETS, durable=durable)
    try:
        public_text = _head("public", name, "Anybody may have it.") + public_line
        write_new(files.public, _encoded(public_text), durable=durable)
    except BaseException:
        files.secret.unlink()
        raise
    return files


def load_curve_public(path: Path) -> bytes:
    """Return the public key, 40 characters of Z85, of a public key file.

    Raises:
        ConfigurationError: The file is missing or is not a public key file, or others may write it or put another one
            in its place: then whose key it is is not known.
    """
    values = _values(path, "public key", secret=False)
    if "secret-key" in values:
        raise ConfigurationError(
            f"{path} holds a secret key where a public one belongs", remedy="Name the file that ends in .key"
        )
    return _key(path, values, "public-key")


def load_curve_secret(path: Path) -> CurveKeyPair:
    """Return the key pair of a secret key file, which nobody but its owner may read.

    Raises:
        ConfigurationError: The file is missing, open to others, or does not hold a pair of keys; or others may put
            another one in its place.
    """
    import zmq  # noqa: PLC0415 - loaded by those who use it

    values = _values(path, "secret key", secret=True)
    pair = CurveKeyPair(_key(path, values, "public-key"), _key(path, values, "secret-key"))
    try:
        belongs = zmq.curve_public(pair.secret) == pair.public
    except (zmq.ZMQError, ValueError):
        belongs = False
    if not belongs:
        raise ConfigurationError(f"the two keys in {path} do not belong together", remedy="Create new ones")
    return pair


def _head(what: str, name: str, advice: str) -> str:
    return f"#   CURVE {what} key of {' '.join(name.split())} (ZeroMQ certificate). {advice}\n\nmetadata\ncurve\n"


def _encoded(text: str) -> bytes:
    """Return the text of a file; a file name of odd bytes is written by its codes."""
    return text.encode("utf-8", "backslashreplace")


def _values(path: Path, what: str, *, secret: bool) -> dict[str, str]:
    closed = 0o077 if secret else 0
    read = read_believed(
        path, what, longest=_LONGEST_FILE, closed=closed, absent="Correct its name, or create the keys"
    )
    text = read.decode("utf-8", "replace")
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith("#"):
            values[name.strip()] = value.strip().strip('"')
    return values


def _key(path: Path, values: dict[str, str], name: str) -> bytes:
    key = values.get(name, "")
    if len(key) != 40 or not _Z85.issuperset(key):
        raise ConfigurationError(
            f"{path} holds no {name}: 40 characters of Z85 in quotes", remedy="Name a key file, or create the keys"
        )
    return key.encode("ascii")
