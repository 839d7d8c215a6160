"""Orders to a bench, in words: what a person types, a back door takes, and a station file has at its time.

| order | does |
|---|---|
| `cut FIBRE` | no light passes it |
| `bend FIBRE DB` | it costs so many dB more |
| `light FIBRE CHANCE [bright=true]` | stray light: the chance of a click per gate; bright light blinds |
| `misalign FIBRE CHANCE` | light takes the wrong detector with this chance |
| `attack FIBRE KIND [OPTION=VALUE...]` | an eavesdropper, of `ATTACKS` |
| `fault DEVICE KIND [OPTION=VALUE...]` | a fault of the device, or of its wires with options of `WIRE_OPTIONS` |
| `unplug DEVICE`, `replug DEVICE` | the plug of its control port |
| `darken DEVICE`, `power DEVICE` | its mains: a unit that had none is off, and cold by and by |
| `mend FIBRE` | undoes all of these to the fibre |
| `mend DEVICE [KIND]` | ends its faults, or those of one kind |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tokaido.emulators._faults import KINDS
from tokaido.emulators.optics import (
    DetectorBlinding,
    Eavesdropper,
    InterceptResend,
    PhotonNumberSplitting,
    TimeShift,
    TrojanHorse,
)
from tokaido.hal import ConfigurationError
from tokaido.hal.driver import real_in, whole_in

if TYPE_CHECKING:
    from tokaido.emulators._launch import Emulator
    from tokaido.emulators._model import DeviceModel
    from tokaido.emulators.bench._elements import FibreOnBench

USAGE: Final = (
    "cut FIBRE, bend FIBRE DB, light FIBRE CHANCE, misalign FIBRE CHANCE, attack FIBRE KIND [OPTION=VALUE...], "
    "fault DEVICE KIND [OPTION=VALUE...], unplug DEVICE, replug DEVICE, darken DEVICE, power DEVICE, mend FIBRE, "
    "mend DEVICE [KIND]"
)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is not true or false")
    return text == "true"


def _seconds(text: str) -> float:
    return math.inf if text == "inf" else real_in(text)


def _pair(text: str) -> tuple[float, ...]:
    return tuple(real_in(part) for part in text.split("/"))


def _text(text: str) -> str:
    return text


_Options = Mapping[str, Callable[[str], Any]]
ATTACKS: Final[Mapping[str, tuple[Callable[..., Eavesdropper], _Options]]] = {
    "intercept_resend": (InterceptResend, {"fraction": real_in, "basis": _text}),
    "photon_number_splitting": (PhotonNumberSplitting, {"fraction": real_in}),
    "detector_blinding": (DetectorBlinding, {"basis": _text}),
    "time_shift": (TimeShift, {"efficiencies": _pair, "alternating": _flag}),
    "trojan_horse": (TrojanHorse, {}),
}
"""Kinds of eavesdropper, and their options."""
WIRE_OPTIONS: Final[_Options] = {
    "direction": _text,
    "port": _text,
    "probability": real_in,
    "count": whole_in,
    "match": lambda text: text.encode("ascii"),
    "seconds": _seconds,
    "size": whole_in,
}
"""Options of a fault on a device's wires."""
LIGHT: Final[_Options] = {"bright": _flag}


class Order:
    """One order, checked as far as words can be.

    Args:
        words: For example `["bend", "A", "3"]`.

    Raises:
        ConfigurationError: There is no such order, or a word of it is wrong.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        """The order word by word."""
        self.text = " ".join(words)
        """The order as it is told."""
        self._do = _understood(list(words))

    def check(self, fibres: Mapping[str, object], models: Mapping[str, DeviceModel]) -> None:
        """See that what the order names is on a bench.

        Raises:
            ConfigurationError: It is not, or the device has no such fault.
        """
        self._do.check(fibres, models)

    def carry_out(self, fibres: Mapping[str, FibreOnBench], devices: Mapping[str, Emulator]) -> None:
        """Do it now.

        Raises:
            ConfigurationError: There is no such fibre, device or fault; nothing was done.
        """
        self.check(fibres, {name: device.model for name, device in devices.items()})
        if isinstance(self._do, _ToFibre):
            self._do.act(fibres[self._do.name])
        elif self._do.name in fibres:
            _mend_fibre(fibres[self._do.name])
        else:
            self._do.act(devices[self._do.name])


class _ToFibre:
    def __init__(self, name: str, act: Callable[[FibreOnBench], None]) -> None:
        self.name = name
        self.act = act

    def check(self, fibres: Mapping[str, object], models: Mapping[str, DeviceModel]) -> None:
        del models
        if self.name not in fibres:
            raise ConfigurationError(f"there is no fibre {self.name!r}; there are: {', '.join(fibres) or 'none'}")


class _ToDevice:
    def __init__(self, name: str, act: Callable[[Emulator], None], *, kind: str = "", mends: bool = False) -> None:
        self.name = name
        self.act = act
        self._kind = kind
        self._mends = mends

    def check(self, fibres: Mapping[str, object], models: Mapping[str, DeviceModel]) -> None:
        if self._mends and not self._kind and self.name in fibres:
            return
        if self.name not in models:
            there = ", ".join([*models, *(fibres if self._mends else ())]) or "none"
            what = "device or fibre" if self._mends else "device"
            raise ConfigurationError(f"there is no {what} {self.name!r}; there are: {there}")
        own = models[self.name].FAULTS
        if self._kind and self._kind not in (*own, *KINDS):
            raise ConfigurationError(
                f"{self.name} has no fault {self._kind!r}", remedy=f"Choose one of: {', '.join((*own, *KINDS))}"
            )


def _understood(words: list[str]) -> _ToFibre | _ToDevice:
    match words:
        case ["cut", name]:
            return _ToFibre(name, lambda fibre: fibre.add_cut())
        case ["bend", name, loss]:
            loss_db = _number(loss, "a loss in dB", 0, 100)
            return _ToFibre(name, lambda fibre: fibre.add_bend(loss_db))
        case ["misalign", name, chance]:
            share = _number(chance, "a chance", 0, 0.5)
            return _ToFibre(name, lambda fibre: fibre.add_misalignment(share))
        case ["light", name, chance, *rest]:
            background, options = _number(chance, "a chance per gate", 0, 0.999), _options(rest, LIGHT)
            return _ToFibre(name, lambda fibre: fibre.add_light(background, **options))
        case ["attack", name, kind, *rest]:
            eavesdropper = _eavesdropper(kind, rest)
            return _ToFibre(name, lambda fibre: fibre.add_eavesdropper(eavesdropper))
        case ["fault", name, kind, *rest]:
            options = _options(rest, WIRE_OPTIONS)
            if options and kind not in KINDS:
                raise ConfigurationError(f"{kind} is not a fault of a wire, and takes no options")
            return _ToDevice(name, lambda device: _add_fault(device, kind, options), kind=kind)
        case ["unplug", name]:
            return _ToDevice(name, lambda device: device.unplug())
        case ["replug", name]:
            return _ToDevice(name, lambda device: device.replug())
        case ["darken", name]:
            return _ToDevice(name, lambda device: device.darken())
        case ["power", name]:
            return _ToDevice(name, lambda device: device.power())
        case ["mend", name]:
            return _ToDevice(name, lambda device: _mend_device(device, ""), mends=True)
        case ["mend", name, kind]:
            return _ToDevice(name, lambda device: _mend_device(device, kind), kind=kind, mends=True)
        case _:
            raise ConfigurationError(f"{' '.join(words)!r} is not an order; orders are: {USAGE}")


def _eavesdropper(kind: str, rest: list[str]) -> Eavesdropper:
    if kind not in ATTACKS:
        raise ConfigurationError(f"there is no attack {kind!r}", remedy=f"Choose one of: {', '.join(ATTACKS)}")
    make, known = ATTACKS[kind]
    try:
        return make(**_options(rest, known))
    except (TypeError, ValueError) as error:
        needs = ", ".join(known) or "none"
        raise ConfigurationError(f"attack {kind}: {error}", remedy=f"Its options are: {needs}") from error


def _options(words: list[str], known: _Options) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in known or key in found:
            raise ConfigurationError(f"{word!r} is not an option here; options are: {', '.join(known) or 'none'}")
        try:
            found[key] = known[key](value)
        except ValueError as error:
            raise ConfigurationError(f"{key}: {error}") from error
    return found


def _number(text: str, what: str, low: float, high: float) -> float:
    try:
        value = real_in(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is not {what}") from error
    if not low <= value <= high:
        raise ConfigurationError(f"{what} is {low:g} to {high:g}, not {text}")
    return value


# --- what is done ------------------------------------------------------------------------------------------------


def _add_fault(device: Emulator, kind: str, options: dict[str, Any]) -> None:
    if kind in device.model.FAULTS:
        device.add_fault(kind)
    else:
        device.faults.add(kind, **options)


def _mend_device(device: Emulator, kind: str) -> None:
    device.faults.clear(kind)
    for own in device.model.FAULTS:
        if kind in ("", own):
            device.remove_fault(own)


def _mend_fibre(fibre: FibreOnBench) -> None:
    fibre.remove_cut()
    fibre.remove_bend()
    fibre.remove_light()
    fibre.remove_misalignment()
    fibre.remove_eavesdropper()
