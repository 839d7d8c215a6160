"""What a key manager says, read strictly: docs/protocols/etsi014.md, sections 4 to 6."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

import tokaido.hal as hal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokaido.hal.transports import HttpMessage

T = TypeVar("T")

BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
UNUSED_BITS: Final = {0: 0, 1: 0b11, 2: 0b1111}
"""Bits of the last letter that hold nothing, by how many signs of padding follow it (RFC 4648, section 4)."""
BACKSLASH: Final = 0x5C
SLASH: Final = 0x2F
"""The one character of base64 that JSON may escape as well as not."""
JSON: Final = ("", "application/json")
UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class Status(msgspec.Struct, frozen=True):
    """What a key manager says of itself and of what it can deliver (Table 9); sizes are in bit."""

    source_KME_ID: str  # noqa: N815 - these are the standard's names
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
    status_extension: dict[str, Any] | None = None


class _Key(msgspec.Struct):
    key_ID: str  # noqa: N815
    key: msgspec.Raw


class _Container(msgspec.Struct):
    keys: list[_Key] | None = None
    Keys: list[_Key] | None = None
    key_container_extension: dict[str, Any] | None = None


class _Error(msgspec.Struct):
    message: str
    details: list[dict[str, Any]] | None = None


_status = msgspec.json.Decoder(Status)
_container = msgspec.json.Decoder(_Container)
_error = msgspec.json.Decoder(_Error)
_bytes = msgspec.json.Decoder(bytearray)


class Delivery:
    """The keys of one container, by their ids, in its order. Its buffers are overwritten by `wipe`."""

    def __init__(self, extension: Mapping[str, Any]) -> None:
        self.keys: dict[str, bytearray] = {}
        """By their ids in small letters."""
        self.spelled: dict[str, str] = {}
        """The ids as the key manager writes them, by the same."""
        self.extension = extension

    def joined(self, key_ids: Sequence[str], *, insecure: bool) -> hal.KeyMaterial:
        """Return these keys one after the other, and overwrite the parts."""
        whole = bytearray()
        for one in key_ids:
            whole += self.keys[one.lower()]
        key = hal.KeyMaterial(whole, insecure=insecure)
        whole[:] = bytes(len(whole))
        self.wipe()
        return key

    def wipe(self) -> None:
        """Overwrite the keys."""
        for key in self.keys.values():
            key[:] = bytes(len(key))


def read_status(reply: HttpMessage) -> Status:
    """Return the status that a reply holds.

    Raises:
        DeviceError: The key manager gave an error instead.
        ProtocolError: It is not a status.
    """
    check(reply)
    status = _decoded(_status, reply, "a status")
    numbers = [value for name in Status.__struct_fields__ if isinstance(value := getattr(status, name), int)]
    if min(numbers) < 0 or not status.source_KME_ID or not status.target_KME_ID:
        raise hal.ProtocolError("a status has a number below 0, or no name of a key manager")
    return status


def read_container(reply: HttpMessage) -> Delivery:
    """Return the keys that a reply holds.

    Raises:
        DeviceError: The key manager gave an error instead.
        ProtocolError: It is not a container of keys, or one of them is not a key.
    """
    check(reply)
    found = _decoded(_container, reply, "a container of keys")
    if (found.keys is None) is (found.Keys is None):
        raise hal.ProtocolError("a container has no keys, or has them twice")
    delivery = Delivery(found.key_container_extension or {})
    try:
        for one in found.keys or found.Keys or ():
            key_id = uuid(one.key_ID)
            if key_id in delivery.keys:
                raise hal.ProtocolError("a container has an id twice")
            delivery.keys[key_id], delivery.spelled[key_id] = _key(one.key), one.key_ID
    except BaseException:
        delivery.wipe()
        raise
    return delivery


def uuid(text: str) -> str:
    """Return an id as we compare it, in small letters.

    Raises:
        ProtocolError: It is not a UUID.
    """
    if not UUID.fullmatch(text):
        raise hal.ProtocolError(f"an id of a key is not a UUID: {text[:60]!r}")
    return text.lower()


def check(reply: HttpMessage) -> None:
    """Raise the error that a key manager gave, if it gave one."""
    status = reply.status
    if status == 200:
        return
    said = _message(reply)
    code = f"{status} {said}".strip()
    if status == 400:
        raise hal.RefusedError(f"the key manager refuses: {said or 'it does not say why'}", code=code)
    if status == 401:
        raise hal.RefusedError(
            "the key manager does not give this to us (401)",
            code=code,
            remedy="Check whose certificate cert_file is, and the SAE id of the peer",
        )
    if status == 503:
        raise hal.NoDataError(f"the key manager cannot now: {said or 'it does not say why'}", code=code)
    raise hal.DeviceError(f"the key manager answers with status {status}: {said or 'no more'}", code=code)


def _message(reply: HttpMessage) -> str:
    """Return what an error says, printable and short."""
    try:
        found = _error.decode(reply.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    names = sorted({name for detail in found.details or () for name in detail})
    text = found.message + (f" ({', '.join(names)})" if names else "")
    return "".join(one if one.isprintable() else " " for one in text)[:200]


def _decoded(decoder: msgspec.json.Decoder[T], reply: HttpMessage, what: str) -> T:
    if reply.content_type not in JSON:
        raise hal.ProtocolError(f"the reply is of the type {reply.content_type[:60]!r}, and not JSON")
    try:
        return decoder.decode(reply.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        why = str(error)[:120]
    raise hal.ProtocolError(f"the reply is not {what}: {why}")


def _key(raw: msgspec.Raw) -> bytearray:
    """Return the bytes of a key.

    Raises:
        ProtocolError: It is not base64 in its one right form.
    """
    text = memoryview(raw)
    escapes = (i for i, letter in enumerate(text) if letter == BACKSLASH)
    try:
        key = _bytes.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        key = bytearray()
    if not key or any(text[i + 1] != SLASH for i in escapes):
        key[:] = bytes(len(key))
        raise hal.ProtocolError("a key is empty or not in base64")
    padding = (text[-2] == ord("=")) + (text[-3] == ord("="))
    last = text[-2 - padding]
    if BASE64.index(last) & UNUSED_BITS[padding]:
        key[:] = bytes(len(key))
        raise hal.ProtocolError("a key has bits behind its last byte")
    return key
