"""Seal payment messages, one a line, with a fresh key every so many.

At the master's: python bank.py send hospital --kme https://127.0.0.1:18443 --as bank < payments > line
At the slave's:  python bank.py receive bank --kme https://127.0.0.1:18444 --as hospital < line
"""

from __future__ import annotations

import struct
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from drawing import RefusedError, commands, exactly, key_manager, patiently, run
from tokaido.node.client import ClientKey

HEADER: Final = struct.Struct(">4sB16sQI")
"""Magic, kind, key id, number of the message, length of what follows. All of it is authenticated."""
MAGIC: Final = b"TKB1"
MESSAGE, END = 0, 1
LONGEST: Final = 1 << 20
EVERY: Final = 1000
"""Messages under one key."""


def nonce(number: int) -> bytes:
    """Return the 96-bit nonce: the number of the message, which no key sees twice (NIST SP 800-38D, 8.2.1)."""
    return number.to_bytes(12, "big")


def sealed(messages: Iterable[bytes], draw: Callable[[], ClientKey], every: int) -> Iterator[bytes]:
    """Yield a frame for each message, and one that says that no more come."""
    key: ClientKey | None = None

    def frame(kind: int, number: int, text: bytes, key: ClientKey) -> bytes:
        header = HEADER.pack(MAGIC, kind, key.key_id.bytes, number, len(text) + 16)
        return header + AESGCM(key.key.reveal()).encrypt(nonce(number), text, header)

    number = 0
    try:
        for number, text in enumerate(messages, start=1):
            if len(text) > LONGEST:
                raise RefusedError(f"message {number} has {len(text)} bytes, and {LONGEST} is the most")
            if key is None or (number - 1) % every == 0:
                if key is not None:
                    key.key.wipe()
                key = draw()
            yield frame(MESSAGE, number, text, key)
        if key is not None:
            yield frame(END, number + 1, b"", key)
    finally:
        if key is not None:
            key.key.wipe()


def opened(stream: BinaryIO, fetch: Callable[[uuid.UUID], ClientKey]) -> Iterator[bytes]:
    """Yield the messages of a stream, in their order, each as soon as it is known to be genuine.

    Raises:
        RefusedError: One was altered, left out, repeated or put in another place, or the last ones are missing.
    """
    key: ClientKey | None = None
    number = 1
    try:
        while True:
            header = exactly(stream, HEADER.size)
            if len(header) < HEADER.size:
                raise RefusedError(f"the line ended before message {number}, and was not said to end there")
            magic, kind, key_id, told, length = HEADER.unpack(header)
            if magic != MAGIC or length > LONGEST + 16:
                raise RefusedError(f"what came as message {number} is none")
            if told != number:
                raise RefusedError(f"message {told} came where {number} was to come")
            data = exactly(stream, length)
            if key is None or key.key_id.bytes != key_id:
                if key is not None:
                    key.key.wipe()
                key = fetch(uuid.UUID(bytes=key_id))
            try:
                text = AESGCM(key.key.reveal()).decrypt(nonce(number), data, header)
            except (InvalidTag, ValueError):
                raise RefusedError(f"message {number} is not genuine") from None
            if kind == END:
                return
            yield text
            number += 1
    finally:
        if key is not None:
            key.key.wipe()


def main() -> None:
    """Run `send` or `receive`."""
    parser, send, _ = commands(__doc__)
    send.add_argument("--every", type=int, default=EVERY, metavar="N", help="messages under one key")
    options = parser.parse_args()
    keys = count = 0
    with key_manager(options) as client:

        def draw() -> ClientKey:
            nonlocal keys
            keys += 1
            return patiently(lambda: client.enc_keys(options.other, size=256), options.patience)[0]

        def fetch(key_id: uuid.UUID) -> ClientKey:
            return patiently(lambda: client.dec_keys(options.other, [key_id]), options.patience)[0]

        if options.command == "receive":
            for text in opened(sys.stdin.buffer, fetch):
                sys.stdout.buffer.write(text + b"\n")
                sys.stdout.buffer.flush()
            return
        lines = (line.rstrip(b"\n") for line in sys.stdin.buffer)
        for count, frame in enumerate(sealed(lines, draw, max(1, options.every))):  # noqa: B007 - the end is a frame
            sys.stdout.buffer.write(frame)
            sys.stdout.buffer.flush()
    bits = 256 * keys
    print(f"{count} messages; keys: {keys}, {bits} bits, {bits / max(1, count):.4g} bits a message", file=sys.stderr)


if __name__ == "__main__":
    run(main)
