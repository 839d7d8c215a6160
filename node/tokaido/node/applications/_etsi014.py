"""ETSI GS QKD 014 V1.1.1: key delivery to applications. docs/protocols/etsi014-server.md has it clause by clause."""

from __future__ import annotations

import binascii
import logging
import uuid
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from tokaido.node.applications._extensions import Extensions, UnmetError
from tokaido.node.core import Reason
from tokaido.node.service import KeyRefusedError
from tokaido.node.tls import names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokaido.node.core import SuppliedKey
    from tokaido.node.service import KeyService

ROOT: Final = "/api/v1/keys"
JSON: Final = "application/json"
NOT_FOUND: Final = "one or more keys specified are not found on KME"
RETRY_S: Final = 1.0


class KeyRequest(msgspec.Struct, frozen=True):
    """What enc_keys is asked (clause 6.2, table 10). Other members are passed over."""

    number: int | None = None
    size: int | None = None
    additional_slave_SAE_IDs: list[str] = msgspec.field(default_factory=list)  # noqa: N815 - the standard's name
    extension_mandatory: list[dict[str, Any]] = msgspec.field(default_factory=list)
    extension_optional: list[dict[str, Any]] = msgspec.field(default_factory=list)


class KeyId(msgspec.Struct, frozen=True):
    """One id in a request (clause 6.4)."""

    key_ID: str  # noqa: N815


class KeyIds(msgspec.Struct, frozen=True):
    """What dec_keys is asked (clause 6.4, table 12)."""

    key_IDs: list[KeyId]  # noqa: N815


class _BadError(Exception):
    """A request that breaks a rule: 400 with this message."""

    def __init__(self, message: str, details: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(message)
        self.details = details


def application(service: KeyService, is_application: Callable[[str], bool]) -> web.Application:
    """Return the web application that the standard's clients talk to.

    Args:
        service: Gives the keys.
        is_application: Whether an application of that id is one of this node's.
    """
    server = _Server(service, is_application)
    found = web.Application(client_max_size=1 << 16, middlewares=[_told])
    for path, methods in (
        ("/{other}/status", {"GET": server.status}),
        ("/{other}/enc_keys", {"GET": server.enc_keys_simple, "POST": server.enc_keys}),
        ("/{other}/dec_keys", {"GET": server.dec_keys_simple, "POST": server.dec_keys}),
    ):
        for method, handler in methods.items():
            found.router.add_route(method, ROOT + path, handler)
    return found


@web.middleware
async def _told(request: web.Request, handler: Any) -> web.StreamResponse:
    """Answer what breaks a rule as clause 6.5 has it."""
    try:
        answer: web.StreamResponse = await handler(request)
    except _BadError as error:
        return _error(400, str(error), error.details)
    except KeyRefusedError as error:
        return _refused(error)
    except web.HTTPRequestEntityTooLarge:
        return _error(400, "the request is too long")
    return answer


def _refused(error: KeyRefusedError) -> web.Response:
    match error.reason:
        case Reason.NOT_NAMED:
            return web.Response(status=401)
        case Reason.NOT_FOUND:
            return _error(400, NOT_FOUND)
        case Reason.SIZE | Reason.UNKNOWN_APPLICATION:
            return _error(400, error.what)
        case _:
            answer = _error(503, error.what, [{"reason": error.reason.value}])
            answer.headers["Retry-After"] = str(max(1, round(error.retry_after_s or RETRY_S)))
            return answer


def _error(status: int, message: str, details: Sequence[dict[str, Any]] = ()) -> web.Response:
    body: dict[str, Any] = {"message": message}
    if details:
        body["details"] = list(details)
    return _json(body, status)


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type=JSON, headers={"Cache-Control": "no-store"}
    )


class _Server:
    def __init__(self, service: KeyService, is_application: Callable[[str], bool]) -> None:
        self._service = service
        self._is_application = is_application

    def _caller(self, request: web.Request) -> str:
        """Return the application that asks: its certificate says so, and nothing else does (clause 5.1)."""
        transport = request.transport
        name = names_of(transport.get_extra_info("peercert")).sae if transport is not None else None
        if name is None or not self._is_application(name):
            logging.getLogger("tokaido.node.applications").warning(
                "refused: the certificate of %s speaks for %s, which is no application here", request.remote, name
            )
            raise web.HTTPUnauthorized(body=b"")
        return name

    async def status(self, request: web.Request) -> web.StreamResponse:
        """Answer Get status (clause 5.2)."""
        master, slave = self._caller(request), request.match_info["other"]
        found = self._service.pair_status(master, slave)
        return _json(
            {
                "source_KME_ID": found.source_node,
                "target_KME_ID": found.target_node,
                "master_SAE_ID": master,
                "slave_SAE_ID": slave,
                "key_size": found.key_size,
                "stored_key_count": found.stored_keys,
                "max_key_count": found.max_stored_keys,
                "max_key_per_request": found.max_keys,
                "max_key_size": found.max_key_size,
                "min_key_size": found.min_key_size,
                "max_SAE_ID_count": found.max_slaves,
                "status_extension": {"tokaido_integrity": found.integrity, "tokaido_hops": found.hops},
            }
        )

    async def enc_keys_simple(self, request: web.Request) -> web.StreamResponse:
        """Answer Get key in its GET form (clause 5.3): `number` and `size` alone."""
        self._caller(request)
        values: dict[str, int] = {}
        for name, text in request.query.items():
            if name not in ("number", "size") or name in values:
                raise _BadError(f"{name} cannot stand in a GET request, or twice; take POST")
            values[name] = _whole(name, text)
        return await self._enc_keys(request, KeyRequest(values.get("number"), values.get("size")))

    async def enc_keys(self, request: web.Request) -> web.StreamResponse:
        """Answer Get key in its POST form (clause 5.3)."""
        self._caller(request)
        if request.query:
            raise _BadError("a POST request has its parameters in its body")
        return await self._enc_keys(request, await _body(request, KeyRequest, empty=True))

    async def _enc_keys(self, request: web.Request, asked: KeyRequest) -> web.StreamResponse:
        master, slave = self._caller(request), request.match_info["other"]
        found = self._service.pair_status(master, slave)
        number = 1 if asked.number is None else asked.number
        size = found.key_size if asked.size is None else asked.size
        if not 1 <= number <= found.max_keys:
            raise _BadError(f"number shall be 1 to {found.max_keys}")
        if size % 8:
            raise _BadError("size shall be a multiple of 8")
        if not found.min_key_size <= size <= found.max_key_size:
            raise _BadError(f"size shall be {found.min_key_size} to {found.max_key_size}")
        slaves = [slave, *asked.additional_slave_SAE_IDs]
        if len(slaves) - 1 > found.max_slaves:
            raise _BadError(f"additional_slave_SAE_IDs shall have at most {found.max_slaves} members")
        if len(set(slaves)) < len(slaves):
            raise _BadError("a slave SAE is named twice")
        extensions = Extensions.of(asked.extension_mandatory, asked.extension_optional)
        if extensions.unsupported:
            raise _BadError(
                "not all extension_mandatory parameters are supported",
                [{"extension_mandatory_unsupported": list(extensions.unsupported)}],
            )
        try:
            keys = await extensions.enc_keys(self._service, found, master, slaves, number=number, size=size)
        except UnmetError as error:
            raise _BadError(
                "not all extension_mandatory request options could be met",
                [{"extension_mandatory_unmet": list(error.names)}],
            ) from None
        return await self._deliver(request, keys)

    async def dec_keys_simple(self, request: web.Request) -> web.StreamResponse:
        """Answer Get key with key IDs in its GET form (clause 5.4): one `key_ID`."""
        self._caller(request)
        if list(request.query) != ["key_ID"]:
            raise _BadError("a GET request has one key_ID and nothing else; take POST")
        return await self._dec_keys(request, [request.query["key_ID"]])

    async def dec_keys(self, request: web.Request) -> web.StreamResponse:
        """Answer Get key with key IDs in its POST form (clause 5.4)."""
        self._caller(request)
        if request.query:
            raise _BadError("a POST request has its parameters in its body")
        asked = await _body(request, KeyIds)
        return await self._dec_keys(request, [item.key_ID for item in asked.key_IDs])

    async def _dec_keys(self, request: web.Request, texts: Sequence[str]) -> web.StreamResponse:
        slave, master = self._caller(request), request.match_info["other"]
        found = self._service.pair_status(slave, master)
        if not 1 <= len(texts) <= found.max_keys:
            raise _BadError(f"key_IDs shall have 1 to {found.max_keys} members")
        ids = [_uuid(text) for text in texts]
        if len(set(ids)) < len(ids):
            raise _BadError("a key_ID is named twice")
        return await self._deliver(request, await self._service.dec_keys(slave, master, ids))

    async def _deliver(self, request: web.Request, keys: Sequence[SuppliedKey]) -> web.StreamResponse:
        """Write the key container (clause 6.3); what did not leave is an orphan."""
        body = bytearray(b'{"keys":[')
        for position, key in enumerate(keys):
            body += b"," if position else b""
            body += b'{"key_ID":"%b","key":"' % str(uuid.UUID(bytes=key.key_id)).encode()
            with key.key.reveal() as view:
                body += binascii.b2a_base64(view, newline=False)
            body += b'","key_extension":{"tokaido_hops":%d}}' % key.hops
        body += b"]}"
        answer = web.StreamResponse(headers={"Cache-Control": "no-store", "Content-Type": JSON})
        answer.content_length = len(body)
        try:
            await answer.prepare(request)
            await answer.write(body)
            await answer.write_eof()
        except BaseException:
            self._service.undelivered(keys)
            raise
        finally:
            body[:] = bytes(len(body))
            for key in keys:
                key.key.wipe()
        return answer


async def _body(request: web.Request, kind: type[Any], *, empty: bool = False) -> Any:
    data = await request.read()
    if not data and empty:
        return kind()
    if request.content_type != JSON:
        raise _BadError(f"the content type shall be {JSON}")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _BadError(f"the request is not what the standard has here: {error}") from None


def _whole(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise _BadError(f"{name} shall be an integer")
    return int(text)


def _uuid(text: str) -> bytes:
    try:
        found = uuid.UUID(text)
    except ValueError:
        raise _BadError("key_ID shall be a UUID") from None
    if str(found) != text.lower():
        raise _BadError("key_ID shall be a UUID")
    return found.bytes
