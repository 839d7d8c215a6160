"""What a page is served from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tokaido.console.page._state import PageExchange, PageRelay, PageState


class PageSource(Protocol):
    """Where the state of a network comes from. All is called in the server's event loop."""

    async def state(self) -> PageState:
        """Return the state now; it is asked once a second, and given 5 s.

        `drills`, `applications` and `exchange` may stay empty: the server fills in those of its drills and exchange.

        Raises:
            TokaidoError: There is none now; pages say so, with what the error says.
        """
        ...

    async def relay(self) -> PageRelay:
        """Return the next keys that went over a route, when they have; it may wait for ever, and is cancelled."""
        ...


class Drills(Protocol):
    """What people can have happen to a demonstration. The state of the source tells how each stands."""

    async def start(self, name: str) -> None:
        """Begin a drill, and return when it has begun.

        Raises:
            ConfigurationError: There is none of that name.
            RefusedError: It cannot begin now.
        """
        ...


class Exchange(Protocol):
    """Two applications, one of which sends the other a picture. Keys stay in it."""

    @property
    def now(self) -> PageExchange:
        """How it stands."""
        ...

    async def encrypt(self) -> None:
        """Have the sender fetch a key and encrypt its picture.

        Raises:
            TokaidoError: It got no key.
        """
        ...

    async def decrypt(self) -> None:
        """Have the receiver fetch the same key and open what came.

        Raises:
            RefusedError: Nothing was encrypted.
            TokaidoError: It got no key, or what came does not open.
        """
        ...

    def pixels(self, which: str) -> bytes | None:
        """Return pixels of `picture`, `ciphertext` or `opened`: red, green, blue. None: there are none now."""
        ...
