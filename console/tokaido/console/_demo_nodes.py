"""The scenarios `pair` and `chain`: nodes as processes, emulated links, and applications that share keys."""

from __future__ import annotations

import os
import secrets
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import tokaido.hal as hal
from tokaido.console._demo_deliveries import Application, deliver, show_deliveries
from tokaido.console._demo_nodes_plant import Plant, build
from tokaido.console._demo_processes import Started
from tokaido.console._demo_view import open_view
from tokaido.console._output import print_facts, print_json, print_paragraph
from tokaido.console._signals import stand_by, terminated_as_interrupt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokaido.console._demo_deliveries import Delivery
    from tokaido.console._demo_link import View

WANTED: Final = ((1, 256), (2, 256), (1, 1024))
"""Keys that the applications fetch: how many, and of how many bits."""
POLL_S: Final = 0.2


def run_nodes_demo(
    scenario: str, vendors: Sequence[str], *, as_json: bool, seed: int, seconds: float, hold: bool
) -> int:
    """Run a scenario and return 0 if the applications hold the same keys, else raise.

    Args:
        scenario: `pair` or `chain`.
        vendors: Families of the units, which the spans take in turn.
        as_json: Whether one JSON object is printed, and nothing else.
        seed: Of light and noise.
        seconds: How long it may take.
        hold: Whether the nodes run on until Ctrl-C.

    Raises:
        ConfigurationError: A family has no demonstration, or the extra `node` is missing.
    """
    deadline = hal.Deadline(hal.SYSTEM_CLOCK, seconds)
    nonce = secrets.token_bytes(16)
    with terminated_as_interrupt(), ExitStack() as stack:
        view = stack.enter_context(open_view(silent=as_json))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix=f"tokaido-{scenario}-")))
        plant = build(scenario, folder, vendors, seed)
        _introduce(view, plant)
        emulator = stack.enter_context(
            Started("the emulator", "emulate", *(str(site.station) for site in plant.sites), "--json")
        )
        emulator.wait_for("emulated", deadline)
        view.say(f"{_spans(plant)} emulated: all {2 * len(plant.spans)} units answer at their own ports.")
        nodes = [
            stack.enter_context(Started(f"node {site.name}", "node", "run", str(site.node), "--json"))
            for site in plant.sites
        ]
        for node in nodes:
            node.wait_for("ready", deadline)
        view.say(f"All {len(nodes)} nodes run, and bring their units up. Keys come as soon as the units have aligned.")
        first, second = plant.ends
        bank, hospital = (
            Application(site.sae, site.name, site.control, stack.enter_context(plant.client(site)))
            for site in (first, second)
        )
        wait_for_keys(view, plant, (bank, hospital), deadline, [emulator, *nodes])
        deliveries = [
            delivery
            for wanted, (master, slave) in zip(
                WANTED, ((bank, hospital), (hospital, bank), (bank, hospital)), strict=True
            )
            for delivery in deliver(master, slave, wanted, nonce)
        ]
        wall_s = deadline.elapsed_s
        integrity = str(bank.client.status(second.sae).status_extension.get("tokaido_integrity"))
        agree = all(delivery.agree for delivery in deliveries)
        if as_json:
            print_json(_record(plant, deliveries, integrity, seed=seed, nonce=nonce, wall_s=wall_s))
        else:
            _conclude(deliveries, integrity, nonce, wall_s)
        if hold:
            _hold(plant)
        for process in (*reversed(nodes), emulator):
            process.end(deadline)
    if not agree:
        raise hal.TokaidoError("the two applications do not hold the same key")
    return 0


def _introduce(view: View, plant: Plant) -> None:
    first, second = plant.ends
    places = f"two nodes, {first.name} and {second.name}"
    if len(plant.sites) > 2:
        places = f"{len(plant.sites)} nodes, {' - '.join(site.name for site in plant.sites)}"
    spans = ", ".join(f"{span.length_km:g} km ({span.style})" for span in plant.spans)
    relayed = (
        "" if len(plant.sites) == 2 else " Keys for both are relayed hop by hop; the nodes in the middle store none."
    )
    view.say(
        f"Tokaido: {places}, and an emulated link on each span: {spans}. Each node is a process with a store and a "
        f"certificate of its own; they keep what their units distil, and serve it by ETSI GS QKD 014 to {first.sae} at "
        f"{first.name} and {second.sae} at {second.name}.{relayed} {plant.protocols}"
    )


def _spans(plant: Plant) -> str:
    return "The span is" if len(plant.spans) == 1 else f"All {len(plant.spans)} spans are"


def wait_for_keys(
    view: View, plant: Plant, ends: Sequence[Application], deadline: hal.Deadline, processes: Sequence[Started]
) -> None:
    """Wait until each end has keys in stock that it may give: they are not the same, since each end owns its own."""
    told = -1
    first, second = plant.ends
    while True:
        for process in processes:
            process.check()
        counts = [
            one.client.status(other.sae).stored_key_count for one, other in zip(ends, reversed(ends), strict=True)
        ]
        if counts[0] != told and counts[0]:
            view.say(f"{counts[0]} keys of 256 bit are in stock at {first.name} for {second.name}.")
            told = counts[0]
        if min(counts) >= plant.wanted_stock:
            return
        if deadline.passed:
            raise hal.DeviceTimeoutError(
                "waited for keys between the nodes",
                elapsed_s=deadline.elapsed_s,
                remedy="Give it more time with --seconds",
            )
        hal.SYSTEM_CLOCK.wait(POLL_S)


def _record(
    plant: Plant, deliveries: Sequence[Delivery], integrity: str, *, seed: int, nonce: bytes, wall_s: float
) -> dict[str, Any]:
    return {
        "scenario": plant.scenario,
        "seed": seed,
        "nodes": [
            {"name": site.name, "sae": site.sae or None, "neighbours": site.neighbours_url, "applications": site.url}
            for site in plant.sites
        ],
        "links": [
            {
                "name": span.name,
                "nodes": list(span.ends),
                "style": span.style,
                "transmitter": span.serial_numbers[0],
                "receiver": span.serial_numbers[1],
                "length_km": span.length_km,
                "loss_db": span.loss_db,
            }
            for span in plant.spans
        ],
        "integrity": integrity,
        "nonce": nonce.hex(),
        "deliveries": [delivery.record for delivery in deliveries],
        "wall_s": round(wall_s, 3),
    }


def _conclude(deliveries: Sequence[Delivery], integrity: str, nonce: bytes, wall_s: float) -> None:
    print()
    show_deliveries(deliveries)
    print_facts(
        [
            *dict.fromkeys(("route", " - ".join(delivery.route)) for delivery in deliveries),
            ("integrity", integrity),
            ("nonce", nonce.hex()),
            ("digests", "HMAC-SHA-256 under the nonce, the first 16 digits"),
            ("time", f"{wall_s:.1f} s in all"),
        ]
    )
    print_paragraph(
        "These keys come from a real agreement between units that exchanged nothing but messages, but from "
        "emulated light: they are not secret in the QKD sense. They were overwritten and are discarded."
    )
    if all(delivery.agree for delivery in deliveries):
        print(f"Both applications hold the same {len(deliveries)} keys.", flush=True)


def _hold(plant: Plant) -> None:
    first, second = plant.ends
    print("\nThe nodes run on until Ctrl-C. To fetch a key yourself:\n", flush=True)
    for site, other, method in ((first, second, "enc_keys?size=256"), (second, first, "dec_keys?key_ID=KEY_ID")):
        files = plant.files(site)
        print(
            f"  curl --cacert {files.authority} --cert {files.certificate} --key {files.key} \\\n"
            f"    '{site.url}/api/v1/keys/{other.sae}/{method}'\n",
            flush=True,
        )
    print(f"The node files are in {os.fspath(plant.folder)}; they go when this ends.", flush=True)
    try:
        stand_by(None)
    except KeyboardInterrupt:
        print("ended", flush=True)
