"""Key channels over ZeroMQ: drawing key blocks, loading pre-shared keys, the telemetry stream.

What every unit's key channel does is here: requests that have a verb (`hello`, `load_psk`, `draw`, `ack`, `commit`,
`subscribe`) and members, replies that say `ok` or why not, and events. How a family writes its messages, how long its
pre-shared keys are and how much it offers at a time is what a driver adds.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from os import urandom
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeVar, cast

from tokaido.hal._clock import NS_PER_S, Clock, Deadline
from tokaido.hal._errors import (
    ClosedError,
    DeviceBusyError,
    DeviceError,
    DeviceTimeoutError,
    KeyMaterialError,
    ProtocolError,
    RangeError,
    RefusedError,
    StateError,
    TokaidoError,
    WrongDeviceError,
)
from tokaido.hal._key_digests import NOBODY, block_digest, preshared_digest
from tokaido.hal._key_messages import MAX_HEADER, Event, Offer, Reply, is_name, telemetry_event
from tokaido.hal._keys import KeyBlock, KeyBlockInfo, KeyMaterial
from tokaido.hal._secret_frames import SecretZmqTransport, wipe, wiped_on_error
from tokaido.hal._value_texts import LARGEST_WHOLE
from tokaido.hal.roles._unit_values import TelemetryEvent
from tokaido.hal.transports._codec import NOT_MINE, LateRequest, NotMine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from tokaido.hal._values import Measured
    from tokaido.hal.transports._resources import Resource
    from tokaido.hal.transports._zmq import ZmqTransport

H = TypeVar("H")
Name = tuple[str, str, int]
"""Serial number, session and number of a block."""

LONGEST_WAIT_S: Final = 2.0
"""Longest that a unit is asked to wait with its answer, although it may wait for longer: a lost one costs no more."""
MAX_ALTERED: Final = 3
"""How often an offer is asked for when the key of a block is not what the unit says of it."""
EVENT: Final = 0
"""The number of what answers no request."""


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A block that was offered and arrived whole."""

    info: KeyBlockInfo
    digest: str = field(repr=False)
    key: KeyMaterial


class KeyChannel(ABC):
    """Draws key blocks, loads pre-shared keys and hears the telemetry stream of one unit.

    A driver says what its family's protocol fixes, in the class attributes, and how it writes a message: `_pack`,
    `_unpack` and `_decode`. A request has a number that no other request of this object has and that goes up on every
    connection; a reply has its request's.
    """

    protocol: ClassVar[str]
    """What `hello` asks for and the unit must confirm: name and version."""
    preshared_key_bytes: ClassVar[int]
    """Length of a pre-shared key in bytes; a key of another length is refused, never padded or cut."""
    max_offers: ClassVar[int]
    """Most blocks that the unit offers before it wants one of them committed."""
    interval_range: ClassVar[tuple[float, float]]
    """Shortest and longest interval of the telemetry stream in s."""
    subscription_renewal_s: ClassVar[float]
    """How often a subscription is renewed, in s: well before the unit lets it end."""

    @abstractmethod
    def _pack(self, number: int, header: dict[str, Any]) -> list[bytes]:
        """Return the frames of a request, its payload left out."""

    @abstractmethod
    def _unpack(self, frames: list[bytes]) -> tuple[int, bytes, list[bytes]] | None:
        """Return number (`EVENT` for an event), header and payload of a message, or None for what is not ours.

        The frames are overwritten when the message was dealt with: copy what is kept of them.

        Raises:
            ProtocolError: It is not a message of this protocol.
        """

    @abstractmethod
    def _decode(self, header: bytes, kind: type[H]) -> H:
        """Return the header as `kind`. A `ValueError`, which msgspec's errors are, says that it is none."""

    def __init__(
        self,
        resource: Resource,
        device: str,
        serial_number: str,
        *,
        clock: Clock,
        timeout_s: float,
        nonces: Callable[[int], bytes] = urandom,
    ) -> None:
        self._resource = resource
        self._device = device
        self._serial_number = serial_number
        self._clock = clock
        self._timeout_s = timeout_s
        self._host = nonces(8).hex()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._closed = False
        self._streams: set[ZmqTransport] = set()
        self._transport = self._connect()

    def close(self) -> None:
        """Disconnect, with every stream that is still open. The unit keeps what was not committed."""
        with self._lock:
            self._closed = True
            transports = [*self._streams, self._transport]
        with ExitStack() as closing:  # each is closed even if closing another one was interrupted
            for transport in transports:
                closing.callback(transport.close)

    def load_preshared_key(self, key: KeyMaterial, peer: str = "", path: str = "") -> None:
        """Load the pre-shared key of the link in force, or of the one that is named.

        Raises:
            KeyMaterialError: It has not exactly `preshared_key_bytes`.
        """
        if len(key) != self.preshared_key_bytes:
            raise KeyMaterialError(
                f"a pre-shared key has exactly {self.preshared_key_bytes} bytes, this one {len(key)}",
                device=self._device,
                remedy="It is never padded or cut; make the same key of that size for both ends",
            )
        members: dict[str, Any] = {"peer": peer, "path": path} if peer or path else {}
        members["digest"] = preshared_digest(self._serial_number, peer, path, key)
        with key.reveal() as view:
            reply, _ = self._call("load_psk", members, payload=[view], repeatable=False)
        if reply.loaded != self.preshared_key_bytes:
            raise ProtocolError(f"the unit says that it loaded {reply.loaded} bytes", device=self._device)

    # --- key blocks ---------------------------------------------------------------------------------------------------

    def key_blocks(self, timeout: float, limit: int | None) -> Iterator[KeyBlock]:
        """Draw key blocks until none comes for `timeout` s or `limit` were drawn. Each is let go when it is handed out.

        Raises:
            ProtocolError: The key of a block is not what the unit says of it, however often it is offered.
        """
        uncommitted: set[Name] = set()
        for _ in range(limit) if limit is not None else itertools.count():
            if len(uncommitted) >= self.max_offers:
                return  # the unit offers no more before some of these are committed
            fresh = self._draw(len(uncommitted) + 1, timeout, uncommitted)
            if fresh is None:
                return
            with wiped_on_error(fresh.key):
                self._confirm("ack", fresh.info, fresh.digest)
            uncommitted.add(fresh.info.name)
            handed_out = [self._block(fresh, uncommitted)]
            del fresh
            yield handed_out.pop()

    def _block(self, fresh: _Fresh, uncommitted: set[Name]) -> KeyBlock:
        info, digest = fresh.info, fresh.digest

        def commit() -> None:
            self._confirm("commit", info, digest)
            uncommitted.discard(info.name)

        return KeyBlock(info, fresh.key, commit)

    def _draw(self, count: int, timeout: float, uncommitted: AbstractSet[Name]) -> _Fresh | None:
        """Return the oldest block that was not handed out yet, waiting up to `timeout` s for it."""
        deadline = Deadline(self._clock, timeout)
        altered = 0
        while True:
            known = frozenset(uncommitted)  # an offer from before a commit must not bring its block again
            wait_s = min(deadline.remaining_s, LONGEST_WAIT_S)
            members = {"host": self._host, "max": count, "wait_ms": round(1000 * wait_s)}
            try:
                reply, payload = self._call("draw", members, timeout=wait_s + self._timeout_s, confidential=True)
            except DeviceTimeoutError:
                if deadline.passed:
                    raise
                continue  # an offer changes nothing in the unit and may be asked for again
            try:
                fresh = self._oldest(reply, payload, count, known)
            finally:
                wipe(payload)
            if fresh is not None:
                if block_digest(fresh.info, fresh.key) == fresh.digest:
                    return fresh
                fresh.key.wipe()
                altered += 1
                if altered == MAX_ALTERED:
                    raise self._altered(fresh)
                continue
            if deadline.passed:
                return None
            if reply.blocks:  # only what is known already: the unit does not wait then
                self._clock.wait(min(0.05, deadline.remaining_s))

    def _oldest(self, reply: Reply, payload: list[bytes], count: int, known: AbstractSet[Name]) -> _Fresh | None:
        if len(reply.blocks) != len(payload) or len(reply.blocks) > count:
            raise ProtocolError(
                f"{len(reply.blocks)} blocks announced and {len(payload)} sent", device=self._device, command="draw"
            )
        for offer, data in zip(reply.blocks, payload, strict=True):
            info = self._info(offer, data)
            if info.name not in known:
                return _Fresh(info, offer.digest, KeyMaterial(data, insecure=info.insecure))
        return None

    def _info(self, offer: Offer, data: bytes) -> KeyBlockInfo:
        if offer.bits != 8 * len(data) or not data or offer.number < 0 or not offer.session:
            raise ProtocolError(
                f"block {offer.session}/{offer.number} is announced with {offer.bits} bit and has {8 * len(data)}",
                device=self._device,
                command="draw",
            )
        names = offer.session, offer.method, offer.bound, offer.peer, offer.path
        if not 0 <= offer.eps <= 1 or offer.number > LARGEST_WHOLE or not all(map(is_name, names)):
            raise ProtocolError("the facts of a block are not of their kind", device=self._device, command="draw")
        peer, path = ("" if name == NOBODY else name for name in (offer.peer, offer.path))
        return KeyBlockInfo.of(offer, self._serial_number, peer=peer, path=path)

    def _altered(self, fresh: _Fresh) -> ProtocolError:
        block, where = f"block {fresh.info.session}/{fresh.info.number}", self._transport.name
        if not fresh.digest:
            what = f"{block} has no digest, so nobody can see whether its key was altered"
            remedy = "Give the unit firmware that states digests (docs/protocols/toshiba.md, section 10)"
        else:
            what = f"{block} was offered {MAX_ALTERED} times, and never with the key that the unit once made"
            remedy = "It was not acknowledged and the unit keeps it. The unit alters keys: have its memory checked"
        return ProtocolError(what, device=self._device, transport=where, command="draw", remedy=remedy)

    def _confirm(self, verb: Literal["ack", "commit"], info: KeyBlockInfo, digest: str) -> None:
        members = {"host": self._host, "session": info.session, "number": info.number, "digest": digest}
        reply, _ = self._call(verb, members, repeatable=verb == "ack")
        if (reply.session, reply.number) != (info.session, info.number):
            raise ProtocolError(
                f"the unit speaks of block {reply.session}/{reply.number} and not of {info.session}/{info.number}",
                device=self._device,
                command=verb,
            )
        if reply.state not in (("acked", "committed") if verb == "ack" else ("committed",)):
            raise ProtocolError(f"the unit calls the block {reply.state!r}", device=self._device, command=verb)

    # --- telemetry ----------------------------------------------------------------------------------------------------

    def telemetry_stream(
        self, interval: float, timeout: float, declared: Mapping[str, tuple[str, Measured[Any]]]
    ) -> Iterator[TelemetryEvent]:
        """Subscribe on a connection of its own.

        Args:
            interval: Time between two events, in s.
            timeout: Time without an event after which the stream ends, in s.
            declared: By the unit's name of a value, our path of it and its declaration, which decodes it.
        """
        shortest, longest = self.interval_range
        if not shortest <= interval <= longest:
            raise RangeError(
                f"an interval lasts {shortest:g} to {longest:g} s, not {interval!r}", remedy="Nothing was sent"
            )
        waiting: deque[Event] = deque()
        transport = self._stream(waiting)
        try:
            last = 0
            renewed_ns = None
            quiet = Deadline(self._clock, timeout)
            while not quiet.passed:
                now_ns = self._clock.monotonic_ns()
                if renewed_ns is None or now_ns - renewed_ns > self.subscription_renewal_s * NS_PER_S:
                    self._call("subscribe", {"interval_ms": round(1000 * interval)}, transport=transport)
                    renewed_ns = now_ns
                if not waiting:
                    transport.listen(min(quiet.remaining_s, 1.0))
                while waiting:
                    event = waiting.popleft()
                    if event.event in ("telemetry", "alarm"):
                        utc_ns = self._clock.utc_ns()
                        yield telemetry_event(event, last, declared, device=self._device, utc_ns=utc_ns)
                    last = event.seq
                    quiet = Deadline(self._clock, timeout)
        finally:
            transport.close()
            with self._lock:
                self._streams.discard(transport)

    def _stream(self, events: deque[Event]) -> ZmqTransport:
        """Return a transport that keeps the events, and that `close` closes too."""
        transport = self._connect(events)
        with self._lock:
            if self._closed:
                raise ClosedError("the key channel was closed", device=self._device, remedy="Open the unit again")
            self._streams.add(transport)
        return transport

    def _keep(self, frames: list[bytes], events: deque[Event]) -> None:
        """Keep an event of this unit; drop anything else that answers nobody."""
        try:
            message = self._unpack(frames)
            if message is None:
                return
            number, header, payload = message
            if number != EVENT or payload or len(header) > MAX_HEADER:
                return
            event = self._decode(header, Event)
        except (ValueError, ProtocolError, RecursionError):
            return
        finally:
            wipe(frames)
        if event.serial_number == self._serial_number:
            events.append(event)

    # --- an exchange --------------------------------------------------------------------------------------------------

    def _connect(self, events: deque[Event] | None = None) -> ZmqTransport:
        transport = SecretZmqTransport(self._resource, clock=self._clock, timeout_s=self._timeout_s)
        transport.device = self._device
        name, there, channel = self._device, weakref.ref(transport), weakref.ref(self)  # neither keeps the other

        def hello() -> None:
            found, own = there(), channel()
            if found is None or own is None:
                raise ClosedError("the key channel is gone", device=name, remedy="Open the unit again, and keep it")
            own._hello(found)

        def keep(frames: list[bytes]) -> None:
            own = channel()
            if own is not None and events is not None:
                own._keep(frames, events)

        transport.on_open(hello)
        transport.unsolicited = wipe if events is None else keep
        return transport

    def _hello(self, transport: ZmqTransport) -> None:
        reply, _ = self._call("hello", {"protocol": self.protocol}, transport=transport, anybody=True)
        if reply.serial_number != self._serial_number or reply.protocol != self.protocol:
            raise WrongDeviceError(
                f"the control port is {self._serial_number}'s and the keys are {reply.serial_number}'s "
                f"({reply.protocol})",
                device=self._device,
                transport=transport.name,
                remedy="Give the key channel of the same unit",
            )

    def _call(
        self,
        verb: str,
        members: Mapping[str, Any] | None = None,
        *,
        payload: Sequence[memoryview] = (),
        repeatable: bool = True,
        confidential: bool = False,
        timeout: float | None = None,
        transport: ZmqTransport | None = None,
        anybody: bool = False,
    ) -> tuple[Reply, list[bytes]]:
        """Do one exchange and raise what the unit refuses."""
        number = EVENT
        header: dict[str, Any] = {"verb": verb, **(members or {})}
        if not anybody:
            header["serial_number"] = self._serial_number

        def write() -> list[bytes]:
            nonlocal number
            number = next(self._numbers)
            return [*self._pack(number, header), *cast("Sequence[bytes]", payload)]

        def accept(frames: list[bytes]) -> tuple[Reply, list[bytes]] | NotMine:
            try:
                return self._reply(frames, number, anybody=anybody)
            except BaseException:
                wipe(frames)
                raise

        request: LateRequest[list[bytes], tuple[Reply, list[bytes]]] = LateRequest(
            text=verb,
            payload=[],
            accept=accept,
            repeatable=repeatable,
            confidential=confidential or bool(payload),
            write=write,
        )
        reply, rest = (transport or self._transport).exchange(request, timeout)
        if not reply.ok:
            wipe(rest)
            raise self._refusal(verb, reply)
        return reply, rest

    def _reply(self, frames: list[bytes], number: int, *, anybody: bool) -> tuple[Reply, list[bytes]] | NotMine:
        message = self._unpack(frames)
        if message is None or message[0] != number:
            return NOT_MINE
        if len(message[1]) > MAX_HEADER:
            raise ProtocolError(f"a header of {len(message[1])} bytes")
        try:
            reply = self._decode(message[1], Reply)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(f"the header is none of this protocol: {error}") from None
        if not anybody and reply.serial_number != self._serial_number:
            raise ProtocolError("the reply is another unit's")
        return reply, message[2]

    def _refusal(self, verb: str, reply: Reply) -> TokaidoError:
        what = f"the unit refused: {reply.code}, {reply.text}"
        name = self._transport.name
        if reply.code == "BUSY":
            return DeviceBusyError(
                what, device=self._device, transport=name, command=verb, remedy="Wait until the other host is done"
            )
        if reply.code == "WRONG_UNIT":
            return WrongDeviceError(what, device=self._device, transport=name, command=verb)
        refused = ("RANGE", "PSK_SIZE", "NO_BLOCK", "NOT_ACKED", "ALTERED")
        kind = StateError if reply.code == "STATE" else RefusedError if reply.code in refused else DeviceError
        return kind(what, code=reply.code, device=self._device, transport=name, command=verb)
