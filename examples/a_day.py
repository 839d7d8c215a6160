"""A whole day of a link over 200 km of fibre, in minutes: faults by the clock, supervised by unmodified drivers.

    python examples/a_day.py --hours 24 --log day.csv

Two NEC-style units with nanowire detectors, a switch, two fibres; all of it emulated. Time passes when the program
waits. Fibres are cut, bent and mended, somebody listens, the laser fails.
"""

from __future__ import annotations

import argparse
import csv
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import tokaido.hal as hal
from tokaido.emulators import Bench, SteppedClock
from tokaido.emulators.optics import preset

SPEED = 10.0  # emulated seconds for each that the program waits: a step of the bench is ten times as long
POLL_S = 60.0
DARK_S = 600.0  # then the link goes over the other fibre
LOSS_DB = 42.0
PATHS = {"A": {1: 1, 3: 3}, "B": {1: 2, 4: 3}}  # what the switch joins for each fibre
JOINS = "alice switch.in1, switch.out1 A.a, switch.out2 B.a, A.b switch.in3, B.b switch.in4, switch.out3 bob"
EVENTS = {
    2.5: "cut A",
    6.0: "bend B 1.5",
    8.0: "mend B",
    9.0: "mend A",
    12.0: "fault alice laser_power_loss",
    12.2: "mend alice",
    16.0: "attack B intercept_resend fraction=0.3",
    16.5: "mend B",
    20.0: "cut B",
}
FIGURES = ("qber", "secret_key_rate", "channel_loss")
NONCE = b"for one comparison"


class Day:
    """A bench, three drivers on it, and what a person on duty does with them."""

    def __init__(self, seed: int, stack: ExitStack) -> None:
        self._clock = SteppedClock()
        self.bench = stack.enter_context(Bench(seed=seed, speed=SPEED, secrets="seeded", clock=self._clock))
        alice = self.bench.device("alice", "nec.transmitter", warm=True, sub_channels=1)
        bob = self.bench.device("bob", "nec.receiver", warm=True, sub_channels=1)
        switch = self.bench.device("switch", "polatis.matrix", inputs=4, outputs=4)
        for name in PATHS:
            self.bench.fibre(name, length_km=200, loss_db=LOSS_DB - 3)
        for join in JOINS.split(", "):
            one, other = join.split()
            self.bench.join(one, other)
        parameters = preset("nec-sspd", settings="short-block", channel_loss_db=LOSS_DB)
        self.bench.set_up("alice", "bob", parameters, block_bits=1_000_000)
        for name in PATHS:
            self.bench.preshared_key("alice", "bob", name, load=True)
        for hour, order in EVENTS.items():
            self.bench.at(3600 * hour, *order.split())
        self.bench.on_order = self._tell
        self.bench.start()
        clock = self._clock
        self._alice = stack.enter_context(
            hal.Transmitter.open("nec.transmitter", clock=clock, timeout=5, **alice.resources)
        )
        self._bob = stack.enter_context(hal.Receiver.open("nec.receiver", clock=clock, timeout=5, **bob.resources))
        self._switch = stack.enter_context(
            hal.OpticalSwitch.open("polatis.matrix", clock=clock, timeout=5, **switch.resources)
        )
        self.path, self.blocks, self.bits, self.dark_s = "", 0, 0, 0.0
        self._waited_s = 0.0
        self._alarms: frozenset[str] = frozenset()
        self._single: dict[tuple[str, int], str] = {}

    def use(self, path: str) -> None:
        """Bring the link onto a fibre. It aligns by itself, and later steps start it."""
        for unit in (self._alice, self._bob):
            if unit.state() in {*hal.RUNNING, hal.UnitState.REALIGN}:
                unit.stop()
            unit.wait_for(hal.UnitState.AUTH, hal.UnitState.STANDBY, timeout=60)
        mine, theirs = (unit.identity().serial_number for unit in (self._alice, self._bob))
        self._switch.replace(PATHS[path])
        self._alice.select_link(theirs, path)
        self._bob.select_link(mine, path)
        self.path, self._waited_s = path, 0.0
        self._tell(self.bench.emulated_s, f"the link goes over fibre {path}")

    def step(self) -> list[object]:
        """Wait until the next poll, look after the link, and return a row of the log."""
        self._clock.wait(POLL_S / SPEED)
        units = self._alice, self._bob
        states = [unit.state() for unit in units]
        self._waited_s = 0.0 if all(state in hal.RUNNING for state in states) else self._waited_s + POLL_S
        self.dark_s += POLL_S if self._waited_s else 0.0
        for unit, state in zip(units, states, strict=True):
            with suppress(hal.RefusedError):  # while the cause lasts
                if state is hal.UnitState.SECURITY_HOLD:
                    unit.acknowledge_security()
                elif state is hal.UnitState.FAULT:
                    unit.clear_fault()
        if all(state is hal.UnitState.STANDBY for state in states):
            for unit in units:
                unit.start()
        elif self._waited_s > DARK_S and hal.UnitState.FAULT not in states:
            self.use("B" if self.path == "A" else "A")
        self._draw()
        self._follow_alarms()
        told = self._bob.telemetry()
        figures = [told[name].value for name in FIGURES]
        return [f"{self.bench.emulated_s / 3600:.3f}", self.path, states[1].value, *figures, self.blocks, self.bits]

    def _draw(self) -> None:
        for unit in (self._alice, self._bob):
            for block in unit.key_blocks(0.0):
                with block:
                    name, digest = (block.info.session, block.info.number), block.key.digest(NONCE)
                    other = self._single.pop(name, None)
                    if other is None:  # the other end has not handed it out yet
                        self._single[name] = digest
                    else:
                        assert digest == other, f"block {name} is not the same at both ends"
                        self.blocks, self.bits = self.blocks + 1, self.bits + block.key.bits

    def _follow_alarms(self) -> None:
        now = frozenset(f"{unit.name}: {one.code}" for unit in (self._alice, self._bob) for one in unit.alarms())
        for alarm in sorted(now - self._alarms):
            self._tell(self.bench.emulated_s, f"alarm of {alarm}")
        self._alarms = now

    @staticmethod
    def _tell(at_s: float, what: str) -> None:
        print(f"{at_s / 3600:6.2f} h  {what}", flush=True)


def main() -> None:
    """Run the day and tell what it came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--log", type=Path, default=Path("day.csv"))
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    began = time.perf_counter()
    with ExitStack() as stack:
        day = Day(asked.seed, stack)
        table = csv.writer(stack.enter_context(asked.log.open("w")))
        table.writerow(["hour", "path", "state", *FIGURES, "blocks", "bits"])
        day.use("A")
        while day.bench.emulated_s < 3600 * asked.hours:
            table.writerow(day.step())
    wall_s = time.perf_counter() - began
    print(f"{asked.hours:g} h in {wall_s:.0f} s: {3600 * asked.hours / wall_s:.0f} times as fast as real time")
    print(f"{day.blocks} key blocks, {day.bits} bits, the same at both ends; {day.dark_s / 60:.0f} min without keys")


if __name__ == "__main__":
    main()
