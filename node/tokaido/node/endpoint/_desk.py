"""Answers what clients of a node's control endpoint ask, without any I/O: docs/protocols/repeater.md."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol

from tokaido.hal import (
    NS_PER_S,
    SYSTEM_CLOCK,
    ConfigurationError,
    DeviceTimeoutError,
    ProtocolError,
    TokaidoError,
    UnsupportedError,
)
from tokaido.node.endpoint import _messages as m
from tokaido.node.endpoint._values import Value, values_of
from tokaido.node.operation import (
    AcceptDevice,
    Acknowledge,
    DrainNode,
    MaintainLink,
    MoveLink,
    Peer,
    ResumeLink,
    SetRelaying,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.hal import Clock
    from tokaido.hal.transports import CurveClient
    from tokaido.node.operation import ControlRequest, Events, NodeStatus

LOG: Final = logging.getLogger("tokaido.node.endpoint")
FRESH_S: Final = 0.1
"""How old a look at the node may be that is told, in s."""
MOST_CONNECTIONS: Final = 1000


class Role(Enum):
    """What a client may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    MAINTENANCE = "maintenance"
    SECURITY_OFFICER = "security-officer"


WORKERS: Final = frozenset({Role.OPERATOR, Role.MAINTENANCE})


@dataclass(frozen=True, slots=True)
class About:
    """Who a node says that it is."""

    node: str
    firmware: str
    emulated: bool = False
    vendor: str = "Tokaido"
    model: str = "repeater node"
    can_move: Callable[[], bool] = lambda: False
    """Whether it leads moves of a link."""
    has_boxes: bool = False
    """Whether it has devices, of which it knows which box stands under each name."""

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What it has that not every node has."""
        more = ("switch move", self.can_move()), ("inventory", self.has_boxes)
        return ("maintenance", "drain", *(name for name, has in more if has))


class Managed(Protocol):
    """The node."""

    events: Events
    """What happened in this run."""

    def status(self) -> NodeStatus:
        """Return all that may be known of it now."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """A command that is to be carried out; tell `Desk.settled` what came of it."""

    identifier: bytes
    request: ControlRequest
    peer: Peer


class _RefusedError(Exception):
    def __init__(self, error: str, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.reply = m.refusal(error, text, remedy)


class Desk:
    """Answers questions from a look at the node, and hands commands on to who carries them out.

    Args:
        node: What it tells of.
        about: Who that is.
        clock: Where time comes from.
    """

    def __init__(self, node: Managed, about: About, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._node = node
        self._about = about
        self._clock = clock
        self._connections: OrderedDict[bytes, bytes] = OrderedDict()
        self._looked_ns = 0
        self._status: NodeStatus | None = None
        self._values: dict[str, Value] = {}
        self.utc_ahead_s = 0.0
        """How far the node's time of day is ahead of the clock's, in s; an emulated node may be told to err."""

    def hear(self, client: CurveClient, connection: bytes, frame: bytes) -> bytes | Order | None:
        """Take a message: return what to answer, what to carry out, or None where there is nothing to say.

        Args:
            client: Who proved to have sent it, with its roles.
            connection: Tells the client's connections apart.
            frame: The message.
        """
        found = m.opened(frame)
        if found is None or not self._is_new(connection, found[0]):
            return None
        identifier, content = found
        try:
            asked = m.request_of(content)
            if isinstance(asked, m.Read):  # the most frequent one
                return m.sealed(identifier, self._one(asked.of))
            answer = self.judge(client, asked)
        except ProtocolError as error:
            answer = m.refusal("MALFORMED", error.what)
        except Exception:
            LOG.exception("a request of %s failed in the node", client.name)
            answer = m.refusal("INTERNAL", "the node failed", "Its log says more")
        if isinstance(answer, dict):
            return m.sealed(identifier, answer)
        place = f"control endpoint, key {client.public[:8].decode('ascii', 'replace')}"
        return Order(identifier, answer, Peer(0, -1, client.name, place))

    def judge(self, client: CurveClient, asked: m.AnyAsk) -> dict[str, Any] | ControlRequest:
        """Return the answer, or what is to be carried out before there is one."""
        try:
            return self._answer(client, asked)
        except _RefusedError as error:
            return error.reply

    def settled(self, order: Order, error: Exception | None = None) -> bytes:
        """Return what to answer once a command was carried out, or was not."""
        return m.sealed(order.identifier, self.outcome(error))

    def outcome(self, error: Exception | None) -> dict[str, Any]:
        """Return what became of a command, as the members of an answer."""
        self.forget()
        match error:
            case None:
                return {"ok": True}
            case UnsupportedError():
                return m.refusal("UNSUPPORTED", error.what, error.remedy)
            case DeviceTimeoutError():
                return m.refusal("BUSY", error.what, error.remedy)
            case ConfigurationError():
                return m.refusal("UNKNOWN", error.what, error.remedy)
            case TokaidoError():
                return m.refusal("REFUSED", error.what, error.remedy)
            case _:
                return m.refusal("INTERNAL", "the node failed", "Its log says more")

    def forget(self) -> None:
        """Look at the node again before anything else is told."""
        self._status = None

    # --- what is told -------------------------------------------------------------------------------------------------

    def _is_new(self, connection: bytes, identifier: bytes) -> bool:
        """Whether the id is above the last one of its connection; a client takes another prefix for another one."""
        last = self._connections.get(connection)
        same = last is not None and last.startswith(identifier[: m.PREFIX_BYTES])
        if last is not None and same and identifier <= last:
            return False
        if last is None and len(self._connections) >= MOST_CONNECTIONS:
            self._connections.popitem(last=False)
        self._connections[connection] = identifier
        return True

    def _look(self) -> NodeStatus:
        now_ns = self._clock.monotonic_ns()
        if self._status is None or now_ns - self._looked_ns > FRESH_S * NS_PER_S:
            self._status = self._node.status()
            self._values = values_of(self._status)
            self._looked_ns = now_ns
        return self._status

    def _age_s(self) -> float:
        return (self._clock.monotonic_ns() - self._looked_ns) / NS_PER_S

    def _times(self, status: NodeStatus, age_s: float) -> dict[str, Value]:
        return {"utc_s": self._utc_s(), "uptime_s": status.up_s + age_s}

    def _utc_s(self) -> float:
        return self._clock.utc_ns() / NS_PER_S + self.utc_ahead_s

    def _one(self, path: str) -> dict[str, Any]:
        status, age_s = self._look(), self._age_s()
        if path in self._values:
            return {"ok": True, "value": self._values[path], "age_s": age_s}
        times = self._times(status, age_s)
        if path in times:
            return {"ok": True, "value": times[path], "age_s": 0.0}
        return m.refusal("UNKNOWN", f"this node has no value {path}", "`status` lists all values")

    def _answer(self, client: CurveClient, asked: m.AnyAsk) -> dict[str, Any] | ControlRequest:
        match asked:
            case m.Hello():
                return self._greeting(client, asked)
            case m.AskStatus():
                status, age_s = self._look(), self._age_s()
                return {
                    "ok": True,
                    "values": self._values | self._times(status, age_s),
                    "age_s": age_s,
                    **_names(status),
                }
            case m.AskAlarms():
                return self._alarms()
            case m.AskEvents(since=since, most=most):
                events, lost = self._node.events.since(since, most)
                run, last = self._node.events.run, self._node.events.last
                return {"ok": True, "events": events, "last": last, "lost": lost, "run": run}
            case m.SetRelay(on=on):
                self._need(client, WORKERS, "to start or stop relaying")
                return SetRelaying(on=on)
            case m.Resume(link=link):
                self._need(client, WORKERS, "to resume a link")
                return ResumeLink(link=link)
            case m.AcknowledgeAlarm(code=code, of=of, note=note):
                latched = any(one.latched for one in self._look().alarms if (one.code, one.of) == (code, of))
                if latched:
                    self._need(client, frozenset({Role.SECURITY_OFFICER}), "to acknowledge an alarm that is latched")
                self._need(client, WORKERS | {Role.SECURITY_OFFICER}, "to acknowledge an alarm")
                return Acknowledge(code=code, of=of, note=note)
            case m.Maintain(link=link, on=on, until_utc_s=until_s, note=note):
                self._need(client, frozenset({Role.MAINTENANCE}), "maintenance of a link")
                return MaintainLink(link=link, on=on, note=note, until_s=until_s)
            case m.Move(link=link, path=path):
                self._need(client, WORKERS, "to move a link")
                if not self._about.can_move():
                    raise _RefusedError("UNSUPPORTED", "this node leads no moves", "Ask the one with the transmitter")
                return MoveLink(link=link, path=path)
            case m.AcceptThis(device=device, serial_number=serial_number, note=note):
                self._need(client, frozenset({Role.SECURITY_OFFICER}), "to accept another box")
                if not self._about.has_boxes:
                    raise _RefusedError("UNSUPPORTED", "this node has no boxes", "Ask one with units")
                return AcceptDevice(device=device, serial_number=serial_number, note=note)
            case m.DrainThis(why=why):
                self._need(client, frozenset({Role.MAINTENANCE}), "to drain the node")
                return DrainNode(note=why)
            case m.Read(of=path):
                return self._one(path)

    def _greeting(self, client: CurveClient, asked: m.Hello) -> dict[str, Any]:
        if asked.protocol != m.PROTOCOL:
            raise _RefusedError("VERSION", f"this node speaks {m.PROTOCOL}, not {asked.protocol[:40]}")
        LOG.info("%s (%s) is here", client.name, asked.who)
        about = self._about
        return {
            "ok": True,
            "protocol": m.PROTOCOL,
            "vendor": about.vendor,
            "model": about.model,
            "node": about.node,
            "firmware": about.firmware,
            "run": self._node.events.run,
            "emulated": about.emulated,
            "capabilities": about.capabilities,
            "name": client.name,
            "roles": sorted(client.roles),
            **_names(self._look()),
        }

    def _alarms(self) -> dict[str, Any]:
        self.forget()
        utc_s = self._utc_s()
        alarms = [
            {
                "code": one.code,
                "of": one.of,
                "severity": one.severity,
                "text": one.text,
                "to_do": one.to_do,
                "raised_utc_s": utc_s - one.age_s,
                "lasts": one.lasts,
                "latched": one.latched,
                "acknowledged_by": one.acknowledged_by,
                "note": one.note,
                **({"cause": one.cause, "cause_of": one.cause_of} if one.cause else {}),
            }
            for one in self._look().alarms
        ]
        return {"ok": True, "alarms": alarms, "utc_s": utc_s}

    @staticmethod
    def _need(client: CurveClient, roles: frozenset[Role], what: str) -> None:
        if not client.roles & {role.value for role in roles}:
            wanted = " or ".join(role.value for role in Role if role in roles)
            has = ", ".join(sorted(client.roles)) or "none"
            raise _RefusedError("ROLE", f"{what} takes the role {wanted}, and {client.name} has {has}")


def _names(status: NodeStatus) -> dict[str, tuple[str, ...]]:
    return {
        "links": tuple(link.name for link in status.links),
        "neighbours": tuple(one.name for one in status.neighbours),
        "pairs": tuple(pair.neighbour for pair in status.pairs),
    }
