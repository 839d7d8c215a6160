"""Lucamarini 2013, one decoy (Rusca 2018) and DPS (Waks 2006), each written once more from its equations."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from tokaido.emulators.optics import (
    BasisCounts,
    OneDecoyParameters,
    dps_key_fraction,
    dps_statistics,
    lucamarini_expected_key,
    lucamarini_key_length,
    maximum_loss_db,
    one_decoy_expected_key,
    one_decoy_key_length,
    one_decoy_rate,
    preset,
    protocol_preset,
)

INTENSITIES, PROBABILITIES = (0.425, 0.044, 0.001), (1 - 2**-7 - 2**-8, 2**-7, 2**-8)
# Signal and decoy of a published session of 20 minutes at 50 km; vacuum counts and errors are chosen to go with them.
ZZ = BasisCounts((5_016_000_000, 6_210_000, 1_250_000), (213_700_000, 600_000, 600_000))
XX = BasisCounts((22_310_000, 28_430, 5_560), (812_000, 2_700, 2_700))
SENT = 1.2e12


def sent(share: float) -> tuple[float, float, float]:
    a, b, c = (SENT * share * p for p in PROBABILITIES)
    return a, b, c


def h(x: float) -> float:
    return -x * math.log2(x) - (1 - x) * math.log2(1 - x)


# --- Lucamarini 2013 ------------------------------------------------------------------------------------------------


def straightforward_lucamarini(f: float) -> float:
    u, v, w = INTENSITIES
    n_sigma = math.sqrt(2 * math.log(12 / 1e-15))

    def yields(counts: BasisCounts, pulses: tuple[float, float, float]) -> tuple[float, float, float]:
        low = [(c - n_sigma * math.sqrt(c)) / n for c, n in zip(counts.detections, pulses, strict=True)]
        high = [(c + n_sigma * math.sqrt(c)) / n for c, n in zip(counts.detections, pulses, strict=True)]
        y0 = max((v * low[2] * math.exp(w) - w * high[1] * math.exp(v)) / (v - w), 0)
        y1 = low[1] * math.exp(v) - high[2] * math.exp(w) - (v * v - w * w) / (u * u) * (high[0] * math.exp(u) - y0)
        y1 *= u / (u * v - u * w - v * v + w * w)
        wrong = (counts.errors[0] + n_sigma * math.sqrt(counts.errors[0])) / pulses[0]
        return y0, y1, (wrong - math.exp(-u) * y0 / 2) / (u * math.exp(-u) * y1)

    z, x = yields(ZZ, sent((15 / 16) ** 2)), yields(XX, sent(1 / 256))
    total = 0
    for counts, own, other, share in ((ZZ, z, x, (15 / 16) ** 2), (XX, x, z, 1 / 256)):
        n = counts.detections[0]
        bits = sent(share)[0] * math.exp(-u) * (own[0] + u * own[1] * (1 - h(other[2])))
        bits -= n * f * h(counts.errors[0] / n)
        bits -= 7 * math.sqrt(n * math.log2(2 / (1e-12 - 1e-15))) + 2 * math.log2(1 / (2 * (1e-10 - 2e-12)))
        total += max(math.floor(bits), 0)
    return total


def lucamarini(key: BasisCounts = ZZ, check: BasisCounts = XX, **changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "pulses_key": sent((15 / 16) ** 2),
        "pulses_check": sent(1 / 256),
        "intensities": INTENSITIES,
        "probabilities": PROBABILITIES,
        "f": 1.1,
    }
    return lucamarini_key_length(key, check, **(arguments | changes))


def test_lucamarini_is_its_formula_rounded_down() -> None:
    result = lucamarini()
    assert result.bits == straightforward_lucamarini(1.1) > 0.8e6 * 1200
    assert result.bits == result.key_basis.bits + result.check_basis.bits
    assert (result.method, result.bound, result.eps) == ("lucamarini2013", "gaussian", 1e-10)


def test_lucamarini_gives_nothing_without_counts() -> None:
    none = BasisCounts((0, 0, 0), (0, 0, 0))
    assert lucamarini(none, none).bits == 0
    result = lucamarini(ZZ, none)
    assert result.bits == 0
    assert result.key_basis.phase_error == 0.5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"f": 0.9}, "f = 0.9 is not possible"),
        ({"eps": 0.0}, "eps = 0.0 is not possible"),
        ({"bound": "markov"}, "no bound 'markov'"),
        ({"pulses_key": (1.0, 1.0, 1.0)}, "errors <= detections <= pulses"),
        ({"intensities": (0.1, 0.2, 0.0)}, "intensities"),
    ],
)
def test_lucamarini_refuses_nonsense(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        lucamarini(**changes)
    with pytest.raises(ValueError, match="pulses = -1"):
        lucamarini_expected_key(preset("t12", channel_loss_db=10.0), -1)


# --- one decoy ------------------------------------------------------------------------------------------------------

KEY, KEY_ERRORS = (7_000_000.0, 1_200_000.0), (50_000.0, 9_000.0)
CHECK, CHECK_ERRORS = (90_000.0, 15_500.0), (900.0, 160.0)
SOURCE: dict[str, Any] = {"intensities": (0.49, 0.18), "probabilities": (0.7, 0.3)}


def straightforward_one_decoy(leak: float, eps: float = 1e-10) -> float:
    """Rusca 2018 with Hoeffding's deviations, from its equations."""
    (a, b), (pa, pb) = SOURCE["intensities"], SOURCE["probabilities"]
    ell = math.log(19 / eps)
    t0, t1 = pa * math.exp(-a) + pb * math.exp(-b), pa * a * math.exp(-a) + pb * b * math.exp(-b)

    def delta(n: float) -> float:
        return math.sqrt(n * ell / 2)

    def s(n: tuple[float, float], m: tuple[float, float]) -> tuple[float, float]:
        d, e = delta(sum(n)), delta(sum(m))
        low_b, high_a = math.exp(b) / pb * (n[1] - d), math.exp(a) / pa * (n[0] + d)
        s0 = max(t0 / (a - b) * (a * low_b - b * high_a), 0)
        errors = min(t0 * math.exp(a) / pa * (m[0] + e), t0 * math.exp(b) / pb * (m[1] + e))
        most = 2 * (errors + d)
        return s0, t1 * a / (b * (a - b)) * (low_b - b * b / (a * a) * high_a - (a * a - b * b) / (a * a) * most / t0)

    (s0, s1), (_, x1) = s(KEY, KEY_ERRORS), s(CHECK, CHECK_ERRORS)
    e = delta(sum(CHECK_ERRORS))
    v1 = t1 / (a - b) * (math.exp(a) / pa * (CHECK_ERRORS[0] + e) - math.exp(b) / pb * (CHECK_ERRORS[1] - e))
    r = v1 / x1
    inside = (x1 + s1) / (x1 * s1 * (1 - r) * r) * (19 / eps) ** 2
    phi = r + math.sqrt((x1 + s1) * (1 - r) * r / (x1 * s1 * math.log(2)) * math.log2(inside))
    return s0 + s1 * (1 - h(phi)) - leak - 6 * math.log2(19 / eps) - math.log2(2 / 1e-15)


def one_decoy(leak: float = 500_000.0, **changes: Any) -> Any:
    arguments: dict[str, Any] = {**SOURCE, "leaked_bits": leak, "eps_sec": 1e-10, "eps_cor": 1e-15}
    return one_decoy_key_length(KEY, KEY_ERRORS, CHECK, CHECK_ERRORS, **(arguments | changes))


def test_one_decoy_is_its_formula_rounded_down() -> None:
    result = one_decoy()
    assert result.bits == math.floor(straightforward_one_decoy(500_000)) > 0
    assert (result.method, result.bound, result.reason) == ("rusca2018", "hoeffding", "")
    assert one_decoy(500_000).bits - one_decoy(500_001).bits == 1


def test_one_decoy_bounds_are_on_the_safe_side() -> None:
    link = protocol_preset("boaron-2018", channel_loss_db=42.7)
    assert isinstance(link, OneDecoyParameters)
    key = one_decoy_expected_key(link)
    singles = sum(p * k * math.exp(-k) for k, p in zip(link.intensities, link.probabilities, strict=True))
    mean = sum(p * k for k, p in zip(link.intensities, link.probabilities, strict=True))
    true = 8.2e6 * singles / mean  # a link of high loss without noise detects photons in proportion
    assert 0.8 * true < key.single_photon_events < true
    assert 0.01 < key.phase_error < 0.06


def test_one_decoy_says_why_there_is_no_key() -> None:
    link = protocol_preset("boaron-2018", channel_loss_db=42.7)
    assert isinstance(link, OneDecoyParameters)
    small = replace(link, block_sifted_bits=1000.0)
    assert one_decoy_rate(small) == 0.0
    assert "too few" in one_decoy_expected_key(small).reason
    assert "leak" in one_decoy(9e6).reason
    assert "check-basis" in one_decoy_expected_key(replace(link, misalignment_check=0.30)).reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"intensities": (0.1, 0.4)}, "intensities"),
        ({"bound": "gaussian"}, "no bound"),
        ({"leaked_bits": -1}, "leaked"),
    ],
)
def test_one_decoy_refuses_nonsense(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        one_decoy(**changes)
    with pytest.raises(ValueError, match="key-basis counts"):
        one_decoy_key_length(
            (1.0, 1.0), (2.0, 0.0), CHECK, CHECK_ERRORS, **SOURCE, leaked_bits=0, eps_sec=1e-10, eps_cor=1e-15
        )


# --- DPS ------------------------------------------------------------------------------------------------------------


def test_dps_ends_at_the_error_rate_of_the_paper() -> None:
    """Waks 2006 at mu = 0.2 and f = 1.16: 4.1 %."""
    assert dps_key_fraction(0.2, 0.0414, 1.16) > 0
    assert dps_key_fraction(0.2, 0.0416, 1.16) == 0
    assert dps_key_fraction(0.2, 0.0, 1.16) == pytest.approx(0.6)


def test_dps_bracket_that_turns_over_is_not_believed() -> None:
    assert all(dps_key_fraction(0.2, e, 1.0) == 0 for e in (1 / 6, 0.2, 0.3, 0.5, 1.0))
    for mu, e, f in ((0.5, 0.02, 1.16), (0.2, 2.3, 1.16), (0.2, 0.02, 0.9)):
        with pytest.raises(ValueError, match="is not possible"):
            dps_key_fraction(mu, e, f)


def test_dps_reach_does_not_depend_on_where_it_is_asked_from() -> None:
    reach = {maximum_loss_db(protocol_preset("dps-2007", channel_loss_db=loss)) for loss in (0.0, 42.0, 80.0)}
    assert len(reach) == 1
    at_reach = dps_statistics(protocol_preset("dps-2007", channel_loss_db=42.109))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert at_reach.error_rate == pytest.approx(0.0415, abs=1e-4)
