"""Kinds of fault on the wire: one record a kind says all that wire ends, suites and people need to know of it.

A piece is a line or a chunk of a stream, or a message. On HiSLIP and on VISA within the process a reply ends with an
END; one that has lost the end of its line has none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from tokaido.emulators._faults import Fault

Direction = Literal["to_unit", "from_unit"]
FaultPort = Literal["control", "keys"]
Lingering = Literal["plug", "delay"]
Parts = list[tuple[float, list[bytes]]]
"""Parts of a piece, each with its delay in s: a stream's bytes as one frame, or the frames of a message."""

BOTH_WAYS: Final[tuple[Direction, ...]] = ("to_unit", "from_unit")
EVERY_PORT: Final[tuple[FaultPort, ...]] = ("control", "keys")
_PLUG: Final[Mapping[FaultPort, Lingering]] = {"control": "plug", "keys": "plug"}


@dataclass(slots=True)
class Fate:
    """What becomes of one piece: its parts, and what happens besides."""

    parts: Parts
    unplug_s: float | None = None
    hang: Fault | None = None
    wrong_id: bool = False
    provokes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault on the wire."""

    name: str
    does: str
    """What it does to a piece, for people."""
    strike: Callable[[Fate, Fault, random.Random], None]
    """Alters the fate of a piece that it meets."""
    directions: tuple[Direction, ...] = BOTH_WAYS
    """The ways on which it can strike."""
    ports: tuple[FaultPort, ...] = EVERY_PORT
    """The ports that it can sit at: `control` carries a stream, `keys` messages."""
    believed: tuple[Direction, ...] = ()
    """The ways on which plain text, without checksums and names, gives a driver no way to see it: another question or
    answer comes, or an answer too many, just after the next question."""
    unended: tuple[Direction, ...] = ()
    """The ways on which it leaves a line without its end in a device that speaks plain text, which takes the next
    call's line for the rest of it. A driver must not end that line itself: a cut command might be another command."""
    lasts_s: float = 0.1
    """How long a suite lets it hold things back, in s."""
    lasts_deadlines: float = 0.0
    """The same, where it must outlast a call: in deadlines of an exchange."""
    lingers: Mapping[FaultPort, Lingering] = field(default_factory=dict[FaultPort, Lingering], hash=False)
    """What of it goes on at a port after its end: until the plug is back, or until late pieces have come."""
    alters_bytes: bool = False
    """Whether it alters the bytes of a piece: an authenticated encryption lets no such message through."""
    swaps_box: bool = False
    """Whether another box answers."""
    in_model: bool = False
    """Whether it adds a fault of the model, which goes on until it is removed there."""
    same_as: str = ""
    """The kind that it is another name of."""


def _alteration(alter: Callable[[float, list[bytes], Fault, random.Random], Parts]) -> Callable[..., None]:
    def strike(fate: Fate, fault: Fault, chance: random.Random) -> None:
        fate.parts = [part for delay, frames in fate.parts for part in alter(delay, frames, fault, chance)]

    return strike


# --- what alters the piece --------------------------------------------------------------------------------------------


@_alteration
def _latency(delay: float, frames: list[bytes], fault: Fault, _: random.Random) -> Parts:
    return [(delay + fault.seconds, frames)]


@_alteration
def _drop(_delay: float, _frames: list[bytes], _fault: Fault, _: random.Random) -> Parts:
    return []


@_alteration
def _duplicate(delay: float, frames: list[bytes], _fault: Fault, _: random.Random) -> Parts:
    return [(delay, frames), (delay, frames)]


@_alteration
def _garble(delay: float, frames: list[bytes], _fault: Fault, chance: random.Random) -> Parts:
    places = [(i, j) for i, frame in enumerate(frames) for j in range(len(frame.rstrip(b"\r\n")))]
    if not places:
        return [(delay, frames)]
    i, j = chance.choice(places)
    altered = bytearray(frames[i])
    altered[j] ^= chance.choice([1 << bit for bit in range(7) if altered[j] ^ (1 << bit) not in b"\r\n"])
    return [(delay, [*frames[:i], bytes(altered), *frames[i + 1 :]])]


@_alteration
def _truncate(delay: float, frames: list[bytes], _fault: Fault, chance: random.Random) -> Parts:
    if len(frames) == 1:
        return [(delay, [frames[0][: chance.randrange(len(frames[0]) or 1)]])]
    keep = chance.randrange(1, len(frames))
    cut = frames[keep][: chance.randrange(len(frames[keep]) or 1)]
    return [(delay, [*frames[:keep], cut])]


@_alteration
def _split(delay: float, frames: list[bytes], fault: Fault, chance: random.Random) -> Parts:
    data = frames[0]
    cuts = sorted(chance.sample(range(1, len(data)), min(3, len(data) - 1))) if len(data) > 1 else []
    bounds = [0, *cuts, len(data)]
    return [(delay + fault.seconds * i, [data[bounds[i] : bounds[i + 1]]]) for i in range(len(bounds) - 1)]


@_alteration
def _endless(delay: float, frames: list[bytes], fault: Fault, _: random.Random) -> Parts:
    return [(delay, [*frames[:1], b"A" * fault.size] if len(frames) > 1 else [b"A" * fault.size])]


# --- what happens besides ---------------------------------------------------------------------------------------------


def _unplug(fate: Fate, fault: Fault, _: random.Random) -> None:
    fate.parts = []
    fate.unplug_s = fault.seconds


def _hang(fate: Fate, fault: Fault, _: random.Random) -> None:
    fate.hang = fault


def _wrong_id(fate: Fate, _fault: Fault, _: random.Random) -> None:
    fate.wrong_id = True


def _alarm(fate: Fate, fault: Fault, _: random.Random) -> None:
    fate.provokes.append(fault.provokes)


FAULT_KINDS: Final = {
    kind.name: kind
    for kind in (
        FaultKind(
            "latency",
            "holds it back for `seconds`",
            _latency,
            lasts_s=0.0,
            lasts_deadlines=1.3,
            lingers={"control": "delay", "keys": "delay"},
        ),
        FaultKind("drop", "loses it", _drop),
        FaultKind("duplicate", "carries it twice", _duplicate, believed=BOTH_WAYS),
        FaultKind("garble", "alters one byte, never the end of a line", _garble, believed=BOTH_WAYS, alters_bytes=True),
        FaultKind(
            "truncate",
            "carries only its beginning; a message loses frames or the end of one",
            _truncate,
            unended=("to_unit",),
            alters_bytes=True,
        ),
        FaultKind("split", "carries it in parts, `seconds` apart", _split, ports=("control",), lasts_s=0.01),
        FaultKind(
            "unplug", "loses it, pulls the plug and puts it back after `seconds`", _unplug, lasts_s=0.05, lingers=_PLUG
        ),
        FaultKind("disconnect", "is `unplug`", _unplug, lasts_s=0.05, lingers=_PLUG, same_as="unplug"),
        FaultKind(
            "hang",
            "carries nothing more until `seconds` are over or the fault is removed",
            _hang,
            lasts_s=0.0,
            lasts_deadlines=1.3,
        ),
        FaultKind(
            "wrong_id",
            "lets another box answer: same kind, another serial number",
            _wrong_id,
            directions=("to_unit",),
            lingers={"control": "plug"},  # nobody changes boxes at a console without pulling a plug
            swaps_box=True,
        ),
        FaultKind(
            "endless",
            "puts `size` bytes without an end in its place",
            _endless,
            unended=("to_unit",),
            lingers={"control": "delay"},
        ),
        FaultKind(
            "alarm", "adds the model fault `provokes` just before it", _alarm, directions=("to_unit",), in_model=True
        ),
    )
}
"""Every kind of fault on the wire, by name."""
