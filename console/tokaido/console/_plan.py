"""The command `plan`: what a line gives before it is built, as tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import tokaido.hal as hal
from tokaido.console._output import print_json, print_paragraph, print_table
from tokaido.console._plan_record import drift_record, record, repeater_record, short
from tokaido.console._rate import in_bps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.emulators.planning import (
        Demand,
        Failure,
        Grant,
        LineDrift,
        LinePlan,
        LinkPlan,
        PathPlan,
        RepeaterPlan,
        Spread,
    )

LACKS: Final = 3
"""Exit code of a line that lacks something: a link without key, or a demand that is not met."""


class Sweep(NamedTuple):
    """Days of drift, and who works them off."""

    days: int
    seed: int = 1
    scheduler: str | None = None
    """Of Dask; None: this process."""
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def of(self, plan: LinePlan) -> LineDrift:
        """Return what comes of them.

        Raises:
            TokaidoError: Of the scheduler.
        """
        from tokaido.emulators.planning import dask_workers, sweep_drift  # noqa: PLC0415 - as below

        if self.scheduler is None:
            return sweep_drift(plan, self.days, seed=self.seed)
        worker = dask_workers(self.scheduler, ca=self.ca, certificate=self.certificate, key=self.key)
        return sweep_drift(plan, self.days, seed=self.seed, worker=worker)


def show_plan(path: Path, *, failures: bool, picture: Path | None, as_json: bool, sweep: Sweep | None = None) -> int:
    """Print the plan of a line, and return the exit code that goes with it.

    Raises:
        ConfigurationError: With every mistake in the file.
        TokaidoError: Of a scheduler, or of the picture.
    """
    if picture is not None:
        from tokaido.console._plot_style import check_output  # noqa: PLC0415

        check_output(picture)
    from tokaido.emulators.planning import plan_line, read_line  # noqa: PLC0415 - numpy, when first needed

    plan = plan_line(read_line(path))
    drift = None if sweep is None else sweep.of(plan)
    if picture is not None:
        from tokaido.console._plan_plot import draw_plan  # noqa: PLC0415
        from tokaido.console._plot_style import write_picture  # noqa: PLC0415

        write_picture(draw_plan(plan, drift), picture)
    if as_json:
        print_json(record(plan) | ({} if drift is None else {"drift": drift_record(drift)}))
    else:
        _page(plan, failures=failures)
        if drift is not None:
            _print_drift(drift)
    return LACKS if plan.lacking else 0


def show_repeaters(
    path: Path, length_km: float, name: str | None, db_per_km: float, extra_db: float, *, as_json: bool
) -> int:
    """Print where repeaters stand on a way of so many km, and return the exit code that goes with it.

    Raises:
        ConfigurationError: With every mistake in the file, or it has no such units.
    """
    from tokaido.emulators.planning import read_line, repeaters  # noqa: PLC0415

    line = read_line(path)
    if name is None or name not in line.units:
        raise hal.ConfigurationError(
            f"{path} has no units {name!r}" if name else "the units of the spans are not said",
            remedy=f"Give --units with one of {', '.join(line.units) or 'none'}",
        )
    found = repeaters(line.units[name], length_km, db_per_km, extra_db=extra_db)
    if as_json:
        print_json(repeater_record(found))
    else:
        print_paragraph(f"{length_km:g} km of {db_per_km:g} dB/km: {_repeaters(found)}")
    return LACKS if found is None else 0


def _page(plan: LinePlan, *, failures: bool) -> None:
    line = plan.line
    sizes = ((line.sites, "site"), (line.links, "link"), (line.demands, "demand"))
    print_paragraph(f"{line.title}: {', '.join(_several(len(some), word) for some, word in sizes)}")
    if line.note:
        print_paragraph(line.note)
    print_table(
        ("link", "units", "km", "dB", "kb/s", "keys/s", "left", "block, s"),
        [row for link in plan.links.values() for row in _link_rows(plan, link)],
    )
    for link in plan.links.values():
        if not link.works:
            print_paragraph(f"link {link.link.name}: {link.path.why}; {_repeaters(link.repeaters)}")
    print_table(("units", "preset", "n", "method", "bound", "eps", "light"), _unit_rows(plan))
    if line.demands:
        print_table(
            ("demand", "asks", "gets", "alone", "by"),
            [
                (_name(one.demand), short(one.demand.rate), _rate(one.granted), _rate(one.alone), _by(one.granted))
                for one in plan.demands
            ],
        )
        _print_survival(plan)
        if failures:
            print_table(("failure of", "demand", "gets", "by"), _failure_rows(plan))
    print_paragraph(
        "Keys have 256 bits, and take 264 bits of a link's key a hop. Secret rates are calculated from expected "
        "counts; nothing was emulated."
    )
    for lack in plan.lacking:
        print_paragraph(f"lacking: {lack}")


def _print_drift(drift: LineDrift) -> None:
    days = _several(drift.days, "day")
    print_paragraph(f"{days} of drift, seed {drift.seed}: calculated from expected counts, cell by cell of 10 minutes")
    spread = ("mean", "5 %", "50 %", "95 %", "no key", "longest")
    print_table(
        ("link, kb/s", *spread, "QBER to", "realigned"),
        [
            (
                link.name,
                *_spread(link.secret_bps, 1000),
                "none" if link.largest_qber is None else f"{link.largest_qber:.2%}",
                f"{short(link.realignments_per_day)} a day",
            )
            for link in drift.links
        ],
    )
    if drift.demands:
        print_table(
            ("demand, keys/s", *spread, "stock"),
            [
                (
                    _name(one.plan.demand),
                    *_spread(one.keys_per_s),
                    "none lasts" if one.stock_s is None else f"{short(one.stock_s)} s",
                )
                for one in drift.demands
            ],
        )


def _spread(rate: Spread, per: float = 1.0) -> tuple[str, ...]:
    rates = (short(value / per) for value in (rate.mean, rate.p5, rate.p50, rate.p95))
    return (*rates, f"{rate.without_key:.2%}", f"{short(rate.longest_s / 3600)} h")


def _link_rows(plan: LinePlan, link: LinkPlan) -> list[tuple[str, ...]]:
    """Return a row for a link, and one for each of its paths that is not in use."""
    name, units = link.link.name, link.link.units
    left = short(plan.left_beside(name))
    return [
        (name, units, *_path(link.path), short(link.keys_per_s), left, _block(link.path)),
        *(
            (f"  or {path.fibre}", "", *_path(path), short(path.keys_per_s), "", _block(path))
            for path in link.paths
            if path is not link.path
        ),
    ]


def _path(path: PathPlan) -> tuple[str, str, str]:
    return (
        f"{path.length_km:.4g}",
        f"{path.loss_db:.1f}",
        short(path.block.secret_bps / 1000) if path.works else "none",
    )


def _block(path: PathPlan) -> str:
    return short(path.block.block_s)


def _unit_rows(plan: LinePlan) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, units in plan.line.units.items():
        paths = [link.path for link in plan.links.values() if link.link.units == name]
        if not paths:
            continue
        block = paths[0].block
        light = f"within {units.intensity_tolerance:.0%}" if units.intensity_tolerance else "as set"
        sifted = units.block_bits or block.sifted_bits
        bits = f"{sifted:,.0f} bits" if math.isfinite(sifted) else "without end"
        rows.append((name, units.preset, bits, block.method, block.bound, f"{block.eps:.3g}", light))
    return rows


def _print_survival(plan: LinePlan) -> None:
    """Print what cuts each demand; columns that would say nothing are left out."""
    served = [(number, one.demand) for number, one in enumerate(plan.demands) if one.granted.rate > 0]
    columns = {
        "demand": [_name(demand) for _, demand in served],
        "is cut by": [_named(plan, plan.cuts(number)) or "nothing" for number, _ in served],
        "gets less after": [_named(plan, plan.shortens(number)) for number, _ in served],
        "available": [f"{plan.availability(number):.6g}" for number, _ in served],
    }
    if not any(columns["gets less after"]):
        del columns["gets less after"]
    if all(share == "1" for share in columns["available"]):
        del columns["available"]
    print_table(tuple(columns), list(zip(*columns.values(), strict=True)))


def _named(plan: LinePlan, failures: Sequence[Failure]) -> str:
    """Return the names of what fails, site by site; a link stands for its only fibre."""
    links = {failure.name for failure in failures if failure.kind == "link"}
    only = {fibre for name in links for fibre in plan.line.links[name].fibres}
    by_kind: dict[str, list[str]] = {}
    for failure in failures:
        if failure.kind != "fibre" or failure.name not in only:
            by_kind.setdefault(failure.kind, []).append(failure.name)
    return "; ".join(f"{kind}s {', '.join(names)}" for kind, names in by_kind.items())


def _failure_rows(plan: LinePlan) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for failure in plan.failures:
        what = f"{failure.kind} {failure.name}"
        for number, grant in failure.effects.items():
            rows.append((what, _name(plan.demands[number].demand), _rate(grant), _by(grant)))
            what = ""
    return rows


def _repeaters(found: RepeaterPlan | None) -> str:
    if found is None:
        return "no repeaters would help"
    span = f"{found.span_db:.1f} dB and {in_bps(found.secret_bps)}"
    if not found.positions_km:
        return f"{found.units} units need no repeater: one span of {span}"
    places = ", ".join(f"{place:.1f}" for place in found.positions_km)
    number = _several(len(found.positions_km), "repeater")
    return f"{found.units} units need {number}, at km {places}: spans of {span} each"


def _name(demand: Demand) -> str:
    return f"{' to '.join(demand.ends)}{', two routes' if demand.routes == 2 else ''}"


def _by(grant: Grant) -> str:
    return " and ".join(" > ".join(route) for route in grant.routes) or grant.why


def _rate(grant: Grant) -> str:
    return short(grant.rate) if grant.rate > 0 else "none"


def _several(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
