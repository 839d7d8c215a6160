"""The formulas against reference vectors: our own, worked out to 50 digits, and another file where it is at hand."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

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
from tokaido_testing import reference_vectors

OWN = Path(__file__).with_name("reference_vectors.json")
VECTORS = json.loads(OWN.read_text(encoding="utf-8"))
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
        dark_count_probability=-math.expm1(math.log1p(-p["Y0"]) / 2),
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


def computed(
    p: dict[str, float], loss_db: float, pulses: float, bound: Literal["hoeffding", "chernoff"] = "hoeffding"
) -> Computed:
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
        bound=bound,
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


# --- our own: worked out to 50 digits, with nothing of the product --------------------------------------------------


def numbers_of(vector: dict[str, Any]) -> dict[str, float]:
    """Return a vector's parameters; the clock rate makes no difference to anything a pulse."""
    return {"f_rep": 1e9} | {name: float(value) for name, value in vector["params"].items()}


def test_the_file_is_what_its_program_prints() -> None:
    assert OWN.read_text(encoding="utf-8") == reference_vectors.text()


def test_the_vectors_reach_from_plenty_of_key_to_none() -> None:
    """Each formula counts in many of them, and where one of two bounds gives no key the other may."""
    assert len(VECTORS) >= 40
    for bound in ("hoeffding", "chernoff"):
        lengths = [vector[bound]["l"] for vector in VECTORS]
        assert sum(length > 0 for length in lengths) >= 36
        assert sum(length <= 0 for length in lengths) >= 2
        assert sum(vector[bound]["s0"] > 0 for vector in VECTORS) >= 10
    assert any(vector["hoeffding"]["l"] < 0 < vector["chernoff"]["l"] for vector in VECTORS)


@pytest.mark.parametrize("bound", ["hoeffding", "chernoff"])
@pytest.mark.parametrize("number", range(len(VECTORS)))
def test_formulas_are_those_worked_to_50_digits(number: int, bound: Literal["hoeffding", "chernoff"]) -> None:
    vector = VECTORS[number]
    params = numbers_of(vector)
    asym, block = vector["asym"], vector[bound]
    found = computed(params, float(vector["loss_dB"]), float(vector["N"]), bound)
    assert found.gains == pytest.approx(tuple(asym["Q"]), rel=1e-8)  # 1 - (1 - Y0) loses half of its digits
    assert found.errors == pytest.approx(tuple(asym["E"]), rel=1e-8)
    assert found.single_yield == pytest.approx(asym["Y1"], rel=1e-9)
    assert found.single_error == pytest.approx(asym["e1"], rel=1e-9)
    assert found.rate == pytest.approx(asym["R"], rel=1e-8)  # with its sign
    for name, value in (("s0", found.s0), ("s1", found.s1), ("phi", found.phi)):
        assert value == pytest.approx(block[name], rel=1e-8, abs=1e-6), name
    assert found.bits <= max(block["l"] + 1e-3, 0)  # down, never up
    assert found.bits == pytest.approx(max(block["l"], 0), rel=1e-7, abs=2)


def test_some_results_stand_here_as_numbers() -> None:
    """What holds should program and file both forget how."""
    found = computed(numbers_of(VECTORS[1]), 17.5, 1e13)
    assert found.rate == pytest.approx(2.623946475293078e-4, rel=1e-9)
    assert found.bits == 1850691655


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
