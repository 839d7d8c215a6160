"""The bytes on the wire, for people: one record for each write and each read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass

if TYPE_CHECKING:
    from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """What went over a transport at one instant."""

    monotonic_ns: int
    """When, in ns of the transport's clock."""
    transport: str
    """Name of the transport, for example "serial:/dev/ttyUSB0"."""
    direction: Literal[">", "<"]
    """">" to the device, "<" from it."""
    text: str
    """The bytes with control characters escaped; sizes only for messages and for what is confidential."""
    content: bytes | None = None
    """The bytes themselves; None where `text` has sizes only."""

    def __str__(self) -> str:
        return f"{self.monotonic_ns / 1e9:.6f} {self.transport} {self.direction} {self.text}"


def record(
    monotonic_ns: int, transport: str, direction: Literal[">", "<"], content: bytes | list[bytes], *, confidential: bool
) -> TraceRecord:
    """Return what a trace shows of a stream's bytes or of a message's frames."""
    if isinstance(content, list):
        return TraceRecord(monotonic_ns, transport, direction, " ".join(size(len(frame)) for frame in content))
    if confidential:
        return TraceRecord(monotonic_ns, transport, direction, size(len(content)))
    text = content.decode("latin-1").encode("unicode_escape").decode("ascii")
    return TraceRecord(monotonic_ns, transport, direction, text, bytes(content))


def size(count: int) -> str:
    """Return what stands for `count` bytes that are not shown."""
    return f"<{count} bytes>"
