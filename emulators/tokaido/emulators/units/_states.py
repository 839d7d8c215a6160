"""The states of a unit, the groups of them that orders and settings name, and how long the passing ones last."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a unit is in its life."""

    OFF = "OFF"
    SELFTEST = "SELFTEST"
    WARMUP = "WARMUP"
    AUTH = "AUTH"
    ALIGN = "ALIGN"
    STANDBY = "STANDBY"
    RUN = "RUN"
    TRACK = "TRACK"
    DEGRADED = "DEGRADED"
    REALIGN = "REALIGN"
    FAULT = "FAULT"
    SECURITY_HOLD = "SECURITY_HOLD"
    ZEROIZE = "ZEROIZE"
    UPDATE = "UPDATE"


States = tuple[State, ...]

ANY: States = tuple(State)
RUNNING_STATES: States = (State.RUN, State.TRACK, State.DEGRADED)
SETUP_STATES: States = (State.OFF, State.WARMUP, State.AUTH, State.STANDBY)
POWERED: States = tuple(state for state in State if state not in {State.OFF, State.ZEROIZE, State.UPDATE})
ALIGNING: States = (State.ALIGN, State.REALIGN)
PSK_STATES: States = (State.OFF, State.SELFTEST, State.WARMUP, State.AUTH)
"""Where the pre-shared key of the link in force may be loaded: setup but STANDBY, and SELFTEST."""
OTHER_PSK_STATES: States = (State.OFF, *POWERED)
"""Where that of another link may be loaded."""

SELFTEST_S = 2.0
IN_RANGE_S = 5.0
DEGRADED_S = 30.0
ZEROIZE_S = 1.0


def where(states: States) -> str:
    """Return states as a person reads them."""
    return "any state" if states == ANY else ", ".join(states)
