"""Orders that `emulate` takes while it runs: what a person types, and what comes by the back door."""

from __future__ import annotations

import os
import select
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import tokaido.hal as hal
from tokaido.console._output import tell

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from tokaido.emulators import Bench

_LONGEST_LINE: Final = 1000
_MOST_CLIENTS: Final = 16


@dataclass(slots=True)
class _Client:
    """Who came by the back door: what it has said of its next order, and the answers that it has not taken yet."""

    socket: socket.socket
    heard: bytearray = field(default_factory=bytearray)
    owed: bytearray = field(default_factory=bytearray)
    ended: bool = False
    """Whether it gives no more orders."""


class Orders:
    """Takes orders from standard input, as long as there is one that is this command's own, and by the back door.

    Args:
        bench: The bench that is meant.
        back_door: A Unix socket that is made here, mode 0600, so that its owner alone gives orders. It takes a line an
            order and answers each with a line that begins with `ok` or `error`. The orders of a client that does not
            take its answers wait until it does. None for no such door.
        as_json: Whether orders that are typed are answered in JSON.

    Raises:
        ConfigurationError: The socket cannot be made.
    """

    def __init__(self, bench: Bench, back_door: Path | None = None, *, as_json: bool = False) -> None:
        self._bench = bench
        self._as_json = as_json
        self._typed = b""
        try:
            self._input: int | None = sys.stdin.fileno()
        except (AttributeError, OSError, ValueError):  # there is none, or a test has it
            self._input = None
        self._place = back_door
        self._door = None if back_door is None else _listening(back_door)
        self._clients: dict[int, _Client] = {}

    def listen(self, seconds: float) -> None:
        """Wait for `seconds` s at most, and do what was ordered meanwhile."""
        waiting = select.poll()  # `select.select` knows no descriptor above 1,023
        keyboard = self._input if self._input is not None and _is_ours(self._input) else None
        if keyboard is not None:
            waiting.register(keyboard, select.POLLIN)
        if self._door is not None:
            waiting.register(self._door, select.POLLIN)
            for descriptor, client in self._clients.items():
                waiting.register(descriptor, select.POLLOUT if client.owed else select.POLLIN)
        elif keyboard is None:
            hal.SYSTEM_CLOCK.wait(seconds)
            return
        for descriptor, _ in waiting.poll(seconds * 1000):
            if descriptor == keyboard:
                self._read_keyboard(descriptor)
            elif self._door is not None and descriptor == self._door.fileno():
                self._admit(self._door)
            else:
                self._serve(descriptor)

    def obey(self, words: list[str]) -> str:
        """Carry one order out and return what to tell of it."""
        if words == ["time"]:
            return f"ok {self._bench.emulated_s:.3f} s"
        if words == ["speed"]:
            return f"ok {self._bench.speed:.3f} emulated s a second"
        try:
            if words[0] == "speed":
                self._bench.run_at(_speed(words))
            else:
                self._bench.order(*words)
        except hal.TokaidoError as error:
            return f"error {error}"
        return f"ok {' '.join(words)}"

    def _read_keyboard(self, descriptor: int) -> None:
        try:
            typed = os.read(descriptor, _LONGEST_LINE)
        except OSError:  # the terminal is gone
            typed = b""
        if not typed or len(self._typed) > _LONGEST_LINE:
            self._input = None
        *lines, self._typed = (self._typed + typed).split(b"\n")
        for line in lines:
            if words := line.decode(errors="replace").split():
                answer = self.obey(words)
                tell(answer, {"event": "answer", "answer": answer}, as_json=self._as_json)

    # --- the back door ------------------------------------------------------------------------------------------------

    def _admit(self, door: socket.socket) -> None:
        with suppress(OSError):
            client, _ = door.accept()
            client.setblocking(False)
            if len(self._clients) >= _MOST_CLIENTS:
                client.close()
                return
            self._clients[client.fileno()] = _Client(client)

    def _serve(self, descriptor: int) -> None:
        """Take the next orders of a client that has taken the answers to those before, or give it what it can take."""
        client = self._clients[descriptor]
        try:
            if not client.owed:
                self._hear(client, client.socket.recv(_LONGEST_LINE))
            if client.owed:
                del client.owed[: client.socket.send(client.owed)]
        except BlockingIOError:
            return
        except OSError:
            client.ended = True
            client.owed.clear()
        if client.ended and not client.owed:
            del self._clients[descriptor]
            client.socket.close()

    def _hear(self, client: _Client, data: bytes) -> None:
        *lines, rest = bytes(client.heard + data).split(b"\n")
        client.heard[:] = rest
        for line in lines:
            if words := line.decode(errors="replace").split():
                client.owed += f"{self.obey(words)}\n".encode()
        client.ended = not data or len(rest) > _LONGEST_LINE

    def close(self) -> None:
        """Take the back door away. May be called again."""
        for client in self._clients.values():
            client.socket.close()
        self._clients.clear()
        if self._door is not None and self._place is not None:
            self._door.close()
            self._place.unlink(missing_ok=True)
            self._door = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _speed(words: list[str]) -> float:
    try:
        _, text = words
        return float(text)
    except ValueError:
        raise hal.ConfigurationError(f"{' '.join(words)!r} is not an order such as: speed 10") from None


def _listening(place: Path) -> socket.socket:
    """Return a listening Unix socket at a place that is free, which its owner alone may open."""
    door = socket.socket(socket.AF_UNIX)
    try:
        mask = os.umask(0o177)  # from the first moment on
        try:
            _bind(door, place)
        finally:
            os.umask(mask)
        door.listen(_MOST_CLIENTS)
        door.setblocking(False)
    except OSError as error:
        door.close()
        raise hal.ConfigurationError(
            f"the back door {place} cannot be made: {error.strerror or error}", remedy="Name a place that is free"
        ) from error
    return door


def _bind(door: socket.socket, place: Path) -> None:
    try:
        door.bind(str(place))
    except OSError:
        if not _is_left_behind(place):
            raise
        place.unlink()
        door.bind(str(place))


def _is_left_behind(place: Path) -> bool:
    """Whether a socket is that of a process that was killed: nobody listens there."""
    if not place.is_socket():
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(place))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _is_ours(descriptor: int) -> bool:
    """Whether reading would not take what is typed for another program, nor stop this one (SIGTTIN)."""
    try:
        return not os.isatty(descriptor) or os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False
