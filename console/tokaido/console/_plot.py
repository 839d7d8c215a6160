"""The command `plot`: pictures of what links give, as PNG or SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import tokaido.hal as hal
from tokaido.console._output import tell
from tokaido.console._plot_style import check_output, write_picture
from tokaido.console._rate import RateRequest
from tokaido.console._rate_links import asked, link_from_preset

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tokaido.console._plot_rates import PlacedPoint


RATE_PRESETS: Final = (
    "t12:lucamarini",
    "t12:lim",
    "t12-even:lucamarini",
    "gys:asymptotic",
    "boaron-2018",
    "dps-2007",
)
QBER_PRESETS: Final = ("t12:lucamarini", "gys:asymptotic", "nec-apd:lim", "nec-sspd:lim")


def requests(presets: Sequence[str], *, method: str | None, **others: Any) -> list[RateRequest]:
    """Return what to calculate for each of NAME or NAME:METHOD; `method` is for those that name none."""
    named = [preset.partition(":") for preset in dict.fromkeys(presets)]
    return [RateRequest(preset=name, method=own or method, **others) for name, _, own in named]


def plot_rate_distance(requests: Sequence[RateRequest], longest_km: float, output: Path, *, as_json: bool) -> None:
    """Write secret rate against distance, with the published points of the presets that are drawn."""
    check_output(output)
    from tokaido.console._plot_rates import curves, draw_rate_distance  # noqa: PLC0415

    drawn = curves(requests, longest_km)
    names = {request.preset for request in requests}
    points = [point for point in published(names) if point.km <= longest_km]
    write_picture(draw_rate_distance(drawn, points, "Secret rate, calculated from expected counts"), output)
    facts = {"file": str(output), "curves": len(drawn), "published_points": len(points)}
    tell(f"{output}: {len(drawn)} curves, {len(points)} published points", facts, as_json=as_json)


def plot_qber(requests: Sequence[RateRequest], longest_km: float, output: Path, *, as_json: bool) -> None:
    """Write error rates against distance."""
    check_output(output)
    from tokaido.console._plot_rates import curves, draw_qber  # noqa: PLC0415

    drawn = curves(requests, longest_km)
    write_picture(draw_qber(drawn, "Error rates of signal pulses, calculated"), output)
    tell(f"{output}: {len(drawn)} presets", {"file": str(output), "presets": len(drawn)}, as_json=as_json)


def plot_session(
    preset: str,
    *,
    settings: str,
    distance_km: float | None,
    loss_db: float | None,
    changes: Sequence[str],
    drift: str,
    pulses: float | None,
    method: str | None,
    bound: str | None,
    hours: float,
    seed: int,
    output: Path,
    as_json: bool,
) -> None:
    """Write a day of an emulated link."""
    check_output(output)
    from tokaido.console._plot_session import draw_session  # noqa: PLC0415
    from tokaido.emulators import optics  # noqa: PLC0415 - numpy, when first needed

    if asked(lambda: optics.preset_info(preset)).protocol != "decoy-bb84":
        raise hal.ConfigurationError(
            f"a day of {preset} cannot be emulated: its protocol is another than decoy-state BB84",
            remedy=f"Choose {', '.join(optics.presets('decoy-bb84'))}",
        )
    link = link_from_preset(preset, settings=settings, distance_km=distance_km, loss_db=loss_db, changes=changes)
    params: Any = link.params
    chosen: dict[str, Any] = {"drift": drift, "method": method, "bound": bound}
    day = asked(lambda: optics.simulate_day(params, seconds=3600 * hours, seed=seed, pulses_per_block=pulses, **chosen))
    title = (
        f"{hours:g} h of {preset} ({settings}), {params.channel_loss_db:g} dB of {drift} fibre, emulated, seed {seed}"
    )
    write_picture(draw_session(day, title), output)
    bits = f"{day.secret_bits} secret bits in {len(day.blocks)} blocks"
    tell(
        f"{output}: {bits}, {len(day.alarms)} alarms, {day.share('RUN'):.1%} of the time in RUN",
        {
            "file": str(output),
            "secret_bits": int(day.secret_bits),
            "blocks": len(day.blocks),
            "alarms": len(day.alarms),
            "share_in_run": float(day.share("RUN")),
        },
        as_json=as_json,
    )


def published(presets: set[str | None]) -> list[PlacedPoint]:
    """Return the published secret rates of these presets, each where a curve over the preset's fibre should meet it.

    A point with a loss of its own stands where the preset's fibre has that loss, whatever its length was.
    """
    from tokaido.console._plot_rates import PlacedPoint  # noqa: PLC0415
    from tokaido.emulators import optics  # noqa: PLC0415

    found: list[PlacedPoint] = []
    for point in optics.PUBLISHED_POINTS:
        if point.preset is None or point.preset not in presets or point.secret_bps is None:
            continue
        km = point.distance_km
        if point.loss_db is not None:
            km = point.loss_db / optics.preset_info(point.preset).db_per_km
        if km is not None:
            moved = point.distance_km is None or abs(km - point.distance_km) > 0.02 * point.distance_km
            found.append(PlacedPoint(point.preset, point.source, km, point.secret_bps, moved))
    return found
