"""What clients write and read (ETSI GS QKD 014 V1.1.1, clause 6), whatever carries it."""

from __future__ import annotations

import ssl
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from tokaido.hal import (
    AuthenticationError,
    ConfigurationError,
    DeviceTimeoutError,
    KeyMaterial,
    NotConnectedError,
    OutcomeUnknownError,
    ProtocolError,
    RangeError,
    TransportError,
)
from tokaido.hal.driver import whole
from tokaido.hal.structs import learn
from tokaido.hal.wire.http import HttpMessage, OversizedError, ResponseReader, written
from tokaido.node.core._actions import Reason
from tokaido.node.service import KeyRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokaido.hal import Deadline

T = TypeVar("T")
JSON: Final = "application/json"
LONGEST: Final = 8 << 20
"""Longest answer that is read, in bytes."""
PIECE: Final = 1 << 16


class KeyManagerError(KeyRefusedError):
    """The key manager answered that it gives no key."""

    def __init__(
        self,
        what: str,
        reason: Reason,
        *,
        status: int,
        message: str = "",
        details: Sequence[Mapping[str, Any]] = (),
        retry_after_s: float | None = None,
        remedy: str = "",
    ) -> None:
        super().__init__(what, reason, retry_after_s, _cut_nodes(details))
        self.remedy = remedy
        self.status = status
        """400 (the request breaks a rule), 401 (not authorised), 503 (not now), or another one of HTTP."""
        self.message = message
        """What it said."""
        self.details = tuple(details)
        """What it said in detail."""


class KeyManagerStatus(msgspec.Struct, frozen=True):
    """Answer of Get status (clause 6.1, table 9), by the standard's names; sizes in bits."""

    source_KME_ID: str  # noqa: N815
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
    """One key, the same at both ends. As a context manager it gives the key, and wipes it in the end."""

    key_id: uuid.UUID
    """Tell it to the other end, which asks for the key by it."""
    key: KeyMaterial = field(repr=False)
    emulated: bool = False
    """Whether the key manager says that it comes from emulated units, and so protects nothing."""
    route_type: str = ""
    """`direct`, `relayed`, or `disjoint` (the XOR of two keys that went two routes), where the key manager says it."""

    def __enter__(self) -> KeyMaterial:
        return self.key

    def __exit__(self, *_: object) -> None:
        self.key.wipe()


class Address(NamedTuple):
    """Where a key manager is, and what stands in front of the paths of the standard."""

    host: str
    port: int
    base: str

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def request(self, verb: str, other: str, method: str, body: bytes | None) -> bytes:
        """Return a request of a method (clause 5, table 2); an SAE id is percent-encoded once.

        Raises:
            RangeError: The id is empty, or is not text that can be encoded.
        """
        message = HttpMessage(f"{verb} /api/v1/keys/{_encoded(other)}/{method}", body or b"", JSON)
        return written(message, str(self), self.base)


class _Key(msgspec.Struct, frozen=True):
    key_ID: uuid.UUID  # noqa: N815
    key: bytearray


class _Container(msgspec.Struct, frozen=True):
    keys: list[_Key]
    key_container_extension: Any = None

    def says(self, name: str) -> bool:
        """Whether a mark of Tokaido's stands in it."""
        return self._extension(name) is True

    @property
    def route_type(self) -> str:
        """Which routes the keys went; empty: it does not say."""
        found = self._extension("tokaido_route_type")
        return found if isinstance(found, str) else ""

    def _extension(self, name: str) -> object:
        extension: object = self.key_container_extension
        return extension.get(name) if isinstance(extension, dict) else None


class _Error(msgspec.Struct, frozen=True):
    message: str = ""
    details: list[dict[str, Any]] = msgspec.field(default_factory=list)


def address_of(url: str) -> Address:
    """Return where a key manager is.

    Raises:
        ConfigurationError: It is not an address with https.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except (ValueError, TypeError, AttributeError):
        parts, host, port = urlsplit(""), None, None
    if parts.scheme != "https" or not host or parts.query or parts.fragment or parts.username is not None:
        raise ConfigurationError(
            f"{url!r} is not an address of a key manager", remedy="Write it as https://HOST:PORT; http is never spoken"
        )
    return Address(host, 443 if port is None else port, parts.path.rstrip("/"))


def key_request(
    number: int, size: int | None, further: Sequence[str], mandatory: Mapping[str, Any], optional: Mapping[str, Any]
) -> bytes:
    """Return the body of Get key (clause 6.2).

    Raises:
        RangeError: A number is not positive, or an extension is nothing that JSON has.
    """
    body: dict[str, Any] = {"number": _positive(number, "the number of keys")}
    if size is not None:
        body["size"] = _positive(size, "the size of a key")
    if further:
        body["additional_slave_SAE_IDs"] = list(further)
    if mandatory:
        body["extension_mandatory"] = [{name: value} for name, value in mandatory.items()]
    if optional:
        body["extension_optional"] = [{name: value} for name, value in optional.items()]
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError, RecursionError) as error:
        raise RangeError(f"the request cannot be written as JSON: {error}") from None


def ids_request(key_ids: Sequence[uuid.UUID]) -> bytes:
    """Return the body of Get key with key IDs (clause 6.4).

    Raises:
        RangeError: There is none, one stands twice, or one is not a UUID.
    """
    if not key_ids or len(set(key_ids)) < len(key_ids) or any(not isinstance(one, uuid.UUID) for one in key_ids):
        raise RangeError("keys are asked for by one UUID or more, each once")
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
    body: bytearray, *, number: int, size: int | None, ids: Sequence[uuid.UUID] | None = None
) -> tuple[ClientKey, ...]:
    """Return the keys of a key container, as many, as long, and of those ids, as was asked; wipe the container.

    Raises:
        ProtocolError: They are others; no key is taken.
    """
    found: list[_Key] = []
    try:
        container = decoded(body, _Container)
        found = container.keys
        told = [key.key_ID for key in found]
        if len(set(told)) != len(told) or len(told) != number:
            raise ProtocolError(f"the key manager gave {len(set(told))} different keys where {number} were asked")
        if ids is not None and set(told) != set(ids):
            raise ProtocolError("the key manager gave other keys than those that were asked")
        if any(not key.key or (size is not None and 8 * len(key.key) != size) for key in found):
            raise ProtocolError(f"the key manager gave keys of another size than {size or 'any'} bits")
        emulated, insecure = container.says("tokaido_emulated"), container.says("tokaido_insecure")
        taken = {
            key.key_ID: ClientKey(key.key_ID, KeyMaterial(key.key, insecure=insecure), emulated, container.route_type)
            for key in found
        }
        return tuple(taken[key_id] for key_id in ids or told)
    finally:
        body[:] = bytes(len(body))
        for key in found:
            key.key[:] = bytes(len(key.key))


def _cut_nodes(details: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return which nodes are in the way of two routes, as far as details say it."""
    found: object = next((detail["tokaido_cut_nodes"] for detail in details if "tokaido_cut_nodes" in detail), [])
    return tuple(node for node in found if isinstance(node, str)) if isinstance(found, list) else ()


def _refusal(method: str, status: int, body: bytes | bytearray, retry_after: str | None) -> KeyManagerError:
    """Return the error that an answer of another status than 200 is."""
    told = _Error()
    if body:
        try:
            told = msgspec.json.decode(body, type=_Error)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            told = _Error(f"({len(body)} bytes that are not an Error of the standard)")
    message = "".join(character if character.isprintable() else "?" for character in told.message[:500])
    seconds = float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
    remedy = {
        400: "Correct the request",
        401: "Is this application named in the key manager's file, and was it named when the keys were asked for?",
        503: "Ask again later, for new keys",
    }.get(status, "Is this the address of a key manager of ETSI GS QKD 014?")
    return KeyManagerError(
        f"the key manager answered {status}" + (f": {message}" if message else ""),
        _reason(method, status, told),
        status=status,
        message=message,
        details=told.details,
        retry_after_s=seconds,
        remedy=remedy,
    )


def taken(method: str, answer: ResponseReader) -> bytearray:
    """Return the body of an answer of status 200.

    Raises:
        KeyManagerError: It has another status.
    """
    if answer.status != 200:
        raise _refusal(method, answer.status, answer.body, answer.fields.get("retry-after"))
    return answer.body


def failed(verb: str, sent: bool, error: Exception, deadline: Deadline, where: str) -> TransportError:
    """Return the error of a call that got no answer.

    Args:
        verb: GET or POST.
        sent: Whether a part of the request may have been sent.
        error: What was met.
        deadline: Of the call.
        where: Who was asked.
    """
    elapsed_s = deadline.elapsed_s
    broken = isinstance(error, ProtocolError) and not isinstance(error, OversizedError)
    if isinstance(error, TransportError) and not broken:
        return error
    if isinstance(error, ssl.SSLCertVerificationError):
        return AuthenticationError(
            f"{where} is not believed: {error.verify_message}", remedy="Check its address and certificate"
        )
    if isinstance(error, ssl.SSLError) and (not sent or "ALERT" in str(error.reason)):
        return AuthenticationError(
            f"TLS with {where} failed: {error.reason or error}",
            remedy="Is this application's certificate of the right authority, in date, and not revoked?",
        )
    late = isinstance(error, TimeoutError)
    if not sent:
        kind = DeviceTimeoutError if late else NotConnectedError
        why = "it did not answer in time" if late else str(error)
        return kind(f"{where} cannot be reached: {why}", elapsed_s=elapsed_s, remedy="Check its address")
    why = str(error) if broken else f"the connection broke ({type(error).__name__})"
    what = "did not answer in time" if late else f"gave no answer: {why}"
    if verb == "POST":
        return OutcomeUnknownError(
            f"{where} {what}; keys may have been given to nobody",
            elapsed_s=elapsed_s,
            remedy="Ask for new keys: those are not given again. If it is always so, does it accept this certificate?",
        )
    kind = DeviceTimeoutError if late else NotConnectedError
    return kind(f"{where} {what}", elapsed_s=elapsed_s, remedy="Ask again; does it accept this certificate?")


def _encoded(sae_id: str) -> str:
    try:
        if sae_id:
            return quote(sae_id, safe="", errors="strict")
    except (UnicodeEncodeError, TypeError):
        pass
    raise RangeError(f"{sae_id!r} is not an SAE id")


def _reason(method: str, status: int, told: _Error) -> Reason:
    """Return why, as far as status and message tell; our own key managers say it in the details, too."""
    said = [item["tokaido_reason"] for item in told.details if isinstance(item.get("tokaido_reason"), str)]
    for reason in Reason:
        if reason.value in said:
            return reason
    match status, told.message:
        case 401, _:
            return Reason.NOT_NAMED if method == "dec_keys" else Reason.UNKNOWN_APPLICATION
        case 400, "one or more keys specified are not found on KME":
            return Reason.NOT_FOUND
        case 404, _ if method == "dec_keys":  # what some key managers answer instead
            return Reason.NOT_FOUND
        case 400, "size shall be a multiple of 8":
            return Reason.SIZE
        case 503, _:
            return Reason.NO_KEY
    return Reason.REQUEST


def _positive(value: object, what: str) -> int:
    number = whole(value, what)
    if number < 1:
        raise RangeError(f"{what} must be 1 or more, not {number}")
    return number


learn(KeyManagerStatus, _Container, _Error)
