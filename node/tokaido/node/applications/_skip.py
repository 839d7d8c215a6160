"""Cisco SKIP (draft-cisco-skip-02): keys for a pair of encryptors. docs/protocols/skip.md says what is from where.

A key provider, as the draft has it, belongs to one encryptor. So here each application sees a key provider that has
the application's own id, and remote ones that have the ids of the applications that it may share keys with.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, Final

from tokaido.node._extra import web
from tokaido.node.applications._answers import (
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
from tokaido.node.applications._strict_json import MalformedError
from tokaido.node.core._actions import Reason
from tokaido.node.service import KeyRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokaido.node.core._actions import SuppliedKey
    from tokaido.node.service import KeyService

ALGORITHM: Final = "QKD relay"
"""How keys reach both ends: drawn by the operating system's generator, relayed under one-time pads of QKD key."""
SIZE: Final = 256
"""Default size of a key and of entropy, in bits (4.2.2 and 4.3)."""
MOST_ENTROPY: Final = 8192

_KEY_ID: Final = re.compile(r"[0-9a-fA-F]{32}")


def application(
    service: KeyService, is_application: Callable[[str], bool], *, remotes: Callable[[str], tuple[str, ...]]
) -> web.Application:
    """Return the web application that encryptors talk to.

    Args:
        service: Gives the keys.
        is_application: Whether an application of that id is one of this node's.
        remotes: The ids of the applications that one of that id may share keys with.
    """
    found = web.Application(middlewares=[_told])
    found.router.add_route("*", "/{path:.*}", _Server(service, is_application, remotes).answer)
    return found


@web.middleware
async def _told(request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
    try:
        answer: web.StreamResponse = await handler(request)
    except MalformedError as error:
        return _error(400, str(error))
    except KeyRefusedError as error:
        return _refused(error)
    except web.HTTPException as error:
        answer = _error(error.status, error.reason)
        answer.headers.extend({name: value for name, value in error.headers.items() if name == "Allow"})
    return answer


def _refused(error: KeyRefusedError) -> web.Response:
    match error.reason:
        case Reason.NOT_FOUND | Reason.NOT_NAMED:
            return _error(400, "the key was not found")
        case Reason.SIZE | Reason.UNKNOWN_APPLICATION:
            return _error(400, error.what)
        case Reason.STORE:
            return _error(500, error.what)
        case _:
            answer = _error(503, error.what)
            answer.headers["Retry-After"] = retry_after(error)
            return answer


def _error(status: int, message: str) -> web.Response:
    return json_answer({"message": message}, status)


class _Server:
    def __init__(
        self,
        service: KeyService,
        is_application: Callable[[str], bool],
        remotes: Callable[[str], tuple[str, ...]],
    ) -> None:
        self._service = service
        self._is_application = is_application
        self._remotes = remotes

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request: the methods of table 2."""
        mine = caller(request, self._is_application)
        if mine is None:
            return no_answer(401)
        path, query = target(request)
        known = path in {("capabilities",), ("key",), ("entropy",)} or (len(path) == 2 and path[0] == "key")
        if not known:
            raise web.HTTPNotFound
        if request.method != "GET":
            raise web.HTTPMethodNotAllowed(request.method, ("GET",))
        if request.body_exists:
            raise MalformedError("a GET request has no body")
        values = parameters(query)
        match path:
            case ("capabilities",):
                _only(values, ())
                return self._capabilities(mine)
            case ("entropy",):
                _only(values, ("minentropy",))
                return _entropy(whole_in(values, "minentropy"))
            case ("key",):
                _only(values, ("remoteSystemID", "size"))
                return await self._new_key(request, mine, _remote(values), whole_in(values, "size"))
            case _:
                _only(values, ("remoteSystemID",))
                return await self._key(request, mine, _remote(values), path[1])

    def _capabilities(self, mine: str) -> web.Response:
        """Answer Get capabilities (4.1)."""
        remotes = self._remotes(mine)
        return json_answer(
            {
                "entropy": True,
                "key": bool(remotes),
                "algorithm": ALGORITHM,
                "localSystemID": mine,
                "remoteSystemID": list(remotes),
            }
        )

    async def _new_key(self, request: web.Request, mine: str, remote: str, size: int | None) -> web.StreamResponse:
        """Answer Get key without an id (4.2): a new key."""
        found = self._service.pair_status(mine, remote)
        size = SIZE if size is None else size
        if size % 8 or not found.min_key_size <= size <= found.max_key_size:
            raise MalformedError(f"size shall be a multiple of 8 from {found.min_key_size} to {found.max_key_size}")
        keys = await kept(self._service, self._service.enc_keys(mine, (remote,), 1, size))
        return await deliver(self._service, request, keys, _body)

    async def _key(self, request: web.Request, mine: str, remote: str, key_id: str) -> web.StreamResponse:
        """Answer Get key with an id (4.2): the key that the other encryptor got."""
        if not _KEY_ID.fullmatch(key_id):
            raise MalformedError("keyId shall be 32 hexadecimal digits")
        keys = await kept(self._service, self._service.dec_keys(mine, remote, [bytes.fromhex(key_id)]))
        return await deliver(self._service, request, keys, _body)


def _entropy(size: int | None) -> web.Response:
    """Answer Get entropy (4.3), from the operating system's generator. It is used for nothing else."""
    size = SIZE if size is None else size
    if size % 8 or not 8 <= size <= MOST_ENTROPY:
        raise MalformedError(f"minentropy shall be a multiple of 8 from 8 to {MOST_ENTROPY}")
    return json_answer({"randomStr": secrets.token_hex(size // 8), "minentropy": size})


def _body(body: bytearray, keys: Sequence[SuppliedKey]) -> None:
    """Write one key (figure 5)."""
    (key,) = keys
    body += b'{"keyId":"%b","key":"' % key.key_id.hex().encode()
    with key.key.reveal() as view:
        for byte in view:
            body += b"%02x" % byte
    body += b'"}'


def _only(values: dict[str, str], names: Sequence[str]) -> None:
    if not values.keys() <= set(names):
        raise MalformedError(
            f"the query has parameters other than {', '.join(names)}" if names else "no query is known"
        )


def _remote(values: dict[str, str]) -> str:
    remote = values.get("remoteSystemID")
    if not remote:
        raise MalformedError("remoteSystemID is missing")
    return remote
