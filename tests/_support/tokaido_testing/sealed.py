"""A plain client of an NEC-style unit, written from docs/protocols/nec.md alone; and the tables of that page."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokaido.emulators import DeviceModel

PAGE = Path(__file__).parents[3] / "docs" / "protocols" / "nec.md"
_REPLY = re.compile(r'#H([0-9A-F]{6}),#H([0-9A-F]{8}),((-?[0-9]+),"((?:[^"]|"")*)"(?:;(.*))?)')


def seal(serial_number: str, number: str, rest: str) -> str:
    return f"{zlib.crc32((serial_number + number + rest).encode()):08X}"


def request(serial_number: str, number: str, rest: str) -> str:
    return f"SEAL? #H{number},#H{seal(serial_number, number, rest)};{rest}"


@dataclass(frozen=True)
class Reply:
    code: int
    text: str
    data: str | None


class Instrument:
    """Talks to a device model in process, message by message."""

    def __init__(self, model: DeviceModel) -> None:
        self.model = model
        self._numbers = count(0xA00000)

    def line(self, text: str) -> str:
        """Send a message as it is and return what comes back."""
        self.model.receive("control", text.encode() + b"\n")
        return self.model.take("control").decode()

    def ask(self, rest: str) -> Reply:
        """Send a sealed message and return its reply, the seal checked."""
        number = f"{next(self._numbers) & 0xFFFFFF:06X}"
        serial = "" if rest == "*IDN?" else self.model.serial_number
        sent = self.line(request(serial, number, rest))
        found = _REPLY.fullmatch(sent.removesuffix("\n"))
        assert sent.endswith("\n")
        assert found is not None, sent
        assert (found[1], found[2]) == (number, seal(serial, number, found[3]))
        return Reply(int(found[4]), found[5].replace('""', '"'), found[6])

    def data(self, rest: str) -> str:
        """Send a message that must succeed and return its replies."""
        reply = self.ask(rest)
        assert (reply.code, reply.text) == (0, "No error"), (rest, reply)
        return reply.data or ""

    def state(self) -> str:
        return self.data("UNIT:STAT?").split(",")[0]

    def active(self) -> set[str]:
        """Codes of the active alarms."""
        return set(self.data("STAT:ALAR?").split(",")[1::4])

    def everything(self) -> dict[str, tuple[str, str]]:
        """Value and age of what FETC:ALL? lists, by name."""
        fields = self.data("FETC:ALL?").split(",")
        assert len(fields) % 3 == 0
        names = fields[::3]
        assert len(set(names)) == len(names)
        return dict(zip(names, zip(fields[1::3], fields[2::3], strict=True), strict=True))

    def pass_time(self, seconds: float) -> None:
        self.model.advance(self.model.now_ns + round(seconds * 1e9))


# --- the page -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PageRow:
    """A command as a table of section 4 has it."""

    command: str
    parameters: str
    answers: str
    limits: str
    states: str
    meaning: str

    @property
    def header(self) -> str:
        return self.command.removesuffix("?")

    @property
    def asks_only(self) -> bool:
        return self.command.endswith("?")

    @property
    def name(self) -> str:
        """Short header in upper case: only its capitals, digits and colons; the number's place is kept."""
        return re.sub(r"<[ci]>|[a-z]", lambda found: found.group() if len(found.group()) > 1 else "", self.header)


def page_table(section: str) -> list[PageRow]:
    """Return the rows of one of the tables of section 4."""
    text = PAGE.read_text(encoding="utf-8").split(f"### {section} ")[1].split("\n#")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    titles = [cell.strip() for cell in lines[0].strip("|").split("|")]
    rows = []
    for line in lines[2:]:
        cells = [cell.strip() for cell in line[1:-1].split("|")]
        given = dict(zip(titles, cells, strict=True))
        plain = {key: value.replace("`", "") for key, value in given.items()}
        limits = plain.get("limits: operational; absolute", "")
        rows.append(
            PageRow(plain["command"], plain["parameters"], plain["answers"], limits, plain["states"], plain["meaning"])
        )
    return rows
