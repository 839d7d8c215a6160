"""The command `rate`: what one link gives, by calculation alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tokaido.hal as hal
from tokaido.console._output import number, print_facts, print_json, print_paragraph
from tokaido.console._rate_links import asked, attack_from_text, link_from_file, link_from_preset

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tokaido.console._rate_links import ChosenLink
    from tokaido.emulators.optics import LinkRate


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRequest:
    """What a command line asks for; None is left to the library."""

    preset: str | None = None
    file: Path | None = None
    settings: str = "published"
    distance_km: float | None = None
    loss_db: float | None = None
    changes: Sequence[str] = ()
    pulses: float | None = None
    method: str | None = None
    bound: str | None = None
    attack: str | None = None


def show_rate(request: RateRequest, *, as_json: bool) -> None:
    """Print the rates of one link.

    Raises:
        ConfigurationError: It was asked for what is not there or not possible.
    """
    link = _link(request)
    rate = calculate(link, request)
    if as_json:
        print_json(record(link, rate))
        return
    print_paragraph(f"{link.preset}, {link.settings} settings: {link.title}" if link.preset else link.title)
    print_facts(facts(link, rate, request.attack))
    print_paragraph("Calculated from expected counts; nothing was emulated.")


def _link(request: RateRequest) -> ChosenLink:
    if (request.preset is None) == (request.file is None):
        raise hal.ConfigurationError("one link is needed", remedy="Give either --preset NAME or --file PARAMETERS.toml")
    if request.file is not None:
        return link_from_file(
            request.file, distance_km=request.distance_km, loss_db=request.loss_db, changes=request.changes
        )
    return link_from_preset(
        request.preset or "",
        settings=request.settings,
        distance_km=request.distance_km,
        loss_db=request.loss_db,
        changes=request.changes,
    )


def calculate(link: ChosenLink, request: RateRequest) -> LinkRate:
    """Return the rates of a link as asked for."""
    from tokaido.emulators import optics  # noqa: PLC0415 - numpy, when first needed

    attack = None if request.attack is None else attack_from_text(request.attack)
    method: Any = request.method
    bound: Any = request.bound
    return asked(
        lambda: optics.link_rate(link.params, method=method, bound=bound, pulses=request.pulses, attack=attack)
    )


def record(link: ChosenLink, rate: LinkRate) -> dict[str, Any]:
    """Return the rates ready for JSON; what the protocol does not have is None."""
    signal, decoy, vacuum = rate.gains
    return {
        "preset": link.preset,
        "settings": link.settings,
        "distance_km": link.distance_km,
        "loss_db": rate.loss_db,
        "gains": {"signal": _finite(signal), "decoy": _finite(decoy), "vacuum": _finite(vacuum)},
        "qber": {"z": _finite(rate.qber_z), "x": _finite(rate.qber_x)},
        "sifted_bps": _finite(rate.sifted_bps),
        "asymptotic_bps": _finite(rate.asymptotic_bps),
        "secret_bps": _finite(rate.secret_bps),
        "single_photon": {"yield": _finite(rate.single_photon_yield), "error": _finite(rate.single_photon_error)},
        "pulses": _finite(rate.pulses),
        "method": rate.method,
        "secure_against": rate.secure_against,
        "bound": None if rate.bound == "none" else rate.bound,
        "eps": rate.eps or None,
    }


def facts(link: ChosenLink, rate: LinkRate, attack: str | None) -> list[tuple[str, str]]:
    """Return the rates as people read them, each secret rate with method, bound, n and eps."""
    length = "" if link.distance_km is None else f"{link.distance_km:g} km, "
    fibre = f" ({link.fibre})" if link.fibre else ""
    shown = [("channel", f"{length}{rate.loss_db:.4g} dB{fibre}")]
    if attack is not None:
        shown.append(("attack", attack))
    shown += [
        ("gains", _several(zip(("signal", "decoy", "vacuum"), rate.gains, strict=True), "{:.4g}")),
        ("QBER", _several((("Z", 100 * rate.qber_z), ("X", 100 * rate.qber_x)), "{:.2f} %")),
    ]
    if math.isfinite(rate.single_photon_yield):
        single = f"yield {rate.single_photon_yield:.4g} or more, error rate {rate.single_photon_error:.4g} or less"
        shown.append(("one photon", single))
    bases = "" if math.isnan(rate.qber_x) else " of both bases" if rate.keyed_bases == "both" else " of the key basis"
    shown.append(("sifted", in_bps(rate.sifted_bps) + bases))
    endless = f"{in_bps(rate.asymptotic_bps)} for" if rate.asymptotic_bps > 0 else "no key even from"
    shown.append(("asymptotic", f"{endless} blocks without end"))
    shown.append(("secret", secret(rate)))
    for kind in ("fitted", "assumed"):
        named = [(field, source) for field, source in link.sources.items() if source.startswith(kind)]
        for index, (field, source) in enumerate(named):
            why = source.removeprefix(kind).removeprefix(":").removeprefix(",").strip()
            shown.append(("" if index else kind, f"{field} = {_value(link, field)}" + (f" ({why})" if why else "")))
    return shown


def secret(rate: LinkRate) -> str:
    """Return the secret rate, or that there is none, with what it holds for."""
    if not rate.secret_bps > 0:
        return f"no key: {assumptions(rate)}"
    limit = ", as much as the unit can process" if rate.capped else ""
    return f"{in_bps(rate.secret_bps)}{limit} ({assumptions(rate)})"


def assumptions(rate: LinkRate) -> str:
    """Return what a secret rate holds for: method, attacks, bound, n and eps, as far as there are any."""
    if not math.isfinite(rate.pulses):
        return f"{rate.method}, no bound, n without end, eps not quantified, against {rate.secure_against}"
    return (
        f"{rate.method}, {rate.bound} bound, n = {count(rate.pulses)} pulses in {duration(rate.block_s)}, "
        f"eps {rate.eps:.3g}, against {rate.secure_against}"
    )


def count(pulses: float) -> str:
    """Return a large number in three digits: 1.2e12."""
    return f"{pulses:.3g}".replace("e+", "e")


def duration(seconds: float) -> str:
    """Return a time with the unit of measure that suits its size."""
    for size, unit in ((7200, "h"), (120, "min")):
        if seconds >= size:
            return f"{seconds / {'h': 3600, 'min': 60}[unit]:.3g} {unit}"
    return f"{seconds:.3g} s"


def in_bps(bps: float) -> str:
    """Return a rate with the unit of measure that suits its size."""
    for size, unit in ((1e6, "Mb/s"), (1e3, "kb/s")):
        if bps >= size:
            return f"{bps / size:.3g} {unit}"
    return f"{bps:.3g} b/s"


def _value(link: ChosenLink, field: str) -> str:
    value = getattr(link.params, field)
    return ",".join(f"{part:g}" for part in value) if isinstance(value, tuple) else number(value)


def _several(named: Any, form: str) -> str:
    """Return names with their values; those that the protocol does not have are left out."""
    return ", ".join(f"{name} {form.format(value)}" for name, value in named if _finite(value) is not None) or "-"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
