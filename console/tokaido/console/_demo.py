"""The scenario `link`: one emulated QKD link, from two units without a key to the same key at both ends."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import tokaido.hal as hal
from tokaido.console._demo_link import LinkRun, LinkTask
from tokaido.console._demo_view import open_view, rate
from tokaido.console._output import print_facts, print_json, print_paragraph
from tokaido.console._signals import terminated_as_interrupt

if TYPE_CHECKING:
    from tokaido.console._demo_link import Outcome, View
    from tokaido.emulators.demonstrations import Demonstration, FieldLink, Published
    from tokaido.emulators.optics import LinkParameters

WANTED_BLOCKS: Final = 2
SPEED: Final = 100.0
"""As fast as the machine can: what it cannot keep up with makes emulated time slower, not coarser."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What theory says about the link, to be shown beside what it gave."""

    asymptotic_bps: float
    """At the settings that run, key basis alone."""
    published_asymptotic_bps: float | None
    """At the published settings, with both bases keyed as published; None where none are published."""
    published_first_key_s: float | None
    """No block shorter than this gives key at the published settings; None if none does."""
    block_s: float
    """Emulated time that one block takes."""
    eps: float


def expect(loss_db: float, block_bits: int, parameters: LinkParameters, published: Published | None) -> Expected:
    """Return what to expect of a system of these parameters over `loss_db` dB, and of the published one it is after."""
    from tokaido.emulators import optics, units  # noqa: PLC0415 - numpy, when first needed

    asymptotic = first_key = None
    if published is not None:
        system = published.parameters(loss_db)
        asymptotic = optics.asymptotic_rate(system, keyed_bases="both")
        first_key = optics.first_key_time(system)
    return Expected(
        asymptotic_bps=optics.asymptotic_rate(replace(parameters, detector_ratio=units.DETECTOR_RATIO)),
        published_asymptotic_bps=asymptotic,
        published_first_key_s=first_key,
        block_s=optics.block_duration(parameters, block_bits),
        eps=parameters.eps_sec,
    )


def run_link_demo(vendor: str, *, as_json: bool, seed: int, seconds: float) -> int:
    """Run the field link of a family and return 0 if both ends hold the same key, else raise.

    Raises:
        ConfigurationError: The family is not there, or has no such link.
    """
    from tokaido.emulators.demonstrations import demonstration  # noqa: PLC0415

    shown = demonstration(vendor)
    field = shown.field_link
    if field is None:
        raise hal.ConfigurationError(
            f"{vendor} units are not demonstrated on a field link", remedy="Add --scenario switch"
        )
    loss_db = field.fibre.total_loss_db
    expected = expect(loss_db, field.block_bits, field.parameters(loss_db), shown.published)
    deadline = hal.Deadline(hal.SYSTEM_CLOCK, seconds)
    with terminated_as_interrupt(), open_view(silent=as_json) as view:
        _introduce(view, shown, field, expected)
        view.say(seed_line(seed))
        outcome = _run_link(vendor, field, LinkTask(WANTED_BLOCKS, expected.block_s, deadline, view), seed)
    wall_s = deadline.elapsed_s
    if as_json:
        link = record(field.name, outcome, expected, length_km=field.fibre.length_km, loss_db=loss_db)
        print_json({"scenario": "link", "seed": seed, "links": [link], "wall_s": round(wall_s, 3)})
    else:
        conclude(shown, field, outcome, expected, wall_s)
    if not outcome.agree:
        raise hal.TokaidoError("the two ends do not hold the same key")
    return 0


def seed_line(seed: int) -> str:
    """Return what a demonstration says of its seed."""
    return f"Seed {seed} decides light and noise, with bases and intensities, and no key bit; --seed {seed} repeats it."


def _run_link(vendor: str, field: FieldLink, task: LinkTask, seed: int) -> Outcome:
    from tokaido.emulators import QkdLink  # noqa: PLC0415 - numpy and ZeroMQ, when first needed

    with QkdLink.launch(
        vendor,
        fibre=field.fibre,
        parameters=field.parameters(field.fibre.total_loss_db),
        block_bits=field.block_bits,
        seed=seed,
        speed=SPEED,
        warm=True,
    ) as link:
        return LinkRun(vendor, link, task).run(secrets.token_bytes(16))


def _introduce(view: View, shown: Demonstration, field: FieldLink, expected: Expected) -> None:
    fibre = field.fibre
    clock_ghz = field.parameters(fibre.total_loss_db).clock_rate_hz / 1e9
    view.say(
        f"Tokaido: one QKD link, {field.title}: {fibre.length_km:g} km, {fibre.total_loss_db:g} dB, {clock_ghz:g} GHz. "
        f"Two emulated {shown.style} units, each on a control port and a ZeroMQ socket under CURVE, are driven by "
        f"their drivers. {shown.protocols}"
    )
    if shown.published is not None:
        first = expected.published_first_key_s
        never = "give no key at all" if first is None else f"give no key before {first:.0f} s"
        view.say(
            f"Settings: short-block. {shown.published.remark} and would {never} here "
            f"(Lim 2014, Chernoff bound, eps {expected.eps:g})."
        )


def record(name: str, outcome: Outcome, expected: Expected, *, length_km: float, loss_db: float) -> dict[str, Any]:
    """Return what a link gave, ready for JSON."""
    progress, info = outcome.progress, outcome.infos[0]
    published = expected.published_asymptotic_bps
    return {
        "name": name,
        "transmitter": progress.transmitter,
        "receiver": progress.receiver,
        "length_km": length_km,
        "loss_db": loss_db,
        "qber": progress.qber,
        "sifted_bps": progress.sifted_bps,
        "secret_bps": progress.secret_bps,
        "asymptotic_bps": round(expected.asymptotic_bps, 1),
        "published_asymptotic_bps": None if published is None else round(published, 1),
        "method": info.method,
        "bound": info.bound,
        "block_bits": progress.block_bits,
        "eps": float(f"{info.eps:.6g}"),
        "emulated_s": round(progress.emulated_s, 3),
        "key_blocks": len(outcome.infos),
        "digest_transmitter": outcome.digest_transmitter,
        "digest_receiver": outcome.digest_receiver,
        "agree": outcome.agree,
    }


def conclude(shown: Demonstration, field: FieldLink, outcome: Outcome, expected: Expected, wall_s: float) -> None:
    """Print what came out; the last line says whether both ends agree."""
    progress, info = outcome.progress, outcome.infos[0]
    speed = progress.emulated_s / progress.exchange_wall_s if progress.exchange_wall_s else 0.0
    qber = "-" if progress.qber is None else f"{100 * progress.qber:.2f} %"
    loss = "-" if progress.loss_db is None else f"{progress.loss_db:.1f} dB"
    secret = (
        f"{rate(progress.secret_bps)} lately ({info.method}, {info.bound} bound, "
        f"n = {progress.block_bits}, eps {info.eps:g})"
    )
    time = (
        f"{progress.emulated_s:.1f} emulated s in {progress.exchange_wall_s:.1f} s of key exchange: "
        f"{speed:.1f} x real time; {wall_s:.1f} s in all"
    )
    verdict = "they agree" if outcome.agree else "THEY DIFFER"
    digests = f"HMAC-SHA-256 over all {len(outcome.infos)} blocks in order, under the nonce: {verdict}"
    facts = [
        ("sifted", rate(progress.sifted_bps)),
        ("secret", secret),
        ("asymptotic", f"{rate(expected.asymptotic_bps)} at these settings (GLLP, decoy bounds, n without end)"),
        *_published(shown.published, expected),
        ("time", time),
        ("nonce", outcome.nonce),
        (progress.transmitter, outcome.digest_transmitter),
        (progress.receiver, outcome.digest_receiver),
        ("digests", digests),
    ]
    print(f"\nlink {field.name}: {progress.transmitter} to {progress.receiver}, {loss} measured, QBER {qber}")
    print_facts(facts)
    print_paragraph(
        "These keys come from a real agreement between two ends that exchanged nothing but messages, but from emulated "
        "light: they are not secret in the QKD sense. They were overwritten and are discarded."
    )
    if outcome.agree:
        print(f"Both ends hold the same key: {len(outcome.infos)} blocks, {outcome.bits} bits.", flush=True)


def _published(published: Published | None, expected: Expected) -> list[tuple[str, str]]:
    if published is None:
        return []
    first = expected.published_first_key_s
    text = (
        f"{rate(expected.published_asymptotic_bps)} asymptotic (GLLP) at the published settings, no key "
        + ("in finite time; " if first is None else f"before {first:.0f} s; ")
        + f"{published.measured_bps / 1000:g} kb/s were measured in the field"
    )
    return [("published", text)]
