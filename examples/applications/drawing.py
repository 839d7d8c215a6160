"""What the applications share: who asks which key manager, how to wait when there is no key now, how a run ends."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from tokaido.hal import SYSTEM_CLOCK, Deadline, TokaidoError
from tokaido.node.client import KeyClient, KeyManagerError, TlsFiles

T = TypeVar("T")


class RefusedError(Exception):
    """Nothing is sent, or something is not taken that came over the line."""


def commands(purpose: str | None) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser, argparse.ArgumentParser]:
    """Return the parser of a program, and those of its commands `send` and `receive`."""
    parser = argparse.ArgumentParser(description=purpose)
    both = parser.add_subparsers(dest="command", required=True)
    found = []
    for command, other in (("send", "slave"), ("receive", "master")):
        one = both.add_parser(command)
        one.add_argument(
            "other", metavar=other.upper(), help=f"SAE id of the {other}, the application at the other end"
        )
        one.add_argument("--kme", required=True, metavar="URL", help="of the own key manager: https://HOST:PORT")
        one.add_argument("--pki", type=Path, default=Path("pki"), help="folder of sae-NAME.pem, sae-NAME.key, ca.pem")
        one.add_argument("--as", dest="name", required=True, metavar="NAME", help="the own SAE id")
        one.add_argument("--patience", type=float, default=60.0, metavar="S", help="how long to wait for key, in s")
        found.append(one)
    return parser, found[0], found[1]


def key_manager(options: argparse.Namespace) -> KeyClient:
    """Return the client of the own key manager."""
    pki: Path = options.pki
    return KeyClient(
        options.kme, TlsFiles(pki / f"sae-{options.name}.pem", pki / f"sae-{options.name}.key", pki / "ca.pem")
    )


def patiently(ask: Callable[[], T], patience_s: float) -> T:
    """Return what `ask` returns; where it is refused for now (503), ask again when the key manager said.

    503 says that no key was given, so asking again takes none twice. An answer that was lost says nothing, and
    `OutcomeUnknownError` goes on to the caller: that request is never repeated.
    """
    deadline = Deadline(SYSTEM_CLOCK, patience_s)
    while True:
        try:
            return ask()
        except KeyManagerError as refused:
            wait_s = 1.0 if refused.retry_after_s is None else refused.retry_after_s
            if refused.status != 503 or wait_s > deadline.remaining_s:
                raise
            print(f"no key now; asking again in {wait_s:g} s", file=sys.stderr)
            SYSTEM_CLOCK.wait(wait_s)


def exactly(stream: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, or fewer only where the stream ends."""
    data = bytearray()
    while len(data) < size and (piece := stream.read(size - len(data))):
        data += piece
    return bytes(data)


def run(main: Callable[[], None]) -> None:
    """Run a program; say what failed in one line, and end with 1."""
    try:
        main()
    except (RefusedError, TokaidoError, OSError) as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        sys.exit(1)
