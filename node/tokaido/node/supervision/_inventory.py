"""Which box stands under the name of each device: another one is not used before a person has accepted it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from tokaido.hal import ConfigurationError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.hal import Identity


class Sight(Enum):
    """What became of an inventory when a device was opened."""

    FIRST = "first seen"
    """No box stood under this name before: it is taken."""
    UPDATED = "another firmware"
    """The box that was accepted, with another firmware: it is taken."""
    CHANGED = "another box"
    """It waits for a person."""
    BACK = "the accepted box again"
    """While another one had been waiting."""


@dataclass(frozen=True, slots=True)
class DeviceSeen:
    """A device was opened, and there is something to say of it."""

    device: str
    sight: Sight
    found: Identity
    accepted: Identity | None
    """The box that stood there before."""


Tell: TypeAlias = "Callable[[DeviceSeen], object]"


class Inventory:
    """The boxes that were accepted, by name of device; for threads of devices and the loop of a node.

    Two boxes are the same if vendor, model and serial number are: of boxes that tell no serial number two of one model
    cannot be told apart.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accepted: dict[str, Identity] = {}
        self._waiting: dict[str, Identity] = {}
        self.tell: Tell = lambda _: None
        """Is told what becomes of it, in the thread of a device."""

    def know(self, accepted: Mapping[str, Identity]) -> None:
        """Take up what was accepted in an earlier life of the node."""
        with self._lock:
            self._accepted.update(accepted)

    def admit(self, device: str, found: Identity) -> None:
        """Let a box be used that was just opened, or refuse it.

        Raises:
            RefusedError: Another one was accepted under this name.
        """
        with self._lock:
            accepted = self._accepted.get(device)
            same = accepted is None or box(accepted) == box(found)
            news = Sight.CHANGED
            if same:
                self._accepted[device] = found
                waited = self._waiting.pop(device, None)
                news = Sight.FIRST if accepted is None else Sight.BACK if waited is not None else Sight.UPDATED
                quiet = accepted == found and waited is None
            else:
                quiet = self._waiting.get(device) == found
                self._waiting[device] = found
        if not quiet:
            self.tell(DeviceSeen(device, news, found, accepted))
        if not same and accepted is not None:
            raise RefusedError(
                f"another box stands there: {described(found)}, and {described(accepted)} was accepted",
                remedy=f"See which one it is, then: tokaido node inventory accept NODE {device}",
            )

    def held(self, device: str) -> bool:
        """Return whether a box waits under this name for a person."""
        with self._lock:
            return device in self._waiting

    def waiting(self, device: str) -> Identity:
        """Return the box that waits under a name.

        Raises:
            ConfigurationError: None does.
        """
        with self._lock:
            if device not in self._waiting:
                names = ", ".join(sorted(self._waiting)) or "none"
                raise ConfigurationError(f"no other box waits under the name {device!r}", remedy=f"Waiting: {names}")
            return self._waiting[device]

    def accept(self, device: str, found: Identity) -> None:
        """Let the box that waits be the one that stands under this name from now on, if it is still this one."""
        with self._lock:
            self._accepted[device] = found
            if self._waiting.get(device) == found:
                del self._waiting[device]

    def boxes(self) -> tuple[dict[str, Identity], dict[str, Identity]]:
        """Return the boxes that were accepted and those that wait, by name of device."""
        with self._lock:
            return dict(self._accepted), dict(self._waiting)


def box(identity: Identity) -> tuple[str, str, str]:
    """Return what tells one box from another."""
    return identity.vendor, identity.model, identity.serial_number


def described(identity: Identity) -> str:
    """Return a box in words."""
    number = f", serial number {identity.serial_number}" if identity.serial_number else ", without a serial number"
    firmware = f", firmware {identity.firmware}" if identity.firmware else ""
    return f"{identity.vendor} {identity.model}".strip() + number + firmware
