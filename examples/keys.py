"""Draw key blocks at both ends of a link, count them, and show no byte: python examples/keys.py [STATION.toml]."""

import secrets
import sys
from pathlib import Path

import tokaido.hal as hal
from tokaido.emulators import EmulatedStation

LAB, NONCE = Path(__file__).with_name("lab.toml"), secrets.token_bytes(16)

with hal.Station.from_file(sys.argv[1]) if sys.argv[1:] else EmulatedStation.from_file(LAB) as station:
    link, digests = station.link("field"), []
    if link.receiver.state() not in hal.RUNNING:
        link.move(link.path() or "A", start=True)
    for unit in (link.transmitter, link.receiver):
        for block in unit.key_blocks(timeout=120, limit=2):
            with block:  # store it here: a clean exit commits it, an exception leaves it in the unit
                print(f"{unit.name}: block {block.info.number}, {block.key.bits} bits: {block.key}")
                digests.append((block.info.session, block.info.number, block.key.digest(NONCE)))
                block.key.wipe()
print("the same keys" if digests[:2] == digests[2:] else "THE KEYS DIFFER")
