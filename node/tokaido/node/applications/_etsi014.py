"""ETSI GS QKD 014 V1.1.1: key delivery to applications. docs/protocols/etsi014-server.md has it clause by clause."""

from __future__ import annotations

import binascii
import re
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tokaido.hal.structs import learn
from tokaido.node._extra import web
from tokaido.node.applications._answers import (
    JSON,
    caller,
    deliver,
    json_answer,
    kept,
    no_answer,
    parameters,
    retry_after,
    target,
    whole_in,
)
from tokaido.node.applications._extensions import Extensions, UnmetError, joined, route_type
from tokaido.node.applications._strict_json import MalformedError, decoded
from tokaido.node.core._actions import Reason
from tokaido.node.service import KeyRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokaido.node.core._actions import SuppliedKey
    from tokaido.node.service import KeyService

NOT_FOUND: Final = "one or more keys specified are not found on KME"
NOT_BY_8: Final = "size shall be a multiple of 8"
UNSUPPORTED: Final = "not all extension_mandatory parameters are supported"
UNMET: Final = "not all extension_mandatory request options could be met"

_ROOT: Final = ("api", "v1", "keys")
_METHODS: Final = {"status": ("GET",), "enc_keys": ("GET", "POST"), "dec_keys": ("GET", "POST")}
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class KeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What enc_keys is asked (clause 6.2, table 10)."""

    number: int = 1
    size: int | msgspec.UnsetType = msgspec.UNSET
    additional_slave_SAE_IDs: list[str] = msgspec.field(default_factory=list)  # noqa: N815 - the standard's names
    extension_mandatory: list[dict[str, Any]] = msgspec.field(default_factory=list)
    extension_optional: list[dict[str, Any]] = msgspec.field(default_factory=list)


class KeyId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One id in a request (clause 6.4)."""

    key_ID: str  # noqa: N815
    key_ID_extension: dict[str, Any] = msgspec.field(default_factory=dict)  # noqa: N815


class KeyIds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What dec_keys is asked (clause 6.4, table 12)."""

    key_IDs: list[KeyId]  # noqa: N815
    key_IDs_extension: dict[str, Any] = msgspec.field(default_factory=dict)  # noqa: N815


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
    found = web.Application(middlewares=[_told])
    found.router.add_route("*", "/{path:.*}", _Server(service, is_application).answer)
    return found


@web.middleware
async def _told(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    """Answer a request that breaks a rule as clause 6.5 has it."""
    try:
        answer: web.StreamResponse = await handler(request)
    except _BadError as error:
        return _error(400, str(error), error.details)
    except MalformedError as error:
        return _error(400, str(error))
    except KeyRefusedError as error:
        return _refused(error)
    except web.HTTPRequestEntityTooLarge:
        return _error(400, "the body of the request is too long")
    except web.HTTPRequestTimeout:
        return _error(400, "the body of the request did not come in time")
    except web.HTTPException as error:
        answer = _error(error.status, error.reason)
        answer.headers.extend({name: value for name, value in error.headers.items() if name == "Allow"})
    return answer


def _refused(error: KeyRefusedError) -> web.Response:
    match error.reason:
        case Reason.NOT_NAMED:
            return no_answer(401)
        case Reason.NOT_FOUND:
            return _error(400, NOT_FOUND)
        case Reason.SIZE | Reason.UNKNOWN_APPLICATION:
            return _error(400, error.what, [{"tokaido_reason": error.reason.value}])
        case _:
            answer = _error(503, error.what, [{"tokaido_reason": error.reason.value} | _cut_nodes(error)])
            answer.headers["Retry-After"] = retry_after(error)
            if error.reason is Reason.DRAINING:
                answer.force_close()
            return answer


def _cut_nodes(error: KeyRefusedError | UnmetError) -> dict[str, Any]:
    return {"tokaido_cut_nodes": list(error.cut_nodes)} if error.cut_nodes else {}


def _error(status: int, message: str, details: Sequence[dict[str, Any]] = ()) -> web.Response:
    return json_answer({"message": message} | ({"details": list(details)} if details else {}), status)


class _Server:
    def __init__(self, service: KeyService, is_application: Callable[[str], bool]) -> None:
        self._service = service
        self._is_application = is_application

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, whichever it is."""
        mine = caller(request, self._is_application)
        if mine is None:
            return no_answer(401)
        path, query = target(request)
        if len(path) != 5 or path[:3] != _ROOT or not path[3] or path[4] not in _METHODS:
            raise web.HTTPNotFound
        _, _, _, other, call = path
        if request.method not in _METHODS[call]:
            raise web.HTTPMethodNotAllowed(request.method, _METHODS[call])
        if request.method == "GET" and request.body_exists:
            raise _BadError("a GET request has no body; take POST")
        if query and (request.method == "POST" or call == "status"):
            raise _BadError("parameters do not stand in the query here")
        match call, request.method:
            case "status", _:
                return self._status(mine, other)
            case "enc_keys", "GET":
                return await self._enc_keys(request, mine, other, _simple(query))
            case "enc_keys", _:
                return await self._enc_keys(request, mine, other, await _body(request, KeyRequest, empty=KeyRequest()))
            case _, "GET":
                return await self._dec_keys(request, mine, other, [_simple_id(query)])
            case _:
                asked = await _body(request, KeyIds)
                return await self._dec_keys(request, mine, other, [item.key_ID for item in asked.key_IDs])

    def _status(self, master: str, slave: str) -> web.Response:
        """Answer Get status (clauses 5.2 and 6.1)."""
        found = self._service.pair_status(master, slave)
        return json_answer(
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

    async def _enc_keys(self, request: web.Request, master: str, slave: str, asked: KeyRequest) -> web.StreamResponse:
        """Answer Get key (clauses 5.3, 6.2 and 6.3)."""
        found = self._service.pair_status(master, slave)
        size = asked.size if isinstance(asked.size, int) else found.key_size
        if not 1 <= asked.number <= found.max_keys:
            raise _BadError(f"number shall be 1 to {found.max_keys}")
        if size % 8:
            raise _BadError(NOT_BY_8)
        if not found.min_key_size <= size <= found.max_key_size:
            raise _BadError(f"size shall be {found.min_key_size} to {found.max_key_size}")
        slaves = [slave, *asked.additional_slave_SAE_IDs]
        if len(slaves) - 1 > found.max_slaves:
            raise _BadError(f"additional_slave_SAE_IDs shall have at most {found.max_slaves} members")
        if len(set(slaves)) < len(slaves):
            raise _BadError("a slave SAE is named twice")
        mandatory, optional = joined(asked.extension_mandatory), joined(asked.extension_optional)
        if mandatory is None or optional is None:
            raise _BadError("an extension is named twice")
        extensions = Extensions(mandatory, optional)
        if extensions.unsupported:
            raise _BadError(UNSUPPORTED, [{"extension_mandatory_unsupported": list(extensions.unsupported)}])
        service = self._service

        async def enc_keys(max_age_s: float | None, hops: tuple[int, int], routes: int) -> tuple[SuppliedKey, ...]:
            given = service.enc_keys(master, slaves, asked.number, size, max_age_s=max_age_s, hops=hops, routes=routes)
            return await kept(service, given)

        try:
            keys = await extensions.met(enc_keys)
        except UnmetError as error:
            unmet: dict[str, Any] = {"extension_mandatory_unmet": list(error.names)}
            raise _BadError(UNMET, [unmet | _cut_nodes(error)]) from None
        return await deliver(service, request, keys, partial(_container, asked=extensions.asks_for_a_route))

    async def _dec_keys(
        self, request: web.Request, slave: str, master: str, texts: Sequence[str]
    ) -> web.StreamResponse:
        """Answer Get key with key IDs (clauses 5.4, 6.3 and 6.4)."""
        ids = [_id(text) for text in texts]
        if len(set(ids)) < len(ids):
            raise _BadError("a key_ID is named twice")
        try:
            most = self._service.pair_status(slave, master).max_keys
        except KeyRefusedError as error:
            if error.reason is Reason.UNKNOWN_APPLICATION:  # who nobody knows was never a master
                raise _BadError(NOT_FOUND) from None
            raise
        if not 1 <= len(ids) <= most:
            raise _BadError(f"key_IDs shall have 1 to {most} members")
        keys = await kept(self._service, self._service.dec_keys(slave, master, ids))
        return await deliver(self._service, request, keys, _container)


def _container(body: bytearray, keys: Sequence[SuppliedKey], *, asked: bool = False) -> None:
    """Write a key container (clause 6.3); `asked`: somebody wants to know which routes the keys went."""
    body += b'{"keys":['
    for position, key in enumerate(keys):
        body += b"," if position else b""
        body += b'{"key_ID":"%b","key":"' % str(uuid.UUID(bytes=key.key_id)).encode()
        with key.key.reveal() as view:
            body += binascii.b2a_base64(view, newline=False)
        body += b'"}'
    body += b"]"
    marks = [b'"tokaido_emulated":true'] if any(key.emulated for key in keys) else []
    marks += [b'"tokaido_insecure":true'] if any(key.key.insecure for key in keys) else []
    kind = route_type(keys, asked=asked)
    marks += [b'"tokaido_route_type":"%b"' % kind.encode()] if kind else []
    if marks:
        body += b',"key_container_extension":{' + b",".join(marks) + b"}"
    body += b"}"


def _simple(query: str) -> KeyRequest:
    """Return the key request of the GET form: `number` and `size` alone (clause 5.3)."""
    values = parameters(query)
    if not values.keys() <= {"number", "size"}:
        raise _BadError("a GET request has number and size alone; take POST")
    number, size = whole_in(values, "number"), whole_in(values, "size")
    return KeyRequest(1 if number is None else number, msgspec.UNSET if size is None else size)


def _simple_id(query: str) -> str:
    """Return the id of the GET form: one, and nothing else (clause 5.4)."""
    values = parameters(query)
    if values.keys() != {"key_ID"}:
        raise _BadError("a GET request has one key_ID and nothing else; take POST")
    return values["key_ID"]


async def _body(request: web.Request, kind: type[Any], *, empty: Any = None) -> Any:
    data = await request.read()
    if not data and empty is not None:
        return empty
    if request.content_type != JSON or (request.charset or "utf-8").lower() != "utf-8":
        raise _BadError(f"the content type shall be {JSON}, in UTF-8")
    return decoded(data, kind)


def _id(text: str) -> bytes:
    if not _UUID.fullmatch(text):
        raise _BadError("key_ID shall be a UUID")
    return uuid.UUID(text).bytes


learn(KeyRequest, KeyIds)
