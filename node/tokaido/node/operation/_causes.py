"""Which alarm follows from which: a cut fibre is one loss of signal, and all that comes of it stands under it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from tokaido.hal import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokaido.node.operation._alarm_book import NodeAlarm

Name: TypeAlias = tuple[str, str]
"""Code, and what it is about."""

EARLIER_S: Final = 30.0
"""How much earlier than its cause a consequence may show, in s: units are read in turns. One that is older has another
cause."""
_NO_KEY: Final = ("QBER_HIGH", "RATE_LOW", "EC_FAIL", "NO_KEY")
_STILL: Final = ("SETUP_SLOW", "NO_BLOCKS", "GIVEN_UP", "FETCH_FAILED")
_NO_KEYS: Final = ("RELAY_FAILED", "STOCK_LOW")
"""About another node; all others are about a link, or a device of one."""

CONSEQUENCES: Final[Mapping[str, frozenset[str]]] = {
    code: frozenset(consequences)
    for codes, consequences in (
        (
            ("MAINTENANCE",),
            (
                *("STOPPED_BY_HAND", "NOT_ANSWERING", "NOT_DRAWN", "CHASSIS_TEMP", "LASER_TEMP", "LASER_POWER"),
                *("DET_TEMP", "LOS", "SYNC_LOSS", "PEER_UNREACHABLE", *_NO_KEY, *_STILL, *_NO_KEYS),
            ),
        ),
        (("STOPPED_BY_HAND",), (*_STILL, *_NO_KEYS)),
        (("DEVICE_CHANGED",), ("NOT_ANSWERING", "NOT_DRAWN", *_STILL, *_NO_KEYS)),
        (("NOT_ANSWERING",), ("NOT_DRAWN", *_STILL, *_NO_KEYS)),
        (("CHASSIS_TEMP",), ("LASER_TEMP", "DET_TEMP", *_NO_KEY, *_STILL, *_NO_KEYS)),
        (("LASER_TEMP", "LASER_POWER", "DET_TEMP"), (*_NO_KEY, *_STILL, *_NO_KEYS)),
        (
            (
                *("SECURITY_HOLD", "PHOTON_NUMBER", "RNG_FAIL", "DETECTOR_BLINDING", "TROJAN_LIGHT", "TAMPER"),
                *("AUTH_MISMATCH", "QBER_ABORT", "PHASE_ERROR_ABORT", "DETECTOR_MISMATCH", "QUARANTINE"),
                *("PRESHARED_KEY_MISSING", "AUTH_KEY_RESERVE", "SETTINGS_MISMATCH"),
            ),
            (*_STILL, *_NO_KEYS),
        ),
        (("LOS",), ("SYNC_LOSS", "PEER_UNREACHABLE", *_NO_KEY, *_STILL, *_NO_KEYS)),
        (("PEER_UNREACHABLE",), ("EC_FAIL", "NO_KEY", *_STILL, *_NO_KEYS)),
        (("SYNC_LOSS",), (*_NO_KEY, *_STILL, *_NO_KEYS)),
        (("QBER_HIGH",), ("EC_FAIL", "NO_KEY", *_STILL, *_NO_KEYS)),
        (("RATE_LOW",), ("NO_KEY", *_STILL, *_NO_KEYS)),
        (("EC_FAIL", "NO_KEY"), (*_STILL, *_NO_KEYS)),
        (("NOT_DRAWN",), ("KEYSTORE_FULL", *_NO_KEYS)),
        (_STILL, _NO_KEYS),
        (("VERSION_MISMATCH", "NEIGHBOUR_SILENT"), _NO_KEYS),
        (("RELAY_FAILED",), ("STOCK_LOW",)),
        (("STORE_FAILED", "STORE_CLOSED"), ("NOT_DRAWN", "KEYSTORE_FULL", *_NO_KEYS)),
    )
    for code in codes
}
"""What may follow from an alarm, by code. The first of several causes that stand counts. None follows from itself."""

RELATED: Final = frozenset(CONSEQUENCES).union(*CONSEQUENCES.values())
"""All codes that are a cause or a consequence."""


@dataclass(frozen=True, slots=True)
class Places:
    """The parts that alarms are about, and how these hang together."""

    links: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The link that a device is an end of."""
    neighbours: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The node at the other end of a link."""
    ways: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The neighbour over which keys for another node go, or went last."""

    def link(self, of: str) -> str | None:
        """Return the link that something is, or is an end of."""
        return self.links.get(of, of if of in self.neighbours else None)

    def touches(self, of: str) -> frozenset[str]:
        """Return the neighbours to which keys fail if something is wrong there; none for a device of no link."""
        link = self.link(of)
        node = of if link is None else self.neighbours.get(link, "")
        return frozenset({node}) & frozenset(self.neighbours.values())

    def over(self, other: str) -> frozenset[str]:
        """Return the neighbours over which keys for another node go; any, if no way to it was ever known."""
        found = self.touches(other) | ({self.ways[other]} if other in self.ways else set())
        return found or frozenset(self.neighbours.values())


Relate: TypeAlias = "Callable[[Iterable[NodeAlarm]], Mapping[Name, Name]]"


def causes_of(alarms: Iterable[NodeAlarm], places: Places) -> dict[Name, Name]:
    """Return which alarm each consequence follows from, at the root: no cause in the answer has a cause itself.

    A critical alarm, or one that a person must acknowledge, is never a consequence. A cause that is gone is none.
    """
    alarms = tuple(alarms)
    order = {code: place for place, code in enumerate(CONSEQUENCES)}
    causes = sorted(
        (one for one in alarms if one.code in order and one.cleared_s is None),
        key=lambda one: (order[one.code], one.began_s, one.of),
    )
    parents: dict[Name, Name] = {}
    for alarm in alarms:
        if alarm.latched or alarm.severity is Severity.CRITICAL or alarm.code not in RELATED:
            continue
        found = next((cause for cause in causes if _explains(cause, alarm, places)), None)
        if found is not None:
            parents[alarm.name] = found.name
    return {name: _root(parent, parents) for name, parent in parents.items()}


def _explains(cause: NodeAlarm, alarm: NodeAlarm, places: Places) -> bool:
    if alarm.code not in CONSEQUENCES[cause.code] or cause.began_s > alarm.began_s + EARLIER_S:
        return False
    if not cause.of:
        return True
    if cause.code in _NO_KEYS:
        return cause.of == alarm.of
    if alarm.code in _NO_KEYS:
        return not places.touches(cause.of).isdisjoint(places.over(alarm.of))
    link = places.link(cause.of)
    return cause.of == alarm.of or (link is not None and link == places.link(alarm.of))


def _root(name: Name, parents: Mapping[Name, Name]) -> Name:
    while name in parents:
        name = parents[name]
    return name
