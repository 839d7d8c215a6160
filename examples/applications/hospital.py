"""Send a file of any size, with a fresh key before the old one has sealed too much.

At the master's: python hospital.py send clinic scan.dcm --kme https://127.0.0.1:18443 --as hospital > line
At the slave's:  python hospital.py receive hospital scan.dcm --kme https://127.0.0.1:18444 --as clinic < line
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from drawing import RefusedError, commands, exactly, key_manager, patiently, run
from tokaido.node.client import ClientKey

HEADER: Final = struct.Struct(">4sB16s16sQI")
"""Magic, kind, transfer, key id, number of the chunk, length of what follows. All of it is authenticated."""
MAGIC: Final = b"TKH1"
CHUNK_KIND, END_KIND = 0, 1
CHUNK: Final = 1 << 20
LIMIT: Final = 1 << 36
"""Bytes under one key: 2^32 blocks of AES. Of s blocks, AES-GCM is told from random with at most s^2 / 2^129."""


def nonce(number: int) -> bytes:
    """Return the 96-bit nonce: the number of the chunk, which no key sees twice (NIST SP 800-38D, 8.2.1)."""
    return number.to_bytes(12, "big")


def sealed(
    file: BinaryIO, transfer: bytes, first: int, draw: Callable[[], ClientKey], limit: int
) -> Iterator[tuple[bytes, int]]:
    """Yield the frames of a file from chunk `first` on, each with the bytes of the file in it.

    A transfer that goes on begins with a fresh key: no chunk is sealed a second time under the key of the first.
    """
    whole = hashlib.sha256()
    for _ in range(first):
        whole.update(exactly(file, CHUNK))
    key: ClientKey | None = None
    number, volume = first, 0
    try:
        while True:
            text = exactly(file, CHUNK)
            whole.update(text)
            kind, plain = (CHUNK_KIND, text) if text else (END_KIND, whole.digest())
            if key is None or volume + len(plain) > limit:
                if key is not None:
                    key.key.wipe()
                key, volume = draw(), 0
            header = HEADER.pack(MAGIC, kind, transfer, key.key_id.bytes, number, len(plain) + 16)
            yield header + AESGCM(key.key.reveal()).encrypt(nonce(number), plain, header), len(text)
            number, volume = number + 1, volume + len(plain)
            if kind == END_KIND:
                return
    finally:
        if key is not None:
            key.key.wipe()


def receive(stream: BinaryIO, target: Path, fetch: Callable[[uuid.UUID], ClientKey]) -> int:
    """Write what comes beside `target`, and name it so when all of it is there; return how many bytes it has.

    Raises:
        RefusedError: A chunk was altered, repeated, left out or put in another place, or the rest is missing.
    """
    key: ClientKey | None = None
    header = exactly(stream, HEADER.size)
    if len(header) < HEADER.size or not header.startswith(MAGIC):
        raise RefusedError("nothing came, or not a transfer of the hospital")
    transfer: bytes = HEADER.unpack(header)[2]
    part = target.with_name(f"{target.name}.{transfer.hex()}.part")
    with part.open("a+b") as file:
        number = file.seek(0, os.SEEK_END) // CHUNK
        file.truncate(number * CHUNK)
        file.seek(0)
        whole = hashlib.sha256()
        for _ in range(number):
            whole.update(exactly(file, CHUNK))
        try:
            while True:
                if len(header) < HEADER.size:
                    raise RefusedError(
                        f"the line ended before chunk {number}. Go on with: send ... --resume {transfer.hex()}:{number}"
                    )
                magic, kind, of, key_id, told, length = HEADER.unpack(header)
                if magic != MAGIC or length > CHUNK + 16:
                    raise RefusedError(f"what came as chunk {number} is none")
                if of != transfer or told != number:
                    raise RefusedError(f"another chunk came where chunk {number} was to come")
                data = exactly(stream, length)
                if len(data) < length:
                    header = b""
                    continue
                if key is None or key.key_id.bytes != key_id:
                    if key is not None:
                        key.key.wipe()
                    key = fetch(uuid.UUID(bytes=key_id))
                try:
                    text = AESGCM(key.key.reveal()).decrypt(nonce(number), data, header)
                except (InvalidTag, ValueError):
                    raise RefusedError(f"chunk {number} is not genuine") from None
                if kind == END_KIND:
                    break
                whole.update(text)
                file.write(text)
                file.flush()
                number += 1
                header = exactly(stream, HEADER.size)
        finally:
            if key is not None:
                key.key.wipe()
        if text != whole.digest():
            part.unlink()
            raise RefusedError("the file changed while it was sent. Send it again, from its begin")
        os.fsync(file.fileno())
        size = file.tell()
    part.replace(target)
    return size


def main() -> None:
    """Run `send` or `receive`."""
    parser, send, take = commands(__doc__)
    for one in (send, take):
        one.add_argument("file", type=Path, metavar="FILE")
    send.add_argument("--limit", type=int, default=LIMIT, metavar="BYTES", help="under one key")
    send.add_argument("--resume", metavar="TRANSFER:CHUNK", help="go on with a transfer, as its receiver said")
    options = parser.parse_args()
    keys = size = 0
    with key_manager(options) as client:

        def draw() -> ClientKey:
            nonlocal keys
            keys += 1
            return patiently(lambda: client.enc_keys(options.other, size=256), options.patience)[0]

        def fetch(key_id: uuid.UUID) -> ClientKey:
            return patiently(lambda: client.dec_keys(options.other, [key_id]), options.patience)[0]

        if options.command == "receive":
            print(f"{receive(sys.stdin.buffer, options.file, fetch)} bytes", file=sys.stderr)
            return
        transfer, _, first = (options.resume or f"{secrets.token_hex(16)}:0").partition(":")
        limit = max(CHUNK, options.limit)
        with options.file.open("rb") as file:
            for frame, taken in sealed(file, bytes.fromhex(transfer), int(first), draw, limit):
                sys.stdout.buffer.write(frame)
                sys.stdout.buffer.flush()
                size += taken
    bits = 256 * keys
    print(f"{size} bytes; keys: {keys}, {bits} bits, {bits / max(size, 1) * 1e9:,.1f} bits a GB", file=sys.stderr)


if __name__ == "__main__":
    run(main)
