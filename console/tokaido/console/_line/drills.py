"""What goes wrong on a line, and what it is to do then: each drill says what it expects, and what it saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import tokaido.hal as hal
from tokaido.console._line.drills_of_light import cut, eve, power
from tokaido.console._line.drills_of_nodes import kill_with_a_second_way, kill_without, restore
from tokaido.console._line.drills_of_trust import what_a_node_sees
from tokaido.console._output import print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokaido.console._line.described import Described
    from tokaido.console._line.outcome import Outcome
    from tokaido.console._line.shown import Shown

Name = Literal["eve", "cut", "kill-maibara", "kill-shizuoka", "power", "sees", "restore"]
LONGEST_S: Final = 120.0
"""How long a drill may take."""


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill."""

    name: Name
    title: str
    expected: str
    title_ja: str
    expected_ja: str
    needs: frozenset[str]
    """Names of the sites and spans that it is about."""
    run: Callable[[Shown, hal.Deadline, bool], Outcome]
    """Carries it out; with True in a way in which what is expected cannot come."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a drill."""

    drill: Drill
    seen: str
    held: bool
    seconds: float

    @property
    def record(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "name": self.drill.name,
            "expected": self.drill.expected,
            "seen": self.seen,
            "held": self.held,
            "seconds": round(self.seconds, 3),
        }


DRILLS: Final = (
    Drill(
        "eve",
        "Eve measures pulses between Maibara and Osaka, some at first and then all",
        "the QBER rises; the receiver stops for a person and its node raises an alarm; the span makes no key; every "
        "request is served, by the second way once Maibara is told to relay none",
        "米原・大阪間で盗聴。はじめは一部、次に全パルスを測定",
        "量子ビット誤り率が上がり、受信装置は人を待って止まり、ノードが警報を出す。この区間では鍵ができない。米原の中継を止めれば、すべての要求に第二経路で応える。",
        frozenset({"maibara-osaka"}),
        eve,
    ),
    Drill(
        "cut",
        "A digger cuts fibre A between Nagoya and Maibara",
        "the receiver loses the light, the link moves to fibre B by both switches, and not one request goes unserved",
        "名古屋・米原間のファイバAを切断",
        "受信側で光が失われ、両端の光スイッチでリンクがファイバBに移る。応えられない要求は一つもない。",
        frozenset({"nagoya-maibara"}),
        cut,
    ),
    Drill(
        "kill-maibara",
        "The node at Maibara fails",
        "keys go on over Kameyama and Nara, and not one request goes unserved",
        "米原のノードが故障",
        "鍵は亀山・奈良経由で届き、応えられない要求は一つもない。",
        frozenset({"maibara", "nara"}),
        kill_with_a_second_way,
    ),
    Drill(
        "kill-shizuoka",
        "The node at Shizuoka fails, and there is no second way",
        "keys come from stock, which is told as it shrinks; then requests get a 503, and keys again when it is back",
        "静岡のノードが故障。迂回路はない",
        "鍵は在庫から出され、減っていく様子が示される。尽きれば503、復旧後は再び鍵が出る。",
        frozenset({"shizuoka"}),
        kill_without,
    ),
    Drill(
        "power",
        "Nara loses its mains, and gets them back",
        "keys go the first way and not one request goes unserved; back, its units warm up and make key again",
        "奈良の電源が落ち、復旧する",
        "鍵は第一経路で届き、応えられない要求は一つもない。復旧後、装置は暖機して再び鍵を作る。",
        frozenset({"nara"}),
        power,
    ),
    Drill(
        "sees",
        "What does the node at Shizuoka see? And a node between Nagoya and Osaka?",
        "Shizuoka sees the key of the bank and the hospital: the same digest. Of a key that went two ways from Nagoya "
        "to Osaka, no node in the middle sees it",
        "静岡のノードには何が見えるか。名古屋・大阪間のノードには",
        "静岡には銀行と病院の鍵が見え、ダイジェストは同じ。二経路で届く名古屋・大阪の鍵は、途中のどのノードにも見えない。",
        frozenset({"shizuoka", "maibara", "kameyama", "nara"}),
        what_a_node_sees,
    ),
    Drill(
        "restore",
        "Somebody puts yesterday's copy of Odawara's key store back",
        "Odawara and its neighbours say STORE_ROLLBACK, no range of link key is granted twice, and keys agree",
        "小田原の鍵ストアに古い複製が戻される",
        "小田原と両隣がSTORE_ROLLBACKを出す。同じ鍵の範囲が二度使われることはなく、鍵は一致する。",
        frozenset({"odawara"}),
        restore,
    ),
)


def drills_of(only: Sequence[str], broken: str, *, every: bool) -> tuple[str, ...]:
    """Return the names of the drills that a person wants.

    Args:
        only: Those that were named; empty: all, if `every` says so.
        broken: One that is wanted in any case, if it is not empty.
        every: Whether drills are wanted at all.

    Raises:
        ConfigurationError: A drill is not known.
    """
    known = tuple(drill.name for drill in DRILLS)
    for name in (*only, *([broken] if broken else ())):
        if name not in known:
            raise hal.ConfigurationError(f"no drill is called {name!r}", remedy=f"Choose one of: {', '.join(known)}")
    wanted = {*only, broken} if only or (broken and not every) else set(known) if every else set()
    return tuple(name for name in known if name in wanted)


def check_drills(names: Sequence[str], described: Described) -> None:
    """See that a line has all that drills are about.

    Raises:
        ConfigurationError: It has not.
    """
    for drill in DRILLS:
        if drill.name in names and (missing := drill.needs - described.names):
            raise hal.ConfigurationError(
                f"the drill {drill.name} is about {', '.join(sorted(missing))}, which this line has not",
                remedy="Drills are for the line from Tokyo to Kobe",
            )


def run_drills(shown: Shown, names: Sequence[str], broken: str = "") -> list[Done]:
    """Carry drills out, one after the other, and return what came of them.

    Args:
        shown: A line that runs.
        names: Which ones, in their order.
        broken: One that is carried out so that what it expects cannot come; it is to fail.
    """
    return [run_drill(shown, drill, broken=drill.name == broken) for drill in DRILLS if drill.name in names]


def run_drill(shown: Shown, drill: Drill, *, broken: bool = False) -> Done:
    """Carry one drill out, and leave the line as it was."""
    shown.view.say(f"\nDrill {drill.name}: {drill.title}. Expected: {drill.expected}.")
    begun = hal.Deadline(hal.SYSTEM_CLOCK, LONGEST_S)
    try:
        outcome = drill.run(shown, begun, broken)
    except hal.TokaidoError as error:
        done = Done(drill, f"it came to nothing: {error}", held=False, seconds=begun.elapsed_s)
    else:
        done = Done(drill, outcome.seen, held=outcome.held, seconds=begun.elapsed_s)
    shown.view.say(f"{'Held' if done.held else 'NOT HELD'}: {done.seen} ({done.seconds:.0f} s)")
    return done


def show_drills(done: Sequence[Done]) -> None:
    """Print what came of drills."""
    print()
    print_table(
        ["drill", "", "seen", "s"],
        [[one.drill.name, "held" if one.held else "NOT HELD", one.seen, f"{one.seconds:.0f}"] for one in done],
    )
