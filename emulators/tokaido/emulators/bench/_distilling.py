"""One unit's distillation: it follows the unit's session, works without holding the unit, and hands over results."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from tokaido.emulators.distillation import (
    AbortedBlock,
    AbortReason,
    AcceptedBlock,
    DistillationSettings,
    QuarantinedBlock,
    ReceiverDistiller,
    TransmitterDistiller,
)
from tokaido.emulators.units import DETECTOR_RATIO, BlockOutcome, Session, Verdict, shannon
from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokaido.emulators.distillation import BlockResult, DistillationStatistics
    from tokaido.emulators.ends import SharedModel
    from tokaido.emulators.optics import ReceiverRecord, TransmitterRecord
    from tokaido.emulators.units import UnitModel
    from tokaido.hal.authentication import AuthenticationPool

D = TypeVar("D", TransmitterDistiller, ReceiverDistiller)
STALLED_NS: Final = 5_000_000_000
"""Emulated time after which an unanswered question ends a block."""
_F: Final = 1.1
_VERDICTS: dict[AbortReason, Verdict] = {
    AbortReason.QBER_TOO_HIGH: "QBER_ABORT",
    AbortReason.TOO_SMALL: "NO_KEY",
    AbortReason.DETECTOR_MISMATCH: "DETECTOR_MISMATCH",
    AbortReason.VERIFICATION_FAILED: "EC_FAIL",
    AbortReason.AUTH_MISMATCH: "AUTH_MISMATCH",
    AbortReason.LEAK_MISMATCH: "EC_FAIL",
    AbortReason.COUNTS_MISMATCH: "EC_FAIL",
    AbortReason.LENGTH_MISMATCH: "EC_FAIL",
    AbortReason.FFT_CHECK: "EC_FAIL",
    AbortReason.MALFORMED_MESSAGE: "EC_FAIL",
}


class _Light(NamedTuple):
    """A unit's share of an exposure, on its way to the distillation."""

    at_ns: int
    record: TransmitterRecord | ReceiverRecord | None
    """None: light was away."""
    until: int
    sub_channels: int


class DistillingEnd(Generic[D]):
    """The distillation of one unit.

    Its work is done in the thread that calls it, with the unit's lock held only while something changes hands,
    so that the unit's console answers meanwhile.

    Args:
        shared: The unit and its lock.
        unit: The unit.
        kind: Its end of the distillation.
    """

    def __init__(
        self,
        shared: SharedModel,
        unit: UnitModel,
        kind: Callable[[DistillationSettings, AuthenticationPool, Callable[[int], bytes]], D],
    ) -> None:
        self._shared = shared
        self._unit = unit
        self._kind: Callable[[DistillationSettings, AuthenticationPool, Callable[[int], bytes]], D] = kind
        self.session: Session | None = None
        """The session that this end distils for."""
        self.distiller: D | None = None
        self._sifted = 0
        self._outcomes: list[BlockOutcome] = []
        self._asked_ns: int | None = None
        self._light: deque[_Light] = deque()

    @property
    def next_light_ns(self) -> int | None:
        """When the next light is over that was exposed and that the distillation does not know of yet."""
        return self._light[0].at_ns if self._light else None

    def add(
        self, at_ns: int, record: TransmitterRecord | ReceiverRecord | None, until: int, *, sub_channels: int = 1
    ) -> None:
        """Take this unit's share of an exposure whose last slot, the one before `until`, is over at `at_ns`.

        No record says that light was away.
        """
        self._light.append(_Light(at_ns, record, until, sub_channels))

    def follow(self) -> None:
        """Begin or end with the unit's session."""
        if self._unit.blocks.session is self.session:  # as nearly always; the lock costs more
            return
        with self._shared.lock:
            session, pool = self._unit.blocks.session, self._unit.links.pool
            if session is self.session:
                return
            self._drop()
            if session is None or pool is None or self._unit.peer.imagined:
                return
            try:
                settings = DistillationSettings(
                    block_bits=session.block_bits,
                    detector_ratio=DETECTOR_RATIO,
                    intensities=session.intensities,
                    probabilities=session.probabilities,
                    intensity_tolerance=self._unit.INTENSITY_TOLERANCE,
                )
            except ConfigurationError as error:
                self._unit.blocks.give_up_session(str(error))
                return
            self.distiller = self._kind(settings, pool, self._unit.secret)
            self.session = session
            session.outbox.extend(self.distiller.outgoing())

    def work(self, now_ns: int) -> bool:
        """Take the light and the messages that came, and put the answers where the unit sends them.

        Returns whether there was anything to do. `now_ns` is the emulated time of it: light that is over later waits.
        """
        session, distiller = self.session, self.distiller
        if session is None or distiller is None:
            return False
        moved = False
        while self._light and self._light[0].at_ns <= now_ns:
            self._see(distiller, self._light.popleft())
            self._gather(distiller)
            moved = True
        while session.inbox:
            distiller.receive(session.inbox.popleft())
            self._gather(distiller)
            self._asked_ns = None
            moved = True
        said = (moved or distiller.closed) and self._say()
        return said or moved

    def _say(self) -> bool:
        """Put messages where the unit sends them, and hand over the blocks that ended."""
        session, distiller = self.session, self.distiller
        if session is None or distiller is None:
            return False
        self._gather(distiller)
        outgoing = distiller.outgoing()
        if outgoing and self._asked_ns is None and distiller.awaiting_peer:
            self._asked_ns = self._unit.now_ns
        session.outbox.extend(outgoing)
        self._hand_over(session, distiller)
        return bool(outgoing)

    @staticmethod
    def _see(distiller: D, light: _Light) -> None:
        if light.record is None:
            distiller.interrupt("light was away")
        elif isinstance(distiller, ReceiverDistiller):
            distiller.add(light.record, light.until, sub_channels=light.sub_channels)  # type: ignore[arg-type]
        else:
            distiller.add(light.record, light.until)  # type: ignore[arg-type]

    def note_sifted(self, now_ns: int) -> None:
        """Tell the unit how many sifted bits came since it was last told, as far as this end can know before a block is
        over. Call it when no message waits."""
        if self.session is None or self.distiller is None:
            return
        sifted = int(self.distiller.statistics.expected_bits)
        with self._shared.lock:
            self._unit.blocks.note_sifted(now_ns, sifted - self._sifted)
        self._sifted = sifted

    def give_up_if_stalled(self) -> None:
        """End the open block if the peer owes an answer for too long; a transmitter only answers and never asks."""
        asked_ns, distiller = self._asked_ns, self.distiller
        if not isinstance(distiller, ReceiverDistiller) or asked_ns is None or not distiller.session:
            return
        if self._unit.now_ns - asked_ns >= STALLED_NS and distiller.awaiting_peer:
            distiller.abort(AbortReason.TIMED_OUT, "the transmitter does not answer")
            self._asked_ns = None
            self._say()

    def close(self) -> None:
        """Erase what is open."""
        self._drop()

    def _drop(self) -> None:
        if self.distiller is not None:
            self.distiller.close()
            self._gather(self.distiller)
            for outcome in self._outcomes:
                if outcome.key is not None:
                    outcome.key.wipe()
        self._outcomes = []
        self.distiller = None
        self.session = None
        self._sifted = 0
        self._asked_ns = None
        self._light.clear()

    def _gather(self, distiller: D) -> None:
        """Note the blocks that ended, with the figures of that moment: the next block begins at once."""
        results = distiller.results()
        if results:
            knows_qber = isinstance(distiller, ReceiverDistiller)
            statistics = distiller.statistics
            for result in results:
                outcome = outcome_of(result, statistics, knows_qber=knows_qber)
                own = statistics.checked_block == result.number
                self._outcomes.append(replace(outcome, ones=statistics.ones_share if own else math.nan))

    def _hand_over(self, session: Session, distiller: D) -> None:
        outcomes, self._outcomes = self._outcomes, []
        with self._shared.lock:
            if distiller.session:
                session.name(distiller.session)
            for outcome in outcomes:
                self._unit.blocks.block_ended(session, outcome)
            if distiller.closed:
                self._unit.blocks.block_ended(session, BlockOutcome("ended"))


def outcome_of(result: BlockResult, statistics: DistillationStatistics, *, knows_qber: bool) -> BlockOutcome:
    """Return what a result of distillation means to the unit: a key, an alarm, or nothing.

    `knows_qber`: whether the statistics hold the error rate of a block that was given up. The receiver corrects and
    knows it; the transmitter's are of its last accepted block. A figure of an earlier block is told as none.
    """
    if isinstance(result, AcceptedBlock):
        return BlockOutcome(
            "accepted",
            number=result.number,
            qber=result.qber_key,
            qber_check=result.qber_check,
            efficiency=result.efficiency,
            key=result.key,
            facts=result.facts,
        )
    if isinstance(result, QuarantinedBlock):
        verdict: Verdict = "AUTH_MISMATCH" if result.reason is AbortReason.AUTH_MISMATCH else "QUARANTINE"
        return BlockOutcome(verdict, number=result.number)
    qber = statistics.qber_key if knows_qber and statistics.corrected_block == result.number else math.nan
    check = statistics.checked_qber if statistics.checked_block == result.number else math.nan
    if result.reason is AbortReason.NO_KEY:
        return _without_key(result, qber, check)
    verdict = _VERDICTS.get(result.reason, "dropped")
    qber = qber if verdict == "QBER_ABORT" else math.nan
    return BlockOutcome(verdict, number=result.number, qber=qber, qber_check=check)


def _without_key(result: AbortedBlock, qber: float, check: float) -> BlockOutcome:
    """Tell a phase error too high from statistics too few: the former leaves nothing of an endless block either.

    Where the error rate of the key basis is not known, that of the check basis stands for it.
    """
    known = check if math.isnan(qber) else qber
    if math.isnan(known):
        return BlockOutcome("NO_KEY", number=result.number)
    asymptotic = 1 - _F * shannon(min(known, 0.5)) - shannon(min(check, 0.5))
    verdict: Verdict = "NO_KEY" if asymptotic > 0 else "PHASE_ERROR_ABORT"
    return BlockOutcome(verdict, number=result.number, qber=qber, qber_check=check)
