"""The table of faults on the wire says of each kind what the code does, and how many kinds a wire end has."""

from __future__ import annotations

import re
from pathlib import Path

from tokaido.emulators import KINDS, WIRE_ENDS
from tokaido.emulators._fault_kinds import BOTH_WAYS, FAULT_KINDS, FaultKind

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "faults.md"
WAYS = {"to_unit": "to the device", "from_unit": "from it"}


def ways(kind: FaultKind) -> str:
    return "both" if kind.directions == BOTH_WAYS else WAYS[kind.directions[0]]


def row(kind: FaultKind) -> str:
    at = ["yes" if port in kind.ports else f"no: {kind.why_not}" for port in ("control", "keys")]
    unseen = ", ".join(WAYS[way] for way in kind.believed)
    return f"| `{kind.name}` | {kind.does} | {ways(kind)} | {at[0]} | {at[1]} | {unseen} |"


def test_the_table_is_what_the_code_says() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert rows == [row(FAULT_KINDS[name]) for name in KINDS]


def test_each_wire_end_has_as_many_kinds_as_the_page_says_and_fourteen_at_least() -> None:
    page = PAGE.read_text(encoding="utf-8")
    told = [int(number) for number in re.findall(r"(\d+) kinds", page)]
    distinct = [kind for kind in FAULT_KINDS.values() if not kind.same_as]
    assert told == [sum(port in kind.ports for kind in distinct) for port in ("control", "keys")]
    assert min(told) >= 14
    assert all(kind.why_not for kind in distinct if len(kind.ports) == 1)
    assert all(f"`{end}`" in page for end in WIRE_ENDS)
