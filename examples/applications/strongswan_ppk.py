"""Give strongSwan a fresh post-quantum pre-shared key (RFC 8784) from a QKD node, at both ends of a connection.

At the master's: python strongswan_ppk.py send gate-kobe --kme https://127.0.0.1:18443 --as gate-tokyo \
    --tell "ssh kobe python strongswan_ppk.py receive gate-tokyo --kme https://127.0.0.1:18444 --as gate-kobe"

The command of `--tell` runs at the slave's with the key's id behind it, and loads the key there. Then the key is loaded
here, and strongSwan makes the connection again with it.
"""

from __future__ import annotations

import argparse
import shlex
import socket
import struct
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import BinaryIO, Final

from drawing import RefusedError, commands, exactly, key_manager, patiently, run
from tokaido.node.client import ClientKey

Value = bytes | bytearray | memoryview
REQUEST, RESPONSE = 0, 1
SECTION_START, SECTION_END, KEY_VALUE, LIST_START, LIST_ITEM, LIST_END = 1, 2, 3, 4, 5, 6
TIMEOUT_S: Final = 30.0


def request(command: str, values: Mapping[str, Value], lists: Mapping[str, Sequence[str]]) -> bytearray:
    """Return a request of strongSwan's vici protocol, with the length in front."""

    def named(kind: int, name: str) -> bytes:
        return bytes([kind, len(name)]) + name.encode()

    packet = bytearray(4) + bytes([REQUEST, len(command)]) + command.encode()
    for name, value in values.items():
        packet += named(KEY_VALUE, name) + struct.pack(">H", len(value)) + value
    for name, items in lists.items():
        packet += named(LIST_START, name)
        for item in items:
            packet += struct.pack(">BH", LIST_ITEM, len(item)) + item.encode()
        packet.append(LIST_END)
    packet[:4] = struct.pack(">I", len(packet) - 4)
    return packet


def answer(stream: BinaryIO) -> dict[str, str]:
    """Return the values of the answer that comes. That a command matched nothing is one.

    Raises:
        RefusedError: None comes, or it says that the command failed.
    """
    length = exactly(stream, 4)
    packet = exactly(stream, struct.unpack(">I", length)[0]) if len(length) == 4 else b""
    if packet[:1] != bytes([RESPONSE]):
        raise RefusedError("strongSwan closed the connection, or does not know the command")
    found, at = {}, 1
    while at + 2 <= len(packet) and packet[at] == KEY_VALUE:
        name_end = at + 2 + packet[at + 1]
        value_end = name_end + 2 + int.from_bytes(packet[name_end : name_end + 2], "big")
        found[packet[at + 2 : name_end].decode()] = packet[name_end + 2 : value_end].decode(errors="replace")
        at = value_end
    if found.get("success") != "yes" and found.get("matches") != "0":
        raise RefusedError(f"strongSwan: {found.get('errmsg', 'it failed')}")
    return found


def ask(path: str, packet: bytearray) -> dict[str, str]:
    """Send a request to strongSwan, overwrite it, and return the answer."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(TIMEOUT_S)
        try:
            sock.connect(path)
            sock.sendall(packet)
        finally:
            packet[:] = bytes(len(packet))
        with sock.makefile("rb") as stream:
            return answer(stream)


def load(options: argparse.Namespace, key: ClientKey) -> None:
    """Put a key in the place of the one before, under the PPK id of the connection."""
    with key as material:
        values: dict[str, Value] = {"id": options.ppk.encode(), "type": b"PPK", "data": material.reveal()}
        ask(options.vici, request("load-shared", values, {"owners": [options.ppk]}))
    print(f"key {key.key_id} is loaded as {options.ppk}", file=sys.stderr)


def main() -> None:
    """Run `send` or `receive`."""
    parser, send, take = commands(__doc__)
    for one in (send, take):
        one.add_argument("--vici", default="/var/run/charon.vici", metavar="SOCKET", help="of strongSwan")
        one.add_argument("--ppk", default="tokaido", metavar="ID", help="ppk_id in swanctl.conf, of both ends")
    send.add_argument("--ike", required=True, metavar="CONNECTION", help="in swanctl.conf, made again with the key")
    send.add_argument("--tell", required=True, metavar="COMMAND", help="what tells the slave; the key's id is added")
    take.add_argument("key_id", type=uuid.UUID, metavar="KEY_ID")
    options = parser.parse_args()
    with key_manager(options) as client:
        if options.command == "receive":
            ids = [options.key_id]
            load(options, patiently(lambda: client.dec_keys(options.other, ids), options.patience)[0])
            return
        (key,) = patiently(lambda: client.enc_keys(options.other, size=256), options.patience)
    with key.key:
        told = subprocess.run([*shlex.split(options.tell), str(key.key_id)], timeout=TIMEOUT_S, check=False)  # noqa: S603
        if told.returncode:
            raise RefusedError("the other end did not take the key. The connection goes on with the one before")
        load(options, key)
    done = ask(options.vici, request("rekey", {"ike": options.ike.encode(), "reauth": b"yes"}, {}))
    none = done.get("matches") == "0"
    print("256 bits; " + ("the next IKE SA takes them" if none else "the IKE SA is made again"), file=sys.stderr)


if __name__ == "__main__":
    run(main)
