"""What is told of pre-shared keys, and of components that wait; no key and no component is in it."""

from __future__ import annotations

import msgspec

from tokaido.hal.structs import learn


class Entered(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a component that was entered."""

    check_value: str
    """Of the component."""
    loaded: bool
    """Whether it was the second one, and the unit has the key."""
    key_check_value: str = ""
    """Of the key; empty: it waits for the other component."""
    until: str = ""
    """Until when it waits, ISO 8601."""


class WaitingLine(msgspec.Struct, frozen=True, kw_only=True):
    """One component that waits for the other one."""

    link: str
    path: str
    by: str
    since: str
    """ISO 8601."""
    until: str
    check_value: str


class PresharedKeyLine(msgspec.Struct, frozen=True, kw_only=True):
    """The pre-shared key of one link in a unit."""

    device: str
    peer: str
    path: str
    since: str
    """ISO 8601."""
    by: str
    """Who loaded it; empty: the node found it there, and it may be older."""
    check_value: str
    """Empty: not known."""


class PresharedKeys(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    waiting: tuple[WaitingLine, ...] = ()
    keys: tuple[PresharedKeyLine, ...] = ()


learn(Entered, PresharedKeys)
