"""Distillation on what the emulated optics give: light, decoys, dark counts and afterpulses included."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest

from tokaido.emulators.distillation import AbortReason, AcceptedBlock, DistillationSettings
from tokaido.emulators.optics import (
    Conditions,
    InterceptResend,
    QuantumChannel,
    block_duration,
    finite_key_rate,
    preset,
)
from tokaido_testing.distillation import Outcome, pair, run_pair

LINE = dataclasses.replace(
    preset("t12", settings="short-block", channel_loss_db=7.6),
    intensities=(0.45, 0.20, 0.001),
    probabilities=(0.30, 0.55, 0.15),
    key_basis_probability_transmitter=0.70,
    key_basis_probability_receiver=0.70,
)
SETTINGS = DistillationSettings(block_bits=300_000, frame_bits=300_000)


def one_block(conditions: Conditions) -> Outcome:
    """Feed both ends in exposures of 5 ms until a block ends."""
    channel = QuantumChannel(LINE, physics=np.random.default_rng(7), secret=np.random.default_rng(8).bytes)
    alice, bob = pair(SETTINGS)
    run_pair(alice, bob)
    for _ in range(120):
        exposure = channel.expose(5_000_000, conditions)
        alice.add(exposure.transmitter, channel.next_slot)
        bob.add(exposure.receiver, channel.next_slot)
        outcome = run_pair(alice, bob)
        if outcome.alice:
            return outcome
    raise AssertionError(f"no block after 0.6 s: {alice.statistics}")


def test_a_short_link_gives_the_key_that_the_bound_promises() -> None:
    outcome = one_block(Conditions())
    first, second = outcome.accepted()
    assert first == second
    block = outcome.alice[0]
    assert isinstance(block, AcceptedBlock)
    seconds = block_duration(LINE, block.n)
    expected = finite_key_rate(LINE, seconds * LINE.clock_rate_hz) * seconds
    assert block.output_bits == pytest.approx(expected, rel=0.25)
    assert 0.03 < block.qber_key < 0.08
    assert block.efficiency < 1.12


@pytest.mark.parametrize(
    ("basis", "reason"),
    [("random", AbortReason.QBER_TOO_HIGH), ("x", AbortReason.QBER_TOO_HIGH), ("z", AbortReason.NO_KEY)],
)
def test_interception_in_any_basis_gives_no_key(basis: Literal["random", "x", "z"], reason: AbortReason) -> None:
    outcome = one_block(Conditions(eavesdropper=InterceptResend(fraction=1.0, basis=basis)))
    for results in (outcome.alice, outcome.bob):
        assert getattr(results[0], "reason", None) is reason
