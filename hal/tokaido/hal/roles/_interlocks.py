"""Interlocks between devices: no classical light onto a single-photon receiver that is not shuttered.

The rule has two ends, and each is enforced where its command is given: a switch joins no light to a receiver that is
open, and a receiver does not open onto light that is joined.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tokaido.hal._errors import InterlockError, TokaidoError
from tokaido.hal._forcing import forced

if not TYPE_CHECKING:
    from tokaido.hal._records import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from dataclasses import dataclass

Order = TypeVar("Order", bound="Callable[..., Any]")

OPENING: Final = (
    "power_on",
    "start",
    "align",
    "clear_fault",
    "acknowledge_security",
    "select_link",
    "load_preshared_key",
)
"""Orders after which a unit goes on to its alignment by itself, which opens the shutter of a receiver."""


@dataclass(frozen=True, slots=True)
class LightInterlock:
    """No classical power onto a single-photon port: declared once, enforced where the command is given."""

    name: str
    classical_inputs: frozenset[int]
    """Inputs that may carry classical light."""
    shuttered: Mapping[int, Callable[[], bool]]
    """For each output that leads to a single-photon receiver, whether that receiver is shuttered, and stays so until it
    is ordered to open. One that raises a `TokaidoError` cannot tell, which counts as not shuttered."""

    def check(self, switch: str, pairs: Mapping[int, int], force: str) -> None:
        """Let these pairs of `switch` pass, or pass them for the reason `force`, which is logged.

        Raises:
            InterlockError: One of them would bring classical light onto a single-photon receiver.
        """
        for source, target in pairs.items():
            is_shuttered = self.shuttered.get(target)
            if source not in self.classical_inputs or is_shuttered is None:
                continue
            why = "that is not shuttered, or opens its shutter by itself in the state that it is in"
            try:
                if is_shuttered():
                    continue
            except TokaidoError as error:
                why = f"whose shutter cannot be read and so counts as open ({error})"
            what = (
                f"input {source} may carry classical light and output {target} leads to a single-photon receiver {why}"
            )
            _object(self.name, switch, what, force, "Close the receiver's shutter; power a receiver off that warms up")


@dataclass(frozen=True, slots=True)
class ShutterInterlock:
    """The same rule at its other end: no receiver opens its shutter onto classical power that is joined already."""

    name: str
    classical_inputs: frozenset[int]
    """Inputs of the switch that may carry classical light."""
    output: int
    """The output of the switch that leads to this receiver."""
    connections: Callable[[], Mapping[int, int]]
    """Gives the switch's map, output by input. One that raises a `TokaidoError` cannot tell, which counts as joined."""

    def check(self, receiver: str, order: str, force: str) -> None:
        """Let `receiver` carry out `order`, which opens its shutter, or do so for the reason `force`, which is logged.

        Raises:
            InterlockError: It would open onto classical light.
        """
        try:
            lit = [i for i, o in self.connections().items() if o == self.output and i in self.classical_inputs]
        except TokaidoError as error:
            what = f"the switch before the receiver cannot be asked, and classical light counts as joined ({error})"
        else:
            if not lit:
                return
            what = f"input {lit[0]} may carry classical light and is joined to output {self.output}, which leads here"
        _object(self.name, receiver, f"{order} opens the shutter, and {what}", force, "Disconnect it at the switch")


@dataclass(frozen=True, slots=True)
class AmplifierInterlock:
    """The same rule at the source of the power: no amplifier is switched on towards a receiver that is open."""

    name: str
    shuttered: Mapping[str, Callable[[], bool]]
    """For each single-photon receiver that the amplifier's light may reach, whether it is shuttered. One that raises a
    `TokaidoError` cannot tell, which counts as not shuttered."""

    def check(self, amplifier: str, force: str) -> None:
        """Let `amplifier` be switched on, or do so for the reason `force`, which is logged.

        Raises:
            InterlockError: Its light would reach a receiver that is not shuttered.
        """
        for receiver, is_shuttered in self.shuttered.items():
            why = "which is not shuttered"
            try:
                if is_shuttered():
                    continue
            except TokaidoError as error:
                why = f"whose shutter cannot be read and so counts as open ({error})"
            _object(
                self.name, amplifier, f"its light may reach {receiver}, {why}", force, "Close the receiver's shutter"
            )


@dataclass(frozen=True, slots=True)
class PumpInterlock:
    """The same rule once more: no receiver opens its shutter while an amplifier gives it light."""

    name: str
    amplifier: str
    """Name of the amplifier whose light may reach this receiver."""
    emits: Callable[[], bool]
    """Whether it is switched on. One that raises a `TokaidoError` cannot tell, which counts as on."""

    def check(self, receiver: str, order: str, force: str) -> None:
        """Let `receiver` carry out `order`, which opens its shutter, or do so for the reason `force`, which is logged.

        Raises:
            InterlockError: The amplifier is on.
        """
        why = "is switched on"
        try:
            if not self.emits():
                return
        except TokaidoError as error:
            why = f"cannot be asked and so counts as on ({error})"
        what = f"{order} opens the shutter, and the amplifier {self.amplifier}, whose light may come here, {why}"
        _object(self.name, receiver, what, force, f"Switch {self.amplifier} off")


def _object(interlock: str, device: str, what: str, force: str, remedy: str) -> None:
    if not force.strip():
        raise InterlockError(
            f"interlock {interlock}: {what}; nothing was sent",
            device=device,
            remedy=f"{remedy}, or force it with a reason",
        )
    import logging  # noqa: PLC0415 - for the forced alone

    logging.getLogger("tokaido.hal.interlock").warning(
        "%s: interlock %s FORCED (%s): %s", device, interlock, force, what
    )


def watched(order: Order) -> Order:
    """Return an order of a receiver that asks its interlocks before it does anything."""
    if getattr(order, "is_watched", False) or getattr(order, "__isabstractmethod__", False):
        return order

    @wraps(order)
    def checked(receiver: Any, *args: Any, **kwargs: Any) -> Any:
        receiver.check_interlocks(order.__name__)
        with forced(receiver.why_forced):
            return order(receiver, *args, **kwargs)

    checked.is_watched = True  # type: ignore[attr-defined]
    return checked  # type: ignore[return-value]
