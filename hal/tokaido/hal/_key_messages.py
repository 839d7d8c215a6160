"""The messages of a key channel, decoded: replies, offers of blocks, and events of the telemetry stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from tokaido.hal._errors import NoDataError, ProtocolError, TokaidoError
from tokaido.hal._key_digests import NOBODY
from tokaido.hal._keys import KeyBlockFacts
from tokaido.hal._readings import Telemetry, corrected_reading_of
from tokaido.hal._value_texts import LARGEST_WHOLE, encode
from tokaido.hal._values import Answer
from tokaido.hal.roles._alarms import AlarmEvent, Severity
from tokaido.hal.roles._unit_values import TelemetryEvent, UnitState
from tokaido.hal.structs import learn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokaido.hal._values import Measured

MAX_HEADER: Final = 65_536
LONGEST_NAME: Final = 200
"""Characters of a session's, a method's or a path's name that are believed."""


@dataclass(frozen=True, slots=True)
class Offer(KeyBlockFacts):
    """One block of a `draw` reply: its facts, the link that made it, and the digest of it all."""

    peer: str = NOBODY
    path: str = NOBODY
    digest: str = ""


class Reply(msgspec.Struct):
    """The header of any reply; members that a verb does not have stay at their defaults."""

    ok: bool
    serial_number: str = ""
    code: str = ""
    text: str = ""
    protocol: str = ""
    loaded: int = -1
    state: str = ""
    session: str | None = None
    number: int = -1
    blocks: list[Offer] = []
    lease_s: float = 0.0


class Event(msgspec.Struct):
    """The header of an event of the telemetry stream."""

    event: str
    """Its kind: telemetry or alarm. Others may be added."""
    serial_number: str
    seq: Annotated[int, msgspec.Meta(ge=1, le=LARGEST_WHOLE)]
    uptime_ms: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_WHOLE)] = 0
    state: str = ""
    values: dict[str, float | str | None] = {}
    ages: dict[str, float] = {}
    change: str = ""
    code: str = ""
    severity: str = ""
    text: str = ""


def telemetry_event(
    event: Event, last: int, declared: Mapping[str, tuple[str, Measured[Any]]], *, device: str, utc_ns: int
) -> TelemetryEvent:
    """Return what a program gets of an event of the telemetry stream.

    Args:
        event: What the unit sent.
        last: The number of the event before it.
        declared: By the unit's name of a value, our path of it and its declaration, which decodes it.
        device: What errors call the unit.
        utc_ns: When it came, in ns since 1970.

    Raises:
        ProtocolError: It is an alarm that no unit raises.
    """
    alarm = None
    if event.event == "alarm":
        if event.severity not in Severity.__members__ or event.change not in ("RAISED", "CLEARED"):
            raise ProtocolError(
                f"an alarm of severity {event.severity[:40]!r} that is {event.change[:40]!r}", device=device
            )
        alarm = AlarmEvent(event.seq, event.change == "RAISED", event.code, Severity(event.severity), event.text)
    readings = {
        path: corrected_reading_of(value, _answer(event.values[name], event.ages.get(name, 0.0)), utc_ns)
        for name, (path, value) in declared.items()
        if name in event.values
    }
    return TelemetryEvent(
        sequence=event.seq,
        lost=max(event.seq - last - 1, 0),
        uptime_s=event.uptime_ms / 1000,
        state=UnitState(event.state) if event.state in UnitState.__members__ else None,
        readings=Telemetry(readings),
        alarm=alarm,
    )


def is_name(text: str) -> bool:
    return len(text) <= LONGEST_NAME and text.isprintable()


def _answer(value: float | str | None, age_s: float) -> Answer | TokaidoError:
    """Return a value of an event as a reply would give it."""
    if value is None:
        return NoDataError("the unit gives none")
    return Answer(value if isinstance(value, str) else encode(value), age_s)


learn(Reply, Event)
