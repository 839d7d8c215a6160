"""What a node says of itself: whether it serves keys, what is worst, and all that a person or a meter wants to know.

No key is in it, and no id of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from tokaido.hal import RUNNING
from tokaido.hal.structs import learn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tokaido.hal import Telemetry, UnitState

VERSION: Final = 1
Level = Literal["fine", "degraded", "not serving"]
EXIT_CODES: Final[Mapping[Level, int]] = {"fine": 0, "degraded": 1, "not serving": 2}
UNREACHABLE: Final = 3
"""Exit code where the node cannot be asked."""
BITS_A_KEY: Final = 260
"""Link key that one relayed key of 256 bit costs a hop, at batches of 64."""


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a status."""


class AlarmLine(_Part, frozen=True):
    """One alarm that stands."""

    code: str
    of: str
    severity: str
    text: str
    to_do: str
    """What a person does about it."""
    raised: str
    """ISO 8601, UTC."""
    age_s: float
    lasts: bool
    """Whether its cause is still there."""
    latched: bool
    acknowledged_by: str = ""
    note: str = ""
    cause: str = ""
    """Code of the alarm that it follows from, which stands before it; empty: it is a cause itself."""
    cause_of: str = ""
    """What that one is about."""


class LinkLine(_Part, frozen=True):
    """This end of one link."""

    name: str
    neighbour: str
    device: str
    state: str
    """Of the unit; empty: not known, or a source without states."""
    phase: str
    """What the node does with it."""
    why: str
    """What it waits for."""
    next_attempt_in_s: float | None
    attempts_within_an_hour: int
    failures: int
    running: bool
    """Whether it exchanges keys, as far as this end knows."""
    drawing: bool
    qber: float | None
    """A fraction, of the last block."""
    secret_key_rate: float | None
    """In bit/s."""
    authentication_bits: int | None
    stock_bits: int
    """Link key in the store, of both halves."""
    reserve_s: float | None
    """How long this node's half lasts at the demand of late; None: nothing was asked for."""
    since_block_s: float | None
    """Since the last block came; None: none came yet."""
    answered_s: float | None
    """Since the device answered last; None: it never did."""
    counters: dict[str, int]
    """Bits: `drawn` is the sum of all others."""
    maintained_until_s: float | None = None
    """When maintenance ends by itself, in s since 1970-01-01 UTC; None: it does not."""
    move: str = ""
    """What its last move comes to, in a line; empty: none was ordered."""
    availability: float | None = None
    """The part of all time but maintenance in which it gave keys, since the store was made; None: not measured yet."""
    up_s: float = 0.0
    down_s: float = 0.0
    """That of a node that did not run, too."""
    maintenance_s: float = 0.0
    preshared_key_age_s: float | None = None
    """Age of the oldest pre-shared key of its unit, at least; None: it has none, or was not read yet."""


class PairLine(_Part, frozen=True):
    """Keys of 256 bit that this node shares with another one."""

    neighbour: str
    ready: int
    target: int
    in_flight: int
    held: int
    demand: float
    """Keys a second that were asked for lately."""
    reserve_s: float | None
    integrity: str
    counters: dict[str, int]
    route: tuple[str, ...] = ()
    """The route that the next keys go; empty: there is none now."""
    routes: int = 1
    """How many routes each key for applications goes."""
    disjoint: tuple[tuple[str, ...], ...] = ()
    """The two routes of keys that go two, where such keys are wanted; empty: they are not, or there are none."""
    cut_nodes: tuple[str, ...] = ()
    """Nodes that every route passes, where keys of two routes are wanted."""


class NeighbourLine(_Part, frozen=True):
    """How things stand with one neighbour."""

    name: str
    up: bool
    known: bool
    silent_s: float


class ApplicationLine(_Part, frozen=True):
    """One application."""

    name: str
    node: str
    here: bool
    """Whether this node serves it."""


class DeviceLine(_Part, frozen=True):
    """A device that is not an end of a link: a switch, an amplifier."""

    name: str
    answered_s: float | None


class StoreLine(_Part, frozen=True):
    """The key store."""

    open: bool
    why: str = ""
    restarts: int = 0
    """How often it was opened again after a failure."""


class NodeStatus(_Part, frozen=True):
    """All of it."""

    node: str
    utc: str
    """When it was asked, ISO 8601."""
    up_s: float
    level: Level
    headline: str
    """Whether keys are served, and the worst thing, in a line."""
    to_do: str
    """What a person does first; empty: nothing."""
    draining: bool
    emulation: bool
    store: StoreLine
    links: tuple[LinkLine, ...] = ()
    pairs: tuple[PairLine, ...] = ()
    neighbours: tuple[NeighbourLine, ...] = ()
    applications: tuple[ApplicationLine, ...] = ()
    devices: tuple[DeviceLine, ...] = ()
    alarms: tuple[AlarmLine, ...] = ()
    """The worst first."""
    relaying: bool = True
    """Whether it relays, as it was told to."""
    version: int = VERSION


def judged(
    *,
    store: StoreLine,
    draining: bool,
    links: Iterable[LinkLine],
    pairs: Iterable[PairLine],
    neighbours: Iterable[NeighbourLine],
    alarms: Iterable[AlarmLine],
    relaying: bool = True,
) -> tuple[Level, str, str]:
    """Return whether keys are served, what is worst in a line, and what a person does first."""
    links, alarms = tuple(links), tuple(alarms)
    pairs = tuple(pair for pair in pairs if pair.target)
    done = "served" if pairs else "relayed"  # a node in the middle of routes shares keys with nobody
    worst = next((alarm for alarm in alarms if alarm.severity in {"CRITICAL", "MAJOR"}), None)
    if worst is not None and worst.cause:
        worst = next((alarm for alarm in alarms if (alarm.code, alarm.of) == (worst.cause, worst.cause_of)), worst)
    told = "" if worst is None else f"{worst.code}{f' of {worst.of}' if worst.of else ''}: {worst.text}"
    to_do = "" if worst is None else worst.to_do
    empty = [pair.neighbour for pair in pairs if not pair.ready]
    none = f"NO KEYS ARE {done.upper()}"
    if not store.open:
        return "not serving", f"{none}: {store.why or 'the store is closed'}", to_do or _TO_DO_STORE
    if draining:
        return "not serving", f"{none}: the node is draining", "Nothing: somebody is ending the node"
    if pairs and len(empty) == len(pairs):
        why = told or f"no key is ready for {', '.join(empty)}"
        return "not serving", f"{none}: {why}", to_do or "Look at the links below"
    silent = [neighbour.name for neighbour in neighbours if not neighbour.up]
    still = [link.name for link in links if not link.running]
    if worst is not None:
        return "degraded", f"Keys are {done}, and {told}", to_do
    if empty:
        return "degraded", f"Keys are served, but none to {', '.join(empty)}", "Look at the link to it"
    if not relaying:
        stock = "Keys are served from stock" if pairs else none
        return "degraded", f"{stock}; the node was told to relay none", "Let it relay when the work is done"
    if silent:
        return (
            "degraded",
            f"Keys are {done}; {', '.join(silent)} is silent",
            "See whether it runs, and the network to it",
        )
    if still:
        return "degraded", f"Keys are {done} from stock; {', '.join(still)} makes none", "Look at the link below"
    return "fine", f"Keys are {done}", ""


_TO_DO_STORE: Final = "Look at the disk of the key store; the node tries to open it again"


KEYLESS: Final = "it runs and makes no key yet: see what the other end says of its light"
"""Why a unit counts as one that does not run: a transmitter goes on as before when its fibre is cut."""


def is_running(state: UnitState | None, readings: Telemetry | None, *, drawing: bool) -> bool:
    """Return whether a source gives keys, as far as its state and readings tell; one without states if it is drawn."""
    return drawing if state is None else state in RUNNING and not is_keyless(state, readings)


def is_keyless(state: UnitState | None, readings: Telemetry | None) -> bool:
    """Return whether a unit runs and has no rate of key: it made no block since it began."""
    told = readings is not None and "secret_key_rate" in readings
    return state in RUNNING and told and not value_of(readings, "secret_key_rate")


def value_of(readings: Telemetry | None, path: str) -> float | None:
    """Return the value of a reading, if it has one."""
    reading = None if readings is None else readings.get(path)
    value = None if reading is None else reading.value
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def reserve_s(amount: float, demand: float) -> float | None:
    """Return how long an amount lasts at a demand a second; None: nothing is asked for."""
    return amount / demand if demand > 0 else None


learn(NodeStatus)
