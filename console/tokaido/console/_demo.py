"""The scenario `link`: one emulated QKD link, from two units without a key to the same key at both ends."""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import tokaido.hal as hal
from tokaido.console._demo_link import LinkRun
from tokaido.console._demo_view import open_view, rate
from tokaido.console._output import print_facts, print_json, print_paragraph
from tokaido.console._signals import terminated_as_interrupt

if TYPE_CHECKING:
    from tokaido.console._demo_link import Outcome, View
    from tokaido.emulators.optics import LinkParameters

LINK: Final = "tokyo-field"
WANTED_BLOCKS: Final = 2
BLOCK_BITS: Final = 10_000_000
SPEED: Final = 100.0
"""As fast as the machine can: what it cannot keep up with makes emulated time slower, not coarser."""
T12_CLOCK_HZ: Final = 1e9
MEASURED_BPS: Final = 304_000
"""Mean secret rate of the Toshiba link in the Tokyo QKD network: Sasaki et al., Opt. Express 19, 10387 (2011)."""


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


def expect(loss_db: float, block_bits: int, parameters: LinkParameters | None = None) -> Expected:
    """Return what to expect of the T12 system over `loss_db` dB, or of a system of these parameters."""
    from tokaido.emulators import optics  # noqa: PLC0415 - numpy, when first needed

    short = parameters or optics.preset("t12", settings="short-block", channel_loss_db=loss_db)
    asymptotic = first_key = None
    if short.clock_rate_hz == T12_CLOCK_HZ:
        published = optics.preset("t12", settings="published", channel_loss_db=loss_db)
        asymptotic = optics.asymptotic_rate(published, keyed_bases="both")
        first_key = optics.first_key_time(published)
    return Expected(
        asymptotic_bps=optics.asymptotic_rate(short),
        published_asymptotic_bps=asymptotic,
        published_first_key_s=first_key,
        block_s=optics.block_duration(short, block_bits),
        eps=short.eps_sec,
    )


def run_link_demo(*, as_json: bool, seed: int, seconds: float) -> int:
    """Run the field link and return 0 if both ends hold the same key, else raise."""
    deadline = hal.Deadline(hal.SYSTEM_CLOCK, seconds)
    nonce = secrets.token_bytes(16)
    with terminated_as_interrupt():
        outcome, expected, fibre = _run_link(deadline, nonce, seed=seed, silent=as_json)
    wall_s = deadline.elapsed_s
    length_km, loss_db = fibre
    if as_json:
        link = record(LINK, outcome, expected, length_km=length_km, loss_db=loss_db)
        print_json({"scenario": "link", "seed": seed, "links": [link], "wall_s": round(wall_s, 3)})
    else:
        conclude(outcome, expected, wall_s)
    if not outcome.agree:
        raise hal.TokaidoError("the two ends do not hold the same key")
    return 0


def _run_link(
    deadline: hal.Deadline, nonce: bytes, *, seed: int, silent: bool
) -> tuple[Outcome, Expected, tuple[float, float]]:
    from tokaido.emulators import QkdLink  # noqa: PLC0415 - numpy and ZeroMQ, when first needed
    from tokaido.emulators.optics import FIELD_FIBRE  # noqa: PLC0415

    length_km, loss_db = FIELD_FIBRE.length_km, FIELD_FIBRE.total_loss_db
    expected = expect(loss_db, BLOCK_BITS)
    with ExitStack() as stack:
        view = stack.enter_context(open_view(silent=silent))
        _introduce(view, expected, length_km, loss_db)
        link = stack.enter_context(
            QkdLink.launch(
                fibre=FIELD_FIBRE, settings="short-block", block_bits=BLOCK_BITS, seed=seed, speed=SPEED, warm=True
            )
        )
        run = LinkRun(link, WANTED_BLOCKS, expected.block_s, deadline, view)
        return run.run(nonce), expected, (length_km, loss_db)


def _introduce(view: View, expected: Expected, length_km: float, loss_db: float) -> None:
    first = expected.published_first_key_s
    never = "give no key at all" if first is None else f"give no key before {first:.0f} s"
    view.say(
        f"Tokaido: one QKD link, the Tokyo field link: {length_km:g} km, {loss_db:g} dB, 1 GHz. Two emulated "
        "Toshiba-style units, each on a serial port and a ZeroMQ socket under CURVE, are driven by Tokaido's own "
        "drivers. Their two protocols are Tokaido's own inventions: no vendor's is public, and none was used."
    )
    view.say(
        "Settings: short-block. The published T12 probabilities are made for 20-minute blocks and would "
        f"{never} here (Lim 2014, Chernoff bound, eps {expected.eps:g})."
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


def conclude(outcome: Outcome, expected: Expected, wall_s: float) -> None:
    """Print what came out; the last line says whether both ends agree."""
    progress, info = outcome.progress, outcome.infos[0]
    speed = progress.emulated_s / progress.exchange_wall_s if progress.exchange_wall_s else 0.0
    first = expected.published_first_key_s
    qber = "-" if progress.qber is None else f"{100 * progress.qber:.2f} %"
    loss = "-" if progress.loss_db is None else f"{progress.loss_db:.1f} dB"
    secret = (
        f"{rate(progress.secret_bps)} lately ({info.method}, {info.bound} bound, "
        f"n = {progress.block_bits}, eps {info.eps:g})"
    )
    published = (
        f"{rate(expected.published_asymptotic_bps)} asymptotic (GLLP) at the published settings, no key "
        + ("in finite time; " if first is None else f"before {first:.0f} s; ")
        + f"{MEASURED_BPS / 1000:g} kb/s were measured in the field"
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
        ("published", published),
        ("time", time),
        ("nonce", outcome.nonce),
        (progress.transmitter, outcome.digest_transmitter),
        (progress.receiver, outcome.digest_receiver),
        ("digests", digests),
    ]
    print(f"\nlink {LINK}: {progress.transmitter} to {progress.receiver}, {loss} measured, QBER {qber}")
    print_facts(facts)
    print_paragraph(
        "These keys come from a real agreement between two ends that exchanged nothing but messages, but from emulated "
        "light: they are not secret in the QKD sense. They were overwritten and are discarded."
    )
    if outcome.agree:
        print(f"Both ends hold the same key: {len(outcome.infos)} blocks, {outcome.bits} bits.", flush=True)
