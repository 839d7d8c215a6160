"""What is told of an audit log: its rows, and whether it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from tokaido.hal.structs import learn
from tokaido.node.operation._survey import iso
from tokaido.node.store import AuditMark, audit_at_rest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tokaido.hal import KeyMaterial
    from tokaido.node.store import AuditFinding, AuditRow, Records

MOST_BYTES: Final = 8 << 20
"""Most text of rows in one reply, in bytes."""


class AuditLine(msgspec.Struct, frozen=True, kw_only=True):
    """One act."""

    number: int
    utc: str
    """ISO 8601."""
    who: str
    place: str
    """From where."""
    what: str
    why: str
    mark: str
    """Number and digest, worth keeping elsewhere: they stand for this row and all before it."""


class AuditVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a log is whole."""

    fits: bool
    rows: int
    """How many there are, as far as they fit."""
    first_wrong: int | None
    """Number of the first row that does not fit."""
    why: str
    """What is wrong with it."""
    end_checked: bool
    """Whether it is known which row is the last one; without that, rows may be missing at the end."""
    end_unknown: str
    """Why not."""
    mark: str
    """Of the last row that fits, worth keeping elsewhere; empty: there is none."""


def lines(rows: Iterable[AuditRow]) -> tuple[AuditLine, ...]:
    """Return rows as they are told; what somebody made of them is shown as well as can be."""
    return tuple(
        AuditLine(
            number=row.number,
            utc=_time(row.at_s),
            who=str(row.who),
            place=str(row.place),
            what=str(row.what),
            why=str(row.why),
            mark=f"{row.number}:{_hex(row.digest)}",
        )
        for row in rows
    )


def verdict(finding: AuditFinding, end_unknown: str = "") -> AuditVerdict:
    """Return what was found."""
    return AuditVerdict(
        fits=finding.fits,
        rows=finding.rows,
        first_wrong=finding.first_wrong,
        why=finding.why,
        end_checked=finding.end_checked,
        end_unknown=end_unknown,
        mark=str(finding.last) if finding.last.number else "",
    )


def marks(kept: Iterable[str]) -> tuple[AuditMark, ...]:
    """Return the marks that texts are.

    Raises:
        ConfigurationError: One of them is not one.
    """
    return tuple(AuditMark.parse(one) for one in kept)


def told(records: Records, above: int, most: int) -> tuple[AuditLine, ...]:
    """Return the last rows above a number, as many as fit into a reply; in the thread of the store."""
    end = records.audit_end().number
    found: list[AuditLine] = []
    size = 0
    for line in reversed(lines(records.audit_log(above=max(above, end - max(most, 0))))):
        size += sum(len(text.encode("utf-8", "replace")) for text in (line.who, line.place, line.what, line.why)) + 200
        if size > MOST_BYTES:
            break
        found.append(line)
    return tuple(reversed(found[:most]))


def at_rest(
    store: Path, key: KeyMaterial | None, kept: Iterable[str] = ()
) -> tuple[tuple[AuditLine, ...], AuditVerdict]:
    """Return the log of a store that nobody has open, and whether it is whole.

    Raises:
        StoreError: It cannot be read, or a node has it open.
        ConfigurationError: A mark is not one.
    """
    found = audit_at_rest(store, key, marks(kept))
    return lines(found.rows), verdict(found.finding, found.end_unknown)


def _time(at_s: object) -> str:
    try:
        return iso(float(at_s))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        return f"? {at_s!r}"[:40]


def _hex(digest: object) -> str:
    return digest.hex() if isinstance(digest, bytes) else f"? {digest!r}"[:40]


learn(AuditLine, AuditVerdict)
