"""One program, two vendors: the same functions bring up a Toshiba-style and a NEC-style QKD link and draw its keys.

    python examples/two_vendors.py

Everything below `the program` is written against the roles `hal.Transmitter` and `hal.Receiver` and names no vendor.
Where the units differ they say so themselves, by their capabilities and their parts. Here both links are emulated; with
real units put their own resources into `hal.Transmitter.open` and `hal.Receiver.open`.
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from pathlib import Path

import tokaido.hal as hal
from tokaido.emulators import QkdLink
from tokaido.emulators.optics import Fibre

FIBRE = Fibre(length_km=30, loss_db=9.0)
BLOCKS = 1


# --- the program ----------------------------------------------------------------------------------------------------


def describe(unit: hal.Unit) -> str:
    """Say who a unit is, what it can do, and of which parts it is made."""
    identity = unit.identity()
    parts = f"{len(unit.sub_channels)} sub-channels"
    if isinstance(unit, hal.Receiver):
        detector = type(unit.detectors[0])
        parts += f", {len(unit.detectors)} detectors biased in {detector.bias.unit}"
    abilities = ", ".join(sorted(str(capability.value) for capability in unit.capabilities))
    return f"{identity.vendor} {identity.model} {identity.serial_number}: {parts}; {abilities}"


def bring_up(tx: hal.Transmitter, rx: hal.Receiver, preshared_key: Path) -> None:
    """Load the pre-shared key at both ends, let the units align, and start to exchange keys."""
    for unit in (tx, rx):
        with hal.KeyMaterial(preshared_key.read_bytes()) as key:
            unit.load_preshared_key(key)
        if unit.state() is hal.UnitState.OFF:
            unit.power_on()
    for unit in (tx, rx):
        unit.wait_for(hal.UnitState.STANDBY, timeout=60)
    for unit in (tx, rx):
        unit.start()


def draw(unit: hal.Unit, count: int) -> list[hal.KeyBlock]:
    """Draw `count` key blocks; leaving the `with` commits each, and a node would store it before."""
    blocks = []
    for block in unit.key_blocks(timeout=60, limit=count):
        with block:
            blocks.append(block)
    return blocks


def watch(rx: hal.Receiver) -> str:
    """Say how the link does, in the words of the role."""
    readings = rx.telemetry()
    wanted = hal.Receiver.channel_loss, hal.Receiver.qber, hal.Receiver.secret_key_rate
    return ", ".join(f"{value.name} {readings[value].value:.6g} {value.unit}".rstrip() for value in wanted)


def run(tx: hal.Transmitter, rx: hal.Receiver, preshared_key: Path, blocks: int = BLOCKS) -> bool:
    """Run one link and return whether both ends drew the same keys."""
    print(describe(tx))
    print(describe(rx))
    bring_up(tx, rx, preshared_key)
    drawn = draw(tx, blocks), draw(rx, blocks)
    print(watch(rx))
    nonce = secrets.token_bytes(16)
    digests = [[(block.info.session, block.info.number, block.key.digest(nonce)) for block in end] for end in drawn]
    for block in (*drawn[0], *drawn[1]):
        block.key.wipe()
    agree = len(digests[0]) == blocks and digests[0] == digests[1]
    print(f"{len(digests[0])} of {blocks} blocks at each end: {'the same keys' if agree else 'THE KEYS DIFFER'}\n")
    return agree


# --- the bench: here the vendors are named --------------------------------------------------------------------------


def run_vendor(vendor: str, *, seed: int = 0) -> bool:
    """Run an emulated link of one vendor's units."""
    with ExitStack() as stack:
        link = stack.enter_context(QkdLink.launch(vendor, fibre=FIBRE, seed=seed))
        tx = stack.enter_context(
            hal.Transmitter.open(f"{vendor}.transmitter", timeout=15, **link.transmitter.resources)
        )
        rx = stack.enter_context(hal.Receiver.open(f"{vendor}.receiver", timeout=15, **link.receiver.resources))
        if link.preshared_key_file is None:
            raise SystemExit("the link was made without a pre-shared key")
        return run(tx, rx, link.preshared_key_file)


def main() -> int:
    """Run both links, one after the other."""
    results = [run_vendor(vendor) for vendor in ("toshiba", "nec")]
    return 0 if all(results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
