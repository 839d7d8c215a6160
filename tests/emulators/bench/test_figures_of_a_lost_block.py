"""A block that was given up tells its own figures, or none: never those of the block before it."""

from __future__ import annotations

import math
from typing import Any

from tokaido.emulators.bench._distilling import outcome_of
from tokaido.emulators.distillation import AbortedBlock, AbortReason, DistillationStatistics

NUMBER = 7


def after(block: int, *, qber: float = 0.02, check: float = 0.03) -> DistillationStatistics:
    """Statistics whose figures are those of `block`."""
    facts: dict[str, Any] = dict.fromkeys(DistillationStatistics.__slots__, 0)
    figures: dict[str, Any] = {"qber_key": qber, "checked_qber": check, "qber_check": check, "ones_share": 0.5}
    return DistillationStatistics(**(facts | figures | {"checked_block": block, "corrected_block": block}))


def lost(reason: AbortReason) -> AbortedBlock:
    return AbortedBlock("session", NUMBER, reason, "a test", by_peer=False)


def test_a_block_before_it_is_not_told_as_its_own() -> None:
    for reason in AbortReason:
        outcome = outcome_of(lost(reason), after(NUMBER - 1), knows_qber=True)
        assert math.isnan(outcome.qber), reason
        assert math.isnan(outcome.qber_check), reason


def test_its_own_figures_are_told() -> None:
    outcome = outcome_of(lost(AbortReason.QBER_TOO_HIGH), after(NUMBER, qber=0.2, check=0.21), knows_qber=True)
    assert (outcome.qber, outcome.qber_check) == (0.2, 0.21)


def test_no_key_of_what_was_not_measured_is_no_phase_error() -> None:
    assert outcome_of(lost(AbortReason.NO_KEY), after(NUMBER - 1), knows_qber=True).verdict == "NO_KEY"
