"""A node's state over HTTPS, as RESTCONF (RFC 8040) has it for who may read and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tokaido.node._extra import web
from tokaido.node.etsi015._resources import LIBRARY_VERSION, STREAM, chosen, datastore, find
from tokaido.node.etsi015._tree import qkd_node
from tokaido.node.tls import names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tokaido.node.etsi015._notices import Notices
    from tokaido.node.operation import NodeStatus

JSON: Final = "application/yang-data+json"
EVENTS: Final = "text/event-stream"
ALLOWED: Final = "GET, HEAD, OPTIONS"
HEADERS: Final = {"Cache-Control": "no-cache", "Server": "tokaido"}
HOST_META: Final = (
    b"<?xml version='1.0' encoding='UTF-8'?>\n<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>"
    b"<Link rel='restconf' href='/restconf'/></XRD>\n"
)
SIGN_OF_LIFE_S: Final = 10.0
"""How long a stream says nothing."""
WRITE_S: Final = 10.0
"""How long a reader may take for what is written to it."""


def application(status: Callable[[], NodeStatus], readers: Collection[str], notices: Notices) -> web.Application:
    """Return what answers, as `state_application` says."""

    async def answer(request: web.Request) -> web.StreamResponse:
        transport = request.transport
        names = names_of(None if transport is None else transport.get_extra_info("ssl_object"))
        if not ({names.node, names.sae} - {None}) & set(readers):
            return _error(403, "access-denied", "this certificate may not read the node's state")
        if request.method == "OPTIONS":
            return web.Response(headers={**HEADERS, "Allow": ALLOWED})
        if request.method not in {"GET", "HEAD"}:
            return _error(405, "operation-not-supported", "this server is for reading alone")
        path = request.rel_url.raw_path
        if path == "/.well-known/host-meta":
            return web.Response(body=HOST_META, content_type="application/xrd+xml", headers=HEADERS)
        if not _accepts(request, EVENTS if path == STREAM else JSON):
            return _error(406, "invalid-value", f"this is {EVENTS if path == STREAM else JSON}")
        if path == STREAM:
            return await _stream(request, notices)
        return _data(request, path, status, notices)

    async def end(_: web.Application) -> None:
        notices.end()

    made = web.Application()
    made.router.add_route("*", "/{path:.*}", answer)
    made.on_shutdown.append(end)
    return made


def _data(request: web.Request, path: str, status: Callable[[], NodeStatus], notices: Notices) -> web.Response:
    content = request.query.get("content", "all")
    below_data = path == "/restconf/data" or path.startswith("/restconf/data/")
    if set(request.query) - ({"content"} if below_data else set()) or len(request.query) > 1:
        return _error(400, "invalid-value", "of the query parameters this server knows content alone, for data")
    if content not in {"all", "config", "nonconfig"}:
        return _error(400, "invalid-value", "content must be all, config or nonconfig")
    if path == "/restconf":
        return _json("ietf-restconf:restconf", {"data": {}, "operations": {}, "yang-library-version": LIBRARY_VERSION})
    if path == "/restconf/operations":
        return _json("ietf-restconf:operations", {})
    if path == "/restconf/yang-library-version":
        return _json("ietf-restconf:yang-library-version", LIBRARY_VERSION)
    if not below_data:
        return _error(404, "invalid-value", "this server has no such resource")
    data = datastore(qkd_node(status(), notices.site, readers=notices.readers, dropped=notices.dropped))
    try:
        if path == "/restconf/data":
            whole = {"ietf-restconf:data": data}
            found = find(whole, "ietf-restconf:data")
        else:
            found = find(data, path.removeprefix("/restconf/data/"))
    except ValueError as error:  # a UnicodeDecodeError is one
        told = "the path is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        return _error(400, "invalid-value", told)
    value = None if found is None else chosen(found, content)
    if found is None or (value is None and not isinstance(found.value, dict)):
        return _error(404, "invalid-value", "this server has no such resource")
    return _json(found.name, {} if value is None else value)


async def _stream(request: web.Request, notices: Notices) -> web.StreamResponse:
    if request.query:
        return _error(400, "invalid-value", "the stream knows no query parameters, and replays nothing")
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": EVENTS})
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    reader = notices.open()
    if reader is None:
        return _error(409, "resource-denied", "there are too many readers of notifications")
    transport: Any = request.transport
    if transport is not None:
        reader.drop = transport.abort
    slow = False
    try:
        await response.prepare(request)
        data: bytes | None = b""
        while data is not None:
            async with asyncio.timeout(WRITE_S):
                await response.write(data or b":\n\n")  # a comment: a sign of life
            data = await reader.next(SIGN_OF_LIFE_S)
    except TimeoutError:
        slow = True
    except ConnectionError:
        pass  # it left
    finally:
        notices.close(reader, slow=slow)
    return response


def _accepts(request: web.Request, kind: str) -> bool:
    """Return whether a client takes a kind of body (RFC 9110, 12.5.1)."""
    told = request.headers.getall("Accept", [])
    kinds = [one.partition(";") for line in told for one in line.lower().split(",")]
    found = {name.strip(): "".join(rest.split()) for name, _, rest in kinds if name.strip()}
    ranges = (kind, f"{kind.partition('/')[0]}/*", "*/*")
    rests = [found[one] for one in ranges if one in found]
    return not found or bool(rests and rests[0] not in {"q=0", "q=0.0", "q=0.00", "q=0.000"})


def _json(name: str, value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode({name: value}), content_type=JSON, headers=HEADERS)


def _error(status: int, tag: str, message: str) -> web.Response:
    """Return an error (RFC 8040, 7.1)."""
    error = {"error-type": "protocol", "error-tag": tag, "error-message": message}
    body = msgspec.json.encode({"ietf-restconf:errors": {"error": [error]}})
    headers = {**HEADERS, "Allow": ALLOWED} if status == 405 else HEADERS
    return web.Response(status=status, body=body, content_type=JSON, headers=headers)
