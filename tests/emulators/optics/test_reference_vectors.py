"""The formulas against reference vectors: a file of them where it is at hand, and some worked here to 50 digits."""

from __future__ import annotations

import decimal
import json
import math
import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from tokaido.emulators.optics import (
    BasisCounts,
    LinkParameters,
    decoy_bounds,
    expected_gains,
    gllp_rate,
    infinite_decoy_bounds,
    key_length,
)

NAME = Path("shared/facts/vectors-open.json")


def vectors_file() -> Path | None:
    """The file that TOKAIDO_VECTORS names, or one beside the checkout."""
    if named := os.environ.get("TOKAIDO_VECTORS"):
        return Path(named)
    return next((folder / NAME for folder in Path(__file__).resolve().parents if (folder / NAME).is_file()), None)


def link_of(p: dict[str, float], loss_db: float) -> LinkParameters:
    return LinkParameters(
        clock_rate_hz=p["f_rep"],
        intensities=(p["mu"], p["nu"], p["w"]),
        probabilities=(p["p_mu"], p["p_nu"], p["p_w"]),
        key_basis_probability_transmitter=p["pzA"],
        key_basis_probability_receiver=p["pzB"],
        channel_loss_db=loss_db,
        receiver_loss_db=p["rx_loss"],
        detector_efficiency=p["eta_det"],
        dark_count_probability=1 - math.sqrt(1 - p["Y0"]),
        afterpulse_probability=0.0,
        dead_time_s=0.0,
        misalignment_key=p["e_d"],
        misalignment_check=p["e_d"],
        error_correction_efficiency=p["f_ec"],
        duty=1.0,
        eps_sec=p["eps_sec"],
        eps_cor=p["eps_cor"],
    )


@dataclass
class Computed:
    gains: tuple[float, float, float]
    errors: tuple[float, float, float]
    single_yield: float
    single_error: float
    rate: float
    bits: int
    s0: float
    s1: float
    phi: float


def computed(p: dict[str, float], loss_db: float, pulses: float) -> Computed:
    """What the product makes of a vector. Vectors give coincidences of light and background an error of 1/2."""
    link = link_of(p, loss_db)
    gains = expected_gains(link).gains
    light = [-math.expm1(-link.transmittance * k) for k in link.intensities]
    e = [(p["Y0"] / 2 + p["e_d"] * (1 - p["Y0"]) * s) / q for s, q in zip(light, gains, strict=True)]
    errors = (e[0], e[1], e[2])
    bounds = decoy_bounds(gains, errors, link.intensities)
    sifting = (p["pzA"] * p["pzB"], (1 - p["pzA"]) * (1 - p["pzB"]))
    rate = gllp_rate(gains[0], errors[0], bounds, sifting=sifting[0], f=p["f_ec"])

    def counts(share: float) -> BasisCounts:
        n = [pulses * a * q * share for a, q in zip(link.probabilities, gains, strict=True)]
        return BasisCounts(cast(Any, tuple(n)), cast(Any, tuple(a * b for a, b in zip(n, errors, strict=True))))

    key, check = map(counts, sifting)
    ratio = sum(key.errors) / sum(key.detections)
    entropy = -(ratio * math.log2(ratio) + (1 - ratio) * math.log2(1 - ratio))
    result = key_length(
        key,
        check,
        link.intensities,
        link.probabilities,
        leaked_bits=p["f_ec"] * sum(key.detections) * entropy,
        eps_sec=p["eps_sec"],
        eps_cor=p["eps_cor"],
        bound="hoeffding",
    )
    return Computed(
        gains,
        errors,
        bounds.single_photon_yield,
        bounds.single_photon_error,
        rate,
        result.bits,
        result.vacuum_events,
        result.single_photon_events,
        result.phase_error,
    )


def test_open_reference_vectors() -> None:
    path = vectors_file()
    if path is None:
        pytest.skip(f"no {NAME} above this checkout, and TOKAIDO_VECTORS names no file: it is not part of the project")
    vectors = json.loads(path.read_text(encoding="utf-8"))
    assert len(vectors) >= 40
    for vector in vectors:
        asym, lim, where = vector["asym"], vector["lim2014"], f"vector {vector['id']}"
        found = computed(vector["params"], vector["loss_dB"], vector["N"])
        assert found.gains == pytest.approx((asym["Qmu"], asym["Qnu"], asym["Qw"]), rel=1e-6), where
        assert found.errors[:2] == pytest.approx((asym["Emu"], asym["Enu"]), rel=1e-6), where
        assert found.single_yield == pytest.approx(asym["Y1"], rel=1e-6), where
        assert found.single_error == pytest.approx(asym["e1"], rel=1e-6), where
        assert found.rate == pytest.approx(asym["R"], rel=1e-6), where
        assert found.bits == pytest.approx(max(lim["l"], 0), rel=1e-4, abs=1), where
        assert found.phi == pytest.approx(lim["phi"], rel=1e-4), where
        if lim["sX0"] is not None:
            assert found.s0 == pytest.approx(lim["sX0"], rel=1e-4, abs=1e-6), where
            assert found.s1 == pytest.approx(lim["sX1"], rel=1e-4), where


# --- the same formulas once more, with 50 digits --------------------------------------------------------------------

D = Decimal
BASE = {
    "f_rep": 1e9,
    "mu": 0.5,
    "nu": 0.125,
    "w": 0.001,
    "p_mu": 0.625,
    "p_nu": 0.25,
    "p_w": 0.125,
    "pzA": 0.875,
    "pzB": 0.75,
    "rx_loss": 2.5,
    "eta_det": 0.25,
    "Y0": 2e-5,
    "e_d": 0.015,
    "f_ec": 1.125,
    "eps_sec": 1e-10,
    "eps_cor": 1e-15,
}
CASES: list[tuple[dict[str, float], float, float]] = [
    (BASE, 5.0, 1e11),
    (BASE, 17.5, 1e13),
    (BASE | {"w": 0.0, "Y0": 1e-7, "eta_det": 0.75, "e_d": 0.005}, 30.0, 1e13),
    (BASE | {"mu": 0.375, "nu": 0.0625, "pzA": 0.5, "pzB": 0.5, "f_ec": 1.25}, 12.0, 1e12),
    (BASE | {"e_d": 0.03, "Y0": 1e-6, "eps_sec": 1e-12}, 10.0, 5e11),
]


def log2(x: Decimal) -> Decimal:
    return x.ln() / D(2).ln()


def entropy(x: Decimal) -> Decimal:
    return -x * log2(x) - (1 - x) * log2(1 - x)


def exactly(case: dict[str, float], loss_db: float, pulses: float) -> dict[str, Decimal]:
    """Ma 2005 Eqs. 1, 18, 34, 37 and Lim 2014 Eqs. 1-5 with Hoeffding's bound, sharing nothing with the product."""
    p = {name: D(value) for name, value in case.items()}
    ks, ps = (p["mu"], p["nu"], p["w"]), (p["p_mu"], p["p_nu"], p["p_w"])
    eta = D(10) ** (-(D(loss_db) + p["rx_loss"]) / 10) * p["eta_det"]
    gains = [1 - (1 - p["Y0"]) * (-eta * k).exp() for k in ks]
    errors = [
        (p["Y0"] / 2 + p["e_d"] * (1 - p["Y0"]) * (1 - (-eta * k).exp())) / q for k, q in zip(ks, gains, strict=True)
    ]
    mu, nu, w = ks
    a, b, c = (q * k.exp() for q, k in zip(gains, ks, strict=True))
    y0 = max((nu * c - w * b) / (nu - w), D(0))
    y1 = mu / (mu * nu - mu * w - nu**2 + w**2) * (b - c - (nu**2 - w**2) / mu**2 * (a - y0))
    e1 = (errors[1] * b - errors[2] * c) / ((nu - w) * y1)
    q1 = y1 * mu * (-mu).exp()
    rate = p["pzA"] * p["pzB"] * (q1 * (1 - entropy(e1)) - gains[0] * p["f_ec"] * entropy(errors[0]))

    tau = [sum((x * (-k).exp() * (k if n else D(1)) for x, k in zip(ps, ks, strict=True)), D(0)) for n in (0, 1)]
    ell = (21 / p["eps_sec"]).ln()

    def limits(n: list[Decimal]) -> tuple[list[Decimal], list[Decimal]]:
        dev = (sum(n, D(0)) / 2 * ell).sqrt()
        scale = [k.exp() / x for k, x in zip(ks, ps, strict=True)]
        return (
            [s * max(x - dev, D(0)) for s, x in zip(scale, n, strict=True)],
            [s * (x + dev) for s, x in zip(scale, n, strict=True)],
        )

    def singles(n: list[Decimal]) -> tuple[Decimal, Decimal]:
        low, high = limits(n)
        s0 = max(tau[0] * (nu * low[2] - w * high[1]) / (nu - w), D(0))
        inner = low[1] - high[2] - (nu**2 - w**2) / mu**2 * (high[0] - s0 / tau[0])
        return s0, tau[1] * mu * inner / (mu * (nu - w) - nu**2 + w**2)

    key = [D(pulses) * x * q * p["pzA"] * p["pzB"] for x, q in zip(ps, gains, strict=True)]
    check = [D(pulses) * x * q * (1 - p["pzA"]) * (1 - p["pzB"]) for x, q in zip(ps, gains, strict=True)]
    (s0, s1), (_, t1) = singles(key), singles(check)
    low, high = limits([n * e for n, e in zip(check, errors, strict=True)])
    r = tau[1] * (high[1] - low[2]) / (nu - w) / t1
    inside = (t1 + s1) / (t1 * s1 * (1 - r) * r) * D(21) ** 2 / p["eps_sec"] ** 2
    phi = r + ((t1 + s1) * (1 - r) * r / (t1 * s1 * D(2).ln()) * log2(inside)).sqrt()
    ratio = sum((n * e for n, e in zip(key, errors, strict=True)), D(0)) / sum(key, D(0))
    leak = p["f_ec"] * sum(key, D(0)) * entropy(ratio)
    bits = s0 + s1 * (1 - entropy(phi)) - leak - 6 * log2(21 / p["eps_sec"]) - log2(2 / p["eps_cor"])
    return {"Y1": y1, "e1": e1, "R": rate, "s0": s0, "s1": s1, "phi": phi, "l": bits}


@pytest.mark.parametrize("number", range(len(CASES)))
def test_formulas_are_those_worked_to_50_digits(number: int) -> None:
    with decimal.localcontext(prec=50) as context:
        context.traps[decimal.Inexact] = False
        exact = exactly(*CASES[number])
        assert exact["phi"] < D("0.5")
        assert exact["l"] > 0  # every case has a key, so every formula counts
        found = computed(*CASES[number])
        for name, value in (("Y1", found.single_yield), ("e1", found.single_error), ("R", found.rate)):
            assert value == pytest.approx(float(exact[name]), rel=1e-9), name
        for name, value in (("s0", found.s0), ("s1", found.s1), ("phi", found.phi)):
            assert value == pytest.approx(float(exact[name]), rel=1e-9, abs=1e-6), name
        assert found.bits in (math.floor(exact["l"]), math.floor(exact["l"]) - 1)  # down, never up
        assert found.bits == pytest.approx(float(exact["l"]), rel=1e-7, abs=2)


def test_some_results_stand_here_as_numbers() -> None:
    """Printed by the 50-digit calculation: what holds should both forget how."""
    found = computed(*CASES[1])
    assert found.rate == pytest.approx(GOLDEN["R"], rel=1e-9)
    assert found.bits == GOLDEN["l"]


GOLDEN = {"R": 2.623946475293078e-4, "l": 1850691655}


# --- another package ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss_db", "infinite", "two_decoys"),
    [
        (0.0, 0.009607575070082412, 0.009094069826951788),
        (10.0, 0.0009527552627120203, 0.0008992375264444898),
        (20.0, 8.996816680290748e-05, 8.455705793586945e-05),
        (25.0, 2.4791194044330693e-05, 2.3051802384182704e-05),
    ],
)
def test_asymptotic_rates_are_those_of_linear_programmes(loss_db: float, infinite: float, two_decoys: float) -> None:
    """Computed with tno.quantum.communication.qkd_key_rate 2.0.4: f = 1, vacuum credited, both bases alike."""
    link = LinkParameters(
        clock_rate_hz=1e9,
        intensities=(0.5, 0.1, 0.0),
        probabilities=(0.8, 0.1, 0.1),
        key_basis_probability_transmitter=0.5,
        key_basis_probability_receiver=0.5,
        channel_loss_db=loss_db,
        receiver_loss_db=0.0,
        detector_efficiency=0.045,
        dark_count_probability=1e-6,
        afterpulse_probability=0.0,
        dead_time_s=0.0,
        misalignment_key=0.015,
        misalignment_check=0.015,
        error_correction_efficiency=1.0,
        duty=1.0,
        eps_sec=1e-10,
        eps_cor=1e-15,
    )
    gains = expected_gains(link)
    weak = decoy_bounds(gains.gains, gains.error_rates_check, link.intensities)
    for bounds, expected, within in ((infinite_decoy_bounds(link)[1], infinite, 1e-5), (weak, two_decoys, 2e-4)):
        vacuum = math.exp(-0.5) * bounds.vacuum_yield
        rate = gllp_rate(gains.gains[0], gains.error_rates_key[0], bounds, sifting=1.0, f=1.0) + vacuum
        assert rate == pytest.approx(expected, rel=within)
