"""The person's side of the bus: watch a network, read its records, give commands, hand out topologies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal import (
    NS_PER_S,
    SYSTEM_CLOCK,
    ConfigurationError,
    DeviceTimeoutError,
    NotConnectedError,
    OutcomeUnknownError,
    ProtocolError,
    TokaidoError,
    TransportError,
)
from tokaido.hal.files import read_believed
from tokaido.node.events._commands import LONGEST_S, Command
from tokaido.node.events._connection import AT_ONCE, Connection, Stored
from tokaido.node.events._messages import Answer, decode
from tokaido.node.events._seen import Seen
from tokaido.node.events._signed import operator_of, sign
from tokaido.node.events._subjects import Subjects, operator_user
from tokaido.node.events._topologies import MAX_FILE, message_of
from tokaido.node.events._view import NetworkView

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from tokaido.hal import Clock
    from tokaido.node.events._messages import Message
    from tokaido.node.events._settings import EventsSettings
    from tokaido.node.topology import Topology

LOG: Final = logging.getLogger("tokaido.node.events")
RECALL_S: Final = 0.5
WINDOW_S: Final = 600.0
"""For how long the streams know the ids of messages."""
TELEMETRY_S: Final = 2 * 86_400.0
RECORDS_S: Final = 90 * 86_400.0
MOST_BYTES: Final = 4 << 30


class NetworkClient:
    """A connection of one person. Use it with `async with`, in one loop.

    Args:
        settings: Of the network file.
        clock: Where time comes from.
    """

    def __init__(self, settings: EventsSettings, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.settings = settings
        self.subjects = Subjects(settings.network)
        self._clock = clock
        self._connection: Connection | None = None
        self._who = ""
        self._recalling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect to the first server that lets us in.

        Raises:
            NotConnectedError: None does.
            ConfigurationError: The certificate names no person, or cannot be used.
        """
        self._who = await asyncio.to_thread(_owner, self.settings.tls.certificate)
        why: list[str] = []
        for server in self.settings.servers:
            connection = Connection(self.settings, operator_user(self._who))
            try:
                await connection.open(server)
            except NotConnectedError as error:
                why.append(error.what)
            else:
                self._connection = connection
                return self
        raise NotConnectedError("; ".join(why), remedy="See that the hub runs, and that it knows this certificate")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._recalling is not None:
            self._recalling.cancel()
        if self._connection is not None:
            await self._connection.close()

    @property
    def connection(self) -> Connection:
        """The connection itself.

        Raises:
            NotConnectedError: There is none.
        """
        if self._connection is None:
            raise NotConnectedError("not connected to the hub", remedy="Use it with `async with`")
        return self._connection

    @property
    def who(self) -> str:
        """Whom the certificate names."""
        return self._who

    # --- watching -----------------------------------------------------------------------------------------------------

    async def watch(
        self, told: Callable[[Message], object] = lambda _: None, view: NetworkView | None = None
    ) -> NetworkView:
        """Return a view of the network that goes on changing: first what was told last, then what comes.

        Args:
            told: Gets every message that comes from now on.
            view: One of an earlier connection, which goes on; default: a new one.

        Raises:
            TransportError: The connection ended.
        """
        shown = NetworkView(self.settings.network, clock=self._clock) if view is None else view

        async def take(subject: str, payload: bytes) -> None:
            if self.subjects.node_of(subject) and (message := shown.take(subject, payload)) is not None:
                told(message)

        await self.connection.hear(self.subjects.everything, take)
        if not await self._recall(shown):  # a hub that has just started
            self._recalling = asyncio.get_running_loop().create_task(self._recall_soon(shown))
        return shown

    async def _recall(self, view: NetworkView) -> bool:
        """Show what each node told last, and return whether the stream could be read."""
        telemetry = self.subjects.of("*", "telemetry")
        try:
            for one in await self.connection.lasts(self.subjects.telemetry_stream, telemetry):
                view.take(one.subject, one.payload, age_s=self._age_s(one))
        except TransportError as error:
            LOG.info("the last messages of nodes are not known yet: %s", error)
            return False
        return True

    async def _recall_soon(self, view: NetworkView) -> None:
        while not self.connection.ended.is_set():
            await asyncio.to_thread(self._clock.wait, RECALL_S)
            if await self._recall(view):
                return

    def reader(self, *, telemetry: bool = False, position: int = 0, seen: Seen | None = None) -> Reader:
        """Return a reader of one of the streams.

        Args:
            telemetry: Of telemetry; else of all else.
            position: The last number that was read before; 0: from the beginning.
            seen: What was read before.
        """
        stream = self.subjects.telemetry_stream if telemetry else self.subjects.records_stream
        return Reader(self.connection, self.subjects, stream, position, seen)

    def _age_s(self, stored: Stored) -> float:
        try:
            at = datetime.fromisoformat(stored.at)
        except ValueError:
            return 0.0
        return max(self._clock.utc_ns() / NS_PER_S - at.astimezone(UTC).timestamp(), 0.0)

    # --- commanding ---------------------------------------------------------------------------------------------------

    async def command(
        self, node: str, order: dict[str, Any], *, within_s: float = 10.0, identifier: str | None = None
    ) -> Answer:
        """Give a node a command, and return what came of it.

        Args:
            node: Its name.
            order: What TRN1 has: `{"do": "relay", "on": False}`.
            within_s: After so long it is not begun any more; 0 to 300.
            identifier: Of the command; default: a new one. With that of an earlier one it asks what came of that.

        Raises:
            ConfigurationError: There is no such order, or it would have too long a time.
            NotConnectedError: The node is not on the bus: nothing was carried out.
            OutcomeUnknownError: No answer came in time.
            TransportError: The connection ended.
        """
        import msgspec  # noqa: PLC0415

        if not 0 < within_s <= LONGEST_S:
            raise ConfigurationError(f"a command has more than 0 and at most {LONGEST_S:g} s, not {within_s:g} s")
        now_s = self._clock.utc_ns() / NS_PER_S
        identifier = identifier or os.urandom(16).hex()
        head = {"id": identifier, "network": self.settings.network, "node": node}
        times = {"issued_utc_s": now_s, "deadline_utc_s": now_s + within_s}
        try:
            command = msgspec.convert({**head, **times, "order": order}, Command)
        except msgspec.ValidationError as error:
            raise ConfigurationError(
                f"there is no such order: {error}", remedy="docs/protocols/repeater.md has them"
            ) from None
        envelope = await asyncio.to_thread(sign, msgspec.json.encode(command), self.settings.tls)
        return await self.give(node, identifier, envelope, within_s)

    async def give(self, node: str, identifier: str, envelope: bytes, within_s: float) -> Answer:
        """Publish a signed command, and return the answer.

        Raises:
            NotConnectedError: The node is not on the bus: nothing was carried out.
            OutcomeUnknownError: No answer came in time.
            TransportError: The connection ended.
        """
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        async def take(subject: str, payload: bytes) -> None:
            with contextlib.suppress(ProtocolError):
                message = decode(payload)
                mine = isinstance(message, Answer) and message.command == identifier
                if mine and message.node == node == self.subjects.node_of(subject) and not answered.done():
                    answered.set_result(message)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] # `mine`

        stops = [await self.connection.hear(self.subjects.answer(node, self._who), take)]

        def unheard() -> None:
            if not answered.done():
                what = f"{node} is not on the bus now: nobody heard the command"
                answered.set_exception(NotConnectedError(what, remedy="Give it again once the node is there"))

        try:
            stops.append(await self.connection.publish(self.subjects.command(node, self._who), envelope, unheard))
            async with asyncio.timeout(within_s):
                return await answered
        except TimeoutError:
            raise OutcomeUnknownError(
                f"{node} did not answer command {identifier} within {within_s:g} s",
                remedy=f"Is it on the bus? Ask again with the same id: --id {identifier}; it is not begun any more",
            ) from None
        finally:
            for stop in stops:
                await stop()

    # --- keeping ------------------------------------------------------------------------------------------------------

    async def make_streams(self, copies: int, *, within_s: float = 30.0) -> None:
        """Make the streams, or bring them to what is written here. It takes the certificate of a keeper.

        Args:
            copies: On how many servers each message is: 1, 3 or 5, at most as many as there are.
            within_s: How long the servers may take to agree.

        Raises:
            DeviceTimeoutError: They did not.
        """
        subjects, streams = self.subjects, self.connection.streams
        wanted = (
            (subjects.telemetry_stream, [subjects.of("*", "telemetry")], TELEMETRY_S),
            (
                subjects.records_stream,
                [
                    *(subjects.of("*", kind) for kind in ("alarm", "act", "relay", "answer.*")),
                    subjects.topology,
                ],
                RECORDS_S,
            ),
        )
        for name, kept, age_s in wanted:
            settings = {
                "name": name,
                "subjects": kept,
                "num_replicas": copies,
                "max_age": age_s,
                "max_bytes": MOST_BYTES,
                "duplicate_window": WINDOW_S,
                "allow_direct": True,
                "discard": "old",
            }
            await self._until(lambda settings=settings: _put(streams, settings), within_s)  # type: ignore[misc]

    async def _until(self, work: Callable[[], Any], within_s: float) -> None:
        end_ns = self._clock.monotonic_ns() + round(within_s * NS_PER_S)
        while True:
            try:
                return await work()  # type: ignore[no-any-return]
            except TokaidoError as error:
                if self._clock.monotonic_ns() > end_ns:
                    raise DeviceTimeoutError(
                        f"the streams could not be made: {error}", remedy="Is this the certificate of a keeper?"
                    ) from None
            await asyncio.to_thread(self._clock.wait, 0.3)

    async def publish_topology(self, path: Path, public_key: Path) -> Topology:
        """Hand out a signed topology. It takes the certificate of a keeper.

        Raises:
            AuthenticationError: The signature is missing or wrong.
            ConfigurationError: With every mistake in the file.
            TransportError: The stream did not acknowledge it.
        """
        data = read_believed(path, "topology", longest=MAX_FILE)
        topology, message = message_of(data, public_key, self.settings.network)
        identifier = f"topology-{topology.network}-{topology.serial}"
        await self.connection.store(self.subjects.records_stream, self.subjects.topology, message, identifier)
        return topology


class Reader:
    """Reads a stream from a position on, and gives each message once, however often it is stored.

    Keep `position` and `seen` to go on after a restart.
    """

    def __init__(
        self, connection: Connection, subjects: Subjects, stream: str, position: int, seen: Seen | None
    ) -> None:
        self._connection = connection
        self._subjects = subjects
        self._stream = stream
        self.position = position
        """Number, in the stream, of the last message that was looked at."""
        self.seen = Seen() if seen is None else seen
        """Which ids were given."""
        self.again = 0
        """Messages that were stored again, and passed over."""
        self.refused = 0
        """Messages that are none of the node whose subject they came at."""

    async def more(self) -> list[Message]:
        """Return what came since the last call, at most 256 messages; an empty list: nothing.

        Raises:
            TransportError: It cannot be read.
        """
        found: list[Message] = []
        while True:
            batch = await self._connection.after(self._stream, self.position)
            for stored in batch:
                self.position = max(self.position, stored.sequence)
                try:
                    message = decode(stored.payload)
                except ProtocolError:
                    self.refused += stored.subject != self._subjects.topology
                    continue
                if message.node != self._subjects.node_of(stored.subject):
                    self.refused += 1
                elif self.seen.take(message.id):
                    found.append(message)
                else:
                    self.again += 1
            if found or len(batch) < AT_ONCE:
                return found


async def _put(streams: Any, settings: dict[str, Any]) -> None:
    from tokaido.node.events._connection import library  # noqa: PLC0415

    nats = library()
    try:
        try:
            await streams.update_stream(**settings)
        except nats.js.errors.NotFoundError:
            await streams.add_stream(**settings)
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise TokaidoError(f"{settings['name']}: {error or type(error).__name__}") from None


def _owner(certificate: Path) -> str:
    from cryptography import x509  # noqa: PLC0415

    try:
        who = operator_of(x509.load_pem_x509_certificate(certificate.read_bytes()))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the certificate {certificate} cannot be read: {error}") from error
    if not who:
        raise ConfigurationError(
            f"the certificate {certificate} names no person", remedy="It needs a URI urn:tokaido:operator:NAME"
        )
    return who
