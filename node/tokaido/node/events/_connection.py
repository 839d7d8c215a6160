"""One connection to a hub. The client library is imported when somebody first connects."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from tokaido.hal import ConfigurationError, NotConnectedError, TransportError
from tokaido.node import tls
from tokaido.node.events._subjects import inbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from tokaido.node.events._settings import EventsSettings

LOG: Final = logging.getLogger("tokaido.node.events")
CONNECT_S: Final = 5.0
"""How long a connection may take."""
PING_S: Final = 5
"""How often each end asks whether the other one is there; two that are not answered end the connection."""
ACKNOWLEDGE_S: Final = 2.0
"""How long a stream may take to acknowledge a message, before it is sent again."""
READ_S: Final = 5.0
"""How long a stream may take to give what it was asked for."""
AT_ONCE: Final = 256
Stop: TypeAlias = "Callable[[], Awaitable[None]]"
"""Ends what was begun; may be called again."""


class Stored(NamedTuple):
    """One message of a stream."""

    sequence: int
    subject: str
    payload: bytes
    at: str
    """When it was stored, ISO 8601, by the server."""


def library() -> Any:
    """Return the client library.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import nats  # noqa: PLC0415 - an extra
        import nats.errors  # noqa: PLC0415
        import nats.js.errors  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(
            "the bus needs nats-py, which is not installed", remedy="Install it with: pip install 'tokaido[events]'"
        ) from error
    logging.getLogger("asyncio").addFilter(_is_news)
    return nats


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether a warning of asyncio is worth a line; the library's way to TLS makes it give one at each end."""
    return "eof_received() has no effect when using ssl" not in str(record.msg)


async def _nothing() -> None:
    """End nothing."""


class Connection:
    """A connection that ends when it breaks: a program that needs another one makes it. Nothing is queued meanwhile.

    Args:
        settings: Where the hub is, and the certificate.
        user: What begins the inboxes of the certificate's owner.
    """

    def __init__(self, settings: EventsSettings, user: str) -> None:
        self._settings = settings
        self._user = user
        self._client: Any = None
        self._streams: Any = None
        self._nats = library()
        self._why = ""
        self.ended = asyncio.Event()
        """Set once it is of no more use."""
        self.refused: list[str] = []
        """What the server did not allow."""

    async def open(self, server: str) -> None:
        """Connect to one server.

        Raises:
            NotConnectedError: It cannot be reached, or lets this certificate not in.
            ConfigurationError: The files of the certificate cannot be used.
        """
        context = await asyncio.to_thread(tls.client_context, self._settings.tls)
        client = self._client = self._nats.NATS()
        try:
            async with asyncio.timeout(CONNECT_S):
                await client.connect(
                    servers=[server],
                    tls=context,
                    name=self._user,
                    inbox_prefix=inbox(self._user).encode(),
                    allow_reconnect=False,
                    max_reconnect_attempts=1,  # else it tries one server for ever, and tells nobody
                    reconnect_time_wait=0.05,
                    connect_timeout=CONNECT_S,
                    ping_interval=PING_S,
                    max_outstanding_pings=2,
                    drain_timeout=1,
                    error_cb=self._failed,
                    closed_cb=self._closed,
                )
        except self._foreign as error:
            await self.close()  # the library leaves the socket open
            raise NotConnectedError(
                f"the hub's server {server} cannot be reached: {self._why or _said(error)}",
                remedy="See that it runs, and that its configuration knows this certificate",
            ) from None
        if not client.is_connected:  # the library takes an end of the stream for an answer
            await self.close()
            raise NotConnectedError(
                f"the hub's server {server} ended the connection",
                remedy="See that its configuration knows this certificate, and that it is not revoked",
            )
        self._streams = client.jetstream(timeout=ACKNOWLEDGE_S)

    @property
    def _foreign(self) -> tuple[type[BaseException], ...]:
        return (self._nats.errors.Error, OSError, TimeoutError, ValueError)

    @property
    def streams(self) -> Any:
        """The library's own face for streams: who manages them uses it."""
        return self._streams

    async def close(self) -> None:
        """End it. May be called again."""
        client, self._client = self._client, None
        if client is not None and not client.is_closed:
            try:
                async with asyncio.timeout(2.0):
                    await client.close()
            except self._foreign as error:
                LOG.debug("a connection ended with %s", _said(error))
        self.ended.set()

    def _stop(self, heard: Any) -> Stop:
        async def stop() -> None:
            if self._client is not None and not self._client.is_closed:
                with contextlib.suppress(*self._foreign):
                    await heard.unsubscribe()

        return stop

    async def publish(self, subject: str, payload: bytes, unheard: Callable[[], object] | None = None) -> Stop:
        """Say something once, to those who hear it now.

        Args:
            subject: Where.
            payload: What.
            unheard: Called if the server knows that nobody hears it.

        Returns:
            What ends the wait for that.

        Raises:
            TransportError: It did not go out.
        """

        async def told(message: Any) -> None:
            if unheard is not None and (message.headers or {}).get("Status") == "503":
                unheard()

        try:
            async with asyncio.timeout(ACKNOWLEDGE_S):
                client, reply = self._live(), ""
                stop: Callable[[], Awaitable[None]] = _nothing
                if unheard is not None:
                    reply = client.new_inbox()
                    stop = self._stop(await client.subscribe(reply, cb=told))
                await client.publish(subject, payload, reply=reply)
                await self._live().flush(timeout=ACKNOWLEDGE_S)
                return stop
        except TransportError:
            raise
        except self._foreign as error:
            raise TransportError(f"nothing went out to {subject}: {_said(error)}") from None

    async def store(self, stream: str, subject: str, payload: bytes, identifier: str) -> None:
        """Publish a message, and return once a majority of the stream's servers has it.

        Raises:
            TransportError: Nobody can know whether they have it: publish it again.
        """
        self._live()
        try:
            await self._streams.publish(
                subject, payload, timeout=ACKNOWLEDGE_S, stream=stream, headers={"Nats-Msg-Id": identifier}
            )
        except self._foreign as error:
            raise TransportError(f"{stream} did not acknowledge a message: {_said(error)}") from None

    async def hear(self, subject: str, take: Callable[[str, bytes], Awaitable[None]]) -> Stop:
        """Have `take` get subject and payload of each message at a subject, one after the other, from now on.

        Returns:
            What ends it.

        Raises:
            TransportError: It cannot be heard.
        """

        async def taken(message: Any) -> None:
            await take(message.subject, message.data)

        try:
            heard = await self._live().subscribe(subject, cb=taken)
            await self._live().flush(timeout=ACKNOWLEDGE_S)
            return self._stop(heard)
        except TransportError:
            raise
        except self._foreign as error:
            raise TransportError(f"{subject} cannot be heard: {_said(error)}") from None

    async def last(self, stream: str, subject: str) -> Stored | None:
        """Return the last message of a stream at a subject; None: there is none.

        Raises:
            TransportError: It cannot be read.
        """
        return next(iter([one async for one in self._get(f"{stream}.{subject}", {})]), None)

    async def lasts(self, stream: str, subjects: str) -> list[Stored]:
        """Return the last message of a stream at each subject that fits, at most 1024.

        Raises:
            TransportError: They cannot be read.
        """
        return [one async for one in self._get(stream, {"multi_last": [subjects]})]

    async def after(self, stream: str, sequence: int) -> list[Stored]:
        """Return the first messages of a stream after a number, at most 256; none if there are none.

        Raises:
            TransportError: They cannot be read.
        """
        return [one async for one in self._get(stream, {"seq": sequence + 1, "batch": AT_ONCE})]

    async def _get(self, stream: str, what: Mapping[str, object]) -> AsyncIterator[Stored]:
        """Ask a stream for messages: it answers each at a time, and says when there are no more."""
        client = self._live()
        answers = client.new_inbox()
        try:
            heard = await client.subscribe(answers)
            payload = json.dumps(what).encode() if what else b""
            await client.publish(f"$JS.API.DIRECT.GET.{stream}", payload, reply=answers)
            try:
                while True:
                    message = await heard.next_msg(timeout=READ_S)
                    headers = message.headers or {}
                    if (status := headers.get("Status", "")) == "404" or "Nats-Sequence" not in headers:
                        if status not in {"404", "204"}:
                            why = headers.get("Description", "") or f"status {status or 'of no stream'}"
                            raise TransportError(f"the stream {stream} cannot be read: {why}")
                        return
                    yield Stored(
                        int(headers["Nats-Sequence"]),
                        headers["Nats-Subject"],
                        message.data,
                        headers.get("Nats-Time-Stamp", ""),
                    )
                    if not what:
                        return
            finally:
                if not client.is_closed:
                    await heard.unsubscribe()
        except TransportError:
            raise
        except self._foreign as error:
            raise TransportError(f"the stream {stream} cannot be read: {_said(error)}") from None

    def _live(self) -> Any:
        if self._client is None or not self._client.is_connected:
            raise TransportError("the connection to the hub ended", remedy="Connect again")
        return self._client

    async def _failed(self, error: BaseException) -> None:
        LOG.debug("the hub: %s", _said(error))
        self._why = _said(error)
        if "permissions violation" in str(error).lower():
            self.refused = [*self.refused[-99:], str(error)]

    async def _closed(self) -> None:
        self.ended.set()


def _said(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
