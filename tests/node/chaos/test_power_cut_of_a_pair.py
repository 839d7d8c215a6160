"""The power of two nodes is cut at once: whatever one disk forgot, no pad is used twice; if both forgot, some are."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tokaido.hal import KeyMaterial
from tokaido.node.messages import Envelope, Relay
from tokaido.node.store import SqliteStore
from tokaido_testing.nodes import TwoNodes
from tokaido_testing.power_cut import Operation, Recording, record, strace
from tokaido_testing.stores import in_memory

__all__ = ["in_memory", "strace"]

NODES = ("kobe", "osaka")
CUTS = 60 if os.environ.get("TOKAIDO_CHAOS") == "long" else 6
Pad = tuple[str, str, int, str, int, int]
"""Link, session, number, owner, begin and end."""
PROGRAM = """
import sys
from pathlib import Path
from tokaido_testing.power_cut import say
from test_power_cut_of_a_pair import Nodes
nodes = Nodes(Path(sys.argv[1]), lambda pad: say("pad " + pad))
say("open")
nodes.work(rounds=6)
nodes.close()
"""


class Nodes:
    """Two cores on stores in SQLite, whose relays are told before they are sent."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self.nodes = TwoNodes()
        key = KeyMaterial(bytes(range(32)))
        stores = {name: SqliteStore.open(folder / name / "store", key, create=True) for name in NODES}
        self.nodes.stores = dict(stores)  # type: ignore[arg-type]
        self.nodes.now_s = max(store.age_s for store in stores.values())
        self._tell = tell
        self.nodes.between = self._between
        self._start()

    def _start(self) -> None:
        nodes = self.nodes
        nodes.start()
        nodes.wait(1.0)

    def _between(self, name: str, envelope: Envelope) -> Envelope:
        body = envelope.body
        if isinstance(body, Relay):
            pad = [body.link, body.session, body.number, name, body.offset, body.offset + body.length]
            self._tell(json.dumps(pad))
        return envelope

    def work(self, rounds: int) -> None:
        """Draw blocks that may be known already, and give keys to applications of both ends."""
        for number in range(rounds):
            self.nodes.draw_both(number, size=6000)
            for name, other in (NODES, NODES[::-1]):
                for _ in range(6):
                    self.nodes.enc(name, slaves=(f"{other}-1",), number=3)
                    self.nodes.wait(0.5)

    def close(self) -> None:
        for store in self.nodes.stores.values():
            store.close()


def alone(recording: Recording, node: str) -> Recording:
    """Return what one node did to its files, at the places where both did."""
    nothing = Operation("sync", "nowhere")
    return Recording(
        [
            one if one.kind == "say" or one.path in ("", node) or one.path.startswith(f"{node}/") else nothing
            for one in recording.operations
        ]
    )


def reused(pads: list[Pad]) -> list[tuple[Pad, Pad]]:
    """Return each two pads that share a byte."""
    return [
        (one, other) for one, other in itertools.pairwise(sorted(pads)) if one[:4] == other[:4] and other[4] < one[5]
    ]


def pads_in(said: tuple[str, ...]) -> list[Pad]:
    return [tuple(json.loads(text.removeprefix("pad "))) for text in said if text.startswith("pad ")]


def noted(pads: list[Pad], pad: str) -> None:
    pads.append(tuple(json.loads(pad)))


@pytest.mark.usefixtures("strace")
@pytest.mark.timeout(900)
@pytest.mark.thorough
def test_a_cut_of_both_reuses_pads_only_if_both_disks_lied(in_memory: Path) -> None:
    recorded = in_memory / "recorded"
    recorded.mkdir()
    program = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n{PROGRAM}"
    whole = record(recorded, [sys.executable, "-c", program, str(recorded)], in_memory / "trace", timeout_s=120.0)
    last = len(whole.operations)
    first_pad = next(place for place, one in enumerate(whole.operations) if one.path.startswith("pad "))
    lies_from = first_pad + (last - first_pad) // 6
    disks = {node: alone(whole, node) for node in NODES}
    found: dict[tuple[bool, bool], int] = {}
    for number in range(CUTS):
        at = lies_from + (last - lies_from) * (number + 1) // (CUTS + 1)
        for lies in ((False, False), (False, True), (True, False), (True, True)):
            folder = in_memory / f"{at}-{lies[0]}-{lies[1]}"
            folder.mkdir()
            pads: list[Pad] = []
            for node, lie in zip(NODES, lies, strict=True):
                cut = disks[node].cut(at, honest=lies_from if lie else None)
                cut.place(folder / f"of-{node}")
                (folder / f"of-{node}" / node).rename(folder / node)
                pads = pads_in(cut.said)
            nodes = Nodes(folder, partial(noted, pads))
            nodes.work(rounds=3)
            nodes.close()
            found[lies] = found.get(lies, 0) + len(reused(pads))
    assert {lies for lies, count in found.items() if count} == {(True, True)}, found
