"""A made-up Tokaido line that moves: what a page is served from in tests, without a node."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from tokaido.console.page import (
    PageAlarm,
    PageApplication,
    PageDevice,
    PageDrill,
    PagePair,
    PageRelay,
    PageSite,
    PageSpan,
    PageState,
)
from tokaido.hal import ConfigurationError, RefusedError

if TYPE_CHECKING:
    from tokaido.console.page import SiteLevel

PLACES = {
    "tokyo": ("Tokyo", "東京", 35.681, 139.767),
    "hongo": ("Hongo", "本郷", 35.713, 139.762),
    "koganei": ("Koganei", "小金井", 35.706, 139.489),
    "odawara": ("Odawara", "小田原", 35.256, 139.155),
    "shizuoka": ("Shizuoka", "静岡", 34.972, 138.389),
    "hamamatsu": ("Hamamatsu", "浜松", 34.704, 137.735),
    "nagoya": ("Nagoya", "名古屋", 35.171, 136.882),
    "maibara": ("Maibara", "米原", 35.314, 136.290),
    "kameyama": ("Kameyama", "亀山", 34.855, 136.452),
    "nara": ("Nara", "奈良", 34.681, 135.820),
    "osaka": ("Osaka", "大阪", 34.733, 135.500),
    "kobe": ("Kobe", "神戸", 34.690, 135.195),
}
SPANS = {
    ("tokyo", "hongo"): (3.7, "Toshiba-style"),
    ("hongo", "koganei"): (24.0, "NEC-style"),
    ("tokyo", "koganei"): (45.0, "Toshiba-style"),
    ("koganei", "odawara"): (62.0, "NEC-style"),
    ("tokyo", "odawara"): (83.9, "Toshiba-style"),
    ("odawara", "shizuoka"): (96.3, "Toshiba-style"),
    ("shizuoka", "hamamatsu"): (76.9, "NEC-style"),
    ("hamamatsu", "nagoya"): (108.9, "Toshiba-style"),
    ("nagoya", "maibara"): (79.9, "Toshiba-style"),
    ("maibara", "osaka"): (110.5, "Toshiba-style"),
    ("nagoya", "kameyama"): (59.9, "NEC-style"),
    ("kameyama", "nara"): (72.4, "NEC-style"),
    ("nara", "osaka"): (41.0, "NEC-style"),
    ("osaka", "kobe"): (33.1, "Toshiba-style"),
}
LINE = ("tokyo", "odawara", "shizuoka", "hamamatsu", "nagoya", "maibara", "osaka", "kobe")
SECOND = ("tokyo", "odawara", "shizuoka", "hamamatsu", "nagoya", "kameyama", "nara", "osaka", "kobe")
DRILLS = {
    "fibre-cut": (
        "Cut the fibre at Odawara",
        "小田原の光ファイバを切断",
        "Keys go on; the link moves to its second path.",
        "鍵の供給は続き、リンクは第二経路に移る。",
    ),
    "eavesdropper": (
        "Put an eavesdropper at Sekigahara",
        "関ケ原で盗聴",
        "The QBER rises above 11 %, and the link gives no key.",
        "QBERが11%を超え、リンクは鍵を出さない。",
    ),
    "power": (
        "Cut the power at Maibara",
        "米原の電源を断",
        "Keys take the way by Kameyama and Nara.",
        "鍵は亀山・奈良経由で届く。",
    ),
}
START_S = 1_794_000_000.0


class LineSource:
    """The line at step after step; each look is a step of one second. Tests set faults from outside."""

    def __init__(self) -> None:
        self.step = 0
        self.qber: dict[str, float] = {}
        """Of spans where it is not as usual."""
        self.still: set[str] = set()
        """Spans that give no key."""
        self.silent: set[str] = set()
        """Sites that say nothing."""
        self.alarms: dict[str, tuple[PageAlarm, ...]] = {}
        self.drills: dict[str, PageDrill] = {
            name: PageDrill(name=name, title=title, title_ja=title_ja, expected=expected, expected_ja=expected_ja)
            for name, (title, title_ja, expected, expected_ja) in DRILLS.items()
        }
        self.started: list[str] = []
        self.failure: Exception | None = None
        """What a look raises."""
        self.waits = False
        """Whether a look never ends."""
        self.relays: asyncio.Queue[PageRelay] = asyncio.Queue()
        self.with_drills = True

    async def state(self) -> PageState:
        self.step += 1
        if self.waits:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        spans = tuple(self._span(ends, number) for number, ends in enumerate(SPANS))
        rates = {frozenset(span.ends) for span in spans if span.running}
        ways = [way for way in (LINE, SECOND) if all(frozenset(hop) in rates for hop in pairwise(way))]
        return PageState(
            network="tokaido-line",
            title="The Tokaido line",
            title_ja="東海道線",
            utc_s=START_S + self.step,
            emulation=True,
            sites=tuple(self._site(name) for name in PLACES),
            spans=spans,
            pairs=(self._pair(ways[0] if ways else ()),),
            drills=tuple(self.drills.values()) if self.with_drills else (),
            applications=(
                PageApplication(name="bank", title="Bank", title_ja="銀行", site="tokyo", role="sender"),
                PageApplication(name="hospital", title="Hospital", title_ja="病院", site="kobe", role="receiver"),
            )
            if self.with_drills
            else (),
        )

    async def relay(self) -> PageRelay:
        return await self.relays.get()

    async def start(self, name: str) -> None:
        if name not in self.drills:
            raise ConfigurationError(f"there is no drill {name}", remedy=f"One of {', '.join(self.drills)}")
        if self.drills[name].state == "running":
            raise RefusedError(f"{name} is running", remedy="Wait until it ends")
        self.started.append(name)
        self.drills[name] = msgspec.structs.replace(self.drills[name], state="running")

    def _span(self, ends: tuple[str, str], number: int) -> PageSpan:
        length, vendor = SPANS[ends]
        name = "-".join(ends)
        running = name not in self.still and not self.silent & set(ends)
        usual = 0.012 + length / 4000 + 0.002 * math.sin(self.step / 9 + number)
        stock = int(3e6 * (1.2 + math.sin(self.step / 40 + 2 * number))) if running else 400_000 - 900 * self.step
        stock = max(stock, 0)
        return PageSpan(
            name=name,
            ends=ends,
            length_km=length,
            vendor=vendor,
            path="main" if number % 3 == 0 else "",
            state="RUN" if running else "ALIGN",
            running=running,
            qber=self.qber.get(name, usual if running else None),
            secret_key_rate=150e3 * math.exp(-length / 40) * (1.1 + 0.1 * math.sin(self.step / 5)) if running else 0.0,
            stock_bits=stock,
            reserve_s=stock / 900,
            speed=0.8 if running else None,
        )

    def _site(self, name: str) -> PageSite:
        title, title_ja, latitude, longitude = PLACES[name]
        alarms = self.alarms.get(name, ())
        level: SiteLevel = "silent" if name in self.silent else "degraded" if alarms else "fine"
        return PageSite(
            name=name,
            title=title,
            title_ja=title_ja,
            latitude=latitude,
            longitude=longitude,
            level=level,
            headline="" if level == "silent" else "Keys are served" if level == "fine" else alarms[0].text,
            devices=tuple(
                PageDevice(
                    name=f"{'alice' if ends[0] == name else 'bob'}-{ends[1] if ends[0] == name else ends[0]}",
                    kind="unit",
                    state="RUN",
                    answers=True,
                )
                for ends in SPANS
                if name in ends
            ),
            alarms=alarms,
            applications={"tokyo": ("bank",), "kobe": ("hospital",)}.get(name, ()),
        )

    def _pair(self, route: tuple[str, ...]) -> PagePair:
        ready = int(2600 + 900 * math.sin(self.step / 30)) if route else max(2600 - 3 * self.step, 0)
        return PagePair(
            ends=("tokyo", "kobe"), ready=ready, target=4096, demand=1.5, reserve_s=ready / 1.5, route=route
        )


class GridSource:
    """A network of 60 spans whose values all change with every look."""

    def __init__(self, spans: int = 60) -> None:
        self.spans = spans
        self.step = 0

    async def state(self) -> PageState:
        self.step += 1
        names = [f"n{number:02d}" for number in range(self.spans + 1)]
        place = {name: (35 + (n // 10) % 2 * 0.6 + n % 3 * 0.1, 135 + n * 0.07) for n, name in enumerate(names)}
        return PageState(
            network="grid",
            title="Sixty spans",
            utc_s=START_S + self.step,
            sites=tuple(
                PageSite(name=name, title=name, latitude=place[name][0], longitude=place[name][1], level="fine")
                for name in names
            ),
            spans=tuple(
                PageSpan(
                    name=f"{one}-{other}",
                    ends=(one, other),
                    length_km=50.0,
                    running=True,
                    state="RUN",
                    qber=0.02 + 0.05 * math.sin(self.step + number) ** 2,
                    secret_key_rate=1e4 * (1.5 + math.sin(self.step / 3 + number)),
                    stock_bits=int(1e6 * (1.5 + math.sin(self.step / 2 + number))),
                    reserve_s=300 * (1.5 + math.sin(self.step / 2 + number)),
                )
                for number, (one, other) in enumerate(pairwise(names))
            ),
        )

    async def relay(self) -> PageRelay:
        await asyncio.Event().wait()
        raise AssertionError
