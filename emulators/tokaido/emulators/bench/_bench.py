"""The bench: devices on their wires, joined by emulated optics, in a time of their own."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from tokaido.emulators._stepped import SteppedClock
from tokaido.emulators.bench._classical import ClassicalChannel
from tokaido.emulators.bench._lighting import Lighting
from tokaido.emulators.bench._orders import Order
from tokaido.emulators.bench._pace import Pace, Passed
from tokaido.emulators.bench._plant import Plant
from tokaido.emulators.bench._pulses import built_as
from tokaido.emulators.bench._schedule import Schedule
from tokaido.emulators.bench._sessions import Sessions
from tokaido.emulators.bench._set_up import make_preshared_key, set_up
from tokaido.emulators.optics import drift_settings
from tokaido.emulators.units import ANYBODY, UnitLink, parse_link
from tokaido.hal import NS_PER_S, SYSTEM_CLOCK, Clock, ConfigurationError, TokaidoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import TracebackType

    from tokaido.emulators._secrets import Secrets
    from tokaido.emulators.optics import DriftKind, DriftSettings, LinkParameters, PresetSettings


class Bench(Plant):
    """Units, switches and fibres, joined so that light really follows the switch.

    Put devices and fibres on it, join their ports, and `start` it, or let time pass with `step`. Close it, or use it as
    a context manager.

    Args:
        seed: Decides everything that is random and no secret: the light, and in what bases and intensities it is sent.
            Default: a new one for every run, or 0 if secrets are "seeded".
        speed: Emulated seconds per second, if the machine can.
        secrets: "os", or "seeded" for keys that are the same in every run and marked insecure.
        directory: Where consoles and key files appear; by default a folder that is removed at the end.
        clock: The wall clock, or a `SteppedClock`, with which time passes while somebody waits by it.
        drift: How the ways of light drift, "buried", "aerial" or "calm", or settings of your own.
        classical_delay_s: How long a message takes from unit to unit, in emulated s; None: as long as light takes
            through the fibres between them.

    Raises:
        ConfigurationError: The speed is not 0 to 1000, or the delay is not 0 to 10 s.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        speed: float = 10.0,
        secrets: Secrets = "os",
        directory: Path | str | None = None,
        clock: Clock = SYSTEM_CLOCK,
        drift: DriftSettings | DriftKind = "buried",
        classical_delay_s: float | None = None,
    ) -> None:
        check_speed(speed)
        if classical_delay_s is not None and not 0 <= classical_delay_s <= 10:
            raise ConfigurationError(f"the classical delay is 0 to 10 s, not {classical_delay_s!r}")
        super().__init__(seed=seed, speed=speed, secrets=secrets, directory=directory, clock=clock)
        self._preshared: dict[tuple[str, str, str], tuple[Path, bytes]] = {}
        settings = drift_settings(drift) if isinstance(drift, str) else drift
        self._lighting = Lighting(
            self._graph,
            self.fibres,
            self._transmitters,
            self._receivers,
            self.lasers,
            seed=self.seed,
            drift=settings,
        )
        self._sessions = Sessions(self._lighting, self._transmitters, self._receivers, self.seed)
        self._channel = ClassicalChannel(
            self._units, self._transmitters, self._receivers, self._lighting, clock=clock, delay_s=classical_delay_s
        )
        self._behind_ns = 0
        self._schedule = Schedule()
        self._pace = Pace(self._pass, clock=clock, speed=speed, name="Bench")

    # --- what an operator does --------------------------------------------------------------------------------------

    def build(self, transmitter: str, receiver: str, parameters: LinkParameters) -> None:
        """Say what the optics of a pair of units are built of, where that is not what the receiver's kind is built as.

        Intensities, probabilities and loss are left out of account: the units and the path have them.

        Raises:
            ConfigurationError: There is no such transmitter or receiver.
        """
        _, place = self._pair(transmitter, receiver)
        place.optics[transmitter] = parameters

    def set_up(
        self,
        transmitter: str,
        receiver: str,
        settings: LinkParameters | None = None,
        *,
        preset: PresetSettings = "short-block",
        block_bits: int | None = None,
    ) -> None:
        """Set intensities, probabilities and dead times of a pair of units.

        Args:
            transmitter: Name of the transmitter.
            receiver: Name of the receiver.
            settings: What to set them to, which is also what their optics are built of (see `build`).
            preset: Name of the settings that are taken if `settings` is not given.
            block_bits: Key-basis bits of a block, at both units; default: what the preset is for, or as they are.

        Raises:
            ConfigurationError: There is no such transmitter or receiver.
        """
        first, second = self._pair(transmitter, receiver)
        if settings is None:
            optics = built_as(second.model, preset)
            if block_bits is None and optics.block_sifted_bits is not None:
                block_bits = round(optics.block_sifted_bits)
        else:
            optics = settings
            self.build(transmitter, receiver, settings)
        with first.shared.lock, second.shared.lock:
            set_up(first.model, second.model, optics, block_bits)

    def preshared_key(self, transmitter: str, receiver: str, path: str = "-", *, load: bool = False) -> Path:
        """Return the file of the pre-shared key of a link, mode 0600; it is made when it is first asked for.

        Args:
            transmitter: Name of the transmitter.
            receiver: Name of the receiver.
            path: Path of the link; "-" for the link at delivery, which is any unit.
            load: Whether to load it into both units too, as their operators would.

        Raises:
            ConfigurationError: There is no such transmitter or receiver.
            Refusal: A unit does not take it.
        """
        first, second = self._pair(transmitter, receiver)
        serials = first.model.serial_number, second.model.serial_number
        name = transmitter, receiver, path
        if name not in self._preshared:
            parse_link(serials[0] if path != "-" else "-", path)
            file = self._folder() / (f"{transmitter}-{receiver}-{path}.psk" if path != "-" else "preshared.key")
            while file.exists():
                file = file.with_stem(f"{file.stem}-{transmitter}-{receiver}")
            self._preshared[name] = file, make_preshared_key(file, first.model.PSK_BYTES)
            self._stack.callback(file.unlink, missing_ok=True)
        file, key = self._preshared[name]
        if load:
            self.load_preshared_key(transmitter, receiver, key, path)
        return file

    def load_preshared_key(self, transmitter: str, receiver: str, key: bytes, path: str = "-") -> None:
        """Load the same pre-shared key into both units of a link, as their operators would.

        Raises:
            ConfigurationError: There is no such transmitter or receiver.
            Refusal: A unit does not take it.
        """
        first, second = self._pair(transmitter, receiver)
        for place, peer in ((first, second), (second, first)):
            link = ANYBODY if path == "-" else UnitLink(peer.model.serial_number, path)
            with place.shared.lock:
                place.model.load_psk(key, link)

    def order(self, *words: str) -> None:
        """Carry out an order in words now, such as `order("cut", "A")`: see docs/explanation/bench.md, Orders.

        Raises:
            ConfigurationError: There is no such order, fibre, device or fault; nothing was done.
        """
        Order(words).carry_out(self.fibres, self.devices)

    def at(self, emulated_s: float, *words: str) -> None:
        """Have an order carried out when so many s of emulated time have passed since the bench was made.

        It comes between the light before and the light after, however time is stepped. Each is logged by
        `tokaido.emulators.bench` and told to `on_order`, and so is one that fails then.

        Raises:
            ConfigurationError: There is no such order, or its time has passed.
        """
        at_ns = round(emulated_s * NS_PER_S)
        if at_ns < self._now_ns:
            raise ConfigurationError(f"{emulated_s:g} s have passed on this bench", remedy="Use `order`")
        self._schedule.add(at_ns, Order(words))

    @property
    def on_order(self) -> Callable[[float, str], None] | None:
        """Told of every order of `at`: emulated time in s, and the order, with the reason if it failed."""
        return self._schedule.listener

    @on_order.setter
    def on_order(self, listener: Callable[[float, str], None] | None) -> None:
        self._schedule.listener = listener

    # --- who listens and meddles ------------------------------------------------------------------------------------

    @property
    def tamper(self) -> Callable[[str, bytes], Iterable[bytes]] | None:
        """Who sits on the classical channel: takes the sender's name and a message, returns what arrives instead."""
        return self._channel.tamper

    def add_tamper(self, tamper: Callable[[str, bytes], Iterable[bytes]]) -> None:
        """Put somebody onto the classical channel in place of any other one: see `tamper`."""
        self._channel.tamper = tamper

    def remove_tamper(self) -> None:
        """Let messages on the classical channel pass as they are."""
        self._channel.tamper = None

    def add_isolation(self, unit: str) -> None:
        """Cut a unit off the classical channel, until `remove_isolation`.

        Raises:
            ConfigurationError: There is no such unit.
        """
        if unit not in self._units:
            raise ConfigurationError(f"there is no unit {unit!r} on the bench")
        self._channel.isolated.add(unit)

    def remove_isolation(self, unit: str) -> None:
        """Put a unit back on the classical channel."""
        self._channel.isolated.discard(unit)

    @property
    def on_exposure(self) -> Callable[[str, str, int], None] | None:
        """Told of every exposure: the session's token, the id of the path, and how many pulses."""
        return self._sessions.on_exposure

    @on_exposure.setter
    def on_exposure(self, listener: Callable[[str, str, int], None] | None) -> None:
        self._sessions.on_exposure = listener

    # --- time -------------------------------------------------------------------------------------------------------

    @property
    def emulated_s(self) -> float:
        """Emulated time in s since the bench was made; while it runs, exact to what the wall clock tells."""
        return self._pace.emulated_ns / NS_PER_S

    @property
    def wall_s(self) -> float:
        """Time that the bench has run, in s."""
        return self._pace.wall_s

    @property
    def speed(self) -> float:
        """Emulated seconds per second, over the last steps."""
        return self._pace.speed

    def run_at(self, speed: float) -> None:
        """Let time pass at another speed from now on, at all devices.

        Raises:
            ConfigurationError: The speed is not 0 to 1000.
        """
        check_speed(speed)
        self._pace.speed_wanted = speed
        for shared in self._others:
            with shared.lock:
                shared.run_at(speed)

    def start(self) -> None:
        """Let time pass by itself, in a thread or as a stepped clock goes.

        Devices must be on the bench; fibres and joins may change later.
        """
        self._started = True
        if isinstance(self._clock, SteppedClock):
            speed = self._pace.speed_wanted
            begin_ns, origin_ns = self._clock.monotonic_ns(), self._now_ns
            self._stack.callback(self._clock.attach(lambda ns: self._step_to(origin_ns + int((ns - begin_ns) * speed))))
            return
        self._pace.start()

    def _step_to(self, to_ns: int) -> None:
        if to_ns > self._now_ns:
            self._pace.step(to_ns - self._now_ns, None)

    def step(self, step_ns: int) -> None:
        """Let `step_ns` of emulated time pass, and carry every message that arrives meanwhile.

        Raises:
            ConfigurationError: The bench was started, and time passes by itself; or the step is not 1 ns at least.
        """
        if step_ns < 1:
            raise ConfigurationError(f"a step is 1 ns at least, not {step_ns!r}")
        if self._pace.running:
            raise ConfigurationError("time passes by itself on this bench", remedy="Step a bench that was not started")
        self._pace.step(step_ns, None)

    def _pass(self, step_ns: int, pump_s: float | None) -> Passed:
        """Let a step pass, in pieces between which orders are carried out that are due."""
        to_ns = self._now_ns + step_ns
        while (due_ns := self._schedule.next_ns) is not None and due_ns < to_ns:
            if due_ns > self._now_ns:
                self._pass_piece(due_ns - self._now_ns, pump_s)
            self._schedule.carry_out(self._now_ns, self.fibres, self.devices)
        return self._pass_piece(to_ns - self._now_ns, pump_s)

    def _pass_piece(self, step_ns: int, pump_s: float | None) -> Passed:
        to_ns = self._now_ns + step_ns
        for shared in self._by_hand:
            with shared.lock:
                shared.catch_up()
                shared.model.advance(shared.model.now_ns + step_ns)
        self._look()
        for place in self._units.values():
            place.end.follow()
        with self._holding(), self._joining:
            self._lighting.follow()
            self._lighting.shine(step_ns / NS_PER_S)
            for place in self._units.values():
                place.model.watch_light()  # before anything of this light is counted
            shots = self._sessions.aim()
            beams = self._lighting.beams() if self._told else {}
        for shared, passage in self._told:
            with shared.lock:
                passage.tell(beams)
        self._sessions.expose(shots, self._now_ns, step_ns)
        done = self._channel.pump(self._now_ns, to_ns, pump_s)
        self._behind_ns = 0 if done else self._behind_ns + step_ns
        self._now_ns = to_ns
        for place in self._units.values():
            if done:
                place.end.note_sifted(to_ns)
            with place.shared.lock:
                place.model.advance(to_ns)
        for place in self._units.values():
            place.end.give_up_if_stalled()
        return Passed(to_ns, self._behind_ns, busy=bool(shots) or not done)

    def _holding(self) -> ExitStack:
        """Hold every unit."""
        stack = ExitStack()
        for place in self._units.values():
            stack.enter_context(place.shared.lock)
        return stack

    # --- the end ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop the bench, its devices and its wires, and erase their keys. May be called again.

        Raises:
            TokaidoError: Time had stopped before: what the bench does next could not be worked out.
        """
        self._pace.stop()
        self._stack.close()
        for place in self._units.values():
            place.end.close()
            place.model.forget_secrets()
        self._preshared.clear()
        failure, self._pace.failure = self._pace.failure, None
        if failure is not None:
            raise TokaidoError(f"time stopped on the bench: {failure}", remedy="Report it") from failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_speed(speed: float) -> None:
    """Raise ConfigurationError unless this many emulated seconds can pass in a second."""
    if not 0 < speed <= 1000:
        raise ConfigurationError(f"speed is 0 to 1000 emulated seconds per second, not {speed!r}")
