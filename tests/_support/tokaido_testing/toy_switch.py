"""Switches of no vendor: one without any wire, to test the role, and a peer that answers lines by a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import tokaido.hal as hal
from tokaido.hal.driver import Answer, StreamTransport
from tokaido_testing.transcripts import LinePeer


class ToySwitch(hal.OpticalSwitch):
    """A 4x6 switch in memory. What it is told shows after `settles_after` readings of the map."""

    settle_timeout = 0.05
    capabilities = frozenset({hal.SwitchCapability.DISCONNECT})

    def __init__(self, on_conflict: Literal["error", "steal"] = "error") -> None:
        super().__init__({}, name="toy")
        self._on_conflict = on_conflict
        self._map: dict[int, int] = {}
        self._next: dict[int, int] | None = None
        self._told: list[str] = []
        self._settles_after = 0
        self._loses: list[hal.TokaidoError] = []
        self._other_client: Callable[[dict[int, int]], None] | None = None

    @property
    def told(self) -> list[str]:
        """The commands that reached it."""
        return self._told

    def arrange(
        self,
        *,
        settles_after: int = 0,
        loses: Sequence[hal.TokaidoError] = (),
        other_client: Callable[[dict[int, int]], None] | None = None,
    ) -> None:
        """Let changes show late, lose replies after a command, or let another client come in before a command."""
        self._settles_after = settles_after
        self._loses = list(loses)
        self._other_client = other_client

    def size(self) -> hal.SwitchSize:
        return hal.SwitchSize(4, 6)

    def connections(self) -> dict[int, int]:
        if self._told and self._loses:
            raise self._loses.pop(0)
        if self._next is not None:
            if self._settles_after <= 0:
                self._map, self._next = self._next, None
            self._settles_after -= 1
        return dict(self._map)

    def _add(self, pairs: Mapping[int, int]) -> None:
        if self._other_client is not None:
            self._other_client(self._map)
        busy = [i for i, o in self._map.items() if i in pairs or o in pairs.values()]
        if busy and self._on_conflict == "error":
            raise hal.RefusedError("the device says -221, 'Settings conflict'", code="-221")
        self._tell(f"add {dict(pairs)}", {i: o for i, o in self._map.items() if i not in busy} | dict(pairs))

    def _remove(self, pairs: Mapping[int, int]) -> None:
        self._tell(f"remove {dict(pairs)}", {i: o for i, o in self._map.items() if i not in pairs})

    def _replace(self, pairs: Mapping[int, int]) -> None:
        self._tell(f"replace {dict(pairs)}", dict(pairs))

    def _tell(self, command: str, wanted: dict[int, int]) -> None:
        self._told.append(command)
        self._next = wanted

    def identity(self) -> hal.Identity:
        return hal.Identity("TOY", "S4x6", "TOY0002", "1")

    def _connect(self, timeout: float | None = None) -> None:
        """There is nothing to connect."""

    def close(self) -> None:
        """There is nothing to close."""

    @property
    def transport(self) -> StreamTransport:
        raise hal.UnsupportedError("a toy has no transport")

    def _ask(self, command: str) -> Answer:
        raise hal.UnsupportedError("a toy has no values")

    def _order(self, command: str, text: str) -> Answer:
        raise hal.UnsupportedError("a toy has no values")

    def _ask_all(self) -> Mapping[str, Answer | hal.TokaidoError]:
        return {}


class AnsweringPeer(LinePeer):
    """Answers each line by a function of it, on a pty or a TCP socket, and remembers them."""

    def __init__(self, answer: Callable[[str], list[str]], endings: dict[str, str], *, tcp: bool = False) -> None:
        super().__init__([], endings, tcp=tcp)
        self._function = answer
        self.heard: list[str] = []

    def _answer(self, line: str) -> None:
        self.heard.append(line)
        for reply in self._function(line):
            self.say(reply)
