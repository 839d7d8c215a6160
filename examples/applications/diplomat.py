"""Send one message under a one-time pad with a one-time tag.

At the master's: python diplomat.py send ministry --kme https://127.0.0.1:18443 --as embassy < cable > line
At the slave's:  python diplomat.py receive embassy --kme https://127.0.0.1:18444 --as ministry < line
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import struct
import sys
import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.poly1305 import Poly1305

from drawing import RefusedError, commands, exactly, key_manager, patiently, run
from tokaido.node.client import ClientKey, KeyClient, KeyManagerStatus

HEADER: Final = struct.Struct(">4sHI")
"""Magic, how many keys, length of the message. The ids of the keys, the message and the tag follow."""
MAGIC: Final = b"TKD1"
TAG_KEY: Final = 32
"""Bytes of pad that go into the tag: r and s of Poly1305 (RFC 8439, 2.5)."""


def plan(size: int, status: KeyManagerStatus) -> list[tuple[int, int]]:
    """Return the requests, as number and size in bits, whose keys together have `size` bytes: the largest keys first.

    Raises:
        RefusedError: The key manager has not so much key.
    """
    most = status.max_key_size // 8
    full, rest = divmod(size, most)
    asks = [(min(status.max_key_per_request, full - n), 8 * most) for n in range(0, full, status.max_key_per_request)]
    if rest:
        asks.append((1, 8 * max(rest, (status.min_key_size + 7) // 8)))
    bits, there = sum(number * size for number, size in asks), status.stored_key_count * status.key_size
    if bits > there:
        raise RefusedError(f"the message takes {bits} bits of key, and {there} are in stock. Nothing was drawn")
    if sum(number for number, _ in asks) > 0xFFFF:
        raise RefusedError("the message takes more keys than one message can name. Send it in parts")
    return asks


@contextlib.contextmanager
def joined(keys: Sequence[ClientKey]) -> Iterator[bytearray]:
    """Give the keys as one pad, in their order; it and they are overwritten in the end."""
    pad = bytearray(sum(len(key.key) for key in keys))
    try:
        at = 0
        for key in keys:
            with key as material:
                pad[at : at + len(material)] = material.reveal()
                at += len(material)
        yield pad
    finally:
        for key in keys:
            key.key.wipe()
        pad[:] = bytes(len(pad))


def spend(marks: Path, key_ids: Sequence[uuid.UUID]) -> None:
    """Write down, durably and before they are used, that these keys are used now.

    Raises:
        RefusedError: One of them was used before, as after a key manager that came back from an old copy of its store.
    """
    with os.fdopen(os.open(marks, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        used, now = set(file.read().split()), [str(key_id) for key_id in key_ids]
        if again := used.intersection(now):
            raise RefusedError(f"key {min(again)} was used before, and no pad is used twice. Tell who runs the nodes")
        file.write("".join(f"{key_id}\n" for key_id in now))
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(marks.resolve().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def add(text: bytearray, pad: bytearray) -> None:
    """Add the pad to the text, modulo 2, in place."""
    view = np.frombuffer(text, np.uint8)
    np.bitwise_xor(view, np.frombuffer(pad, np.uint8, len(text), TAG_KEY), out=view)


def send(client: KeyClient, options: argparse.Namespace) -> None:
    """Send what comes in. Nothing goes out before all of the key is there and marked as used."""
    text = bytearray(sys.stdin.buffer.read())
    status = patiently(lambda: client.status(options.other), options.patience)
    keys: list[ClientKey] = []
    try:
        for number, size in plan(TAG_KEY + len(text), status):
            ask = partial(client.enc_keys, options.other, number=number, size=size)
            keys += patiently(ask, options.patience)
        with joined(keys) as pad:
            spend(options.used, [key.key_id for key in keys])
            add(text, pad)
            body = HEADER.pack(MAGIC, len(keys), len(text)) + b"".join(key.key_id.bytes for key in keys) + text
            sys.stdout.buffer.write(body + Poly1305.generate_tag(pad[:TAG_KEY], body))
            told = f"{8 * len(text)} bits of pad, {8 * TAG_KEY} of tag; keys: {len(keys)}, {8 * len(pad)} bits"
    finally:
        for key in keys:
            key.key.wipe()
    print(f"{len(text)} bytes: {told}", file=sys.stderr)


def receive(client: KeyClient, options: argparse.Namespace) -> None:
    """Print the message that comes in, if it is genuine."""
    header = exactly(sys.stdin.buffer, HEADER.size)
    if len(header) < HEADER.size or not header.startswith(MAGIC):
        raise RefusedError("this is not a message of the diplomat")
    _, count, length = HEADER.unpack(header)
    named = 16 * count
    rest = exactly(sys.stdin.buffer, named + length + 17)
    if len(rest) != named + length + 16:
        raise RefusedError("the message is not whole, or more came than the message")
    key_ids = [uuid.UUID(bytes=rest[at : at + 16]) for at in range(0, named, 16)]
    keys = patiently(lambda: client.dec_keys(options.other, key_ids), options.patience)
    with joined(keys) as pad:
        spend(options.used, key_ids)
        if len(pad) < TAG_KEY + length:
            raise RefusedError("the keys are shorter than the message")
        try:
            Poly1305.verify_tag(pad[:TAG_KEY], header + rest[:-16], rest[-16:])
        except InvalidSignature:
            raise RefusedError("the message is not genuine. Its keys are gone: have it sent again") from None
        text = bytearray(rest[named:-16])
        add(text, pad)
    sys.stdout.buffer.write(text)


def main() -> None:
    """Run `send` or `receive`."""
    parser, *both = commands(__doc__)
    for one in both:
        one.add_argument("--used", type=Path, default=Path("used-keys"), metavar="FILE", help="ids of used keys")
    options = parser.parse_args()
    with key_manager(options) as client:
        (send if options.command == "send" else receive)(client, options)


if __name__ == "__main__":
    run(main)
