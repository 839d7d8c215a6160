"""The web page of a network: the state that it shows, what it is served from, and its server on loopback.

What it answers to whom: docs/reference/page.md. The server needs `pip install "tokaido[node]"`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal.lazy import lazily

__all__ = [
    "BusSource",
    "Drills",
    "Exchange",
    "PageAlarm",
    "PageApplication",
    "PageDevice",
    "PageDrill",
    "PageExchange",
    "PagePair",
    "PageRelay",
    "PageServer",
    "PageSite",
    "PageSource",
    "PageSpan",
    "PageState",
    "PictureExchange",
    "SiteLevel",
    "SpanFacts",
    "relays_between",
    "state_of",
    "state_of_view",
]

if TYPE_CHECKING:
    from tokaido.console.page._bus import state_of_view
    from tokaido.console.page._bus_source import BusSource
    from tokaido.console.page._merge import SpanFacts, relays_between, state_of
    from tokaido.console.page._picture import PictureExchange
    from tokaido.console.page._server import PageServer
    from tokaido.console.page._source import Drills, Exchange, PageSource
    from tokaido.console.page._state import (
        PageAlarm,
        PageApplication,
        PageDevice,
        PageDrill,
        PageExchange,
        PagePair,
        PageRelay,
        PageSite,
        PageSpan,
        PageState,
        SiteLevel,
    )
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "state_of_view": "tokaido.console.page._bus",
            "BusSource": "tokaido.console.page._bus_source",
            "SpanFacts": "tokaido.console.page._merge",
            "relays_between": "tokaido.console.page._merge",
            "state_of": "tokaido.console.page._merge",
            "PictureExchange": "tokaido.console.page._picture",
            "PageServer": "tokaido.console.page._server",
            "Drills": "tokaido.console.page._source",
            "Exchange": "tokaido.console.page._source",
            "PageSource": "tokaido.console.page._source",
            "PageAlarm": "tokaido.console.page._state",
            "PageApplication": "tokaido.console.page._state",
            "PageDevice": "tokaido.console.page._state",
            "PageDrill": "tokaido.console.page._state",
            "PageExchange": "tokaido.console.page._state",
            "PagePair": "tokaido.console.page._state",
            "PageRelay": "tokaido.console.page._state",
            "PageSite": "tokaido.console.page._state",
            "PageSpan": "tokaido.console.page._state",
            "PageState": "tokaido.console.page._state",
            "SiteLevel": "tokaido.console.page._state",
        },
        __all__,
    )
