"""One emulated QKD link, operated through its drivers until both ends have drawn the same key blocks."""

from __future__ import annotations

import hmac
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import tokaido.hal as hal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tokaido.emulators import QkdLink

POLL_S = 0.2
EXCHANGE_TIMEOUT_S = 15.0
"""Deadline of one exchange; generous, for the emulation and this share the processor."""
PATIENCE_S = 10.0
"""How much longer than the other end one end may need until it offers the same block."""


@dataclass(slots=True)
class Progress:
    """How far a link is: what a person watches."""

    step: str = "starting"
    transmitter: str = ""
    receiver: str = ""
    transmitter_state: str = ""
    receiver_state: str = ""
    loss_db: float | None = None
    qber: float | None = None
    sifted_bps: float | None = None
    secret_bps: float | None = None
    block_bits: int = 0
    emulated_s: float = 0.0
    """Emulated time since the exchange of keys began."""
    exchange_wall_s: float = 0.0
    """The same on the wall."""
    drawn: int = 0
    """Key blocks that both ends have drawn."""
    wanted: int = 1
    expected_s: float = 0.0
    """Emulated time that all wanted blocks should take."""


class View(Protocol):
    """What shows a demonstration: a live table, plain lines, or nothing."""

    def say(self, text: str) -> None:
        """Show one paragraph that stays."""
        ...

    def update(self, progress: Progress) -> None:
        """Show how far it is."""
        ...


@dataclass(slots=True)
class Outcome:
    """What a link gave in the end."""

    progress: Progress
    infos: list[hal.KeyBlockInfo]
    bits: int
    nonce: str
    digest_transmitter: str
    digest_receiver: str
    agree: bool


@dataclass(slots=True)
class End:
    """One end of the link: its unit, and the key blocks drawn from it."""

    unit: hal.Unit
    blocks: dict[tuple[str, int], hal.KeyBlock] = field(default_factory=dict)
    path: str | None = None
    """Path of the link whose blocks are wanted; None for any."""

    def draw(self, limit: int) -> None:
        """Draw what waits, `limit` blocks at most, and commit it."""
        for block in self.unit.key_blocks(0.0, limit=limit):
            name = block.info.session, block.info.number
            with block:  # here a node would store the block; leaving commits it
                if name in self.blocks or self.path not in (None, block.info.path):
                    block.key.wipe()  # it was offered twice, or is of another link
                else:
                    self.blocks[name] = block

    def wipe(self) -> None:
        """Overwrite every key that was drawn."""
        for block in self.blocks.values():
            block.key.wipe()


def digest(keys: Sequence[hal.KeyMaterial], nonce: bytes) -> str:
    """Return the digest of several keys in their order, as if they were one."""
    whole = bytearray(sum(map(len, keys)))
    start = 0
    for key in keys:
        with key.reveal() as view:
            whole[start : start + len(view)] = view
            start += len(view)
    with hal.KeyMaterial(whole) as joined:
        whole[:] = bytes(len(whole))
        return joined.digest(nonce)


def compare(transmitter: End, receiver: End, nonce: bytes) -> tuple[str, str, bool]:
    """Return the digest of either end's blocks, and whether both have the same blocks with the same keys."""
    digests = [digest([block.key for block in end.blocks.values()], nonce) for end in (transmitter, receiver)]
    same = bool(transmitter.blocks) and list(transmitter.blocks) == list(receiver.blocks)
    return digests[0], digests[1], same and hmac.compare_digest(digests[0], digests[1])


@dataclass(frozen=True, slots=True)
class LinkTask:
    """How many key blocks to draw at each end, and what for."""

    wanted: int
    block_s: float
    """Emulated time that one block should take."""
    deadline: hal.Deadline
    view: View


class LinkRun:
    """Brings one emulated link up through its drivers and draws key blocks from both ends.

    Args:
        vendor: The family of the units.
        link: The emulated pair.
        task: What to do.
    """

    def __init__(self, vendor: str, link: QkdLink, task: LinkTask) -> None:
        self._vendor = vendor
        self._link = link
        self._deadline = task.deadline
        self._view = task.view
        self.progress = Progress(wanted=task.wanted, expected_s=task.wanted * task.block_s)

    def run(self, nonce: bytes) -> Outcome:
        """Do it all: key, power, alignment, exchange, drawing, comparison. Every key is wiped in the end.

        Raises:
            TokaidoError: It did not come so far in time, or a unit refused.
        """
        with ExitStack() as stack:
            tx, rx = self._open(stack)
            ends = End(tx), End(rx)
            for end in ends:
                stack.callback(end.wipe)
            self._bring_up(tx, rx)
            self._exchange(*ends)
            first, second, agree = compare(*ends, nonce)
            return Outcome(
                progress=self.progress,
                infos=[block.info for block in ends[0].blocks.values()],
                bits=sum(block.info.bits for block in ends[0].blocks.values()),
                nonce=nonce.hex(),
                digest_transmitter=first,
                digest_receiver=second,
                agree=agree,
            )

    def _open(self, stack: ExitStack) -> tuple[hal.Transmitter, hal.Receiver]:
        first, second = self._link.transmitter.resources, self._link.receiver.resources
        tx = stack.enter_context(
            hal.Transmitter.open(
                f"{self._vendor}.transmitter",
                timeout=EXCHANGE_TIMEOUT_S,
                control=first["control"],
                keys=first["keys"],
            )
        )
        rx = stack.enter_context(
            hal.Receiver.open(
                f"{self._vendor}.receiver", timeout=EXCHANGE_TIMEOUT_S, control=second["control"], keys=second["keys"]
            )
        )
        self.progress.transmitter = tx.identity().serial_number
        self.progress.receiver = rx.identity().serial_number
        self.progress.block_bits = tx.block_bits
        for side, serial, resources in (
            ("transmitter", self.progress.transmitter, first),
            ("receiver", self.progress.receiver, second),
        ):
            shown = ", ".join(resource.partition("?")[0] for resource in (resources["control"], resources["keys"]))
            self._view.say(f"{side} {serial} on {shown}")
        return tx, rx

    def _bring_up(self, tx: hal.Transmitter, rx: hal.Receiver) -> None:
        self._step("loading the pre-shared key", tx, rx)
        for unit in (tx, rx):
            with read_key(self._link.preshared_key_file) as key:
                unit.load_preshared_key(key)
            if unit.state() is hal.UnitState.OFF:
                unit.power_on()
        self._step("aligning", tx, rx)
        while {tx.state(), rx.state()} != {hal.UnitState.STANDBY}:
            self._wait("both units to be aligned", tx, rx)
        self._step("starting", tx, rx)
        for unit in (tx, rx):
            unit.start()

    def _exchange(self, transmitter: End, receiver: End) -> None:
        tx, rx, progress = transmitter.unit, receiver.unit, self.progress
        begun_emulated_s, begun_wall_s = self._link.emulated_s, self._link.wall_s
        late: hal.Deadline | None = None
        self._step("exchanging keys", tx, rx)
        while progress.drawn < progress.wanted:
            self._wait("a key block from both ends", tx, rx)
            progress.emulated_s = self._link.emulated_s - begun_emulated_s
            progress.exchange_wall_s = self._link.wall_s - begun_wall_s
            measure(progress, rx)
            for end in (transmitter, receiver):
                end.draw(progress.wanted - len(end.blocks))
            progress.drawn = min(len(transmitter.blocks), len(receiver.blocks))
            if len(transmitter.blocks) == len(receiver.blocks):
                late = None
            elif late is None:
                late = hal.Deadline(hal.SYSTEM_CLOCK, PATIENCE_S)
            elif late.passed:
                raise hal.TokaidoError(
                    f"the ends offer different numbers of key blocks: {len(transmitter.blocks)} at the transmitter, "
                    f"{len(receiver.blocks)} at the receiver, for {PATIENCE_S:g} s"
                )
        measure(progress, rx)
        for unit in (tx, rx):
            with suppress(hal.RefusedError):  # the other end's stop may have reached it first
                unit.stop()
        self._step("done", tx, rx)

    def _step(self, step: str, tx: hal.Unit, rx: hal.Unit) -> None:
        self.progress.step = step
        self._look(tx, rx)

    def _look(self, tx: hal.Unit, rx: hal.Unit) -> None:
        states = tx.state(), rx.state()
        self.progress.transmitter_state, self.progress.receiver_state = (state.value for state in states)
        self._view.update(self.progress)
        for unit, state in zip((tx, rx), states, strict=True):
            if state in hal.STUCK:
                unit.wait_for(hal.UnitState.RUN, timeout=0)  # raises, and names the alarms

    def _wait(self, what: str, tx: hal.Unit, rx: hal.Unit) -> None:
        """Let a moment pass, unless the time is up."""
        if self._deadline.passed:
            states = f"transmitter {self.progress.transmitter_state}, receiver {self.progress.receiver_state}"
            raise hal.DeviceTimeoutError(
                f"no key yet: waited for {what} ({states}; {self.progress.drawn} of {self.progress.wanted} blocks, "
                f"{self.progress.emulated_s:.1f} emulated s of key exchange)",
                elapsed_s=self._deadline.elapsed_s,
                remedy="Give it more time with --seconds",
            )
        hal.SYSTEM_CLOCK.wait(min(POLL_S, self._deadline.remaining_s))
        self._look(tx, rx)


def measure(progress: Progress, rx: hal.Unit) -> None:
    """Note what the receiver tells; what it cannot tell just now keeps its last value."""
    readings = rx.telemetry()

    def value(path: str, last: float | None) -> float | None:
        reading = readings.get(path)
        return reading.value if reading is not None and reading.value is not None else last

    progress.loss_db = value("channel_loss", progress.loss_db)
    progress.qber = value("qber", progress.qber)
    if rate := value("sifted_key_rate", None):
        progress.sifted_bps = rate
    progress.secret_bps = value("secret_key_rate", progress.secret_bps)


def read_key(path: Path | None) -> hal.KeyMaterial:
    """Read a pre-shared key from its file."""
    if path is None:
        raise hal.ConfigurationError("this link was made without a pre-shared key")
    content = bytearray(path.read_bytes())
    try:
        return hal.KeyMaterial(content)
    finally:
        content[:] = bytes(len(content))
