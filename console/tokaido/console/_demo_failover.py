"""What the scenario `switch` prints: a link on two fibres, and each step of its way from one to the other."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import tokaido.hal as hal
from tokaido.console._demo import expect, record, seed_line
from tokaido.console._demo_switch import BLOCK_BITS, SLOW, SPEED, SwitchRun
from tokaido.console._demo_view import open_view, rate
from tokaido.console._output import print_facts, print_json, print_paragraph, print_table
from tokaido.console._signals import terminated_as_interrupt

if TYPE_CHECKING:
    from tokaido.console._demo import Expected
    from tokaido.console._demo_link import View
    from tokaido.console._demo_switch import PathOutcome, SwitchOutcome
    from tokaido.emulators.demonstrations import Demonstration

MEANING: Final = {
    "detect": "from the cut until the receiver's alarm was read",
    "check": "keys, states, ports, lease; nothing touched yet",
    "prepare": "both units drained, dark and shuttered",
    "fence": "both units refuse older coordinators",
    "switch": "both switches moved, each map read back",
    "verify": "maps, selections and fencing token read again",
    "light": "clock light arrives over the new fibre",
    "align": "both units aligned",
    "start": "both units exchange keys",
    "block": "until both ends have drawn the first key",
}


def run_switch_demo(vendor: str, *, as_json: bool, seed: int, seconds: float) -> int:
    """Run the scenario and return 0 if both ends hold the same keys over either fibre, else raise.

    Raises:
        ConfigurationError: There is no such family to demonstrate.
    """
    from tokaido.emulators.demonstrations import demonstration  # noqa: PLC0415

    shown = demonstration(vendor)
    deadline = hal.Deadline(hal.SYSTEM_CLOCK, seconds)
    with terminated_as_interrupt(), open_view(silent=as_json) as view:
        _introduce(view, shown)
        view.say(seed_line(seed))
        outcome = SwitchRun(vendor, shown, deadline, view, secrets.token_bytes(16)).run(seed)
    wall_s = deadline.elapsed_s
    if as_json:
        print_json(_record(vendor, shown, outcome, seed=seed, wall_s=wall_s))
    else:
        _conclude(shown, outcome, wall_s)
    if not outcome.agree:
        raise hal.TokaidoError("the two ends do not hold the same key")
    return 0


def _introduce(view: View, shown: Demonstration) -> None:
    first, second = shown.fibres
    view.say(
        f"Tokaido: one QKD link between two sites, {shown.style} units, a Polatis switch at either end, and two "
        f"fibres of diverse ducts: A, {first.length_km:g} km, {first.total_loss_db:g} dB, and B, "
        f"{second.length_km:g} km, {second.total_loss_db:g} dB. All devices are emulated and driven by their drivers, "
        f"{SPEED:g} emulated seconds a second, and {SLOW:g} while switches move. {shown.protocols}"
    )


def _expected(shown: Demonstration, path: PathOutcome) -> Expected:
    """Return what theory says of one path; sub-channels distil together and add up."""
    found = expect(path.loss_db, BLOCK_BITS, shown.parameters(path.loss_db), shown.published)
    count = shown.sub_channels
    return replace(found, asymptotic_bps=count * found.asymptotic_bps, block_s=found.block_s / count)


def _record(vendor: str, shown: Demonstration, outcome: SwitchOutcome, *, seed: int, wall_s: float) -> dict[str, Any]:
    links = [
        record(
            f"west-east/{path.path}",
            path.outcome,
            _expected(shown, path),
            length_km=path.length_km,
            loss_db=round(path.loss_db, 3),
        )
        for path in outcome.paths
    ]
    steps = [
        {"step": step.step, "emulated_s": round(step.emulated_s, 4), "wall_s": round(step.wall_s, 4)}
        for step in outcome.failover
    ]
    return {
        "scenario": "switch",
        "vendor": vendor,
        "seed": seed,
        "links": links,
        "failover": steps,
        "speed": round(outcome.speed, 2),
        "agree": outcome.agree,
        "wall_s": round(wall_s, 3),
    }


def _conclude(shown: Demonstration, outcome: SwitchOutcome, wall_s: float) -> None:
    print()
    for path in outcome.paths:
        progress, info = path.outcome.progress, path.outcome.infos[0]
        qber = "-" if progress.qber is None else f"{100 * progress.qber:.2f} %"
        verdict = "they agree" if path.outcome.agree else "THEY DIFFER"
        print(
            f"fibre {path.path}: {path.length_km:g} km, {path.loss_db:.1f} dB with switches and connectors, QBER {qber}"
        )
        secret = (
            f"{rate(progress.secret_bps)} ({info.method}, {info.bound} bound, "
            f"n = {progress.block_bits}, eps {info.eps:g})"
        )
        print_facts(
            [
                ("secret", secret),
                ("asymptotic", f"{rate(_expected(shown, path).asymptotic_bps)} at these settings"),
                (progress.transmitter, path.outcome.digest_transmitter),
                (progress.receiver, path.outcome.digest_receiver),
                ("digests", f"HMAC-SHA-256 over {len(path.outcome.infos)} blocks under one nonce: {verdict}"),
            ]
        )
    emulated_s = sum(step.emulated_s for step in outcome.failover)
    failover_s = sum(step.wall_s for step in outcome.failover)
    rows = [
        (step.step, f"{step.emulated_s:.3f}", f"{step.wall_s:.3f}", MEANING.get(step.step, ""))
        for step in outcome.failover
    ]
    rows.append(("in all", f"{emulated_s:.3f}", f"{failover_s:.3f}", f"{outcome.speed:.1f} emulated s a second"))
    print_table(("step", "emulated s", "wall s", "what"), rows, title="Fail-over from fibre A to fibre B")
    print_paragraph(
        "Alignment times are estimates, and no vendor's figures. The link stays on B until somebody orders it "
        "back. The keys come from emulated light and are not secret in the QKD sense; they were overwritten and are "
        "discarded."
    )
    if outcome.agree:
        bits = sum(path.outcome.bits for path in outcome.paths)
        print(f"Both ends hold the same keys over A and over B: {bits} bits in {wall_s:.1f} s.", flush=True)
