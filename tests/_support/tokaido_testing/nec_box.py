"""As much of an NEC-style unit as a driver's test needs, from docs/protocols/nec.md alone: sealed lines, and NQK1."""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

import tokaido.hal as hal
from tokaido_testing.peers import RouterPeer
from tokaido_testing.toy_switch import AnsweringPeer

REQUEST = re.compile(r"SEAL\? #H([0-9A-F]{6}),#H([0-9A-F]{8});(.*)")
EPS = "3ddb7cdfd9d7bdbb"
"""1e-10 as the digest of a block has it."""
ROLES: dict[str, Any] = {"T": hal.Transmitter, "R": hal.Receiver}


def seal(text: str) -> str:
    """Return the CRC-32 of a text."""
    return f"{zlib.crc32(text.encode('ascii')):08X}"


def reply_line(identifier: str, body: str, serial_number: str) -> str:
    """Return a sealed reply."""
    return f"#H{identifier},#H{seal(serial_number + identifier + body)},{body}"


class SealedBox:
    """Answers sealed lines from a table: what is asked, and the replies. Faults spoil the next reply, once each."""

    def __init__(self, model: str = "TB-TX8", serial_number: str = "TKNT0001") -> None:
        self.serial_number = serial_number
        self.answers = {
            "*IDN?": f"NEC-STYLE,{model},{serial_number},1.0.0",
            "STAT:ALAR?": "0",
            "UNIT:STAT?": "STANDBY,NONE",
        }
        self.errors: dict[str, str] = {}
        self.heard: list[str] = []
        self.faults: deque[Callable[[str, str], list[str]]] = deque()
        """Each gets the id and the right reply, and gives what is sent instead."""

    def __call__(self, line: str) -> list[str]:
        found = REQUEST.fullmatch(line)
        assert found is not None, line
        identifier, sealed_as, rest = found[1], found[2], found[3]
        serial_number = "" if rest == "*IDN?" else self.serial_number
        self.heard.append(rest)
        if sealed_as != seal(serial_number + identifier + rest):
            return [reply_line(identifier, '110,"Seal does not match"', self.serial_number)]
        if rest in self.errors:
            body = self.errors[rest]
        else:
            given = self.answers.get(rest, "")
            body = f'0,"No error";{given}' if given else '0,"No error"'
        right = reply_line(identifier, body, serial_number)
        return self.faults.popleft()(identifier, right) if self.faults and rest != "*IDN?" else [right]


@contextmanager
def opened(box: SealedBox, **options: Any) -> Iterator[Any]:
    """Open a driver on a box behind a TCP socket."""
    options.setdefault("timeout", 0.4)
    model = box.answers["*IDN?"].split(",")[1]
    kind = options.pop("kind", model[3])
    driver = {"T": "nec.transmitter", "R": "nec.receiver"}[kind]
    with AnsweringPeer(box, {"send": "\n", "reply": "\n"}, tcp=True) as peer:
        address = peer.address.replace(":", "::")
        with ROLES[kind].open(driver, control=f"visa:TCPIP::{address}::SOCKET", **options) as device:
            yield device


class KeyBox(RouterPeer):
    """The key channel of a unit: blocks to draw, a pre-shared key to load, events to send.

    A request whose number is not above that of every earlier one on its connection is dropped, as the page says.
    """

    def __init__(self, secret: bytes, clients: set[bytes], serial_number: str = "TKNT0001") -> None:
        self.protocol = "NQK1"
        self.blocks: dict[tuple[str, int], bytes] = {}
        self.acked: set[tuple[str, int]] = set()
        self.committed: list[tuple[str, int]] = []
        self.loaded: list[tuple[bytes, str, str]] = []
        self.refusals: dict[str, tuple[str, str]] = {}
        self.events: list[bytes] = []
        """What is sent at the next `subscribe`, behind its reply."""
        self.spoil: deque[Callable[[dict[str, Any], list[bytes]], list[list[bytes]]]] = deque()
        """Each gets header and payload of a right reply, and gives the messages that are sent instead."""
        self.requests: list[dict[str, Any]] = []
        self.dropped: list[dict[str, Any]] = []
        self._last: dict[bytes, int] = {}
        super().__init__(secret, clients, serial_number)

    def _answer(self, client: bytes, frames: list[bytes]) -> None:
        header = msgspec.msgpack.decode(frames[0])
        if header["n"] <= self._last.get(client, 0):
            self.dropped.append(header)
            return
        self._last[client] = header["n"]
        self.requests.append(header)
        reply: dict[str, Any] = {"n": header["n"], "ok": True, "serial_number": self.serial_number}
        payload: list[bytes] = []
        verb = header["verb"]
        if verb != "hello" and header.get("serial_number") != self.serial_number:
            reply |= {"ok": False, "code": "WRONG_UNIT", "text": "another box"}
        elif verb in self.refusals:
            reply |= {"ok": False, "code": self.refusals[verb][0], "text": self.refusals[verb][1]}
        else:
            members, payload = self._carry_out(verb, header, frames[1:])
            reply |= members
        messages = [[msgspec.msgpack.encode(reply), *payload]]
        if self.spoil and verb != "hello":
            messages = self.spoil.popleft()(reply, payload)
        for message in messages:
            self._router.send_multipart([client, *message])
        if verb == "subscribe":
            for event in self.events:
                self._router.send_multipart([client, event])
            self.events.clear()

    def _carry_out(self, verb: str, header: dict[str, Any], payload: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        match verb:
            case "hello":
                return {"protocol": self.protocol, "vendor": "NEC-STYLE", "a member of tomorrow": [1, {}]}, []
            case "load_psk":
                label = f"load_psk\n{self.serial_number}\n{header.get('peer', '-')}\n{header.get('path', '-')}"
                assert header["digest"] == hmac.new(label.encode(), payload[0], hashlib.sha256).hexdigest()
                self.loaded.append((payload[0], header.get("peer", ""), header.get("path", "")))
                return {"loaded": len(payload[0])}, []
            case "draw":
                offered = list(self.blocks)[: header["max"]]
                return {"blocks": [self._described(name) for name in offered]}, [self.blocks[name] for name in offered]
            case "ack":
                name = header["session"], header["number"]
                assert header["digest"] == self._described(name)["digest"]
                self.acked.add(name)
                return {"session": name[0], "number": name[1], "state": "acked"}, []
            case "commit":
                name = header["session"], header["number"]
                assert name in self.acked
                assert name not in self.blocks or header["digest"] == self._described(name)["digest"]
                self.committed.append(name)
                self.blocks.pop(name, None)
                return {"session": name[0], "number": name[1], "state": "committed"}, []
            case "subscribe":
                return {"lease_s": 30}, []
        raise AssertionError(verb)

    def _described(self, name: tuple[str, int]) -> dict[str, Any]:
        bits = 8 * len(self.blocks[name])
        label = f"{self.serial_number}\n{name[0]}\n{name[1]}\n{bits}\nlim2014\nchernoff\n{EPS}\n0\n1\nTKNR0001\nwest"
        return {
            "session": name[0],
            "number": name[1],
            "bits": bits,
            "method": "lim2014",
            "bound": "chernoff",
            "eps": 1e-10,
            "insecure": False,
            "emulated": True,
            "peer": "TKNR0001",
            "path": "west",
            "digest": hmac.new(label.encode(), self.blocks[name], hashlib.sha256).hexdigest(),
        }
