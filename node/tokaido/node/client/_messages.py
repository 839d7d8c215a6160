"""What clients write and read (ETSI GS QKD 014 V1.1.1, clause 6), whatever carries it."""

from __future__ import annotations

import base64
import binascii
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from tokaido.hal import ConfigurationError, KeyMaterial, ProtocolError, RangeError, TokaidoError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

T = TypeVar("T")
LONGEST: Final = 8 << 20
"""Longest answer that is read, in bytes."""
JSON: Final = "application/json"


class KeyManagerError(TokaidoError):
    """The key manager answered that it gives no key.

    Attributes:
        status: 400 (the request breaks a rule), 401 (not authorised) or 503 (not now), or another of HTTP.
        message: What it said.
        details: What it said in detail.
        retry_after_s: When to ask again, if it said so.
    """

    def __init__(
        self,
        what: str,
        *,
        status: int,
        message: str = "",
        details: Sequence[Mapping[str, Any]] = (),
        retry_after_s: float | None = None,
        remedy: str = "",
    ) -> None:
        super().__init__(what, remedy=remedy)
        self.status = status
        self.message = message
        self.details = tuple(details)
        self.retry_after_s = retry_after_s


class KeyManagerStatus(msgspec.Struct, frozen=True, rename=None):
    """Answer of Get status (clause 6.1, table 9); sizes in bits."""

    source_KME_ID: str  # noqa: N815 - the standard's names
    target_KME_ID: str  # noqa: N815
    master_SAE_ID: str  # noqa: N815
    slave_SAE_ID: str  # noqa: N815
    key_size: int
    stored_key_count: int
    max_key_count: int
    max_key_per_request: int
    max_key_size: int
    min_key_size: int
    max_SAE_ID_count: int  # noqa: N815
    status_extension: dict[str, Any] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClientKey:
    """One key, the same at both ends. As a context manager it wipes the key in the end."""

    key_id: uuid.UUID
    """Tell it to the other end, which asks for the key by it."""
    key: KeyMaterial = field(repr=False)

    def __enter__(self) -> KeyMaterial:
        return self.key

    def __exit__(self, *_: object) -> None:
        self.key.wipe()


class _Key(msgspec.Struct, frozen=True):
    key_ID: str  # noqa: N815
    key: str


class _Container(msgspec.Struct, frozen=True):
    keys: list[_Key]


class _Error(msgspec.Struct, frozen=True):
    message: str = ""
    details: list[dict[str, Any]] = msgspec.field(default_factory=list)


def address_of(url: str) -> tuple[str, int, str]:
    """Return host, port and path in front of a key manager's address, without a slash at its end.

    Raises:
        ConfigurationError: It is no address with https.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ConfigurationError(
            f"{url!r} is no address of a key manager", remedy="Write it as https://HOST:PORT; http is never spoken"
        )
    return parts.hostname, port or 443, parts.path.rstrip("/")


def path_of(sae_id: str, method: str) -> str:
    """Return the path of a method (clause 5, table 2); an id is percent-encoded once.

    Raises:
        RangeError: The id is empty.
    """
    if not isinstance(sae_id, str) or not sae_id:
        raise RangeError(f"{sae_id!r} is no SAE id")
    return f"/api/v1/keys/{quote(sae_id, safe='')}/{method}"


def key_request(
    number: int, size: int | None, further: Sequence[str], mandatory: Mapping[str, Any], optional: Mapping[str, Any]
) -> bytes:
    """Return the body of Get key (clause 6.2)."""
    body: dict[str, Any] = {"number": number}
    if size is not None:
        body["size"] = size
    if further:
        body["additional_slave_SAE_IDs"] = list(further)
    if mandatory:
        body["extension_mandatory"] = [{name: value} for name, value in mandatory.items()]
    if optional:
        body["extension_optional"] = [{name: value} for name, value in optional.items()]
    return msgspec.json.encode(body)


def ids_request(key_ids: Sequence[uuid.UUID]) -> bytes:
    """Return the body of Get key with key IDs (clause 6.4)."""
    return msgspec.json.encode({"key_IDs": [{"key_ID": str(key_id)} for key_id in key_ids]})


def decoded(body: bytes | bytearray, kind: type[T]) -> T:
    """Return an answer as `kind`.

    Raises:
        ProtocolError: It is not what the standard says.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("the key manager's answer is not what the standard has there") from None


def keys_in(
    body: bytes | bytearray, *, number: int, size: int | None, ids: Sequence[uuid.UUID] | None = None
) -> tuple[ClientKey, ...]:
    """Return the keys of a key container, which must be as many, as long, and of those ids, as was asked.

    Raises:
        ProtocolError: They are not; no key is taken.
    """
    container = decoded(body, _Container)
    found: list[ClientKey] = []
    try:
        for item in container.keys:
            found.append(ClientKey(uuid.UUID(item.key_ID), KeyMaterial(base64.b64decode(item.key, validate=True))))  # noqa: PERF401 - those before a bad one are wiped
        told = [key.key_id for key in found]
        if len(set(told)) != len(told) or len(told) != number:
            raise ProtocolError(f"the key manager gave {len(set(told))} different keys where {number} were asked")
        if ids is not None and set(told) != set(ids):
            raise ProtocolError("the key manager gave other keys than those that were asked")
        if size is not None and any(key.key.bits != size for key in found):
            raise ProtocolError(f"the key manager gave keys of another size than {size} bits")
    except (ValueError, binascii.Error) as error:
        _wipe(found)
        if isinstance(error, ProtocolError):
            raise
        raise ProtocolError("the key manager's answer has what is no UUID, or no base64") from None
    except BaseException:
        _wipe(found)
        raise
    if ids is not None:
        by_id = {key.key_id: key for key in found}
        return tuple(by_id[key_id] for key_id in ids)
    return tuple(found)


def refusal(status: int, body: bytes | bytearray, retry_after: str | None) -> KeyManagerError:
    """Return the error that an answer of another status than 200 is."""
    told = _Error()
    if body:
        try:
            told = msgspec.json.decode(body, type=_Error)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            told = _Error(f"(no error of the standard: {len(body)} bytes)")
    message = told.message[:500]
    seconds = float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
    remedy = {
        400: "Correct the request",
        401: "Is this application named in the key manager's file, and named when the keys were asked for?",
        503: "Ask again later, for new keys",
    }.get(status, "Is this the address of a key manager of ETSI GS QKD 014?")
    return KeyManagerError(
        f"the key manager answered {status}" + (f": {message}" if message else ""),
        status=status,
        message=message,
        details=told.details,
        retry_after_s=seconds,
        remedy=remedy,
    )


def _wipe(keys: Sequence[ClientKey]) -> None:
    for key in keys:
        key.key.wipe()
