"""Published points beside what the model computes for them: what is tested, what is only shown, and what is never met.

Tolerances were set before the comparison. A "fitted" point was used to choose a parameter and proves nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from . import _published_links as links
from ._optimum import optimal_intensity

if TYPE_CHECKING:
    from collections.abc import Callable

Status = Literal["tested", "fitted", "context", "never"]


class Tolerance(NamedTuple):
    """How far a computed value may lie from the published one."""

    value: float
    kind: Literal["relative", "absolute", "factor"]

    def holds(self, computed: float, published: float) -> bool:
        """Return whether the computed value is near enough."""
        if self.kind == "absolute":
            return abs(computed - published) <= self.value
        if self.kind == "relative":
            return abs(computed / published - 1) <= self.value
        return 1 / self.value <= computed / published <= self.value

    def __str__(self) -> str:
        if self.kind == "factor":
            return f"factor {self.value:g}"
        return f"±{self.value:.0%}" if self.kind == "relative" else f"±{self.value:g}"


@dataclass(frozen=True, slots=True)
class PublishedPoint:
    """One published figure and how to compute it."""

    source: str
    quantity: str
    preset: str | None
    """The preset it is computed with; None where it is none as it stands."""
    distance_km: float | None
    loss_db: float | None
    """Of the channel, where it was published."""
    published: float
    unit: str
    status: Status
    """"tested": within tolerance, or a test fails. "fitted": so too, but a parameter was chosen for it. "context": is
    shown, too little is known for a test. "never": the model does not come near, and is not expected to."""
    tolerance: Tolerance | None
    """In `unit` where it is absolute; None for "context" and "never"."""
    note: str
    """Method and assumptions."""
    compute: Callable[[], float] | None = None

    @property
    def computed(self) -> float:
        """What the model gives, in `unit`; nan where it has nothing to say."""
        return math.nan if self.compute is None else self.compute()

    @property
    def secret_bps(self) -> float | None:
        """The published secret rate in bit/s; None where the figure is something else."""
        return self.published if self.quantity.startswith("secret rate") else None


_MA: Final = "Ma 2005, PRA 72 012326 (GYS)"
_T12: Final = "Lucamarini 2013, Opt. Express 21 24550"
_DPS: Final = "Takesue 2007, Nat. Photonics 1 343"
_DIXON: Final = "Dixon 2008, Opt. Express 16 18790"
_BOARON: Final = "Boaron 2018, PRL 121 190502"
_TANAKA: Final = "Tanaka 2008, Opt. Express 16 11354"
_MAKER: Final = "Toshiba demonstration 2026"
_SESSION: Final = "Lucamarini (collective attacks), Gaussian, 20 min"
_SESSION_FIELD: Final = "Lucamarini (collective attacks), Gaussian, 20 min; the detectors of T12 stand in"
_RUSCA: Final = "Rusca, Hoeffding; basis bias and shares optimised"
_DIXON_NOTE: Final = (
    "Lucamarini (collective attacks), Gaussian, 20 min; intensities and detector recalled, shares assumed, "
    "the rest as T12"
)


def _relative(value: float) -> Tolerance:
    return Tolerance(value, "relative")


def _absolute(value: float) -> Tolerance:
    return Tolerance(value, "absolute")


def _factor(value: float) -> Tolerance:
    return Tolerance(value, "factor")


_Row = tuple[
    str, float | None, float | None, float, str, Status, Tolerance | None, "Callable[[], float] | None"
]  # quantity, km, dB, published, unit, status, tolerance, compute


def _points(source: str, preset: str | None, note: str, *rows: _Row) -> tuple[PublishedPoint, ...]:
    return tuple(
        PublishedPoint(source, quantity, preset, km, db, published, unit, status, tolerance, note, compute)
        for quantity, km, db, published, unit, status, tolerance, compute in rows
    )


PUBLISHED_POINTS: Final[tuple[PublishedPoint, ...]] = (
    *_points(
        _MA,
        "gys",
        "asymptotic, gains of Ma 2005",
        (
            "maximum distance, vacuum + weak decoys",
            None,
            None,
            140.55,
            "km",
            "tested",
            _absolute(0.5),
            links.gys_distance("asymptotic"),
        ),
        (
            "maximum distance, infinite decoys",
            None,
            None,
            142.05,
            "km",
            "tested",
            _absolute(0.5),
            links.gys_distance("infinite-decoys"),
        ),
    ),
    *_points(
        _MA,
        "gys",
        "Ma 2005 Eq. 12",
        (
            "optimal intensity, f = 1.22",
            None,
            None,
            0.48,
            "",
            "tested",
            _absolute(0.005),
            lambda: optimal_intensity(0.033, 1.22),
        ),
        (
            "optimal intensity, f = 1",
            None,
            None,
            0.54,
            "",
            "tested",
            _absolute(0.005),
            lambda: optimal_intensity(0.033, 1.0),
        ),
    ),
    *_points(
        _T12,
        "t12",
        "per pulse sent; receiver loss fitted to the signal",
        ("gain of signal", 50, None, 4.812e-3, "", "fitted", _relative(0.01), links.t12_gain(0)),
        ("gain of decoy", 50, None, 7.54e-4, "", "tested", _relative(0.03), links.t12_gain(1)),
    ),
    *_points(
        _T12,
        "t12",
        "signal pulses",
        ("error rate Z", 50, None, 4.26, "%", "fitted", _absolute(0.15), links.t12_error(0)),
        ("error rate X", 50, None, 3.64, "%", "fitted", _absolute(0.15), links.t12_error(1)),
    ),
    *_points(
        _T12,
        "t12",
        "20 min",
        ("signal counts ZZ", 50, None, 5.016e9, "", "fitted", _relative(0.01), links.t12_counts(0, 0)),
        ("decoy counts ZZ", 50, None, 6.21e6, "", "tested", _relative(0.03), links.t12_counts(0, 1)),
        ("signal counts XX", 50, None, 2.231e7, "", "fitted", _relative(0.01), links.t12_counts(1, 0)),
        ("decoy counts XX", 50, None, 2.843e4, "", "tested", _relative(0.03), links.t12_counts(1, 1)),
    ),
    *_points(
        _T12,
        "t12",
        _SESSION,
        ("secret rate", 35, None, 2.20e6, "bit/s", "tested", _relative(0.25), links.t12_rate(35)),
        ("secret rate", 50, None, 1.09e6, "bit/s", "tested", _relative(0.25), links.t12_rate(50)),
        ("secret rate", 80, None, 0.12e6, "bit/s", "tested", _relative(0.45), links.t12_rate(80)),
    ),
    *_points(
        _T12,
        "t12-even",
        _SESSION,
        (
            "secret rate, p_X = 1/2",
            35,
            None,
            1.18e6,
            "bit/s",
            "tested",
            _relative(0.25),
            links.t12_rate(35, "t12-even"),
        ),
        (
            "secret rate, p_X = 1/2",
            65,
            None,
            0.26e6,
            "bit/s",
            "tested",
            _relative(0.25),
            links.t12_rate(65, "t12-even"),
        ),
        ("secret rate, p_X = 1/2", 80, None, 0.06e6, "bit/s", "never", None, links.t12_rate(80, "t12-even")),
    ),
    *_points(
        _DPS,
        "dps-2007",
        "Waks 2006, individual attacks",
        ("maximum loss", None, None, 42.1, "dB", "tested", _absolute(0.1), links.dps_reach),
    ),
    *_points(
        _DPS,
        "dps-2007",
        "Waks 2006; lies at the maximum loss, where the model has hardly any key",
        ("secret rate", 200, 42.1, 12.1, "bit/s", "context", None, links.rate_of("dps-2007", 42.1)),
    ),
    *_points(
        _DPS,
        "dps-2007",
        "Waks 2006; another spool than that of 200 km, settings taken to be the same",
        ("secret rate", 105, 21.0, 17e3, "bit/s", "tested", _relative(0.25), links.rate_of("dps-2007", 21.0)),
    ),
    *_points(
        "Shimizu 2014, JLT 32 141",
        None,
        "Waks 2006 with the published sifted rate and QBER; published spread 0.5 kb/s",
        ("secret rate", 90, 30.0, 1.1e3, "bit/s", "context", None, links.shimizu),
    ),
    *_points(
        _TANAKA,
        "nec-2008",
        "signals alone, which are what is keyed; detector efficiency fitted",
        ("sifted rate", 97, None, 2.4e3, "bit/s", "fitted", _relative(0.01), links.tanaka_sifted),
    ),
    *_points(
        _TANAKA,
        "nec-2008",
        "misalignment fitted",
        ("error rate", 97, None, 2.9, "%", "fitted", _absolute(0.05), links.tanaka("qber_z")),
    ),
    *_points(
        _TANAKA,
        "nec-2008",
        "asymptotic, as published (0.78 to 0.82 kb/s); shares and dark counts assumed",
        ("secret rate", 97, None, 0.80e3, "bit/s", "tested", _factor(2), links.tanaka("secret_bps")),
    ),
    *_points(
        _BOARON,
        "boaron-2018",
        _RUSCA,
        ("secret rate", 251.7, 42.7, 4.9e3, "bit/s", "tested", _factor(2), links.boaron(42.7, (0.49, 0.18), 8.2e6)),
        ("secret rate", 354.5, 60.6, 62.0, "bit/s", "tested", _factor(2), links.boaron(60.6, (0.35, 0.15), 6.2e6)),
        ("secret rate", 404.9, 69.3, 6.5, "bit/s", "never", None, links.boaron(69.3, (0.35, 0.15), 4.1e5)),
        ("secret rate", 421.1, 71.9, 0.25, "bit/s", "never", None, links.boaron(71.9, (0.30, 0.13), 2e5)),
    ),
    *_points(
        _BOARON,
        "boaron-2018",
        "dark counts assumed",
        (
            "error rate Z",
            251.7,
            42.7,
            0.5,
            "%",
            "fitted",
            _absolute(0.05),
            links.boaron(42.7, (0.49, 0.18), 8.2e6, qber=True),
        ),
        ("error rate Z", 354.5, 60.6, 0.7, "%", "context", None, links.boaron(60.6, (0.35, 0.15), 6.2e6, qber=True)),
        ("error rate Z", 404.9, 69.3, 1.0, "%", "context", None, links.boaron(69.3, (0.35, 0.15), 4.1e5, qber=True)),
        ("error rate Z", 421.1, 71.9, 2.1, "%", "context", None, links.boaron(71.9, (0.30, 0.13), 2e5, qber=True)),
    ),
    *_points(
        _DIXON,
        None,
        _DIXON_NOTE,
        ("secret rate", 20, None, 1.02e6, "bit/s", "tested", _relative(0.30), links.dixon(20)),
        ("secret rate", 100, None, 10.1e3, "bit/s", "context", None, links.dixon(100)),
    ),
    *_points(
        "Sasaki 2011, Tokyo network",
        "t12",
        _SESSION_FIELD,
        ("secret rate", 45, 14.5, 304e3, "bit/s", "tested", _factor(2), lambda: links.t12_rate_at(14.5)),
    ),
    *_points(
        "Dixon 2015, Tokyo network",
        "t12",
        _SESSION_FIELD,
        ("secret rate", 45, 14.5, 300e3, "bit/s", "tested", _factor(2), lambda: links.t12_rate_at(14.5)),
    ),
    *_points(
        "Comandar 2014",
        None,
        _SESSION_FIELD,
        ("secret rate", 50, None, 1.26e6, "bit/s", "tested", _factor(1.5), links.t12_rate(50)),
    ),
    *_points(
        "Fröhlich 2017, Optica 4 163",
        "t12-cold",
        "Lim, Chernoff, 20 min, 0.2 dB/km; detectors, source and fibre of the experiment are not known to us",
        ("distance with key, coherent attacks", 240, None, 240, "km", "context", None, links.cold_distance),
    ),
    *_points(
        "Yuan 2018, JLT 36 3427",
        None,
        "Lucamarini (collective attacks), 20 min, T12 detectors; the system had faster ones",
        ("secret rate", None, 2.0, 13.72e6, "bit/s", "context", None, links.rate_of("t12", 2.0)),
    ),
    *_points(
        "Li 2023, Nat. Photonics",
        None,
        "Lim, Chernoff, 20 min; all but distance assumed",
        ("secret rate", 10, None, 115.8e6, "bit/s", "context", None, links.li),
    ),
    *_points(
        _MAKER,
        "commercial",
        "duty and throughput fitted to both units together",
        ("secret rate", None, 10.0, 352e3, "bit/s", "fitted", _factor(1.5), links.rate_of("commercial", 10.0)),
        ("secret rate", None, 10.0, 741e3, "bit/s", "fitted", _factor(1.5), links.rate_of("commercial", 10.0)),
        ("secret rate", None, 0.0, 3.95e6, "bit/s", "fitted", _factor(1.5), links.rate_of("commercial", 0.0)),
        ("secret rate", None, 0.0, 2.89e6, "bit/s", "fitted", _factor(1.5), links.rate_of("commercial", 0.0)),
    ),
    *_points(
        _MAKER,
        "commercial",
        "detectors of T12; not fitted",
        ("error rate Z", None, 10.0, 3.0, "%", "context", None, links.qber_of("commercial", 10.0)),
        ("error rate Z", None, 10.0, 2.4, "%", "context", None, links.qber_of("commercial", 10.0)),
        ("error rate Z", None, 0.0, 2.6, "%", "context", None, links.qber_of("commercial", 0.0)),
        ("error rate Z", None, 0.0, 3.2, "%", "context", None, links.qber_of("commercial", 0.0)),
    ),
    *_points(
        "Korzh 2015, Nat. Photonics 9 163",
        None,
        "coherent one-way is not modelled",
        ("secret rate, COW", 104, 16.9, 12.7e3, "bit/s", "context", None, None),
        ("secret rate, COW", 307, 51.9, 3.18, "bit/s", "context", None, None),
    ),
    *_points(
        "arXiv:2410.01152",
        None,
        "phase coding; its parameters are not known to us",
        ("secret rate", 50, 12.6, 3.68e3, "bit/s", "context", None, None),
        ("secret rate", None, 10.0, 6.89e3, "bit/s", "context", None, None),
    ),
)
"""Every point of the table in docs/explanation/published-points.md."""


def published_table() -> str:
    """Return all points beside what the model computes, as a Markdown table."""
    lines = [
        "| source | quantity | km | dB | published | computed | ratio | tolerance | status | method and assumptions |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for point in PUBLISHED_POINTS:
        computed = point.computed
        unit = f" {point.unit}" if point.unit else ""
        known = not math.isnan(computed)
        cells = (
            point.source,
            point.quantity,
            "" if point.distance_km is None else f"{point.distance_km:g}",
            "" if point.loss_db is None else f"{point.loss_db:g}",
            f"{point.published:.4g}{unit}",
            f"{computed:.4g}{unit}" if known else "not modelled",
            f"{computed / point.published:.2f}" if known else "",
            "" if point.tolerance is None else str(point.tolerance),
            point.status,
            point.note,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
