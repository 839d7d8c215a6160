"""The key channel, TQK1, over ZeroMQ: docs/protocols/toshiba.md, sections 8 to 11."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

import tokaido.hal as hal
from tokaido.hal import NOT_MINE, KeyBlock, KeyBlockInfo, KeyMaterial, NotMine, Request, ZmqTransport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROTOCOL: Final = "TQK1"
PRESHARED_KEY_BYTES: Final = 4096
MAX_HEADER: Final = 65_536
MAX_OFFERS: Final = 16
LONGEST_WAIT_S: Final = 2.0
"""Longest that a unit is asked to wait with its answer, although it would wait for 30 s: a lost one costs no more."""
RENEWAL_S: Final = 10.0
_EVENT_ID: Final = bytes(8)


class _Offer(msgspec.Struct):
    """One block of a `draw` reply."""

    session: str
    number: int
    bits: int
    method: str
    bound: str
    eps: float
    insecure: bool
    emulated: bool
    peer: str = ""
    path: str = ""


class _Reply(msgspec.Struct):
    """The header of any reply; members that a verb does not have stay at their defaults."""

    ok: bool
    serial_number: str = ""
    code: str = ""
    text: str = ""
    protocol: str = ""
    loaded: int = -1
    state: str = ""
    blocks: list[_Offer] = []
    lease_s: float = 0.0


class _Event(msgspec.Struct):
    """The header of an event of the telemetry stream."""

    event: Literal["telemetry", "alarm"]
    serial_number: str
    seq: int
    uptime_ms: int = 0
    state: str = ""
    values: dict[str, float | str | None] = {}
    change: str = ""
    code: str = ""
    severity: str = ""
    text: str = ""


_REPLY = msgspec.json.Decoder(_Reply)
_EVENT = msgspec.json.Decoder(_Event)


class KeyChannel:
    """Draws key blocks and loads the pre-shared key."""

    def __init__(
        self, resource: hal.Resource, device: str, serial_number: str, *, clock: hal.Clock, timeout_s: float
    ) -> None:
        self._resource = resource
        self._device = device
        self._serial_number = serial_number
        self._clock = clock
        self._timeout_s = timeout_s
        self._prefix = os.urandom(4)
        self._host = os.urandom(8).hex()
        self._count = 0
        self._transport = self._connect()

    def close(self) -> None:
        """Disconnect. The unit keeps what was not committed."""
        self._transport.close()

    def load_preshared_key(self, key: KeyMaterial, peer: str = "", path: str = "") -> None:
        """Load the pre-shared key of the link in force, or of the one that is named.

        Raises:
            KeyMaterialError: It has not exactly 4096 bytes.
        """
        if len(key) != PRESHARED_KEY_BYTES:
            raise hal.KeyMaterialError(
                f"a pre-shared key has exactly {PRESHARED_KEY_BYTES} bytes, this one {len(key)}",
                device=self._device,
                remedy="It is never padded or cut; make the same key of that size for both ends",
            )
        with key.reveal() as view:
            link = {"peer": peer, "path": path} if peer or path else None
            reply, _ = self._call("load_psk", link, payload=[bytes(view)], repeatable=False)
        if reply.loaded != PRESHARED_KEY_BYTES:
            raise hal.ProtocolError(f"the unit says that it loaded {reply.loaded} bytes", device=self._device)

    def key_blocks(self, timeout: float, limit: int | None) -> Iterator[KeyBlock]:
        """Draw key blocks until none comes for `timeout` s or `limit` were drawn."""
        handed_out: dict[tuple[str, str, int], KeyBlock] = {}
        while limit is None or len(handed_out) < limit:
            uncommitted = sum(not block.committed for block in handed_out.values())
            if uncommitted >= MAX_OFFERS:
                return  # the unit offers no more before some of these are committed
            fresh = self._draw(uncommitted + 1, timeout, handed_out)
            if fresh is None:
                return
            block = KeyBlock(fresh[0], fresh[1], lambda info=fresh[0]: self._confirm("commit", info))  # type: ignore[misc]
            self._confirm("ack", block.info)
            handed_out[block.info.name] = block
            yield block

    def _draw(
        self, count: int, timeout: float, known: Mapping[tuple[str, str, int], KeyBlock]
    ) -> tuple[KeyBlockInfo, KeyMaterial] | None:
        """Return the oldest block that is not known yet, waiting up to `timeout` s for it."""
        deadline = hal.Deadline(self._clock, timeout)
        while True:
            wait_s = min(deadline.remaining_s, LONGEST_WAIT_S)
            members = {"host": self._host, "max": count, "wait_ms": round(1000 * wait_s)}
            try:
                reply, payload = self._call("draw", members, timeout=wait_s + self._timeout_s, confidential=True)
            except hal.DeviceTimeoutError:
                if deadline.passed:
                    raise
                continue  # an offer changes nothing in the unit and may be asked for again
            if len(reply.blocks) != len(payload) or len(reply.blocks) > count:
                raise hal.ProtocolError(
                    f"{len(reply.blocks)} blocks announced and {len(payload)} sent", device=self._device, command="draw"
                )
            for offer, data in zip(reply.blocks, payload, strict=True):
                info = self._info(offer, data)
                if info.name not in known:
                    return info, KeyMaterial(data, insecure=info.insecure)
            if deadline.passed:
                return None
            if reply.blocks:  # only what is known already: the unit does not wait then
                self._clock.wait(min(0.05, deadline.remaining_s))

    def _info(self, offer: _Offer, data: bytes) -> KeyBlockInfo:
        if offer.bits != 8 * len(data) or not data or offer.number < 0 or not offer.session:
            raise hal.ProtocolError(
                f"block {offer.session}/{offer.number} is announced with {offer.bits} bit and has {8 * len(data)}",
                device=self._device,
                command="draw",
            )
        return KeyBlockInfo(
            serial_number=self._serial_number,
            session=offer.session,
            number=offer.number,
            bits=offer.bits,
            method=offer.method,
            bound=offer.bound,
            eps=offer.eps,
            insecure=offer.insecure,
            emulated=offer.emulated,
            peer="" if offer.peer == "-" else offer.peer,
            path="" if offer.path == "-" else offer.path,
        )

    def _confirm(self, verb: Literal["ack", "commit"], info: KeyBlockInfo) -> None:
        members = {"host": self._host, "session": info.session, "number": info.number}
        reply, _ = self._call(verb, members, repeatable=verb == "ack")
        if reply.state not in (("acked", "committed") if verb == "ack" else ("committed",)):
            raise hal.ProtocolError(f"the unit calls the block {reply.state!r}", device=self._device, command=verb)

    def telemetry_stream(
        self, interval: float, timeout: float, names: Mapping[str, str]
    ) -> Iterator[hal.TelemetryEvent]:
        """Subscribe on a connection of its own; `names` maps the unit's names of values to ours."""
        if not 0.1 <= interval <= 60:
            raise hal.RangeError(f"an interval lasts 0.1 to 60 s, not {interval!r}", remedy="Nothing was sent")
        waiting: deque[_Event] = deque()
        transport = self._connect(waiting)
        try:
            last = 0
            renewed_ns = None
            quiet = hal.Deadline(self._clock, timeout)
            while not quiet.passed:
                now_ns = self._clock.monotonic_ns()
                if renewed_ns is None or now_ns - renewed_ns > RENEWAL_S * hal.NS_PER_S:
                    self._call("subscribe", {"interval_ms": round(1000 * interval)}, transport=transport)
                    renewed_ns = now_ns
                if not waiting:
                    transport.listen(min(quiet.remaining_s, 1.0))
                while waiting:
                    event = waiting.popleft()
                    yield _telemetry_event(event, last, names)
                    last = event.seq
                    quiet = hal.Deadline(self._clock, timeout)
        finally:
            transport.close()

    def _connect(self, events: deque[_Event] | None = None) -> ZmqTransport:
        transport = ZmqTransport(self._resource, clock=self._clock, timeout_s=self._timeout_s)
        transport.device = self._device
        transport.on_open(lambda: self._hello(transport))
        if events is not None:
            transport.unsolicited = lambda frames: self._keep(frames, events)
        return transport

    def _keep(self, frames: list[bytes], events: deque[_Event]) -> None:
        if len(frames) != 2 or frames[0] != _EVENT_ID or len(frames[1]) > MAX_HEADER:
            return
        try:
            event = _EVENT.decode(frames[1])
        except msgspec.DecodeError:
            return
        if event.serial_number == self._serial_number:
            events.append(event)

    def _hello(self, transport: ZmqTransport) -> None:
        reply, _ = self._call("hello", {"protocol": PROTOCOL}, transport=transport, anybody=True)
        if reply.serial_number != self._serial_number or reply.protocol != PROTOCOL:
            raise hal.WrongDeviceError(
                f"the console is {self._serial_number}'s and the keys are {reply.serial_number}'s ({reply.protocol})",
                device=self._device,
                transport=transport.name,
                remedy="Give the key channel of the same unit",
            )

    def _call(
        self,
        verb: str,
        members: Mapping[str, Any] | None = None,
        *,
        payload: list[bytes] | None = None,
        repeatable: bool = True,
        confidential: bool = False,
        timeout: float | None = None,
        transport: ZmqTransport | None = None,
        anybody: bool = False,
    ) -> tuple[_Reply, list[bytes]]:
        """Do one exchange and raise what the unit refuses."""
        self._count += 1
        identifier = self._prefix + self._count.to_bytes(4, "big")
        header: dict[str, Any] = {"verb": verb, **(members or {})}
        if not anybody:
            header["serial_number"] = self._serial_number

        def accept(frames: list[bytes]) -> tuple[_Reply, list[bytes]] | NotMine:
            if len(frames) < 2 or frames[0] != identifier:
                return NOT_MINE
            if len(frames[1]) > MAX_HEADER:
                raise hal.ProtocolError(f"a header of {len(frames[1])} bytes")
            try:
                reply = _REPLY.decode(frames[1])
            except msgspec.DecodeError as error:
                raise hal.ProtocolError(f"the header is none of this protocol: {error}") from None
            if not anybody and reply.serial_number != self._serial_number:
                raise hal.ProtocolError("the reply is another unit's")
            return reply, frames[2:]

        request = Request(
            text=verb,
            payload=[identifier, msgspec.json.encode(header), *(payload or [])],
            accept=accept,
            repeatable=repeatable,
            confidential=confidential or payload is not None,
        )
        reply, rest = (transport or self._transport).exchange(request, timeout)
        if not reply.ok:
            raise self._refusal(verb, reply)
        return reply, rest

    def _refusal(self, verb: str, reply: _Reply) -> hal.TokaidoError:
        what = f"the unit refused: {reply.code}, {reply.text}"
        name = self._transport.name
        if reply.code == "BUSY":
            return hal.DeviceBusyError(
                what, device=self._device, transport=name, command=verb, remedy="Wait until the other host is done"
            )
        if reply.code == "WRONG_UNIT":
            return hal.WrongDeviceError(what, device=self._device, transport=name, command=verb)
        refused = ("RANGE", "PSK_SIZE", "NO_BLOCK", "NOT_ACKED")
        kind = (
            hal.StateError if reply.code == "STATE" else hal.RefusedError if reply.code in refused else hal.DeviceError
        )
        return kind(what, code=reply.code, device=self._device, transport=name, command=verb)


def _telemetry_event(event: _Event, last: int, names: Mapping[str, str]) -> hal.TelemetryEvent:
    alarm = None
    if event.event == "alarm":
        if event.severity not in hal.Severity.__members__:
            raise hal.ProtocolError(f"an alarm of severity {event.severity!r}")
        alarm = hal.AlarmEvent(
            event.seq, event.change == "RAISED", event.code, hal.Severity(event.severity), event.text
        )
    return hal.TelemetryEvent(
        sequence=event.seq,
        lost=max(event.seq - last - 1, 0),
        uptime_s=event.uptime_ms / 1000,
        state=hal.UnitState(event.state) if event.state in hal.UnitState.__members__ else None,
        values={names[name]: value for name, value in event.values.items() if name in names},
        alarm=alarm,
    )
