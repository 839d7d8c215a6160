"""Who holds which device, under which fencing token, and for how long."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from tokaido.hal import (
    NS_PER_S,
    SYSTEM_CLOCK,
    Clock,
    Lease,
    LeaseBook,
    LeaseHeldError,
    LeaseLostError,
    RefusedError,
)
from tokaido.hal.sharing import HeldDevice

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SHORTEST_S: Final = 1.0
LONGEST_S: Final = 86_400.0


class Role(Enum):
    """What a client may do."""

    VIEWER = "viewer"
    """Look."""
    OPERATOR = "operator"
    """Hold devices and command them."""
    MAINTENANCE = "maintenance"
    """What an operator may, and what erases or acknowledges for good."""

    @property
    def commands(self) -> bool:
        """Whether it may hold devices."""
        return self is not Role.VIEWER


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks."""

    name: str
    """In the server's list."""
    role: Role
    who: str = ""
    """What it says of itself."""


@dataclass(slots=True)
class Hold:
    """One device held by one client."""

    name: str
    who: str
    why: str
    lease: Lease
    end_ns: int
    """When it ends, by the clock, unless it is renewed."""


class Holds:
    """The holds of a server, for one thread. They are leases in a file, so both survive a restart of the server.

    Args:
        path: The lease book.
        devices: Names of the devices.
        clock: Where time comes from.
    """

    def __init__(self, path: Path, devices: Iterable[str], *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._book = LeaseBook(path, clock=clock)
        self._holds: dict[str, Hold] = {}
        for device in devices:
            if (info := self._book.inspect(device)) is not None:
                told = json.loads(info.holder)
                lease = Lease(self._book, (device,), info.holder, info.fencing_token, told["seconds"])
                end_ns = clock.monotonic_ns() + round(info.remaining_s * NS_PER_S)
                self._holds[device] = Hold(told["name"], told["who"], told["why"], lease, end_ns)

    def acquire(self, device: str, client: Client, why: str, seconds: float, *, take_over: bool) -> Hold:
        """Let a client hold a device; one that holds it already gets a new token.

        Raises:
            LeaseHeldError: Another one holds it.
            RefusedError: It may not, or it gives no reason for taking over.
        """
        self.allow(client)
        if not SHORTEST_S <= seconds <= LONGEST_S:
            raise RefusedError(f"a hold lasts {SHORTEST_S:g} to {LONGEST_S:g} s, not {seconds:g}", code="RANGE")
        held = self.of(device)
        if held is not None and (held.name, held.who) != (client.name, client.who):
            if not take_over:
                raise self._held(device, held)
            if not why.strip():
                raise RefusedError("a takeover needs a reason", code="WHY", remedy="Give a reason")
        if held is not None:
            held.lease.release()
        told = {"name": client.name, "who": client.who, "why": why, "seconds": seconds}
        start_ns = self._clock.monotonic_ns()
        lease = self._book.acquire(device, json.dumps(told), seconds)
        self._holds[device] = Hold(client.name, client.who, why, lease, start_ns + round(seconds * NS_PER_S))
        return self._holds[device]

    def of(self, device: str) -> Hold | None:
        """Return who holds a device now."""
        held = self._holds.get(device)
        if held is not None and self._clock.monotonic_ns() >= held.end_ns:
            del self._holds[device]
            return None
        return held

    def check(self, device: str, client: Client, fencing_token: int) -> None:
        """Make sure that a client holds a device under this token, and let it do so for as long again.

        Raises:
            RefusedError: It may not command at all.
            LeaseHeldError: Another client holds it, and this one never did.
            LeaseLostError: The hold ran out, or was taken over.
        """
        self.allow(client)
        held = self.of(device)
        if held is not None and self._is(held, client, fencing_token):
            if self._remaining_s(held) < held.lease.seconds / 2:
                start_ns = self._clock.monotonic_ns()
                held.lease.renew()
                held.end_ns = start_ns + round(held.lease.seconds * NS_PER_S)
            return
        if held is not None and not fencing_token:
            raise self._held(device, held)
        if held is not None and held.lease.fencing_token > fencing_token:
            raise LeaseLostError(
                f"{device} was taken over by {held.name} ({held.who}): {held.why or 'no reason'}",
                remedy="Speak with them; `acquire` with take_over takes it back",
            )
        raise LeaseLostError(f"the hold of {device} ran out", remedy="Acquire it, look at its state, and go on")

    def holds(self, device: str, client: Client, fencing_token: int) -> bool:
        """Return whether a client holds a device under this token."""
        held = self.of(device) if fencing_token else None
        return held is not None and self._is(held, client, fencing_token)

    def release(self, device: str, client: Client, fencing_token: int) -> None:
        """End a hold; one that was lost already stays with its new holder."""
        held = self.of(device)
        if held is not None and self._is(held, client, fencing_token):
            held.lease.release()
            del self._holds[device]

    def all(self) -> list[HeldDevice]:
        """Return who holds what."""
        found: list[HeldDevice] = []
        for device in list(self._holds):
            held = self.of(device)
            if held is not None:
                token = held.lease.fencing_token
                found.append(HeldDevice(device, held.name, held.who, held.why, token, self._remaining_s(held)))
        return found

    def close(self) -> None:
        """Let go of the file; holds stay."""
        self._book.close()

    @staticmethod
    def allow(client: Client) -> None:
        """Make sure that a client may command.

        Raises:
            RefusedError: It may only look.
        """
        if not client.role.commands:
            raise RefusedError(
                f"{client.name} is a {client.role.value} here, and may only look",
                code="ROLE",
                remedy="Ask who runs the server for the role operator",
            )

    @staticmethod
    def _is(held: Hold, client: Client, fencing_token: int) -> bool:
        return held.name == client.name and held.lease.fencing_token == fencing_token

    def _remaining_s(self, held: Hold) -> float:
        return max(held.end_ns - self._clock.monotonic_ns(), 0) / NS_PER_S

    def _held(self, device: str, held: Hold) -> LeaseHeldError:
        remaining_s = self._remaining_s(held)
        return LeaseHeldError(
            f"{device} is held by {held.name} ({held.who}) for {remaining_s:.0f} s still: {held.why or 'no reason'}",
            holder=f"{held.name} ({held.who})",
            remaining_s=remaining_s,
            remedy="Wait, ask them, or take it over with a reason",
        )
