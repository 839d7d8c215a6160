"""Parts of a node's status, for tests of what shows it."""

from __future__ import annotations

from typing import Any

import msgspec

from tokaido.node.operation import AlarmLine, LinkLine, NeighbourLine, NodeStatus, PairLine, StoreLine

LINK = LinkLine(
    name="field",
    neighbour="koganei",
    device="alice",
    state="RUN",
    phase="running",
    why="",
    next_attempt_in_s=None,
    attempts_within_an_hour=1,
    failures=0,
    running=True,
    drawing=True,
    qber=0.031,
    secret_key_rate=120e3,
    authentication_bits=32512,
    stock_bits=8_000_000,
    reserve_s=1538.0,
    since_block_s=2.0,
    answered_s=0.4,
    counters={"drawn": 9_000_000, "stored": 8_000_000, "spent_pad": 1_000_000, "discarded_gap": 0},
)
PAIR = PairLine(
    neighbour="koganei",
    ready=4096,
    target=4096,
    in_flight=0,
    held=4096,
    demand=10.0,
    reserve_s=409.6,
    integrity="confirmed end to end",
    counters={"born": 5000, "taken": 900},
)
NEIGHBOUR = NeighbourLine(name="koganei", up=True, known=True, silent_s=0.3)
TAMPER = AlarmLine(
    code="TAMPER",
    of="alice",
    severity="CRITICAL",
    text="the cover was opened",
    to_do="Go to the unit: its cover was opened. Load new keys if you cannot explain it",
    raised="2026-11-28T03:02:01Z",
    age_s=61.0,
    lasts=True,
    latched=True,
)
FINE = NodeStatus(
    node="otemachi",
    utc="2026-11-28T03:03:02Z",
    up_s=86_400.0,
    level="fine",
    headline="Keys are served",
    to_do="",
    draining=False,
    emulation=False,
    store=StoreLine(open=True),
    links=(LINK,),
    pairs=(PAIR,),
    neighbours=(NEIGHBOUR,),
)


def but(status: Any, **changes: object) -> Any:
    """Return a part of a status with other members."""
    return msgspec.structs.replace(status, **changes)
