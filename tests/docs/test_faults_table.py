"""The table of faults on the wire says of each kind what the code does, and how many kinds a wire end has."""

from __future__ import annotations

from pathlib import Path

from tokaido.emulators import KINDS, WIRE_ENDS
from tokaido.emulators._fault_kinds import BOTH_WAYS, FAULT_KINDS, FaultKind, FaultPort

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "faults.md"
WAYS = {"to_unit": "to the device", "from_unit": "from it"}


def ways(kind: FaultKind) -> str:
    return "both" if kind.directions == BOTH_WAYS else WAYS[kind.directions[0]]


def row(kind: FaultKind) -> str:
    at = ["yes" if port in kind.ports else f"no: {kind.why_not}" for port in ("control", "keys")]
    unseen = ", ".join(WAYS[way] for way in kind.believed)
    return f"| `{kind.name}` | {kind.does} | {ways(kind)} | {at[0]} | {at[1]} | {unseen} |"


def test_the_table_is_what_the_code_says() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("| kind |")[2]
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [row(FAULT_KINDS[name]) for name in KINDS]


def end_row(end: str, port: FaultPort) -> str:
    distinct = [kind for kind in FAULT_KINDS.values() if not kind.same_as]
    missing = [kind for kind in distinct if port not in kind.ports]
    assert len(distinct) - len(missing) >= 14
    assert all(kind.why_not for kind in missing)
    not_there = ", ".join(f"`{kind.name}`: {kind.why_not}" for kind in missing)
    carries = "messages" if port == "keys" or end == "`zmq`" else "a stream"
    return f"| {end} | {port} | {carries} | {len(distinct) - len(missing)} | {not_there} |"


def test_each_wire_end_has_fourteen_kinds_at_least_and_the_page_says_how_many_and_why_others_are_not_there() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("| wire end |")) + 2
    rows = lines[begin : lines.index("", begin)]
    assert rows == [
        *(end_row(f"`{end}`", "control") for end in WIRE_ENDS),
        *(end_row(end, "keys") for end in ("ZeroMQ under CURVE", "messages within the process")),
    ]
