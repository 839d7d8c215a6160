"""Bound "lp": single photons by a linear programme. Never below the closed formulas, never above the truth."""

from __future__ import annotations

import importlib
import math
import random
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tokaido.hal as hal
from tokaido.emulators.optics import (
    BasisCounts,
    DetectionBounds,
    LimBound,
    block_pulses,
    expected_key_length,
    key_length,
    least_detections,
    link_rate,
    preset,
    protocol_preset,
    simulate_day,
)

Triple = tuple[float, float, float]


def solvers() -> Any:
    """Return those of scipy. They take a second to import, which a worker that runs other tests saves."""
    return importlib.import_module("scipy.optimize")


def triple(values: Any) -> Triple:
    a, b, c = (float(value) for value in values)
    return a, b, c


def a_source(rng: random.Random) -> tuple[Triple, Triple]:
    signal = rng.uniform(0.3, 0.7)
    decoy = signal * rng.uniform(0.1, 0.6)
    vacuum = rng.choice([0.0, 0.001, 0.01])
    shares = [rng.uniform(0.1, 1) for _ in range(3)]
    return (signal, decoy, vacuum), triple(share / sum(shares) for share in shares)


class World:
    """Pulses whose photon number is known here: any yields, however a fibre or an eavesdropper makes them."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.intensities, self.probabilities = a_source(rng)
        n = np.arange(40)
        factorials = np.array([float(math.factorial(i)) for i in n.tolist()])
        self.sent = np.array(
            [
                p * math.exp(-k) * np.power(k, n) / factorials
                for k, p in zip(self.intensities, self.probabilities, strict=True)
            ]
        )
        eta = 10 ** -rng.uniform(1, 3)
        honest = 1 - (1 - 10 ** -rng.uniform(4, 6)) * (1 - eta) ** n
        self.yields = honest if seed % 2 else np.array([rng.random() * eta for _ in n])
        self.pulses = 10 ** rng.uniform(9, 11)
        self.detections = self.pulses * self.sent.sum(axis=0) * self.yields
        """By photon number."""
        self.counts = triple(self.pulses * self.sent @ self.yields)
        """By intensity: signal, decoy, vacuum."""

    def observed(self, spread: float = 6.0) -> DetectionBounds:
        lower = triple(max(n - spread * math.sqrt(n), 0.0) for n in self.counts)
        upper = triple(n + spread * math.sqrt(n) for n in self.counts)
        return DetectionBounds(sum(self.counts), lower, upper)

    def least(self, vacuum: float, single: float) -> float:
        return least_detections(vacuum, single, self.observed(), self.intensities, self.probabilities)

    def optimum(self, vacuum: float, single: float) -> float:
        """The same programme written once more, with 40 photon numbers and no tail."""
        seen = self.observed()
        chance = self.sent / self.sent.sum(axis=0)
        rows = np.array([-chance[1], -chance[2], *chance])
        limits = np.array([-seen.lower[1], -seen.lower[2], *seen.upper]) / seen.total
        cost = np.zeros(40)
        cost[:2] = vacuum, single
        found: Any = solvers().linprog(cost, A_ub=rows, b_ub=limits, A_eq=np.ones((1, 40)), b_eq=[1.0], method="highs")
        return float(found.fun) * seen.total


BOUNDS: tuple[LimBound, LimBound] = ("chernoff", "lp")
WEIGHTS = [(1.0, 0.0), (0.0, 1.0), (1.0, 0.6)]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("vacuum", "single"), WEIGHTS)
def test_programme_finds_the_least_and_never_more_than_the_truth(seed: int, vacuum: float, single: float) -> None:
    world = World(seed)
    found = world.least(vacuum, single)
    truth = vacuum * world.detections[0] + single * world.detections[1]
    assert found <= truth
    assert found == pytest.approx(world.optimum(vacuum, single), rel=1e-4, abs=1e-6 * sum(world.counts))


@pytest.mark.parametrize("seed", range(8))
def test_a_solver_that_is_wrong_cannot_make_the_bound_too_large(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world, rng = World(seed), np.random.default_rng(seed)
    truth = float(world.detections[1])
    optimize = solvers()
    right = optimize.linprog

    def wrong(cost: Any, **problem: Any) -> Any:
        found = right(cost, **problem)
        marginals = np.asarray(found.ineqlin.marginals) * rng.uniform(0.5, 2, problem["b_ub"].size)
        return SimpleNamespace(status=0, ineqlin=SimpleNamespace(marginals=marginals))

    monkeypatch.setattr(optimize, "linprog", wrong)
    assert world.least(0, 1) <= truth
    monkeypatch.setattr(optimize, "linprog", lambda *_, **__: SimpleNamespace(status=4))
    assert world.least(0, 1) == 0


def test_key_is_never_shorter_than_by_the_closed_formulas_nor_longer_than_the_truth_allows() -> None:
    gained = 0
    for seed in range(30):
        world = World(seed)
        signal, decoy, vacuum = (math.floor(n) for n in world.counts)
        wrong = (signal // 40, decoy // 40, vacuum // 40)
        key = BasisCounts((signal, decoy, vacuum), wrong)
        source = world.intensities, world.probabilities
        closed, programme = (
            key_length(key, key, *source, leaked_bits=0, eps_sec=1e-10, eps_cor=1e-15, bound=bound) for bound in BOUNDS
        )
        assert (closed.bound, programme.bound) == ("chernoff", "lp")
        assert programme.bits >= closed.bits
        assert programme.vacuum_events >= closed.vacuum_events
        assert programme.single_photon_events >= closed.single_photon_events
        assert programme.vacuum_events <= world.detections[0] + 3
        assert programme.single_photon_events <= world.detections[1] + 3
        gained += programme.bits > 1.02 * closed.bits > 0
    assert gained >= 2


@pytest.mark.parametrize(
    ("name", "loss_db", "least"), [("t12", 17.0, 1.12), ("nec-apd", 22.0, 1.5), ("t12-cold", 34, 1.1)]
)
def test_near_the_edge_it_gives_a_good_deal_more(name: str, loss_db: float, least: float) -> None:
    link = preset(name, settings="short-block", channel_loss_db=loss_db)
    default, programme = (link_rate(link, method="lim", bound=bound) for bound in (None, "lp"))
    assert default.bound == "chernoff"
    assert programme.bound == "lp"
    assert programme.secret_bps > least * default.secret_bps > 0
    assert programme.secret_bps < link_rate(link, method="infinite-decoys").secret_bps * 1.5


def test_singles_stay_below_the_true_yield_of_a_link() -> None:
    link = preset("t12-cold", settings="short-block", channel_loss_db=28.6)
    true = link_rate(link, method="infinite-decoys").single_photon_yield
    default, programme = (link_rate(link, bound=bound).single_photon_yield for bound in (None, "lp"))
    assert default < programme < true
    assert expected_key_length(link, block_pulses(link), "lp").bits > 0


def test_a_day_can_be_lived_with_it() -> None:
    link = preset("t12-cold", settings="short-block", channel_loss_db=20.0)
    pulses = block_pulses(link)
    day = simulate_day(link, seconds=300, pulses_per_block=pulses, method="lim", bound="lp", step_s=1.0)
    assert day.bound == "lp"
    assert any(block.key.bits > 0 for block in day.blocks)


def test_without_scipy_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(hal.TokaidoError, match=r"needs scipy.*tokaido\[lp\]"):
        link_rate(preset("t12", settings="short-block", channel_loss_db=10.0), method="lim", bound="lp")
    assert link_rate(preset("t12", settings="short-block", channel_loss_db=10.0), method="lim").secret_bps > 0


def test_nothing_else_loads_scipy() -> None:
    program = (
        "import sys; from tokaido.emulators.optics import link_rate, preset;"
        "link_rate(preset('t12', settings='short-block', channel_loss_db=10.0), method='lim');"
        "print(any(name.split('.')[0] == 'scipy' for name in sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.strip() == "False"


def test_nothing_observed_bounds_nothing() -> None:
    nothing = DetectionBounds(0.0, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    assert least_detections(0, 1, nothing, (0.5, 0.1, 0.0), (0.5, 0.3, 0.2)) == 0


@pytest.mark.parametrize("name", ["t12", "boaron-2018"])
def test_other_methods_have_no_programme(name: str) -> None:
    with pytest.raises(ValueError, match="no bound 'lp': choose"):
        link_rate(protocol_preset(name, channel_loss_db=10.0), bound="lp")
