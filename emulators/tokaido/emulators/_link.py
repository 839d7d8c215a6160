"""A QKD link: an emulated transmitter and receiver that one fibre and a classical channel join."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self, Unpack, overload

from tokaido.emulators._options import ModelOptions, check_options, keywords_of, model_class
from tokaido.emulators.bench import Bench
from tokaido.emulators.optics import FIELD_FIBRE
from tokaido.hal import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from tokaido.emulators._launch import Emulator
    from tokaido.emulators._option_types import LinkOptions, NecLink, ToshibaLink
    from tokaido.emulators._secrets import Secrets
    from tokaido.emulators.bench import FibreOnBench
    from tokaido.emulators.optics import Eavesdropper, Fibre, LinkParameters, PresetSettings
    from tokaido.emulators.units import ReceiverUnit, TransmitterUnit

NAMES = "transmitter", "receiver"
"""What the two units are called on the bench."""
FIBRE = "fibre"
"""What the fibre is called."""


class QkdLink:
    """Two units and one fibre on a bench of their own. It can be stepped by hand, or run by a thread (`start`).

    Connectors cost nothing here: the loss is that of the fibre.

    Args:
        transmitter: The transmitter's model.
        receiver: The receiver's model.
        fibre: What joins them.
        parameters: What their optics are built of; default: the receiver's own.
        seed: Decides what the light does, bases and intensities included. Default: a new one for every run, or 0 if
            secrets are "seeded".
        speed: Emulated seconds per second, when it runs.
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
        seed: int | None = None,
        speed: float = 10.0,
        secrets: Secrets = "os",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        bench = Bench(seed=seed, speed=speed, secrets=secrets, clock=clock)
        for name, model in zip(NAMES, (transmitter, receiver), strict=True):
            bench.add(name, model)
        if parameters is not None:
            bench.build(*NAMES, parameters)
        self._take(bench, fibre)

    def _take(self, bench: Bench, fibre: Fibre) -> None:
        self.bench = bench
        """The bench, on which the units are called "transmitter" and "receiver"."""
        self.fibre: FibreOnBench = bench.fibre(FIBRE, length_km=fibre.length_km, loss_db=fibre.total_loss_db)
        """The fibre: cut it, bend it, let light into it."""
        bench.join(NAMES[0], self.fibre.ports[0], 0.0)
        bench.join(self.fibre.ports[1], NAMES[1], 0.0)
        self.preshared_key_file: Path | None = None
        """File of the pre-shared key that was made for this link: random bytes, mode 0600."""

    @overload
    @classmethod
    def launch(cls, vendor: Literal["toshiba"] = "toshiba", **options: Unpack[ToshibaLink]) -> Self: ...
    @overload
    @classmethod
    def launch(cls, vendor: Literal["nec"], **options: Unpack[NecLink]) -> Self: ...
    @overload
    @classmethod
    def launch(cls, vendor: str, **options: Unpack[LinkOptions]) -> Self: ...

    @classmethod
    def launch(
        cls,
        vendor: str = "toshiba",
        *,
        fibre: Fibre = FIELD_FIBRE,
        settings: PresetSettings = "short-block",
        parameters: LinkParameters | None = None,
        block_bits: int | None = None,
        serial_numbers: tuple[str | None, str | None] = (None, None),
        seed: int | None = None,
        speed: float = 10.0,
        warm: bool = True,
        secrets: Secrets = "os",
        load_preshared_key: bool = False,
        directory: Path | str | None = None,
        clock: Clock = SYSTEM_CLOCK,
        model_options: Mapping[str, object] | None = None,
        **options: object,
    ) -> Self:
        """Start a link with both units on their wires, and run it. Close it, or use it as a context manager.

        Args:
            vendor: The family of the units: there are emulators `<vendor>.transmitter` and `<vendor>.receiver`.
            fibre: What joins the units.
            settings: Which intensities and probabilities the units are set to.
            parameters: What the optics are built of, and what the units are set to; overrules `settings`.
            block_bits: Key-basis bits of a block, at both units; default: as delivered.
            serial_numbers: Of the transmitter and the receiver; default: each model's own.
            seed: Decides everything that is random and no secret: the light, and in what bases and intensities it is
                sent. The link's `seed` says it. Default: a new one for every run, or 0 if secrets are "seeded".
            speed: Emulated seconds per second, if the machine can.
            warm: Begin with units that have long been on: state AUTH, temperatures settled.
            secrets: "os", or "seeded" for keys that are the same in every run and marked insecure.
            load_preshared_key: Load the pre-shared key into both units, which is otherwise the operator's task.
            directory: Where consoles, key files and the pre-shared key appear; by default one that is removed.
            clock: The wall clock.
            model_options: Options of the units' models, for units whose options a type checker does not know by name.
            options: The same by name. Each unit is given those that it takes.

        Raises:
            ConfigurationError: There are no such units, neither takes such an option, or a place is taken.
        """
        taken = {name: ModelOptions.of(model_class(f"{vendor}.{name}")) for name in NAMES}
        both = taken[NAMES[0]] | taken[NAMES[1]]
        given = {**(model_options or {}), **options}
        check_options(f"a link of {vendor} units", both, given, keywords_of(cls.launch))
        bench = Bench(seed=seed, speed=speed, secrets=secrets, directory=directory, clock=clock)
        try:
            for name, serial_number in zip(NAMES, serial_numbers, strict=True):
                own = {key: value for key, value in given.items() if not taken[name].unknown([key])}
                bench.device(name, f"{vendor}.{name}", serial_number=serial_number, warm=warm, model_options=own)
            link = cls.__new__(cls)
            link._take(bench, fibre)
            bench.set_up(*NAMES, parameters, preset=settings, block_bits=block_bits)
            link.preshared_key_file = bench.preshared_key(*NAMES, load=load_preshared_key)
            bench.start()
        except BaseException:
            bench.close()
            raise
        return link

    def load_preshared_key(self, key: bytes) -> None:
        """Load the same pre-shared key into both units, as their operators would."""
        self.bench.load_preshared_key(*NAMES, key)

    @property
    def transmitter(self) -> Emulator:
        """The transmitter on its wires."""
        return self.bench.devices[NAMES[0]]

    @property
    def receiver(self) -> Emulator:
        """The receiver on its wires."""
        return self.bench.devices[NAMES[1]]

    # --- mishaps and attacks ----------------------------------------------------------------------------------------

    @property
    def eavesdropper(self) -> Eavesdropper | None:
        """Who is at work on the fibre: any eavesdropper of `tokaido.emulators.optics`."""
        return self.fibre.eavesdropper

    def add_eavesdropper(self, eavesdropper: Eavesdropper) -> None:
        """Put an eavesdropper onto the fibre, in place of any other one."""
        self.fibre.add_eavesdropper(eavesdropper)

    def remove_eavesdropper(self) -> None:
        """Leave the fibre to the units."""
        self.fibre.remove_eavesdropper()

    @property
    def tamper(self) -> Callable[[str, bytes], Iterable[bytes]] | None:
        """Who sits on the classical channel: takes the sending side and a message, returns what arrives instead."""
        return self.bench.tamper

    def add_tamper(self, tamper: Callable[[str, bytes], Iterable[bytes]]) -> None:
        """Put somebody onto the classical channel in place of any other one: see `tamper`."""
        self.bench.add_tamper(tamper)

    def remove_tamper(self) -> None:
        """Let messages on the classical channel pass as they are."""
        self.bench.remove_tamper()

    def add_cut(self) -> None:
        """Cut the fibre: no light arrives. The classical channel goes another way."""
        self.fibre.add_cut()

    def remove_cut(self) -> None:
        """Splice the fibre."""
        self.fibre.remove_cut()

    def add_bend(self, loss_db: float) -> None:
        """Bend the fibre so that it costs `loss_db` dB on top of its own; a later bend replaces this one."""
        self.fibre.add_bend(loss_db)

    def remove_bend(self) -> None:
        """Straighten the fibre."""
        self.fibre.remove_bend()

    def add_isolation(self) -> None:
        """Cut the classical channel between the units."""
        self.bench.add_isolation(NAMES[0])

    def remove_isolation(self) -> None:
        """Join the units by the classical channel again."""
        self.bench.remove_isolation(NAMES[0])

    # --- time -------------------------------------------------------------------------------------------------------

    @property
    def seed(self) -> int:
        """What decides everything that is random and no secret; the same seed repeats a run."""
        return self.bench.seed

    @property
    def emulated_s(self) -> float:
        """Emulated time since the link was made, in s."""
        return self.bench.emulated_s

    @property
    def wall_s(self) -> float:
        """Time that the thread has run, in s."""
        return self.bench.wall_s

    @property
    def speed(self) -> float:
        """Emulated seconds per second, over the last steps."""
        return self.bench.speed

    def start(self) -> None:
        """Run the link in a thread of its own."""
        self.bench.start()

    def step(self, step_ns: int) -> None:
        """Let `step_ns` of emulated time pass, and carry every message."""
        self.bench.step(step_ns)

    # --- the end ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop the link, its units and its wires, and erase their keys. May be called again."""
        self.bench.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
