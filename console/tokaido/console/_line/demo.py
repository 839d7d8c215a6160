"""The scenarios of nodes: each a process on this machine, until the applications at both ends hold the same keys."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import tokaido.hal as hal
from tokaido.console._demo import seed_line
from tokaido.console._demo_deliveries import Application, show_deliveries
from tokaido.console._demo_processes import begin_to_import
from tokaido.console._line.drills import check_drills, run_drills, show_drills
from tokaido.console._line.plant import build
from tokaido.console._line.run import LineRun
from tokaido.console._line.shown import Shown
from tokaido.console._line.view import SpanRow, open_line_view
from tokaido.console._output import print_facts, print_json, print_paragraph, tell
from tokaido.console._signals import terminated_as_interrupt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokaido.console._line.described import Described
    from tokaido.console._line.view import LineView
    from tokaido.console._line.watch import Seen

FIRST: Final = ((1, 256), (2, 256), (1, 1024))
"""Keys that the applications fetch: how many, and of how many bits."""


def run_line_demo(
    described: Described,
    *,
    as_json: bool,
    seed: int,
    seconds: float,
    hold: bool,
    drills: Sequence[str] = (),
    broken: str = "",
) -> int:
    """Run a line and return 0 if the applications at both ends hold the same keys and all drills held, else 1 or raise.

    Args:
        described: What runs.
        as_json: Whether one JSON object is printed, and nothing else.
        seed: Of light and noise.
        seconds: How long it may take.
        hold: Whether it runs on until Ctrl-C.
        drills: Names of the drills that are carried out.
        broken: The drill that is carried out so that it cannot hold.

    Raises:
        ConfigurationError: A drill is not for this line, or the extra `node` is missing.
    """
    check_drills(drills, described)
    deadline = hal.Deadline(hal.SYSTEM_CLOCK, seconds)
    with terminated_as_interrupt(), line_that_runs(described, deadline, seed, silent=as_json) as shown:
        _first_keys(shown)
        wall_s = deadline.elapsed_s
        if not as_json:
            with shown.view.still():
                _conclude(shown, wall_s)
        done = run_drills(shown, drills, broken)
        agree = all(delivery.agree for delivery in shown.deliveries)
        if as_json:
            print_json({**_record(shown, seed=seed, wall_s=wall_s), "drills": [one.record for one in done]})
        elif done:
            with shown.view.still():
                show_drills(done)
        if hold:
            _hold(shown, as_json=as_json)
        shown.run.end(hal.Deadline(hal.SYSTEM_CLOCK, seconds))
    if not agree:
        raise hal.TokaidoError("the two applications do not hold the same key")
    return 0 if all(one.held for one in done) else 1


@contextmanager
def line_that_runs(described: Described, deadline: hal.Deadline, seed: int, *, silent: bool) -> Iterator[Shown]:
    """Start a line, wait until both ends of its first pair have keys, and end it on leaving."""
    with ExitStack() as stack:
        view = stack.enter_context(open_line_view(silent=silent))
        begin_to_import()
        _introduce(view, described)
        view.say(seed_line(seed))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix=f"tokaido-{described.scenario}-")))
        plant = build(folder, described.sites, described.spans, described.pairs, seed)
        run = stack.enter_context(LineRun(plant, described.sifted_bps, deadline, view.say))
        shown = Shown(described, run, view, deadline, secrets.token_bytes(16))
        run.watch.listen(lambda seen: view.show(span_rows(described, seen), _summary(described, seen)))
        for site in described.sites:
            if site.application:
                files = plant.nodes[site.name]
                client = stack.enter_context(run.client(site.name))
                shown.applications[site.name] = Application(site.application, site.name, files.control, client)
        shown.wait_for_keys(deadline)
        yield shown


def _introduce(view: LineView, described: Described) -> None:
    first, last = described.ends
    sites, spans = len(described.sites), len(described.spans)
    length = sum(span.fibres[0].length_km for span in described.spans)
    relayed = (
        f" Keys go from {first.title} to {last.title} hop by hop: every node on the way sees them." if sites > 2 else ""
    )
    view.say(
        f"Tokaido: {described.title}, {sites} sites and {spans} span{'s' if spans > 1 else ''}, {length:.0f} km of "
        "fibre. Each site is a node in a process of its own; the optics of each span are emulated; every device "
        "answers at its own port. Units begin warm, each span makes a block as fast as this machine can, and then "
        f"runs slowly.{relayed} {described.protocols}"
    )


def _first_keys(shown: Shown) -> None:
    first, last = shown.run_ends
    for (number, size), (master, slave) in zip(FIRST, ((first, last), (last, first), (first, last)), strict=True):
        shown.fetch(master, slave, number, size)
        shown.first_key_s = shown.first_key_s or shown.deadline.elapsed_s


def span_rows(described: Described, seen: Seen) -> list[SpanRow]:
    """Return what is shown of every span."""
    rows = []
    for span in described.spans:
        ends = [link for node in seen.nodes.values() if node for link in node.links if link.name == span.name]
        receiving = next((end for end in ends if end.qber is not None), None)
        runs = seen.runs(span.name)
        states = [end.state for end in ends if end.state]
        waits = [end.state for end in ends if not end.running and end.state]
        rows.append(
            SpanRow(
                name=span.name,
                length_km=span.fibres[0].length_km,
                loss_db=described.losses_db[span.name],
                style=described.styles[span.name],
                state=("makes key" if runs else ", ".join(dict.fromkeys(waits or states)) or "not heard of"),
                runs=runs,
                qber=None if receiving is None else receiving.qber,
                secret_bps=next((end.secret_key_rate for end in ends if end.secret_key_rate), None),
                stock_bits=seen.stock_bits(span.name),
                speed=seen.speeds.get(span.name),
            )
        )
    return rows


def _summary(described: Described, seen: Seen) -> str:
    first, last = described.ends
    making = sum(seen.runs(span.name) for span in described.spans)
    return (
        f"{making} of {len(described.spans)} spans make key; {seen.ready(first.name, last.name)} keys of 256 bit are "
        f"ready at {first.title} for {last.title}"
    )


def _record(shown: Shown, *, seed: int, wall_s: float) -> dict[str, Any]:
    plant, seen = shown.run.plant, shown.run.seen
    rows = {row.name: row for row in span_rows(shown.described, seen)}
    return {
        "scenario": shown.described.scenario,
        "seed": seed,
        "nodes": [
            {
                "name": name,
                "sae": files.site.application or None,
                "neighbours": files.neighbours,
                "applications": files.applications or None,
            }
            for name, files in plant.nodes.items()
        ],
        "links": [
            {
                "name": name,
                "nodes": list(files.span.ends),
                "style": rows[name].style,
                "transmitter": files.serial_numbers[0],
                "receiver": files.serial_numbers[1],
                "length_km": rows[name].length_km,
                "loss_db": rows[name].loss_db,
                "qber": rows[name].qber,
                "secret_bps": rows[name].secret_bps,
                "stock_bits": rows[name].stock_bits,
                "speed": rows[name].speed,
                "emulated_s": seen.emulated_s.get(name),
            }
            for name, files in plant.spans.items()
        ],
        "integrity": shown.integrity,
        "nonce": shown.nonce.hex(),
        "deliveries": [delivery.record for delivery in shown.deliveries],
        "first_key_s": round(shown.first_key_s, 3),
        "wall_s": round(wall_s, 3),
    }


def _conclude(shown: Shown, wall_s: float) -> None:
    print()
    show_deliveries(shown.deliveries)
    print_facts(
        [
            *dict.fromkeys(("route", " - ".join(delivery.route)) for delivery in shown.deliveries),
            ("integrity", shown.integrity),
            ("nonce", shown.nonce.hex()),
            ("digests", "HMAC-SHA-256 under the nonce, the first 16 digits"),
            ("first key", f"after {shown.first_key_s:.1f} s"),
            ("time", f"{wall_s:.1f} s in all"),
        ]
    )
    print_paragraph(
        "These keys come from a real agreement between units that exchanged nothing but messages, but from "
        "emulated light: they are not secret in the QKD sense. They were overwritten and are discarded."
    )
    if all(delivery.agree for delivery in shown.deliveries):
        print(f"Both applications hold the same {len(shown.deliveries)} keys.", flush=True)


def _hold(shown: Shown, *, as_json: bool) -> None:
    if not as_json:
        with shown.view.still():
            _say_how_to_fetch(shown)
    asyncio.run(_serve(shown, as_json=as_json))
    tell("ended", {"event": "ended"}, as_json=as_json)


def _say_how_to_fetch(shown: Shown) -> None:
    first, last = shown.described.ends
    print("\nThe line runs on until Ctrl-C. To fetch a key yourself:\n", flush=True)
    methods = ((first, last, "enc_keys?size=256"), (last, first, "dec_keys?key_ID=KEY_ID"))
    for site, other, method in methods:
        files = shown.run.plant.certificate(site.application)
        url = shown.run.plant.nodes[site.name].applications
        print(
            f"  curl --cacert {files.authority} --cert {files.certificate} --key {files.key} \\\n"
            f"    '{url}/api/v1/keys/{other.application}/{method}'\n",
            flush=True,
        )
    print(f"The files are in {os.fspath(shown.run.plant.folder)}; they go when this ends.\n", flush=True)


async def _serve(shown: Shown, *, as_json: bool) -> None:
    """Serve the page of the line until Ctrl-C, SIGTERM or SIGHUP."""
    from tokaido.console._line.page import page_of  # noqa: PLC0415 - aiohttp, when first needed

    ending = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    async with page_of(shown) as server:
        tell(
            f"The web page: {server.url}\nWho has this address sees and orders; it is for this machine.",
            {"event": "served", "url": server.url},
            as_json=as_json,
        )
        await ending.wait()
