"""Start an emulated device: a model on its wire ends, with the resources that a driver opens."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from tokaido.emulators._faults import Faults
from tokaido.emulators.ends._end import SharedModel
from tokaido.hal._clock import SYSTEM_CLOCK, Clock
from tokaido.hal._curve import CurveKeyFiles, create_curve_keys, load_curve_public, load_curve_secret
from tokaido.hal._errors import ConfigurationError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import TypedDict as ClosedTypedDict

    from tokaido.emulators._model import DeviceModel
    from tokaido.emulators._secrets import Secrets
    from tokaido.emulators.ends._pty import PtyEnd
    from tokaido.emulators.ends._zmq import ZmqEnd
    from tokaido.emulators.toshiba._faults import ModelFaults

GROUP = "tokaido.emulators"
"""Entry point group: the name of an emulated device, and the class of its model."""


def model_class(name: str) -> Callable[..., DeviceModel]:
    """Return the class of the model that an emulator of this name has.

    Raises:
        ConfigurationError: No installed distribution brings one.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - 30 ms

    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        raise ConfigurationError(
            f"there is no emulator {name!r}", remedy=f"Choose one of: {', '.join(sorted(found)) or 'none is installed'}"
        )
    return found[name].load()  # type: ignore[no-any-return]


if TYPE_CHECKING:  # closed, so that both checkers take **unit.resources for nothing but resources

    class UnitResources(ClosedTypedDict, closed=True):
        """What a driver opens: `hal.Transmitter.open("toshiba.transmitter", **unit.resources)`."""

        control: str
        keys: str

else:
    UnitResources = dict


class OwnDirectory:
    """A folder for an emulator's link and keys: the caller's, or one that lives as long as this does."""

    def __init__(self, directory: Path | str | None) -> None:
        self._temporary = directory is None
        self.path = Path(tempfile.mkdtemp(prefix="tokaido-")) if directory is None else Path(directory).absolute()
        self.path.mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        """Remove the folder, if it was made here."""
        if self._temporary:
            shutil.rmtree(self.path, ignore_errors=True)


class Emulator:
    """One emulated device on its wires: a console on a pseudo-terminal, a key channel on ZeroMQ with CURVE.

    It runs until `close`, which leaves no thread, descriptor, socket, link or file behind. Close it, or use it as a
    context manager.

    Args:
        model: The device model.
        shared: The model with its lock and its time.
        directory: Where the link and the key files are made; None for a folder that is removed at the end.
        clock: Times the faults.
        seed: Decides which pieces the faults strike.
    """

    def __init__(
        self, model: DeviceModel, shared: SharedModel, directory: Path | str | None, *, clock: Clock, seed: int
    ) -> None:
        self.model = model
        """The device model. Hold `lock` to touch it."""
        self.faults = Faults(seed, model.FAULTS)
        """Faults on the wires."""
        self.resources: UnitResources = {"control": "", "keys": ""}
        """What a driver opens: `control` and `keys`."""
        self.client_keys: CurveKeyFiles
        """CURVE identity of the one host that may connect."""
        self.server_keys: CurveKeyFiles
        """CURVE identity of the device."""
        self.control: PtyEnd
        """The console's wire end."""
        self.keys: ZmqEnd
        """The key channel's wire end."""
        self._shared = shared
        self._stack = ExitStack()
        place = OwnDirectory(directory)
        self._stack.callback(place.remove)
        self._stack.callback(model.forget_secrets)
        try:
            self._plug_in(place.path, clock, seed)
        except BaseException:
            self._stack.close()
            raise

    def _plug_in(self, directory: Path, clock: Clock, seed: int) -> None:
        from tokaido.emulators.ends import PtyEnd, ZmqEnd  # noqa: PLC0415 - zmq is loaded when it is needed

        serial = self.model.serial_number
        impostor = type(self.model)(f"{serial[:20]}-X9", seed=seed)  # type: ignore[call-arg]
        self.server_keys = self._identity(directory, serial)
        self.client_keys = self._identity(directory, f"{serial}-host")
        common: dict[str, Any] = {"faults": self.faults, "clock": clock, "impostor": impostor}
        self.control = PtyEnd(self._shared, directory / serial, **common)
        clients = [load_curve_public(self.client_keys.public)]
        self.keys = ZmqEnd(self._shared, load_curve_secret(self.server_keys.secret), clients, **common)
        for end in (self.control, self.keys):
            self._stack.callback(end.close)
            end.start()
        server, client = (quote(str(path)) for path in (self.server_keys.public, self.client_keys.secret))
        self.resources = {
            "control": f"serial:{quote(str(self.control.link))}?baudrate=115200",
            "keys": f"zmq:{self.keys.endpoint}?server_key_file={server}&client_key_file={client}",
        }

    def _identity(self, directory: Path, name: str) -> CurveKeyFiles:
        files = CurveKeyFiles(directory / f"{name}.key", directory / f"{name}.key_secret")
        if files.secret.exists():
            return files
        self._stack.callback(files.public.unlink, missing_ok=True)
        self._stack.callback(files.secret.unlink, missing_ok=True)
        return create_curve_keys(directory, name)

    @property
    def lock(self) -> threading.RLock:
        """The one lock around the model."""
        return self._shared.lock

    @property
    def serial_number(self) -> str:
        """Serial number of the emulated device."""
        return self.model.serial_number

    @property
    def model_faults(self) -> ModelFaults:
        """Faults in the device itself (see `tokaido.emulators.toshiba`); hold `lock` while you change them.

        Raises:
            ConfigurationError: This model has none.
        """
        faults: ModelFaults | None = getattr(self.model, "faults", None)
        if faults is None:
            raise ConfigurationError(f"{type(self.model).__name__} has no faults of its own")
        return faults

    def provoke(self, fault: str) -> None:
        """Begin a fault in the device itself."""
        with self._shared.lock:
            self._shared.catch_up()
            self.model.provoke(fault)

    def mend(self, fault: str) -> None:
        """End a fault in the device itself."""
        with self._shared.lock:
            self._shared.catch_up()
            self.model_faults.remove(fault)

    def unplug(self) -> None:
        """Pull the plug of the console: the terminal and its link vanish."""
        self.control.unplug()

    def replug(self) -> None:
        """Put it back: a new terminal under the same name."""
        self.control.replug()

    def close(self) -> None:
        """End the emulator. May be called again."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Emulator {self.serial_number} {self.resources['control']}>"


def launch(
    name: str,
    *,
    serial_number: str | None = None,
    seed: int = 0,
    speed: float = 1.0,
    warm: bool = False,
    secrets: Secrets = "os",
    directory: Path | str | None = None,
    clock: Clock = SYSTEM_CLOCK,
    **options: object,
) -> Emulator:
    """Start an emulated device alone: no light, no peer.

    Args:
        name: An emulator's name, such as "toshiba.transmitter".
        serial_number: Its serial number; the model has one for want of it.
        seed: Decides everything that is random and no secret.
        speed: Emulated seconds per second of the clock.
        warm: Begin as a unit that has long been on: state AUTH, temperatures settled.
        secrets: "os", or "seeded" for keys that are the same in every run and marked insecure.
        directory: Where the console's link and the key files appear; one of its own, removed at the end, by default.
        clock: Drives the device.
        options: Passed to the model.

    Raises:
        ConfigurationError: There is no such emulator, or an option does not fit.
    """
    model = model_class(name)(serial_number, seed=seed, secrets=secrets, **options)
    if warm:
        model.warm()  # type: ignore[attr-defined]
    return Emulator(model, SharedModel(model, clock=clock, speed=speed), directory, clock=clock, seed=seed)
