"""A repeater node behind its control endpoint: docs/protocols/repeater.md."""

from __future__ import annotations

import getpass
import os
import socket
import sys
import weakref
from os import urandom
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast

import msgspec

import tokaido.hal as hal
from tokaido.drivers.repeater import _messages as m
from tokaido.hal.driver import (
    Answer,
    LateRequest,
    LoggedChange,
    encode,
    measured,
    open_transport,
    query,
    real,
    setting,
    weakly,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.hal.driver import Measured, NotMine, Transport, ZmqTransport

R = TypeVar("R", bound=m.Answer)
T = TypeVar("T")

MOST_EVENTS: Final = 500
MOST_COUNT: Final = (1 << 32) - 1
LONGEST_WHO: Final = 1000
LATEST_S: Final = 1e11
ORDINARY: Final = 1e36
"""A number beyond it is none, in words of SCPI, and not a finite one if it is none at all."""
CAPABILITIES: Final = {one.value: one for one in hal.RepeaterCapability}
_DECODERS: Final[Mapping[type[m.Answer], Callable[[bytes], Any]]] = {
    kind: msgspec.msgpack.Decoder(kind).decode
    for kind in (m.Answer, m.Greeted, m.OneValue, m.AllValues, m.Alarms, m.Events)
}


class _Question:
    """One question, asked again and again: it keeps the id of the last time, under the transport's lock."""

    __slots__ = ("_body", "_decode", "_identifier", "_node")

    def __init__(self, node: Node, body: bytes, kind: type[m.Answer]) -> None:
        self._node = weakref.ref(node)  # which keeps its questions
        self._body = body
        self._decode = _DECODERS[kind]
        self._identifier = b""

    def write(self) -> list[bytes]:
        """Return the message, under a new id."""
        node = self._node()
        if node is None:
            raise hal.ClosedError("the device of this request is gone", remedy="Open it again")
        self._identifier = identifier = node._next_id()
        return [m.frame(identifier, self._body)]

    def accept(self, frames: list[bytes]) -> m.Answer | NotMine:
        """Return the reply to it."""
        return m.answer(frames, self._identifier, self._decode)


class _PartOfNode(hal.Part):
    """A part that is read as its node is."""

    def __init__(self, device: Node, path: str, prefix: str) -> None:
        super().__init__(device, path, prefix)
        vars(self).update(_of=device)

    _of: Node

    def read(self, value: Measured[T]) -> T:
        """Ask the node for one value."""
        own = self._own(value)
        return self._of.value_at(self._prefix + own.check_present(), own)


class Neighbour(_PartOfNode, hal.NeighbourOfRepeater):
    """A node that this one has a link to."""

    name = measured(str, "name")
    """Measure its name."""
    up = measured(bool, "up")
    """Measure whether it answered what it was asked last."""
    silent = measured(float, "silent_s", unit="s")
    """Measure for how long nothing was heard of it."""

    def __init__(self, device: Node, index: int, name: str) -> None:
        super().__init__(device, f"neighbours[{index}]", f"neighbours/{name}/")
        vars(self).update(node=name)


class Link(_PartOfNode, hal.LinkOfRepeater):
    """This end of one QKD link."""

    name = measured(str, "name")
    """Measure its name."""
    neighbour = measured(str, "neighbour")
    """Measure which node is at the other end."""
    status = measured(str, "status")
    """Measure the status as ETSI GS QKD 015 has it, as this end sees it."""
    phase = measured(str, "phase")
    """Measure what the node does with the link."""
    last_move = measured(str, "move")
    """Measure what the last move of it came to since the node started."""
    maintained_until = measured(float, "maintained_until_utc_s", unit="s")
    """Measure when maintenance ends, in s since 1970-01-01 UTC; 0: it is not under way, or has no end."""
    qber = measured(float, "qber", unit="", absolute=(0, 0.5))
    """Measure the error rate of the last block, a fraction."""
    secret_key_rate = measured(float, "secret_key_rate", unit="bit/s")
    """Measure the secret rate of late."""
    availability = measured(float, "availability", unit="", absolute=(0, 1))
    """Measure in which part of all time but maintenance the unit here exchanged keys, since its store was made."""
    stock = measured(int, "stock", unit="bit")
    """Measure the link key in the store, of both halves."""
    reserve = measured(float, "reserve_s", unit="s")
    """Measure how long this node's half lasts at the present demand."""
    drawn = measured(int, "drawn", unit="bit")
    """Measure how much link key was ever drawn from the unit."""
    spent = measured(int, "spent", unit="bit")
    """Measure how much of it was spent as pads and tags."""
    discarded = measured(int, "discarded", unit="bit")
    """Measure how much of it was discarded, for whatever reason."""

    def __init__(self, device: Node, index: int, name: str) -> None:
        super().__init__(device, f"links[{index}]", f"links/{name}/")
        vars(self).update(link=name)


class Pair(_PartOfNode, hal.PairOfRepeater):
    """Keys of 256 bit that this node shares with another one."""

    name = measured(str, "name")
    """Measure the name of the other node."""
    ready = measured(int, "ready", unit="")
    """Measure how many keys this node can supply."""
    target = measured(int, "target", unit="")
    """Measure how many are to be ready."""
    in_flight = measured(int, "in_flight", unit="")
    """Measure how many are being relayed."""
    held = measured(int, "held", unit="")
    """Measure how many the other node can supply."""
    stock = measured(int, "stock", unit="bit")
    """Measure the keys that are ready."""
    demand = measured(float, "demand", unit="1/s")
    """Measure the keys a second that were asked for lately."""
    reserve = measured(float, "reserve_s", unit="s")
    """Measure how long the ready keys last at that demand."""
    relayed = measured(int, "relayed", unit="")
    """Measure how many keys this node ever started to relay."""
    received = measured(int, "received", unit="")
    """Measure how many ever came from the other node."""
    supplied = measured(int, "supplied", unit="")
    """Measure how many were given to applications here."""
    burned = measured(int, "burned", unit="")
    """Measure how many that this node started were destroyed."""
    integrity = measured(str, "integrity")
    """Measure what proves that both ends hold the same keys."""

    def __init__(self, device: Node, index: int, name: str) -> None:
        super().__init__(device, f"pairs[{index}]", f"pairs/{name}/")
        vars(self).update(node=name)


class Node(hal.RepeaterNode):
    """A node that runs `tokaido.node`, or an emulated one."""

    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {"control": frozenset({"zmq"})}
    protocol: ClassVar[str] = m.PROTOCOL

    state = query(hal.RepeaterState, "state")
    """Ask for the state."""
    serving = query(bool, "serving")
    """Ask whether an application can get a key now."""
    relaying = setting(bool, "relaying")
    """Control whether keys are relayed."""
    headline = measured(str, "headline")
    """Measure whether keys are served, and what is worst, in a line."""
    utc = measured(float, "utc_s", unit="s")
    """Measure the node's time of day, in s since 1970-01-01 UTC."""
    uptime = measured(float, "uptime_s", unit="s")
    """Measure how long the node has run."""
    alarms_standing = measured(int, "alarms", unit="")
    """Measure how many alarms stand."""

    def __init__(
        self,
        resources: Mapping[str, hal.Resource],
        *,
        name: str = "",
        serial_number: str = "",
        timeout_s: float = 1.0,
        clock: hal.Clock = hal.SYSTEM_CLOCK,
        nonces: Callable[[int], bytes] = urandom,
    ) -> None:
        super().__init__(
            resources, name=name, serial_number=serial_number, timeout_s=timeout_s, clock=clock, nonces=nonces
        )
        self._control = cast("ZmqTransport", open_transport(resources["control"], clock=clock, timeout_s=timeout_s))
        self._control.device = self.name
        self._control.correlated = True
        self._control.plain = True  # no key crosses it, and no id of one
        self._control.on_open(weakly(self._greet, "the device of this transport"))
        self._prefix = b""  # of the ids of this connection
        self._count = 0  # of its requests
        self._reads: dict[str, LateRequest[list[bytes], m.Answer]] = {}  # by path
        self._seen: m.Greeted | None = None

    # --- connecting ---------------------------------------------------------------------------------------------------

    @property
    def transport(self) -> Transport[Any]:
        """The transport, of messages."""
        return self._control

    def close(self) -> None:
        """Disconnect."""
        self._control.close()

    def _connect(self, timeout: float | None = None) -> None:
        self._control.open(timeout)

    def _greet(self) -> None:
        self._prefix, self._count = self._nonces(4), 0
        found = self._hello()
        seen = self._seen or found
        expected = self._expected_serial_number or seen.node
        if (found.vendor, found.model, found.node) != (seen.vendor, seen.model, expected):
            raise hal.WrongDeviceError(
                f"expected the node {expected} and found {found.vendor} {found.model} {found.node}",
                device=self.name,
                transport=self._control.name,
                remedy="Check the resource, and which node listens there",
            )
        self._seen = found
        self.capabilities = frozenset(CAPABILITIES[one] for one in found.capabilities if one in CAPABILITIES)

    def _hello(self) -> m.Greeted:
        found = self._asked("hello", m.Greeted, protocol=m.PROTOCOL, who=_who_we_are())
        if found.protocol != m.PROTOCOL:
            raise hal.ProtocolError(f"the peer speaks {found.protocol[:40]!r} and we speak {m.PROTOCOL}")
        return found

    # --- what it tells ------------------------------------------------------------------------------------------------

    def identity(self) -> hal.Identity:
        """Ask who it is: its serial number is the name of the node."""
        found = self._hello()
        return hal.Identity(found.vendor, found.model, found.node, found.firmware)

    @property
    def neighbours(self) -> tuple[Neighbour, ...]:
        """Its neighbours, in the node's order when it was opened."""
        return tuple(Neighbour(self, i, name) for i, name in enumerate(self._seen.neighbours if self._seen else ()))

    @property
    def links(self) -> tuple[Link, ...]:
        """Its ends of links, in the node's order when it was opened."""
        return tuple(Link(self, i, name) for i, name in enumerate(self._seen.links if self._seen else ()))

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The nodes that it shares keys with, in the node's order when it was opened."""
        return tuple(Pair(self, i, name) for i, name in enumerate(self._seen.pairs if self._seen else ()))

    def alarms(self) -> tuple[hal.NodeAlarm, ...]:
        """Ask for the alarms that stand, the worst first."""
        found = self._asked("alarms", m.Alarms)
        return tuple(
            hal.NodeAlarm(
                one.code,
                one.severity,
                one.latched,
                max(found.utc_s - one.raised_utc_s, 0.0),
                one.of,
                one.text,
                one.to_do,
                one.raised_utc_s,
                one.lasts,
                one.acknowledged_by,
                one.note,
                one.cause,
                one.cause_of,
            )
            for one in found.alarms
        )

    def events(self, since: int = 0) -> hal.NodeEvents:
        """Ask for what happened after the event of this sequence number, in as many exchanges as it takes."""
        since = whole(since, "since")
        if since < 0:
            raise hal.RangeError(f"since is a sequence number, not {since}", device=self.name)
        events: list[m.Event] = []
        lost = 0
        while True:
            page = self._asked("events", m.Events, since=since, most=MOST_EVENTS)
            events += page.events
            lost += page.lost
            if not page.events or page.events[-1].sequence >= page.last:
                break
            since = page.events[-1].sequence
        told = (hal.NodeEvent(e.sequence, e.utc_s, e.kind, e.code, e.of, e.severity, e.text, e.by) for e in events)
        return hal.NodeEvents(page.run, tuple(told), page.last, lost)

    def read(self, value: Measured[T]) -> T:
        """Ask the node for one value."""
        own = self._own(value)
        found = self.value_at(own.check_present(), own)
        if own.writable:
            self._last_known[own.name] = found
        return found

    def value_at(self, path: str, own: Measured[T]) -> T:
        """Return the value at a path of the protocol: at once if it came as a number of its kind, else by its text."""
        found = self._one(path).value
        plain = type(found) is own.kind and own.calibration is None
        if plain and (not isinstance(found, float) or -ORDINARY < found < ORDINARY):
            return cast("T", found)
        return own.decode(self._text(path, found))

    def _ask(self, command: str) -> Answer:
        found = self._one(command)
        return Answer(self._text(command, found.value), found.age_s)

    def _one(self, path: str) -> m.OneValue:
        request = self._reads.get(path)
        if request is None:
            question = _Question(self, m.body("read", {"of": path}), m.OneValue)
            request = self._reads[path] = LateRequest(f"read {path}", [], question.accept, write=question.write)
        found = self._control.exchange(request)
        if type(found) is m.OneValue and found.ok:
            return found
        raise self._refused(found, f"read {path}")

    def _text(self, path: str, value: m.Value) -> str:
        if value is None:
            raise self._no_data(path)
        return encode(value)

    def _next_id(self) -> bytes:
        """Return the id of the next request, whose turn has come."""
        if self._count == MOST_COUNT:
            raise hal.NotConnectedError("the ids of this connection are used up", remedy="The next call has others")
        self._count = count = self._count + 1
        return self._prefix + count.to_bytes(4, "big")

    def _ask_all(self) -> Mapping[str, Answer | hal.TokaidoError]:
        found = self._asked("status", m.AllValues)
        return {
            path: self._no_data(path) if value is None else Answer(encode(value), found.age_s)
            for path, value in found.values.items()
        }

    def _no_data(self, path: str) -> hal.NoDataError:
        return hal.NoDataError(f"the node has no {path} yet", device=self.name, command=f"read {path}")

    # --- what it is told ----------------------------------------------------------------------------------------------

    def _order(self, command: str, text: str) -> Answer:
        if command != "relaying":
            raise hal.UnsupportedError(f"nothing can be set but relaying: {command}", device=self.name)
        self._asked("relay", m.Answer, repeatable=False, on=text == "1")
        try:
            return self._ask(command)
        except hal.WrongDeviceError:
            raise
        except hal.TransportError as error:
            what = "it was ordered and could not be read after it"
            raise hal.OutcomeUnknownError.unread(what, error, device=self.name, command="relay") from error

    def acknowledge(self, code: str, of: str = "", *, note: str = "") -> None:
        """Say that a person has seen an alarm."""
        self._told(f"acknowledge {code} of {of or 'the node'}", "acknowledge", code=code, of=of, note=note)

    def resume(self, link: str) -> None:
        """Let the node try a link again at once."""
        self._told(f"resume {link}", "resume", link=link)

    def maintain(self, link: str, *, until_utc_s: float = 0.0, note: str = "") -> None:
        """Take this end of a link for a person, until a time or until `end_maintenance`."""
        self._need(hal.RepeaterCapability.MAINTENANCE, f"maintenance of {link}")
        until_utc_s = real(until_utc_s, "until_utc_s")
        if not 0 <= until_utc_s <= LATEST_S:  # whether it lies in the past, the node's clock says
            raise hal.RangeError(
                f"maintenance until {until_utc_s:.10g} s, which is not a time",
                device=self.name,
                remedy="Give s since 1970-01-01 UTC, or 0; nothing was sent",
            )
        self._told(f"maintain {link}", "maintain", link=link, on=True, until_utc_s=until_utc_s, note=note)

    def end_maintenance(self, link: str) -> None:
        """Give this end of a link back to the node."""
        self._need(hal.RepeaterCapability.MAINTENANCE, f"maintenance of {link}")
        self._told(f"end maintenance of {link}", "maintain", link=link, on=False, until_utc_s=0.0, note="")

    def drain(self, why: str) -> None:
        """Let the node end in order."""
        self._need(hal.RepeaterCapability.DRAIN, f"drain, {why}")
        self._told(f"drain: {why}", "drain", why=why)

    def move_half_link(self, link: str, path: str) -> None:
        """Begin to move a switched link to another path."""
        self._need(hal.RepeaterCapability.SWITCH_MOVE, f"a move of {link} to {path}")
        self._told(f"move {link} to {path}", "move", link=link, path=path)

    def accept_device(self, device: str, *, serial_number: str = "", note: str = "") -> None:
        """Let another box stand under the name of a device of the node's station."""
        self._need(hal.RepeaterCapability.INVENTORY, f"another box as {device}")
        what = f"accept {serial_number or 'the box that waits'} as {device}"
        self._told(what, "accept", device=device, serial_number=serial_number, note=note)

    def _need(self, capability: hal.RepeaterCapability, what: str) -> None:
        if self._seen is not None and capability not in self.capabilities:
            raise self._lacks(capability, what)

    def _told(self, what: str, do: str, **members: Any) -> None:
        with LoggedChange(self.name, what):
            self._asked(do, m.Answer, repeatable=False, **members)

    # --- exchanges ----------------------------------------------------------------------------------------------------

    def _asked(self, do: str, kind: type[R], *, repeatable: bool = True, **members: Any) -> R:
        return self._exchanged(do, kind, m.body(do, members), repeatable=repeatable)

    def _exchanged(self, what: str, kind: type[R], body: bytes, *, repeatable: bool = True) -> R:
        """Return the reply to a request.

        Raises:
            RefusedError: The node did not carry it out.
            OutcomeUnknownError: It is a command, and nobody knows whether it did.
            TokaidoError: No reply came, or the node lacks what was asked for.
        """
        question = _Question(self, body, kind)
        request: LateRequest[list[bytes], m.Answer]
        request = LateRequest(what, [], question.accept, repeatable=repeatable, write=question.write)
        found = self._control.exchange(request)
        if found.ok and isinstance(found, kind):
            return found
        raise self._refused(found, what)

    def _refused(self, said: m.Answer, what: str) -> hal.TokaidoError:
        where: dict[str, Any] = {"device": self.name, "transport": self._control.name, "command": what}
        text, remedy = said.text or f"the node says {said.error or 'no'}", said.remedy
        match said.error:
            case "UNSUPPORTED":
                return hal.UnsupportedError(text, remedy=remedy, **where)
            case "BUSY":
                return hal.OutcomeUnknownError(text, remedy=remedy or "Read what is in force", **where)
            case "VERSION":
                return hal.ProtocolError(text, remedy=remedy or "Use the node's own release", **where)
            case "ROLE" | "UNKNOWN" | "REFUSED":
                return hal.RefusedError(text, code=said.error, remedy=remedy, **where)
            case _:
                return hal.DeviceError(text, code=said.error, remedy=remedy, **where)


def _who_we_are() -> str:
    """Return user, host, program and process, as other people read it."""
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a process of a user that has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} {program} ({os.getpid()})"[:LONGEST_WHO]
