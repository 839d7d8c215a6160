"""What a page shows of a network: docs/reference/page.md. No field takes bytes."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from tokaido.hal.structs import learn

SiteLevel: TypeAlias = Literal["fine", "degraded", "not serving", "silent"]
DrillState: TypeAlias = Literal["ready", "running", "passed", "failed", "unavailable"]
ExchangeState: TypeAlias = Literal["ready", "encrypted", "opened", "failed"]
VERSION: Final = 1


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a state."""


class PageAlarm(_Part, frozen=True, kw_only=True):
    """One alarm that stands at a site."""

    code: str
    of: str = ""
    severity: str
    text: str
    to_do: str = ""
    raised: str = ""
    """ISO 8601, UTC; empty: not known."""
    acknowledged: bool = False
    cause: str = ""
    """Code of the alarm that it follows from; empty: none."""


class PageDevice(_Part, frozen=True, kw_only=True):
    """One device of a site."""

    name: str
    kind: Literal["unit", "device"] = "device"
    state: str = ""
    answers: bool | None = None
    """False: nothing was heard of it for 30 s; None: not known."""


class PageSite(_Part, frozen=True, kw_only=True):
    """One node, and the place where it stands."""

    name: str
    title: str
    title_ja: str = ""
    """Empty: as in English."""
    latitude: float
    """In degrees, north positive; in a diagram, upwards."""
    longitude: float
    """In degrees, east positive; in a diagram, to the right."""
    level: SiteLevel
    headline: str = ""
    """As the node says it."""
    to_do: str = ""
    devices: tuple[PageDevice, ...] = ()
    alarms: tuple[PageAlarm, ...] = ()
    """The worst first."""
    applications: tuple[str, ...] = ()


class PageSpan(_Part, frozen=True, kw_only=True):
    """One QKD link between two sites."""

    name: str
    ends: tuple[str, str]
    length_km: float | None = None
    vendor: str = ""
    path: str = ""
    """Which path its light takes; empty: it has one, or it is not known."""
    state: str = ""
    running: bool = False
    qber: float | None = None
    """A fraction."""
    secret_key_rate: float | None = None
    """In bit/s."""
    stock_bits: int | None = None
    """Link key in store, at the end that has less."""
    reserve_s: float | None = None
    """How long it lasts at the demand of late, in s; None: nothing is asked for."""
    speed: float | None = None
    """Emulated seconds a second; None: not emulated, or not known."""


class PagePair(_Part, frozen=True, kw_only=True):
    """Two nodes that share keys of 256 bit."""

    ends: tuple[str, str]
    ready: int
    """Keys that can be supplied, at the end that has less."""
    target: int
    demand: float = 0.0
    """Keys a second that were asked for lately."""
    reserve_s: float | None = None
    route: tuple[str, ...] = ()
    """From the first end to the second; empty: there is none now."""
    disjoint: tuple[tuple[str, ...], ...] = ()
    """Two routes, where every key goes both."""


class PageDrill(_Part, frozen=True, kw_only=True):
    """Something that a person can have happen to the demonstration."""

    name: str
    title: str
    title_ja: str = ""
    expected: str = ""
    """What ought to be seen, in a sentence."""
    expected_ja: str = ""
    state: DrillState = "ready"
    seen: str = ""
    """What was seen, in a line."""


class PageApplication(_Part, frozen=True, kw_only=True):
    """An application at one end of the exchange of a picture."""

    name: str
    title: str
    title_ja: str = ""
    site: str
    role: Literal["sender", "receiver"]


class PageExchange(_Part, frozen=True, kw_only=True):
    """How the exchange of a picture stands."""

    number: int = 0
    """Counts pictures."""
    state: ExchangeState = "ready"
    cipher: str = "AES-256-GCM"
    bits: int = 256
    """Of the key."""
    width: int
    height: int
    route: tuple[str, ...] = ()
    seen: str = ""


class PageState(_Part, frozen=True, kw_only=True):
    """All that a page shows."""

    network: str
    title: str
    title_ja: str = ""
    utc_s: float
    """When this was so, in s since 1970-01-01 UTC."""
    emulation: bool = False
    geography: bool = True
    """Whether places are latitudes and longitudes; else they are a diagram."""
    sites: tuple[PageSite, ...] = ()
    spans: tuple[PageSpan, ...] = ()
    pairs: tuple[PagePair, ...] = ()
    drills: tuple[PageDrill, ...] = ()
    applications: tuple[PageApplication, ...] = ()
    exchange: PageExchange | None = None
    version: int = VERSION


class PageRelay(_Part, frozen=True, kw_only=True):
    """Keys that went over a route."""

    route: tuple[str, ...]
    """Names of sites, from start to end."""
    keys: int
    state: Literal["ready", "dropped"] = "ready"
    utc_s: float


learn(PageState, PageRelay)
