"""A block of a key session that is over: which one it was, and whether it gave key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tokaido.hal._clock import NS_PER_S
from tokaido.hal._errors import DeviceTimeoutError, NoDataError, ProtocolError, StateError
from tokaido.hal._readings import Quality, Reading, Telemetry
from tokaido.hal._records import replace
from tokaido.hal.roles._unit_values import MAKING

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass

if TYPE_CHECKING:
    from dataclasses import dataclass

    from tokaido.hal._clock import Clock
    from tokaido.hal.roles._units import Unit

FIGURES: Final = ("qber", "qber_check", "secret_key_rate", "reconciliation_efficiency", "ones_share")
"""What a unit tells of the block that ended last."""
KEY: Final = "KEY"
"""The outcome of a block that gave key."""
_WRITTEN: Final = re.compile(r"([0-9a-f]{16}|-)/([0-9]{1,18})/([A-Z][A-Z_]*)/([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class EndedBlock:
    """A block that ended, and what the unit measured over it."""

    session: str
    """Id of the key session, the same at both ends."""
    number: int
    """Number of the block in its session, the same at both ends."""
    outcome: str
    """"KEY"; "DROPPED" where a new one begins, "ENDED" where the session is over; or the alarm that the unit raised."""
    key_bits: int
    """Bits of its key that can be drawn; 0 without a key."""
    figures: Telemetry
    """Readings of this block, by name: error rates, secret key rate, efficiency; BAD where it has none, and why."""

    @property
    def gave_key(self) -> bool:
        """Whether a key came of it."""
        return self.outcome == KEY


def parsed(text: str) -> tuple[str, int, str, int]:
    """Return session, number, outcome and bits of what a unit says of its last block, `session/number/outcome/bits`.

    Raises:
        ProtocolError: It is of another form.
    """
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ProtocolError(f"{text[:80]!r} does not say which block ended last")
    return found[1], int(found[2]), found[3], int(found[4])


def belonging(readings: Telemetry) -> Telemetry:
    """Return readings of one report, in which the figures of the last block say which block that was.

    What a unit says of its last block in another form is a BAD reading, and spoils no other.
    """
    last: Reading[str] | None = readings.get("last_block")
    if last is None or last.value is None:
        return readings
    try:
        session, number, _, _ = parsed(last.value)
    except ProtocolError as error:
        bad: Reading[str] = Reading(None, last.unit, last.utc_ns, last.age_s, Quality.BAD, error=str(error))
        return Telemetry({**readings, "last_block": bad})
    block = session, number
    figures = {path: of_block(readings[path], block) for path in FIGURES if path in readings}
    return Telemetry({**dict(readings.items()), **figures})


def of_block(reading: Reading[Any], block: tuple[str, int]) -> Reading[Any]:
    """Return a reading that says which block it is a figure of."""
    if reading.calibration is not None:
        return replace(reading, block=block)
    return Reading(
        reading.value,
        reading.unit,
        reading.utc_ns,
        reading.age_s,
        reading.quality,
        reading.operational,
        reading.absolute,
        reading.error,
        block,
    )


def next_block(unit: Unit, clock: Clock, timeout_s: float, poll_s: float) -> EndedBlock:
    """Do what `Unit.wait_for_block` says."""
    start_ns = clock.monotonic_ns()
    before = _newest(unit)
    while True:
        state = unit.state()  # first: a block that ends the session is found behind the state that it led to
        if _newest(unit) not in (None, before):
            readings = unit.telemetry()  # one report: its figures are those of the block that it names
            last: str | None = readings["last_block"].value
            if last is not None:
                figures: dict[str, Reading[Any]] = {name: readings[name] for name in FIGURES if name in readings}
                return EndedBlock(*parsed(last), Telemetry(figures))
        elapsed_s = (clock.monotonic_ns() - start_ns) / NS_PER_S
        if state not in MAKING:
            raise StateError(
                f"waited for a block and the unit is in {state.value} ({active_codes(unit)})",
                code="STATE",
                device=unit.name,
                remedy="Start both units; look at alarms() for what ended the session",
            )
        if elapsed_s >= timeout_s:
            raise DeviceTimeoutError(
                f"no block ended, and the unit is in {state.value}",
                device=unit.name,
                elapsed_s=elapsed_s,
                remedy="Wait longer, or set fewer block_bits: a block takes block_bits over sifted_key_rate",
            )
        clock.wait(min(poll_s, timeout_s - elapsed_s))


def active_codes(unit: Unit) -> str:
    """Return the codes of the alarms that are active, for people."""
    return ", ".join(alarm.code for alarm in unit.alarms()) or "no alarm"


def _newest(unit: Unit) -> tuple[str, int] | None:
    """Ask which block ended last: session and number, so that one that is locked away later is the same; or None."""
    try:
        session, number, _, _ = parsed(unit.last_block)
    except NoDataError:
        return None
    return session, number
