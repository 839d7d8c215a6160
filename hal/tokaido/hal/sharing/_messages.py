"""The messages of a device server, TDS1: docs/protocols/device-server.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

import tokaido.hal._errors as errors
from tokaido.hal._errors import ConfigurationError, DeviceError, ProtocolError, TokaidoError
from tokaido.hal.structs import learn

if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOCOL: Final = "TDS1"
MAX_BODY: Final = 1 << 20
"""Longest body of a message, in bytes."""
LONGEST_HOLD_S: Final = 86_400.0

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Told = Annotated[str, msgspec.Meta(max_length=1000)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1 << 16)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=LONGEST_HOLD_S)]
Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]


class Ask(msgspec.Struct, tag_field="do", forbid_unknown_fields=True, omit_defaults=True):
    """What every request is."""


class Hello(Ask, tag="hello"):
    """The first request of a connection."""

    who: Told = ""
    """User, host, program and process, for people to read."""


class Describe(Ask, tag="describe"):
    """Ask which devices there are."""


class Exchange(Ask, tag="exchange"):
    """Have a text said to a device."""

    device: Name
    text: Text
    query: bool
    """Whether the client takes it for a question."""
    within_s: Seconds
    """An exchange that has not begun by then is not begun at all."""
    fencing_token: Count = 0
    """That of the client's hold; 0: it has none."""
    force: Told = ""
    """Why interlocks may be overruled; empty: they may not."""


class Verdict(Ask, tag="verdict"):
    """Tell whether a reply was one to the text, where nothing but its form can show it."""

    device: Name
    exchange: Count
    right: bool


class Lines(Ask, tag="lines"):
    """Ask for what a device sent unasked."""

    device: Name
    after: Count
    """Number of the last line that is known."""
    within_s: Seconds
    """How long to wait for the first one."""


class Acquire(Ask, tag="acquire"):
    """Hold a device, alone."""

    device: Name
    why: Told
    seconds: Seconds
    take_over: bool = False
    """Whether to take it from who holds it."""


class Release(Ask, tag="release"):
    """Hold a device no more."""

    device: Name
    fencing_token: Count


class LeaseLink(Ask, tag="lease"):
    """Lease a link with its devices, to move it."""

    link: Name
    holder: Told
    seconds: Seconds


class KeepLease(Ask, tag="keep_lease"):
    """Ask how long the lease of a link lasts still."""

    link: Name
    fencing_token: Count
    seconds: Seconds
    """How long it is to last from now, if it is renewed."""
    renew: bool


class EndLease(Ask, tag="end_lease"):
    """Give the lease of a link back."""

    link: Name
    fencing_token: Count


class Holders(Ask, tag="holders"):
    """Ask who holds what."""


AnyAsk = Hello | Describe | Exchange | Verdict | Lines | Acquire | Release | Holders | LeaseLink | KeepLease | EndLease


class ServedDevice(msgspec.Struct, omit_defaults=True):
    """One device of a server."""

    name: str
    driver: str
    serial_number: str = ""
    timeout: float = 1.0
    why_not: str = ""
    """Why it cannot be served; empty where it can."""
    calibrations: dict[str, dict[str, Any]] = {}
    """By the path of a value, what corrects it, which its clients do: the records of `Calibration`."""


class ServedInterlock(msgspec.Struct, omit_defaults=True):
    """An interlock of the server's station, of a switch or of an amplifier."""

    name: str
    switch: str = ""
    classical_inputs: list[int] = []
    receivers: dict[int, str] = {}
    amplifier: str = ""
    reached: list[str] = []
    """Receivers that the amplifier's light may reach."""


class ServedLink(msgspec.Struct):
    """A QKD link of the server's station."""

    name: str
    transmitter: str
    receiver: str
    paths: dict[str, dict[str, tuple[tuple[int, int], ...]]]
    """What each path needs: pairs of input and output, by path and switch."""
    receiver_switches: list[str] = []
    """Which of the switches stand at the receiver's end."""


class ServedHalfLink(msgspec.Struct):
    """One end of a QKD link between the server's station and a neighbour."""

    name: str
    unit: str
    neighbour: str
    peer: str = ""
    """Serial number of the unit at the other end, if the station says."""
    paths: dict[str, dict[str, tuple[tuple[int, int], ...]]] = {}
    """What each path needs of the server's site, by path and switch."""


class HeldDevice(msgspec.Struct):
    """Who holds a device."""

    device: str
    name: str
    """The client's name in the server's list."""
    who: str
    """What the client says of itself."""
    why: str
    fencing_token: int
    remaining_s: float
    """How long still, in s, unless it is renewed."""


class Reply(msgspec.Struct, omit_defaults=True):
    """Any reply; members that a request does not bring stay at their defaults."""

    ok: bool = True
    protocol: str = ""
    station: str = ""
    name: str = ""
    role: str = ""
    devices: list[ServedDevice] = []
    interlocks: list[ServedInterlock] = []
    links: list[ServedLink] = []
    half_links: list[ServedHalfLink] = []
    text: str = ""
    age_s: float = 0.0
    generation: int = 0
    exchange: int = 0
    """Number of the exchange that the device waits for a verdict on; 0: on none."""
    lines: list[bytes] = []
    last: int = 0
    fencing_token: int = 0
    seconds: float = 0.0
    holders: list[HeldDevice] = []
    # of a refusal
    error: str = ""
    what: str = ""
    device: str = ""
    transport: str = ""
    command: str = ""
    remedy: str = ""
    code: str = ""
    mistakes: list[str] = []
    holder: str = ""
    remaining_s: float = 0.0
    sent: bool = False
    """Whether a byte of the text may have reached the device."""

    def raised(self) -> TokaidoError:
        """Return the error that a refusal tells of."""
        found = getattr(errors, self.error, None)
        kind = found if isinstance(found, type) and issubclass(found, TokaidoError) else TokaidoError
        error = kind.__new__(kind, self.what)
        error.args = (self.what,)
        facts: dict[str, Any] = {
            "what": self.what,
            "device": self.device,
            "transport": self.transport,
            "command": self.command,
            "elapsed_s": None,
            "remedy": self.remedy,
        }
        if issubclass(kind, DeviceError):
            facts["code"] = self.code
        if issubclass(kind, ConfigurationError):
            facts["mistakes"] = tuple(self.mistakes)
        if issubclass(kind, errors.LeaseHeldError):
            facts |= {"holder": self.holder, "remaining_s": self.remaining_s}
        error.__dict__.update(facts)
        return error


class Answered(msgspec.Struct):
    """What a reply says that brings a device's answer: quicker to read than all that a reply may have."""

    ok: bool = True
    text: str = ""
    age_s: float = 0.0
    generation: int = 0
    exchange: int = 0


def refusal(error: TokaidoError, *, sent: bool = False) -> Reply:
    """Return the reply that tells a client of an error."""
    known: Mapping[str, Any] = error.__dict__
    return Reply(
        ok=False,
        error=next(kind.__name__ for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind),
        what=error.what,
        device=error.device,
        transport=error.transport,
        command=error.command,
        remedy=error.remedy,
        code=str(known.get("code", "")),
        mistakes=list(known.get("mistakes", ())),
        holder=str(known.get("holder", "")),
        remaining_s=float(known.get("remaining_s", 0.0)),
        sent=sent,
    )


_decoder = msgspec.msgpack.Decoder(AnyAsk)


def decode_ask(body: bytes) -> AnyAsk:
    """Return the request that a body is.

    Raises:
        ProtocolError: It is none.
    """
    if len(body) > MAX_BODY:
        raise ProtocolError(f"a request of {len(body)} bytes; {MAX_BODY} are the most")
    try:
        asked: AnyAsk = _decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"not a request of {PROTOCOL}: {error}") from None
    return asked


learn(Reply, Answered)
