"""The role of a repeater: a trusted node that stores and relays keys, as its manager sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING

from tokaido.hal._declarations import measured, query, setting
from tokaido.hal._device import Device, Part
from tokaido.hal._errors import UnsupportedError
from tokaido.hal._values import Measured
from tokaido.hal.roles._alarms import Alarm

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence
    from dataclasses import dataclass

    from tokaido.hal._values import Query, Setting
    from tokaido.hal.roles._alarms import Severity


class RepeaterState(Enum):
    """States of a repeater. In brackets what ETSI GS QKD 015 calls them."""

    RELAYING = "RELAYING"
    """It stores, relays and supplies keys (OPERATING)."""
    PAUSED = "PAUSED"
    """It supplies keys from stock and relays none (OPERATING)."""
    DRAINING = "DRAINING"
    """It finishes what is under way, and ends (OUT)."""
    FAILED = "FAILED"
    """Its store is closed (FAILURE)."""


class RepeaterCapability(Enum):
    """What not every repeater has."""

    MAINTENANCE = "maintenance"
    """It gives an end of a link to a person, until a time."""
    DRAIN = "drain"
    """It ends in order when it is told to."""
    SWITCH_MOVE = "switch move"
    """It leads moves of switched links to other paths."""
    INVENTORY = "inventory"
    """It knows which box stands under the name of each of its devices, and uses another one once it was accepted."""


@dataclass(frozen=True, slots=True)
class NodeAlarm(Alarm):
    """One alarm that stands at a repeater."""

    of: str
    """What it is about: a link, a device, a neighbour; empty: the node."""
    text: str
    to_do: str
    """What a person does about it."""
    raised_utc_s: float
    """When it was raised, in s since 1970-01-01 UTC."""
    lasts: bool
    """Whether its cause is there still."""
    acknowledged_by: str = ""
    """Who has seen it; empty: nobody."""
    note: str = ""
    """What they say of it."""
    cause: str = ""
    """Code of the alarm that it follows from; empty: it is a cause itself, or the node does not say."""
    cause_of: str = ""
    """What that one is about."""


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """One thing that happened at a repeater: a change of an alarm, or an act of somebody."""

    sequence: int
    """Counts from 1 in each run of the node."""
    utc_s: float
    """When, in s since 1970-01-01 UTC, by the node's clock."""
    kind: str
    """`raised`, `altered`, `cleared`, `acknowledged`; `act` for what somebody ordered."""
    code: str
    of: str
    severity: Severity | None
    """None for an act."""
    text: str
    by: str
    """Who did it; empty where nobody did."""


@dataclass(frozen=True, slots=True)
class NodeEvents:
    """What happened at a repeater since an earlier look."""

    run: str
    """Names the node's run: in another one its events count from 1 again."""
    events: tuple[NodeEvent, ...]
    """Oldest first."""
    last: int
    """Sequence number of the newest event that there is."""
    lost: int
    """How many events the node has forgotten since that look."""


class NeighbourOfRepeater(Part):
    """A node that a repeater has a link to."""

    node: str
    """Its name."""

    name: Measured[str] = measured(str)
    """Measure its name, as a table of values shows it."""
    up: Measured[bool] = measured(bool)
    """Measure whether it answered what it was asked last."""
    silent: Measured[float] = measured(float, unit="s")
    """Measure for how long nothing was heard of it."""


class LinkOfRepeater(Part):
    """This end of one QKD link, and its link key."""

    link: str
    """Its name."""

    name: Measured[str] = measured(str)
    """Measure its name, as a table of values shows it."""
    neighbour: Measured[str] = measured(str)
    """Measure which node is at the other end."""
    status: Measured[str] = measured(str)
    """Measure the status as ETSI GS QKD 015 has it, as this end sees it: ACTIVE, PASSIVE, PENDING or OFF."""
    phase: Measured[str] = measured(str)
    """Measure what the node does with the link."""
    last_move: Measured[str] = measured(str)
    """Measure what the last move of it came to since the node started; empty if none was ordered."""
    maintained_until: Measured[float] = measured(float, unit="s")
    """Measure when maintenance ends, in s since 1970-01-01 UTC; 0: it is not under way, or has no end."""
    qber: Measured[float] = measured(float, unit="")
    """Measure the error rate of the last block, a fraction."""
    secret_key_rate: Measured[float] = measured(float, unit="bit/s")
    """Measure the secret rate of late."""
    availability: Measured[float] = Measured(float, None, unit="", unsupported="it does not measure it")
    """Measure in which part of all time but maintenance the unit here exchanged keys, since its store was made."""
    stock: Measured[int] = measured(int, unit="bit")
    """Measure the link key in the store, of both halves."""
    reserve: Measured[float] = measured(float, unit="s")
    """Measure how long this node's half lasts at the present demand; without demand it has no value."""
    drawn: Measured[int] = measured(int, unit="bit")
    """Measure how much link key was ever drawn from the unit."""
    spent: Measured[int] = measured(int, unit="bit")
    """Measure how much of it was spent as pads and tags."""
    discarded: Measured[int] = measured(int, unit="bit")
    """Measure how much of it was discarded, for whatever reason."""


class PairOfRepeater(Part):
    """Keys of 256 bit that a repeater shares with another node."""

    node: str
    """Name of the other node."""

    name: Measured[str] = measured(str)
    """Measure the name of the other node, as a table of values shows it."""
    ready: Measured[int] = measured(int, unit="")
    """Measure how many keys this node can supply."""
    target: Measured[int] = measured(int, unit="")
    """Measure how many are to be ready."""
    in_flight: Measured[int] = measured(int, unit="")
    """Measure how many are being relayed."""
    held: Measured[int] = measured(int, unit="")
    """Measure how many the other node can supply."""
    stock: Measured[int] = measured(int, unit="bit")
    """Measure the keys that are ready."""
    demand: Measured[float] = measured(float, unit="1/s")
    """Measure the keys a second that were asked for lately."""
    reserve: Measured[float] = measured(float, unit="s")
    """Measure how long the ready keys last at that demand; without demand it has no value."""
    relayed: Measured[int] = measured(int, unit="")
    """Measure how many keys this node ever started to relay."""
    received: Measured[int] = measured(int, unit="")
    """Measure how many ever came from the other node."""
    supplied: Measured[int] = measured(int, unit="")
    """Measure how many were given to applications here."""
    burned: Measured[int] = measured(int, unit="")
    """Measure how many that this node started were destroyed."""
    integrity: Measured[str] = measured(str)
    """Measure what proves that both ends hold the same keys: `confirmed end to end`, or `relays trusted`."""


class RepeaterNode(Device, ABC):
    """A trusted node. Its safe state relays nothing: no key leaves it, and what it has stays.

    A node goes by its own rules whether somebody looks or not: leaving it as it is (`on_exit = "keep"`) is what
    monitoring wants.
    """

    state: Query[RepeaterState] = query(RepeaterState)
    """Ask for the state."""
    serving: Query[bool] = query(bool)
    """Ask whether an application can get a key now."""

    relaying: Setting[bool] = setting(bool)
    """Control whether keys are relayed: started here, taken from neighbours, passed on."""

    headline: Measured[str] = measured(str)
    """Measure whether keys are served, and what is worst, in a line."""
    utc: Measured[float] = measured(float, unit="s")
    """Measure the node's time of day, in s since 1970-01-01 UTC."""
    uptime: Measured[float] = measured(float, unit="s")
    """Measure how long the node has run."""
    alarms_standing: Measured[int] = measured(int, unit="")
    """Measure how many alarms stand."""

    # --- what it is made of -------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def neighbours(self) -> Sequence[NeighbourOfRepeater]:
        """Its neighbours, in the node's order when it was opened."""

    @property
    @abstractmethod
    def links(self) -> Sequence[LinkOfRepeater]:
        """Its ends of links, in the node's order when it was opened."""

    @property
    @abstractmethod
    def pairs(self) -> Sequence[PairOfRepeater]:
        """The nodes that it shares keys with, in the node's order when it was opened."""

    @property
    def parts(self) -> Sequence[Part]:
        """All parts."""
        return (*self.neighbours, *self.links, *self.pairs)

    # --- what happened ------------------------------------------------------------------------------------------------

    @abstractmethod
    def alarms(self) -> tuple[NodeAlarm, ...]:
        """Ask for the alarms that stand, the worst first."""

    @abstractmethod
    def events(self, since: int = 0) -> NodeEvents:
        """Ask for what happened after the event of this sequence number. Default: for all that the node remembers."""

    # --- commands -----------------------------------------------------------------------------------------------------

    def start_relaying(self) -> None:
        """Relay, as `relaying = True` does."""
        self.relaying = True

    def stop_relaying(self) -> None:
        """Relay no more, as `relaying = False` does. Relays of neighbours are refused meanwhile, and burned there."""
        self.relaying = False

    @abstractmethod
    def acknowledge(self, code: str, of: str = "", *, note: str = "") -> None:
        """Say that a person has seen an alarm. A latched one whose cause is gone ends by it.

        Raises:
            RefusedError: There is none of that name, or no role of ours allows it (a latched one is the security
                officer's).
        """

    @abstractmethod
    def resume(self, link: str) -> None:
        """Let the node try a link again at once, as if nothing had failed."""

    def maintain(self, link: str, *, until_utc_s: float = 0.0, note: str = "") -> None:
        """Take this end of a link for a person, who alone then commands its unit.

        Args:
            link: Name of the link.
            until_utc_s: When it ends by itself, in s since 1970-01-01 UTC; 0: when `end_maintenance` says so.
            note: Why, for people.

        Raises:
            UnsupportedError: The node lacks `RepeaterCapability.MAINTENANCE`.
            RangeError: The time is none; nothing was sent.
            RefusedError: The time lies in the past of the node, or no role of ours allows it.
        """
        del until_utc_s, note
        raise self._lacks(RepeaterCapability.MAINTENANCE, f"maintenance of {link}")

    def end_maintenance(self, link: str) -> None:
        """Give this end of a link back to the node.

        Raises:
            UnsupportedError: The node lacks `RepeaterCapability.MAINTENANCE`.
        """
        raise self._lacks(RepeaterCapability.MAINTENANCE, f"maintenance of {link}")

    def drain(self, why: str) -> None:
        """Let the node end in order: it relays and supplies no more, finishes what is under way, and ends.

        Raises:
            UnsupportedError: The node lacks `RepeaterCapability.DRAIN`.
        """
        raise self._lacks(RepeaterCapability.DRAIN, f"drain, {why}")

    def move_half_link(self, link: str, path: str) -> None:
        """Begin to move a switched link to another path: the node leads, and orders the other half of its neighbour.

        It returns when the move is durable at the node, and found to be possible there. What became of it tells
        `last_move` of the link: `moving to ...`, then `moved to ...` or `not moved to ...`.

        Raises:
            UnsupportedError: The node lacks `RepeaterCapability.SWITCH_MOVE`.
            RefusedError: Its end cannot be moved, or the other end leads; nothing was touched.
        """
        raise self._lacks(RepeaterCapability.SWITCH_MOVE, f"a move of {link} to {path}")

    def accept_device(self, device: str, *, serial_number: str = "", note: str = "") -> None:
        """Let another box stand under the name of a device of the node's station, and let the node use it.

        Args:
            device: Its name there.
            serial_number: What somebody read off the box; empty: whichever waits.
            note: Why, for the node's audit log.

        Raises:
            UnsupportedError: The node lacks `RepeaterCapability.INVENTORY`.
            RefusedError: No other box waits under that name, another one than this waits, or no role of ours allows it
                (it is the security officer's).
        """
        del serial_number, note
        raise self._lacks(RepeaterCapability.INVENTORY, f"another box as {device}")

    def _lacks(self, capability: RepeaterCapability, what: str) -> UnsupportedError:
        return UnsupportedError(
            f"{what}: this node has no {capability.value}", device=self.name, remedy="See its capabilities"
        )

    def apply_safe_state(self) -> None:
        """Relay no more."""
        self.relaying = False
