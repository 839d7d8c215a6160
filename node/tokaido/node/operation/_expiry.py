"""Tells in time that something ends: certificates, revocation lists, the topology, the time of pre-shared keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, Severity
from tokaido.node.core import Clear, Raise
from tokaido.node.tls import ends_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tokaido.hal import Clock
    from tokaido.node.tls import TlsFiles

DAY_S: Final = 86_400.0
TO_DO: Final = {
    "CERTIFICATE_ENDS": "Have the certificate renewed; a node takes its new one at a reload: `tokaido node reload`",
    "AUTHORITY_ENDS": "Have the authority renewed, bring its certificate to all nodes, then reload them",
    "REVOCATIONS_END": "Bring a new revocation list to the node and reload it: after its end nobody can connect",
    "PRESHARED_KEY_OLD": "Have two custodians commission a new one at both ends: docs/how-to/commission-a-link.md",
    "TOPOLOGY_ENDS": "Have the topology signed for longer, under a higher serial, and bring it to all nodes",
}
"""What a person does about each alarm."""


class Ending(NamedTuple):
    """Something that ends, and when."""

    code: str
    """Of the alarm."""
    of: str
    """A neighbour; empty: this node."""
    what: str
    """In words."""
    at_s: float
    """In s since 1970-01-01 UTC."""
    days: float | None = None
    """How long before it is told, in days; None: as the settings of certificates say. With a time of its own it is told
    as WARNING, and from its end on as MAJOR: nothing stops then."""


@dataclass(frozen=True, slots=True)
class ExpirySettings:
    """How long before the end of something it is told, in days."""

    days: float = 21.0
    """As a WARNING."""
    urgent_days: float = 7.0
    """As MAJOR. At the end itself it is CRITICAL."""


def own_endings(files: TlsFiles, topology_s: float | None) -> tuple[Ending, ...]:
    """Return what of a node's own ends.

    Args:
        files: Those of its TLS.
        topology_s: When its topology ends, in s since 1970-01-01 UTC; None: it has none, or that has no end.

    Raises:
        ConfigurationError: A file cannot be read.
    """
    ends = ends_of(files)
    return (
        Ending("CERTIFICATE_ENDS", "", "the certificate of this node", ends.certificate),
        Ending("AUTHORITY_ENDS", "", "the certificate of the authority", ends.authority),
        *(() if ends.revoked is None else (Ending("REVOCATIONS_END", "", "the revocation list", ends.revoked),)),
        *(() if topology_s is None else (Ending("TOPOLOGY_ENDS", "", "the topology", topology_s),)),
    )


def endings_of_neighbours(seen: Mapping[str, float]) -> tuple[Ending, ...]:
    """Return when certificates end that neighbours showed, by neighbour, in s since 1970-01-01 UTC."""
    return tuple(Ending("CERTIFICATE_ENDS", name, f"the certificate of {name}", end_s) for name, end_s in seen.items())


class ExpiryWatch:
    """Raises an alarm for what ends soon, and clears it when something that lasts longer is in its place.

    Args:
        take: Takes the alarms.
        settings: How long before.
        clock: Where the time of day comes from.
    """

    def __init__(
        self,
        take: Callable[[Raise | Clear], object],
        settings: ExpirySettings | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.settings = settings or ExpirySettings()
        self._take = take
        self._clock = clock
        self._raised: set[tuple[str, str]] = set()

    def look(self, endings: Iterable[Ending]) -> None:
        """See what ends soon; call it now and then. Of two things with one name the earlier end counts.

        Args:
            endings: All that ends.
        """
        now_s = self._clock.utc_ns() / NS_PER_S
        soonest: dict[tuple[str, str], Ending] = {}
        for ending in sorted(endings, key=lambda one: one.at_s):
            days = self.settings.days if ending.days is None else ending.days
            if ending.at_s - now_s < days * DAY_S:
                soonest.setdefault((ending.code, ending.of), ending)
        for code, of in self._raised - set(soonest):
            self._take(Clear(code, of))
        for (code, of), ending in soonest.items():
            left_s = ending.at_s - now_s
            text = f"{ending.what} {'ended' if left_s <= 0 else 'ends'} on {day(ending.at_s)}"
            self._take(Raise(code, self._severity(ending, left_s), of, text))
        self._raised = set(soonest)

    def _severity(self, ending: Ending, left_s: float) -> Severity:
        if ending.days is not None:
            return Severity.MAJOR if left_s <= 0 else Severity.WARNING
        if left_s <= 0:
            return Severity.CRITICAL
        return Severity.MAJOR if left_s < self.settings.urgent_days * DAY_S else Severity.WARNING


def day(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M} UTC"
