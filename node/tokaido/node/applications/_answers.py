"""What both interfaces do alike: who asks, what was asked, keys that leave or are given back."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from tokaido.node._extra import web
from tokaido.node.applications._strict_json import MalformedError
from tokaido.node.core._actions import Reason
from tokaido.node.service import KeyRefusedError
from tokaido.node.tls import names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from tokaido.node.core._actions import SuppliedKey
    from tokaido.node.service import KeyService

LOG: Final = logging.getLogger("tokaido.node.applications")
JSON: Final = "application/json"
ANSWER_S: Final = 10.0
"""How long the key service may take, and how long an application may take to read its keys."""
RETRY_S: Final = 1.0
_HEADERS: Final = {"Cache-Control": "no-store", "Server": "tokaido"}


def json_answer(body: object, status: int = 200) -> web.Response:
    """Return an answer that nobody keeps."""
    return web.Response(body=msgspec.json.encode(body), status=status, content_type=JSON, headers=_HEADERS)


def no_answer(status: int) -> web.Response:
    """Return an answer without a body."""
    return web.Response(status=status, headers=_HEADERS)


def caller(request: web.Request, is_application: Callable[[str], bool]) -> str | None:
    """Return the application that asks: its certificate says so, and nothing else does. None: it is none of ours."""
    transport = request.transport
    name = names_of(transport.get_extra_info("ssl_object")).sae if transport is not None else None
    if name is not None and is_application(name):
        return name
    LOG.debug("refused: the certificate speaks for %r, and no application of this node is called so", name)
    return None


def target(request: web.Request) -> tuple[tuple[str, ...], str]:
    """Return the parts of the path, each percent-decoded exactly once, and the query as it was written.

    Raises:
        MalformedError: The path is not UTF-8 in percent-encoding.
    """
    path, _, query = request.raw_path.partition("?")
    return tuple(_unquoted(part) for part in path.split("/")[1:]), query


def parameters(query: str) -> dict[str, str]:
    """Return the parameters of a query, each of which stands in it once.

    Raises:
        MalformedError: They do not, or it is not UTF-8 in percent-encoding.
    """
    if not query:
        return {}
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=16)
    except ValueError:
        raise MalformedError("the query is malformed") from None
    found = dict(pairs)
    if len(found) < len(pairs):
        raise MalformedError("the query has a parameter twice")
    return found


def whole_in(values: Mapping[str, str], name: str) -> int | None:
    """Return a parameter that is a whole number; None if it is absent.

    Raises:
        MalformedError: It is something else.
    """
    text = values.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise MalformedError(f"{name} shall be an integer")
    return int(text)


async def kept(service: KeyService, asked: Coroutine[Any, Any, tuple[SuppliedKey, ...]]) -> tuple[SuppliedKey, ...]:
    """Return the keys of a call to the service. Keys that come when nobody waits for them any more are orphans.

    Raises:
        KeyRefusedError: The service refused, or was late.
    """

    def late(task: asyncio.Task[tuple[SuppliedKey, ...]]) -> None:
        if not task.cancelled() and task.exception() is None:
            give_back(service, task.result())

    task = asyncio.get_running_loop().create_task(asked)
    try:
        done, _ = await asyncio.wait({task}, timeout=ANSWER_S)
    except asyncio.CancelledError:
        task.add_done_callback(late)
        raise
    if not done:
        task.add_done_callback(late)
        raise KeyRefusedError("the key manager is too slow now", Reason.PEER_SILENT)
    return task.result()


def give_back(service: KeyService, keys: Sequence[SuppliedKey]) -> None:
    """Say that keys did not reach their application, and wipe them."""
    service.undelivered(keys)
    for key in keys:
        key.key.wipe()


async def deliver(
    service: KeyService,
    request: web.Request,
    keys: Sequence[SuppliedKey],
    write: Callable[[bytearray, Sequence[SuppliedKey]], None],
) -> web.StreamResponse:
    """Send keys to their application and wipe them; those whose answer cannot be sent are orphans.

    The wire's own buffers are not ours to wipe: aiohttp and TLS get a copy, which may lie in memory for a while.

    Args:
        service: Learns of orphans.
        request: Of the application.
        keys: All of them.
        write: Appends the body of the answer.
    """
    body = bytearray()
    try:
        write(body, keys)
        answer = web.Response(body=bytes(body), content_type=JSON, headers=_HEADERS)
        async with asyncio.timeout(ANSWER_S):
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError("the application has left")
            await answer.prepare(request)
            await answer.write_eof()
    except BaseException as error:
        service.undelivered(keys)
        if isinstance(error, TimeoutError):
            raise ConnectionResetError("the application does not read") from None
        raise
    finally:
        body[:] = bytes(len(body))
        for key in keys:
            key.key.wipe()
    return answer


def retry_after(error: KeyRefusedError) -> str:
    """Return when to ask again, in whole seconds."""
    return str(max(1, math.ceil(RETRY_S if error.retry_after_s is None else error.retry_after_s)))


def _unquoted(part: str) -> str:
    try:
        data = part.encode("ascii")
        if any(len(piece) < 2 or not _HEX.issuperset(piece[:2]) for piece in data.split(b"%")[1:]):
            raise ValueError
        return unquote_to_bytes(data).decode("utf-8")
    except ValueError:
        raise MalformedError("the path is not in percent-encoded UTF-8") from None


_HEX: Final = frozenset(b"0123456789ABCDEFabcdef")
