"""Reference values for key rates, worked out to 50 digits from the papers, with nothing of the product.

Run as a program it prints `tests/emulators/optics/reference_vectors.json`:

    python tests/_support/tokaido_testing/reference_vectors.py > tests/emulators/optics/reference_vectors.json

Sources: Ma, Qi, Zhao, Lo, Phys. Rev. A 72, 012326 (2005), Eqs. 1, 18, 34, 37; Lim, Curty, Walenta, Xu, Zbinden, Phys.
Rev. A 89, 022307 (2014), Eqs. 1-5, with Hoeffding's deviations as there, or with those of the multiplicative Chernoff
bound: an expected value lies no more than L + sqrt(2 n L + L^2) above an observed n and no more than
L/2 + sqrt(2 n L + L^2/4) below it, but for a chance of exp(-L).
"""

from __future__ import annotations

import decimal
import json
import random
import sys
from decimal import Decimal
from typing import Any, Literal

Bound = Literal["hoeffding", "chernoff"]
D = Decimal
BOUNDS: tuple[Bound, ...] = ("hoeffding", "chernoff")
DIGITS = 50
BASE = {
    "mu": "0.5",
    "nu": "0.125",
    "w": "0.001",
    "p_mu": "0.625",
    "p_nu": "0.25",
    "p_w": "0.125",
    "pzA": "0.875",
    "pzB": "0.75",
    "rx_loss": "2.5",
    "eta_det": "0.25",
    "Y0": "2e-5",
    "e_d": "0.015",
    "f_ec": "1.125",
    "eps_sec": "1e-10",
    "eps_cor": "1e-15",
}
CHOSEN: list[tuple[dict[str, str], str, str]] = [
    (BASE, "5.0", "1e11"),
    (BASE, "17.5", "1e13"),
    (BASE | {"w": "0", "Y0": "1e-7", "eta_det": "0.75", "e_d": "0.005"}, "30.0", "1e13"),
    (BASE | {"mu": "0.375", "nu": "0.0625", "pzA": "0.5", "pzB": "0.5", "f_ec": "1.25"}, "12.0", "1e12"),
    (BASE | {"e_d": "0.03", "Y0": "1e-6", "eps_sec": "1e-12"}, "10.0", "5e11"),
    (BASE | {"e_d": "0.005", "Y0": "1e-6"}, "6.0", "5e7"),  # short: Chernoff gives key, Hoeffding does not
    (BASE, "45.0", "1e12"),  # too far for either
]
DRAWN = 41


def drawn(seed: int = 5) -> list[tuple[dict[str, str], str, str]]:
    """Return cases from a wide range of links: parameters by name, loss in dB, pulses."""
    chance = random.Random(seed)

    def between(low: float, high: float, digits: int = 3) -> str:
        return f"{chance.uniform(low, high):.{digits}g}"

    cases: list[tuple[dict[str, str], str, str]] = []
    for _ in range(DRAWN):
        p_nu, p_w = D(between(0.1, 0.35)), D(between(0.05, 0.2))
        cases.append(
            (
                {
                    "mu": between(0.35, 0.7),
                    "nu": between(0.06, 0.2),
                    "w": chance.choice(["0", "0.0002", "0.001", "0.005"]),
                    "p_mu": str(1 - p_nu - p_w),
                    "p_nu": str(p_nu),
                    "p_w": str(p_w),
                    "pzA": between(0.5, 0.95),
                    "pzB": between(0.5, 0.95),
                    "rx_loss": between(0.5, 5),
                    "eta_det": between(0.1, 0.85),
                    "Y0": f"{10 ** chance.uniform(-7.5, -4.3):.3g}",
                    "e_d": between(0.002, 0.04),
                    "f_ec": between(1.05, 1.3),
                    "eps_sec": chance.choice(["1e-9", "1e-10", "1e-12"]),
                    "eps_cor": "1e-15",
                },
                between(2, 28),
                f"{10 ** chance.uniform(10, 14):.3g}",
            )
        )
    return cases


def log2(x: D) -> D:
    return x.ln() / D(2).ln()


def entropy(x: D) -> D:
    return -x * log2(x) - (1 - x) * log2(1 - x)


def asymptotic(p: dict[str, D], loss_db: D) -> dict[str, Any]:
    """Ma 2005 Eqs. 1, 18, 34, 37: gains, error rates, the single photons' yield and error rate, key a pulse."""
    ks = (mu, nu, w) = p["mu"], p["nu"], p["w"]
    eta = D(10) ** (-(loss_db + p["rx_loss"]) / 10) * p["eta_det"]
    gains = [1 - (1 - p["Y0"]) * (-eta * k).exp() for k in ks]
    light = [(1 - p["Y0"]) * (1 - (-eta * k).exp()) for k in ks]
    errors = [(p["Y0"] / 2 + p["e_d"] * x) / q for x, q in zip(light, gains, strict=True)]
    a, b, c = (q * k.exp() for q, k in zip(gains, ks, strict=True))
    y0 = max((nu * c - w * b) / (nu - w), D(0))
    y1 = mu / (mu * nu - mu * w - nu**2 + w**2) * (b - c - (nu**2 - w**2) / mu**2 * (a - y0))
    e1 = (errors[1] * b - errors[2] * c) / ((nu - w) * y1)
    q1 = y1 * mu * (-mu).exp()
    rate = p["pzA"] * p["pzB"] * (q1 * (1 - entropy(e1)) - gains[0] * p["f_ec"] * entropy(errors[0]))
    return {"Q": gains, "E": errors, "Y1": y1, "e1": e1, "R": rate}


def deviations(n: D, total: D, log_term: D, bound: Bound) -> tuple[D, D]:
    """Return how far an expected value may lie below and above what was counted."""
    if bound == "hoeffding":
        return (both := (total / 2 * log_term).sqrt()), both
    below = log_term / 2 + (2 * n * log_term + log_term**2 / 4).sqrt()
    return below, log_term + (2 * n * log_term + log_term**2).sqrt()


def finite(p: dict[str, D], gains: list[D], errors: list[D], pulses: D, bound: Bound) -> dict[str, D]:
    """Lim 2014 Eqs. 1-5 for counts as they are expected: s0, s1, phi, and l with its sign."""
    ks, ps = (p["mu"], p["nu"], p["w"]), (p["p_mu"], p["p_nu"], p["p_w"])
    mu, nu, w = ks
    tau = [sum((x * (-k).exp() * (k if n else D(1)) for x, k in zip(ps, ks, strict=True)), D(0)) for n in (0, 1)]
    log_term = (21 / p["eps_sec"]).ln()

    def limits(n: list[D]) -> tuple[list[D], list[D]]:
        off = [deviations(x, sum(n, D(0)), log_term, bound) for x in n]
        scale = [k.exp() / x for k, x in zip(ks, ps, strict=True)]
        return (
            [s * max(x - below, D(0)) for s, x, (below, _) in zip(scale, n, off, strict=True)],
            [s * (x + above) for s, x, (_, above) in zip(scale, n, off, strict=True)],
        )

    def singles(n: list[D]) -> tuple[D, D]:
        low, high = limits(n)
        s0 = max(tau[0] * (nu * low[2] - w * high[1]) / (nu - w), D(0))
        inner = low[1] - high[2] - (nu**2 - w**2) / mu**2 * (high[0] - s0 / tau[0])
        return s0, max(tau[1] * mu * inner / (mu * (nu - w) - nu**2 + w**2), D(0))

    key = [pulses * x * q * p["pzA"] * p["pzB"] for x, q in zip(ps, gains, strict=True)]
    check = [pulses * x * q * (1 - p["pzA"]) * (1 - p["pzB"]) for x, q in zip(ps, gains, strict=True)]
    (s0, s1), (_, t1) = singles(key), singles(check)
    phi = D("0.5")  # nothing is known
    low, high = limits([n * e for n, e in zip(check, errors, strict=True)])
    wrong = tau[1] * (high[1] - low[2]) / (nu - w)
    if s1 > 0 and t1 > 0 and wrong < t1 / 2:
        r = wrong / t1
        inside = (t1 + s1) / (t1 * s1 * (1 - r) * r) * D(21) ** 2 / p["eps_sec"] ** 2
        phi = min(r + ((t1 + s1) * (1 - r) * r / (t1 * s1 * D(2).ln()) * log2(inside)).sqrt(), phi)
    ratio = sum((n * e for n, e in zip(key, errors, strict=True)), D(0)) / sum(key, D(0))
    leak = p["f_ec"] * sum(key, D(0)) * entropy(ratio)
    bits = s0 + s1 * (1 - entropy(phi)) - leak - 6 * log2(21 / p["eps_sec"]) - log2(2 / p["eps_cor"])
    return {"s0": s0, "s1": s1, "phi": phi, "l": bits}


def worked_out() -> list[dict[str, Any]]:
    """Return all vectors: texts that went in, numbers that came out."""
    vectors: list[dict[str, Any]] = []
    with decimal.localcontext(prec=DIGITS) as context:
        context.traps[decimal.Inexact] = False
        for case, loss_db, pulses in (*CHOSEN, *drawn()):
            p = {name: D(value) for name, value in case.items()}
            found = asymptotic(p, D(loss_db))
            vector: dict[str, Any] = {"params": case, "loss_dB": loss_db, "N": pulses}
            vector["asym"] = {
                name: [float(x) for x in value] if isinstance(value, list) else float(value)
                for name, value in found.items()
            }
            for bound in BOUNDS:
                block = finite(p, found["Q"], found["E"], D(pulses), bound)
                vector[bound] = {name: float(value) for name, value in block.items()}
            vectors.append(vector)
    return vectors


def text() -> str:
    """Return the file's text: one vector a line."""
    return "[\n" + ",\n".join(json.dumps(vector) for vector in worked_out()) + "\n]\n"


if __name__ == "__main__":
    sys.stdout.write(text())
