"""The status of a QKD link in one word, as ETSI GS QKD 015 V2.1.1 names it (identities of LINK-STATUS-TYPES)."""

from __future__ import annotations

from enum import Enum

from tokaido.hal.roles._unit_values import RUNNING, UnitState

_DOWN = frozenset({UnitState.OFF, UnitState.FAULT, UnitState.SECURITY_HOLD, UnitState.ZEROIZE, UnitState.UPDATE})


class LinkStatus(Enum):
    """Status of a QKD link."""

    ACTIVE = "ACTIVE"
    """Both units exchange keys."""
    PASSIVE = "PASSIVE"
    """They do not, and a pool of earlier keys is left."""
    PENDING = "PENDING"
    """They do not, no key is left, and both units are on and wait: for an order, the peer, light or a temperature."""
    OFF = "OFF"
    """They do not, no key is left, and a unit is off or needs a person."""

    @classmethod
    def of(cls, transmitter: UnitState, receiver: UnitState, *, keys_left: bool) -> LinkStatus:
        """Return the status of a link whose two units are in these states.

        Args:
            transmitter: State of the transmitter.
            receiver: State of the receiver.
            keys_left: Whether keys of this link are left to be used, at the units or where they were drawn to.
        """
        states = {transmitter, receiver}
        if states <= RUNNING:
            return cls.ACTIVE
        if keys_left:
            return cls.PASSIVE
        return cls.OFF if states & _DOWN else cls.PENDING

    @classmethod
    def seen_from(cls, unit: UnitState, *, keys_left: bool) -> LinkStatus:
        """Return the status of a link as one of its ends can tell it, from its own unit alone.

        What it cannot know: whether the other unit still exchanges keys, so that ACTIVE means that this one does, which
        ends once it misses its peer; and whether the other one is off or needs a person, so that PENDING may be OFF.
        PASSIVE, and OFF where it is this unit's doing, are certain. Of both ends' answers the less able one is that of
        the whole link: OFF, PENDING, PASSIVE, ACTIVE.

        Args:
            unit: State of the unit at this end.
            keys_left: Whether keys of this link are left to be used, at the unit or where they were drawn to.
        """
        return cls.of(unit, unit, keys_left=keys_left)
