"""A QKD link: an emulated transmitter and receiver that a fibre and a classical channel join."""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from tokaido.emulators._distilling import DistillingEnd
from tokaido.emulators._launch import Emulator, OwnDirectory
from tokaido.emulators._light import QuantumPath
from tokaido.emulators._secrets import Secrets, secret_source
from tokaido.emulators.distillation import ReceiverDistiller, TransmitterDistiller
from tokaido.emulators.ends._end import SharedModel
from tokaido.emulators.optics import FIELD_FIBRE, preset
from tokaido.emulators.units import of_detector
from tokaido.hal._clock import NS_PER_S, SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from tokaido.emulators.optics import Fibre, InterceptResend, LinkParameters, PresetSettings
    from tokaido.emulators.units import ReceiverUnit, TransmitterUnit, UnitModel

Side = Literal["transmitter", "receiver"]
MAX_STEP_NS = 200_000_000
"""Longest step of emulated time: what the machine cannot keep up with makes emulated time slower, not coarser."""
PUMP_S = 0.05
"""Wall time after which messages wait for the next step, so that the boxes' own time goes on."""
AHEAD_NS = 2_000_000_000
"""Emulated time that may pass while messages wait; then it creeps until the link has caught up."""
CREEP_NS = 5_000_000
"""Longest step of emulated time while it creeps; the boxes' consoles and waiting draws go on."""
_IDLE_S = 0.005


class QkdLink:
    """Two unit models over one fibre. It can be stepped by hand, or run by a thread (`start`).

    A step of emulated time exposes pulses if both units are in a session and hands each unit's distillation its own
    side of the record; carries the classical channel both ways until nobody has more to say; and advances both models.
    Propagation delays are left out.

    Args:
        transmitter: The transmitter's model.
        receiver: The receiver's model.
        fibre: What joins them.
        parameters: What their optics are built of; the T12 preset for want of it.
        seed: Decides what the light does.
        secrets: Where the transmitter's raw bits come from.
        clock: The wall clock.
    """

    def __init__(
        self,
        transmitter: TransmitterUnit,
        receiver: ReceiverUnit,
        *,
        fibre: Fibre = FIELD_FIBRE,
        parameters: LinkParameters | None = None,
        seed: int = 0,
        secrets: Secrets = "os",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.transmitter_model = transmitter
        self.receiver_model = receiver
        self.tamper: Callable[[Side, bytes], Iterable[bytes]] | None = None
        """Who sits on the classical channel: takes the sender and a message, returns what arrives in its place."""
        optics = parameters or preset("t12", settings="short-block", channel_loss_db=fibre.total_loss_db)
        raw = secret_source(secrets, seed, transmitter.serial_number, "raw")
        self.path = QuantumPath(optics, fibre, physics=np.random.default_rng(seed), secret=raw)
        """The quantum path: loss, drift, `bright`."""
        self._shared = SharedModel(transmitter), SharedModel(receiver)
        self._ends = (
            DistillingEnd(self._shared[0], transmitter, lambda s, pool, k: TransmitterDistiller(s, pool, secret=k)),
            DistillingEnd(self._shared[1], receiver, lambda s, pool, k: ReceiverDistiller(s, pool, secret=k)),
        )
        self._clock = clock
        self._now_ns = max(transmitter.now_ns, receiver.now_ns)
        self._began_ns = self._now_ns
        self._behind_ns = 0
        self._exposed: tuple[object, object] = (None, None)
        self._wall_ns = 0
        self._recent: deque[tuple[int, int]] = deque(maxlen=64)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._stack = ExitStack()
        self._units: dict[Side, Emulator] = {}
        self.preshared_key_file: Path | None = None
        """File of the pre-shared key that was made for this link: 4096 random bytes, mode 0600."""

    # --- launching --------------------------------------------------------------------------------------------------

    @classmethod
    def launch(
        cls,
        *,
        fibre: Fibre = FIELD_FIBRE,
        settings: PresetSettings = "short-block",
        parameters: LinkParameters | None = None,
        block_bits: int | None = None,
        serial_numbers: tuple[str, str] = ("TKTX0001", "TKRX0001"),
        seed: int = 0,
        speed: float = 10.0,
        warm: bool = True,
        secrets: Secrets = "os",
        load_preshared_key: bool = False,
        directory: Path | str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """Start a link of Toshiba-style units on their wires, and run it. Close it, or use it as a context manager.

        Args:
            fibre: What joins the units.
            settings: Which intensities and probabilities the units are set to.
            parameters: What the optics are built of, and what the units are set to; overrules `settings`.
            block_bits: Key-basis bits of a block, at both units; 10000000 for want of it.
            serial_numbers: Of the transmitter and the receiver.
            seed: Decides everything that is random and no secret.
            speed: Emulated seconds per second, if the machine can.
            warm: Begin with units that have long been on: state AUTH, temperatures settled.
            secrets: "os", or "seeded" for keys that are the same in every run and marked insecure.
            load_preshared_key: Load the pre-shared key into both units, which is otherwise the operator's task.
            directory: Where consoles, key files and the pre-shared key appear; by default one that is removed.
            clock: The wall clock.
        """
        from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel  # noqa: PLC0415 - a link is of any units

        optics = parameters or preset("t12", settings=settings, channel_loss_db=fibre.total_loss_db)
        transmitter = TransmitterModel(serial_numbers[0], seed=seed, secrets=secrets)
        receiver = ReceiverModel(serial_numbers[1], seed=seed, secrets=secrets)
        _set_up(transmitter, receiver, optics, block_bits)
        link = cls(transmitter, receiver, fibre=fibre, parameters=optics, seed=seed, secrets=secrets, clock=clock)
        try:
            place = OwnDirectory(directory)
            link._stack.callback(place.remove)
            link._make_preshared_key(place.path, load=load_preshared_key)
            units: tuple[UnitModel, UnitModel] = (transmitter, receiver)
            for unit, shared in zip(units, link._shared, strict=True):
                if warm:
                    unit.warm()
                emulator = Emulator(unit, shared, place.path, clock=clock, seed=seed)
                link._stack.callback(emulator.close)
                link._units[unit.SIDE] = emulator
            link.start(speed)
        except BaseException:
            link.close()
            raise
        return link

    def _make_preshared_key(self, directory: Path, *, load: bool) -> None:
        path = directory / "preshared.key"
        key = os.urandom(self.transmitter_model.PSK_BYTES)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key)
        self._stack.callback(path.unlink, missing_ok=True)
        self.preshared_key_file = path
        if load:
            self.load_preshared_key(key)

    def load_preshared_key(self, key: bytes) -> None:
        """Load the same pre-shared key into both units, as their operators would."""
        for shared, unit in zip(self._shared, (self.transmitter_model, self.receiver_model), strict=True):
            with shared.lock:
                unit.load_psk(key)

    @property
    def transmitter(self) -> Emulator:
        """The transmitter on its wires."""
        return self._units["transmitter"]

    @property
    def receiver(self) -> Emulator:
        """The receiver on its wires."""
        return self._units["receiver"]

    # --- mishaps and attacks ----------------------------------------------------------------------------------------

    @property
    def eavesdropper(self) -> InterceptResend | None:
        """Who intercepts and resends pulses on the fibre."""
        return self.path.eavesdropper

    @eavesdropper.setter
    def eavesdropper(self, eavesdropper: InterceptResend | None) -> None:
        self.path.eavesdropper = eavesdropper

    def cut(self) -> None:
        """Cut the fibre: no light arrives. The classical channel goes another way."""
        self.path.cut = True

    def restore(self) -> None:
        """Mend the fibre, and take away what `add_loss` brought."""
        self.path.cut = False
        self.path.extra_loss_db = 0.0

    def add_loss(self, loss_db: float) -> None:
        """Put `loss_db` dB more onto the fibre."""
        self.path.extra_loss_db += loss_db

    def isolate(self) -> None:
        """Cut the classical channel; set `tamper` to None to mend it."""
        self.tamper = lambda _side, _message: ()

    # --- time -------------------------------------------------------------------------------------------------------

    @property
    def emulated_s(self) -> float:
        """Emulated time since the link was made, in s."""
        return (self._now_ns - self._began_ns) / NS_PER_S

    @property
    def wall_s(self) -> float:
        """Time that the thread has run, in s."""
        return self._wall_ns / NS_PER_S

    @property
    def speed(self) -> float:
        """Emulated seconds per second, over the last steps."""
        recent = list(self._recent)
        if len(recent) < 2 or recent[-1][0] == recent[0][0]:
            return 0.0
        return (recent[-1][1] - recent[0][1]) / (recent[-1][0] - recent[0][0])

    def start(self, speed: float = 10.0) -> None:
        """Run the link in a thread of its own, `speed` emulated seconds per second if the machine can."""
        self._thread = threading.Thread(target=self._run, args=(speed,), name="QkdLink", daemon=True)
        self._thread.start()

    def _run(self, speed: float) -> None:
        last_ns = start_ns = self._clock.monotonic_ns()
        while not self._closing.is_set():
            now_ns = self._clock.monotonic_ns()
            longest_ns = CREEP_NS if self._behind_ns > AHEAD_NS else MAX_STEP_NS
            step_ns = min(int((now_ns - last_ns) * speed), longest_ns)
            last_ns = now_ns
            if step_ns > 0:
                self.step(step_ns, pump_s=PUMP_S)
            self._wall_ns = self._clock.monotonic_ns() - start_ns
            self._recent.append((self._wall_ns, self._now_ns))
            spent_s = (self._clock.monotonic_ns() - now_ns) / NS_PER_S
            self._clock.wait(max(_IDLE_S - spent_s, 0.0005), self._closing)

    def step(self, step_ns: int, *, pump_s: float | None = None) -> None:
        """Let `step_ns` of emulated time pass.

        Args:
            step_ns: Emulated ns.
            pump_s: Wall time after which messages wait for the next step; by default they are all carried now.
        """
        self._expose(step_ns)
        done = self._pump(pump_s)
        self._behind_ns = 0 if done else self._behind_ns + step_ns
        self._now_ns += step_ns
        if done:
            for end in self._ends:
                end.note_sifted(self._now_ns)
        for shared in self._shared:
            with shared.lock:
                shared.model.advance(self._now_ns)
        for end in self._ends:
            end.give_up_if_stalled()

    # --- light ------------------------------------------------------------------------------------------------------

    def _expose(self, step_ns: int) -> None:
        transmitter, receiver = self.transmitter_model, self.receiver_model
        for end in self._ends:
            end.follow()
        first, second = self._ends
        with self._shared[0].lock, self._shared[1].lock:
            self.path.advance(step_ns / NS_PER_S, receiver)
            receiver.incoming = self.path.light(transmitter)
            together = (
                first.session is not None and second.session is not None and first.session.token == second.session.token
            )
            if together and self._exposed != (first.session, second.session):
                self._exposed = first.session, second.session
                if first.session is not None:
                    self.path.begin(first.session, transmitter, receiver)
            elif not together:
                self._exposed = (None, None)
                self.path.rest()
            takes = together and transmitter.blocks.takes_detections and receiver.blocks.takes_detections
            takes = takes and receiver.sees_slots
            conditions = self.path.conditions(transmitter, receiver)
        if not takes or first.distiller is None or second.distiller is None:
            return
        for exposure in self.path.expose(step_ns, conditions):
            first.distiller.add(exposure.transmitter)
            second.distiller.add(exposure.receiver)

    # --- the classical channel --------------------------------------------------------------------------------------

    def _pump(self, wall_s: float | None) -> bool:
        """Carry messages until nobody has more to say; return whether it came to that."""
        start_ns = self._clock.monotonic_ns()
        while True:
            moved = self._carry("transmitter", 0, 1) | self._carry("receiver", 1, 0)
            for end in self._ends:
                end.follow()
                moved |= end.work()
            if not moved:
                return True
            if wall_s is not None and self._clock.monotonic_ns() - start_ns > wall_s * NS_PER_S:
                return False

    def _carry(self, side: Side, sender: int, taker: int) -> bool:
        units = self.transmitter_model, self.receiver_model
        with self._shared[sender].lock:
            messages = units[sender].peer.take()
        for message in messages:
            for arriving in (message,) if self.tamper is None else self.tamper(side, message):
                with self._shared[taker].lock:
                    units[taker].peer.receive(arriving)
        return bool(messages)

    # --- the end ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop the link, its units and its wires, and erase their keys. May be called again."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        self._stack.close()
        for end in self._ends:
            end.close()
        for unit in (self.transmitter_model, self.receiver_model):
            unit.forget_secrets()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _set_up(
    transmitter: TransmitterUnit, receiver: ReceiverUnit, optics: LinkParameters, block_bits: int | None
) -> None:
    """Set two units as their optics are built."""
    signal, decoy, vacuum = optics.intensities
    transmitter.settings |= {
        "signal_mean_photon_number": signal,
        "decoy_mean_photon_number": decoy,
        "vacuum_mean_photon_number": vacuum,
        "decoy_probability": optics.probabilities[1],
        "vacuum_probability": optics.probabilities[2],
        "key_basis_probability": optics.key_basis_probability_transmitter,
    }
    receiver.settings["key_basis_probability"] = optics.key_basis_probability_receiver
    for i in range(len(receiver.detectors)):
        receiver.settings[of_detector(i, "dead_time")] = optics.dead_time_s * 1e9
    if block_bits is not None:
        transmitter.settings["block_bits"] = receiver.settings["block_bits"] = float(block_bits)
