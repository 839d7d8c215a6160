"""Use a whole station for a long time under faults, and show that nothing grows and nothing wrong is told.

    python benchmarks/long_run.py [MINUTES]

An emulated link of Toshiba-style units makes keys that are drawn at both ends and compared by digest; four switches are
read on a serial line, a socket and HiSLIP. Every wire has a fault about half of the time. What an altered byte or a
reply that comes twice can do to a plain line is known (docs/explanation/plain-lines.md), so those two strike the units
alone. Default: 20 minutes; a line of figures a minute.
"""

from __future__ import annotations

import gc
import itertools
import random
import secrets
import sys
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tokaido.hal as hal
from tokaido.emulators import Faults, InstrumentEmulator, QkdLink, launch

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT_S = 0.3
ON_LINES = ("latency", "drop", "truncate", "split", "unplug", "hang")
ON_UNITS = (*ON_LINES, "garble", "duplicate")
SWITCHES = (("dicon.selector", "pty"), ("thorlabs.osw", "pty"), ("polatis.matrix", "tcp"), ("polatis.matrix", "hislip"))


@dataclass
class Tally:
    """What became of the calls."""

    calls: int = 0
    failed: int = 0
    wrong: list[str] = field(default_factory=list)
    digests: dict[tuple[str, int], str] = field(default_factory=dict)
    agreed: int = 0

    def ask(self, question: Any, wanted: object, what: str) -> None:
        """Ask, and compare what is told with what is so."""
        self.calls += 1
        try:
            told = question()
        except hal.TokaidoError:
            self.failed += 1
            return
        if told != wanted:
            self.wrong.append(f"{what}: {told!r} instead of {wanted!r}")

    def draw(self, unit: hal.Unit, nonce: bytes) -> None:
        """Draw the blocks that wait, and compare each with the one of the other end."""
        self.calls += 1
        try:
            for block in unit.key_blocks(0, limit=2):
                with block:
                    name, digest = (block.info.session, block.info.number), block.key.digest(nonce)
                other = self.digests.pop(name, None)
                if other is None:
                    self.digests[name] = digest
                elif other == digest:
                    self.agreed += 1
                else:
                    self.wrong.append(f"block {name} differs")
        except hal.TokaidoError:
            self.failed += 1


def trouble(
    faults: Faults, ports: Sequence[Literal["control", "keys"]], kinds: Sequence[str], choose: random.Random
) -> None:
    """End the faults of an emulator, and add one or none."""
    faults.clear()
    if choose.random() < 0.5:
        with suppress(hal.ConfigurationError):  # this wire has no such fault
            way: Literal["to_unit", "from_unit"] = "to_unit" if choose.random() < 0.5 else "from_unit"
            seconds = choose.choice((0.05, 0.4, 1.5))
            faults.add(choose.choice(kinds), port=choose.choice(ports), direction=way, seconds=seconds, probability=0.3)


def who(unit: hal.Unit) -> str:
    """Ask a unit for its serial number."""
    return unit.identity().serial_number


def figures() -> str:
    """Return the descriptors, the threads and the memory in KiB of this process."""
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    return f"{descriptors:>12} {threading.active_count():>8} {int(resident.split()[1]):>9}"


def main(minutes: float) -> int:
    """Run for so many minutes and print a line a minute; 1 if anything wrong was told."""
    seed, nonce, tally = secrets.randbits(32), secrets.token_bytes(16), Tally()
    choose = random.Random(seed)
    with ExitStack() as stack:
        link = stack.enter_context(QkdLink.launch("toshiba", load_preshared_key=True, warm=True))
        tx = stack.enter_context(
            hal.Transmitter.open("toshiba.transmitter", timeout=TIMEOUT_S, **link.transmitter.resources)
        )
        rx = stack.enter_context(hal.Receiver.open("toshiba.receiver", timeout=TIMEOUT_S, **link.receiver.resources))
        boxes: list[tuple[InstrumentEmulator, hal.OpticalSwitch, dict[int, int]]] = []
        for driver, end in SWITCHES:
            box = stack.enter_context(launch(driver, wire_end=end))
            switch = stack.enter_context(hal.OpticalSwitch.open(driver, timeout=TIMEOUT_S, **box.resources))
            if not switch.connections():
                switch.connect(1, 2)
            boxes.append((box, switch, switch.connections()))
        for unit in (tx, rx):
            unit.wait_for(hal.UnitState.STANDBY, timeout=120)
        for unit in (tx, rx):
            unit.start()
        print(f"seed {seed}; the link's own {link.seed}")
        heads = f"{'s':>6} {'calls':>8} {'failed':>8} {'wrong':>6} {'agreed':>7}"
        print(f"{heads} {'descriptors':>12} {'threads':>8} {'KiB':>9}")
        start_s, shown = time.monotonic(), 0
        units = ((tx, link.transmitter), (rx, link.receiver))
        for turn in itertools.count():
            passed_s = time.monotonic() - start_s
            if passed_s >= shown * 60:
                for faults in (link.transmitter.faults, link.receiver.faults, *(box.faults for box, _, _ in boxes)):
                    faults.clear()
                time.sleep(2.0)
                head = f"{passed_s:>6.0f} {tally.calls:>8} {tally.failed:>8} {len(tally.wrong):>6} {tally.agreed:>7}"
                print(f"{head} {figures()}", flush=True)
                shown += 1
            if passed_s >= minutes * 60:
                break
            if turn % 20 == 0:
                for _, emulator in units:
                    trouble(emulator.faults, ("control", "keys"), ON_UNITS, choose)
                for box, _, _ in boxes:
                    trouble(box.faults, ("control",), ON_LINES, choose)
            for unit, emulator in units:
                tally.ask(partial(who, unit), emulator.serial_number, "identity")
                tally.draw(unit, nonce)
            for box, switch, wanted in boxes:
                tally.ask(switch.connections, wanted, box.serial_number)
    print(*tally.wrong[:20], sep="\n")
    return int(bool(tally.wrong))


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0))
