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
_STRAY: Final = bytes(byte for byte in range(256) if byte not in b"\r\n")
_PLUG: Final[Mapping[FaultPort, Lingering]] = {"control": "plug", "keys": "plug"}


@dataclass(slots=True)
class Fate:
    """What becomes of one piece: its parts, and what happens besides."""

    parts: Parts
    port: FaultPort = "control"
    comes_back: Parts = field(default_factory=list)
    """What goes back to the sender, each part with its delay in s."""
    waits: bool = False
    """Whether it goes only when the next piece has gone."""
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
    """The ports that it can sit at: `control` carries a stream, or messages on ZeroMQ; `keys` messages."""
    why_not: str = ""
    """Why it sits at one of them only."""
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
    looks_back: bool = False
    """Whether it alters a piece only after another one that it met."""
    swaps_box: bool = False
    """Whether another box answers."""
    in_model: bool = False
    """Whether it adds a fault of the model, which goes on until it is removed there."""
    same_as: str = ""
    """The kind that it is another name of."""


def _places(frames: list[bytes]) -> list[tuple[int, int]]:
    """Return where a byte can be struck: not at the end of a line."""
    return [(i, j) for i, frame in enumerate(frames) for j in range(len(frame.rstrip(b"\r\n")))]


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
    places = _places(frames)
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


@_alteration
def _noise(delay: float, frames: list[bytes], _fault: Fault, chance: random.Random) -> Parts:
    i = chance.randrange(len(frames))
    stray = bytes(chance.choice(_STRAY) for _ in range(chance.randint(1, 4)))
    return [(delay, [*frames[:i], stray + frames[i], *frames[i + 1 :]])]


@_alteration
def _lost_byte(delay: float, frames: list[bytes], _fault: Fault, chance: random.Random) -> Parts:
    places = _places(frames)
    if not places:
        return [(delay, frames)]
    i, j = chance.choice(places)
    return [(delay, [*frames[:i], frames[i][:j] + frames[i][j + 1 :], *frames[i + 1 :]])]


@_alteration
def _parity(delay: float, frames: list[bytes], _fault: Fault, _: random.Random) -> Parts:
    return [(delay, [bytes(byte if byte in b"\r\n" else byte ^ 0x80 for byte in frame) for frame in frames])]


@_alteration
def _blank(delay: float, frames: list[bytes], _fault: Fault, _: random.Random) -> Parts:
    ends = [frame[len(frame.rstrip(b"\r\n")) :] for frame in frames]
    return [(delay, ends), (delay, frames)]


def _stale(fate: Fate, fault: Fault, _: random.Random) -> None:
    now = [frames for _delay, frames in fate.parts]
    before = fault.last_met.get(fate.port)
    fault.last_met[fate.port] = now
    if before is not None:
        fate.parts = [(0.0, frames) for frames in before]


# --- what happens besides ---------------------------------------------------------------------------------------------


def _echo(fate: Fate, _fault: Fault, _: random.Random) -> None:
    fate.comes_back += fate.parts


def _swap(fate: Fate, _fault: Fault, _: random.Random) -> None:
    fate.waits = True


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
        FaultKind("noise", "puts one to four stray bytes before it", _noise, believed=BOTH_WAYS, alters_bytes=True),
        FaultKind(
            "lost_byte", "loses one byte, never the end of a line", _lost_byte, believed=BOTH_WAYS, alters_bytes=True
        ),
        FaultKind(
            "parity",
            "turns the eighth bit of each byte, as where the two ends count parity differently",
            _parity,
            alters_bytes=True,
        ),
        FaultKind("blank", "puts an empty line, or an empty message, before it", _blank),
        FaultKind(
            "stale",
            "carries the piece that it met before in its place; the first one passes",
            _stale,
            believed=BOTH_WAYS,
            looks_back=True,
        ),
        FaultKind("echo", "carries it and sends it back, too", _echo, directions=("to_unit",)),
        FaultKind("swap", "lets the next one overtake it", _swap, ports=("keys",), why_not="a stream keeps its order"),
        FaultKind(
            "split",
            "carries it in parts, `seconds` apart",
            _split,
            ports=("control",),
            why_not="a message comes whole or not at all",
            lasts_s=0.01,
        ),
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
