"""The file of a transcript: what it holds, and how it is read and written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from tokaido.hal import ConfigurationError
from tokaido.hal.files import path_of
from tokaido.hal.tables import Check, Mistakes, number, of_kind, read, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 1
"""The form of the file that this version writes; another one is refused."""
LONGEST_BYTES: Final = 1 << 20
"""Longest single record, in bytes."""
_FACTS: Final = {
    "version": Check(whole(1), f"a version of the form; this one knows {VERSION}"),
    "driver": Check(of_kind(str), "the name of a driver in quotes"),
    "transport": Check(of_kind(str), "text in quotes"),
    "serial_line": Check(of_kind(bool), "true or false"),
    "recorded_utc": Check(of_kind(str), "a date and time in quotes"),
}
_RECORD: Final = {
    "at_s": Check(number(0), "a time in s since the transcript began"),
    "sent": Check(of_kind(str), "text in quotes"),
    "sent_hex": Check(of_kind(str), "bytes in hexadecimal, in quotes"),
    "sent_size": Check(whole(0), "a number of bytes"),
    "received": Check(of_kind(str), "text in quotes"),
    "received_hex": Check(of_kind(str), "bytes in hexadecimal, in quotes"),
    "received_size": Check(whole(0), "a number of bytes"),
}


@dataclass(frozen=True, slots=True)
class WireRecord:
    """What went one way at one instant."""

    at_s: float
    """When, in s since the transcript began."""
    direction: Literal["sent", "received"]
    """Seen from the host: "sent" to the device, "received" from it."""
    content: bytes | None
    """The bytes; None if they were confidential."""
    size: int
    """How many bytes they are."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What went between a host and a device's control port, in order."""

    driver: str = ""
    """Name of the driver that the device takes; empty if nobody said."""
    transport: str = ""
    """The resource over which the device was reached."""
    serial_line: bool = False
    """Whether the host talked over a serial line."""
    recorded_utc: str = ""
    """When recording began, ISO 8601."""
    records: tuple[WireRecord, ...] = field(default=())
    """What went over the wire, oldest first."""

    @classmethod
    def from_file(cls, path: Path | str) -> Transcript:
        """Return the transcript in a file.

        Raises:
            ConfigurationError: It cannot be read, or is not a transcript: with every mistake and its line.
        """
        path = path_of(path, "the transcript")
        text, tables = read(path, "the transcript")
        mistakes = Mistakes(text)
        mistakes.only((), tables, ("transcript", "wire"))
        facts = mistakes.checked("transcript", mistakes.table((), tables, "transcript"), _FACTS)
        if "version" not in facts:
            mistakes.note(("transcript", "version"), f"is missing; write version = {VERSION}")
        elif facts["version"] != VERSION:
            mistakes.note(("transcript", "version"), f"is {facts['version']}, and this Tokaido knows {VERSION}")
        records = _records(tables.get("wire", []), _lines_of_records(text), mistakes)
        if mistakes:
            raise ConfigurationError(f"{path} is not a transcript", mistakes=tuple(mistakes))
        facts.pop("version")
        return cls(**facts, records=tuple(records))


def header(driver: str, transport: str, recorded_utc: str, *, serial_line: bool) -> str:
    """Return how the file of a transcript begins."""
    return (
        "# What went between a host and a device, by `tokaido record`; `tokaido replay` serves it as the device.\n"
        f"[transcript]\nversion = {VERSION}\ndriver = {_quoted(driver)}\ntransport = {_quoted(transport)}\n"
        f"serial_line = {str(serial_line).lower()}\nrecorded_utc = {_quoted(recorded_utc)}\n"
    )


def written(record: WireRecord) -> str:
    """Return one record as it stands in the file."""
    lead = f"\n[[wire]]\nat_s = {record.at_s:.6f}\n"
    if record.content is None:
        return f"{lead}{record.direction}_size = {record.size}  # confidential\n"
    if record.content.isascii() and 8 * sum(byte < 32 for byte in record.content) <= len(record.content) + 24:
        return f"{lead}{record.direction} = {_quoted(record.content.decode('ascii'))}\n"
    return f'{lead}{record.direction}_hex = "{record.content.hex()}"\n'


def _quoted(text: str) -> str:
    """Return a text as a basic string of TOML."""
    named = {"\\": "\\\\", '"': '\\"', "\t": "\\t", "\r": "\\r", "\n": "\\n"}
    return (
        '"'
        + "".join(
            named.get(c, c if c.isprintable() else f"\\u{ord(c):04X}" if ord(c) < 0x10000 else f"\\U{ord(c):08X}")
            for c in text
        )
        + '"'
    )


def _lines_of_records(text: str) -> list[int]:
    return [number for number, line in enumerate(text.splitlines(), 1) if line.strip().replace(" ", "") == "[[wire]]"]


def _records(tables: object, lines: list[int], mistakes: Mistakes) -> list[WireRecord]:
    if not isinstance(tables, list):
        mistakes.note("wire", "must be tables; write [[wire]] before each")
        return []
    found: list[WireRecord] = []
    for index, table in enumerate(tables):
        inner = Mistakes()
        record = _record(table, inner)
        if record is not None and found and record.at_s < found[-1].at_s:
            inner.append("at_s: is earlier than that of the record before")
        line = f"line {lines[index]}, " if index < len(lines) else ""
        mistakes += [f"{line}record {index + 1}: {mistake.removeprefix('wire.')}" for mistake in inner]
        if record is not None:
            found.append(record)
    return found


def _record(table: Any, mistakes: Mistakes) -> WireRecord | None:
    if not isinstance(table, dict):
        mistakes.append("must be a table")
        return None
    right: Mapping[str, Any] = mistakes.checked("wire", table, _RECORD)
    said = [key for key in right if key != "at_s"]
    if "at_s" not in right or len(said) != 1:
        if not mistakes:
            mistakes.append("needs at_s and one of sent, received, or one of them with _hex or _size")
        return None
    direction: Literal["sent", "received"] = "sent" if said[0].startswith("sent") else "received"
    value = right[said[0]]
    if said[0].endswith("_size"):
        return WireRecord(float(right["at_s"]), direction, None, value)
    try:
        content = bytes.fromhex(value) if said[0].endswith("_hex") else value.encode("ascii")
    except ValueError:
        mistakes.append(
            f"{said[0]}: must be {'hexadecimal' if said[0].endswith('_hex') else 'ASCII; write the bytes as _hex'}"
        )
        return None
    if len(content) > LONGEST_BYTES:
        mistakes.append(f"{said[0]}: is longer than {LONGEST_BYTES} bytes")
        return None
    return WireRecord(float(right["at_s"]), direction, content, len(content))
