"""A unit on a pty that answers by a table, for commands that ask much and in any order."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tokaido_testing.transcripts import ReplayPeer

SERIAL_NUMBERS = {"T12-TX": "TKTX0001", "T12-RX": "TKRX0001"}


class TablePeer(ReplayPeer):
    """Answers `NAME?` from a table of what a unit measures, and takes orders into it; any order of requests."""

    def __init__(self, model: str, table: dict[str, str]) -> None:
        super().__init__([])
        self.serial_number = SERIAL_NUMBERS[model]
        self.model = model
        self.table = dict(table)
        self.orders: list[str] = []
        self.answering = True
        self.answers: Iterator[bool] = iter(())
        """Whether it answers the questions for telemetry, one by one; it does when these have ended."""
        self._announced = 0

    def announce(self, text: str) -> None:
        """Send an alarm line: "RAISED TAMPER CRITICAL the cover was opened"."""
        self._announced += 1
        line = f"!{self._announced:06X} {text}"
        os.write(self._master, f"{line}*{zlib.crc32(f'{self.serial_number}{line}'.encode()):08X}\r\n".encode())

    def _answer(self, line: str) -> None:
        text, _, seal = line.rpartition("\x18")[2].removeprefix("#").rpartition("*")
        request_id, _, command = text.partition(" ")
        secret = "" if command == "IDN?" else self.serial_number
        if seal != f"{zlib.crc32(f'{secret}#{text}'.encode()):08X}":
            self.unexpected.append(line)
            return
        if not self.answering or (command == "TEL?" and not next(self.answers, True)):
            return
        name, _, argument = command.partition(" ")
        if command == "IDN?":
            answer = f"OK TOSHIBA-STYLE,{self.model},{self.serial_number},1.0.0,TQC1"
        elif command == "TEL?":
            answer = "OK " + " ".join(f"{key}={value}" for key, value in self.table.items())
        elif name.endswith("?"):
            answer = f"OK {self.table[name[:-1]]}"
        else:
            self.orders.append(command)
            self.table[name] = argument
            answer = f"OK {argument}"
        reply = f"={request_id} {answer}"
        os.write(self._master, f"{reply}*{zlib.crc32(f'{secret}{reply}'.encode()):08X}\r\n".encode())


COMMON = "QBER=!NO_DATA QBER:CHK=0.0301@75.5 RATE:SIFT=!NO_DATA RATE:SEC=!NO_DATA EC:EFF=!NO_DATA AUTH:LEFT=32768 \
CHS:TEMP=46.5 UPT=120.25 BLK=10000000 BAS=0.82 STAT=STANDBY SES=- KEYS=0,0 PSK=1"
TABLES = {
    "T12-TX": f"{COMMON} LAS:POW=-0.52 LAS:BIAS=45.1 LAS:TEMP=25.01 LAS:TEC=0.21 IM:EXT=27.4 MON:POW=!NO_DATA \
CLK:RATE=1000000000 PRB:SIG=0.6 VOA:ATT=35 IM:BIAS=3.2 MU:SIG=0.5 MU:DEC=0.13 MU:VAC=0.001 PRB:DEC=0.27 PRB:VAC=0.13 \
EMI=1 RNG=1",
    "T12-RX": f"{COMMON} SHT=OPEN IFM:TEMP=30.001 IFM:PHS=0.01 VIS=0.982 CLK:POW=-20.5 LOSS=14.52 CLK:LOCK=1 "
    + " ".join(
        f"DET{i}:TEMP=-30.0 DET{i}:EFF=0.205 DET{i}:CNT=1250000 DET{i}:DARK=21000 DET{i}:BIAS=54 DET{i}:DLY=512 "
        f"DET{i}:DEAD=10"
        for i in range(2)
    ),
}

Plug = Callable[[str], TablePeer]


@pytest.fixture
def plug() -> Iterator[Plug]:
    """Plug in units: `plug("T12-TX")` returns one on a pty of its own."""
    with ExitStack() as stack:

        def plug_in(model: str) -> TablePeer:
            table = dict(item.split("=", 1) for item in TABLES[model].split())
            return stack.enter_context(TablePeer(model, table))

        yield plug_in


@pytest.fixture
def half_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the scenario `switch` draw one key block over a path and not two, of half their length."""
    for module in ("_demo_switch", "_demo_failover"):
        monkeypatch.setattr(f"tokaido.console.{module}.BLOCK_BITS", 500_000)
    monkeypatch.setattr("tokaido.console._demo_switch.BLOCKS", 1)
