"""The role of a polarization controller: retarders in a row, such as paddles or squeezers, each at a position."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING

from tokaido.hal._change_log import LoggedChange
from tokaido.hal._clock import Deadline
from tokaido.hal._declarations import measured, setting
from tokaido.hal._device import Device, Part
from tokaido.hal._errors import (
    DeviceError,
    OutcomeUnknownError,
    RangeError,
    TransportError,
    UnsupportedError,
    WrongDeviceError,
)
from tokaido.hal._numbers import real
from tokaido.hal._values import Measured, Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokaido.hal._further_settings import FurtherSetting

POLL_S = 0.05
"""How often retarders are asked whether they still move, in s."""


class PolarizationCapability(Enum):
    """What not every polarization controller has."""

    HOME = "home"
    STOP = "stop"
    SCRAMBLE = "scramble"


class Retarder(Part, ABC):
    """One paddle or squeezer."""

    own_scale = frozenset({"position"})

    position: Measured[float] = measured(float, unit="deg")
    """Measure where it stands: the angle of a paddle, or the retardance of a squeezer."""

    @property
    @abstractmethod
    def limits(self) -> tuple[float, float]:
        """Least and greatest position, in degrees."""

    @abstractmethod
    def moving(self) -> bool:
        """Ask whether it moves."""

    @abstractmethod
    def _start(self, position: float) -> None:
        """Let it begin to move. One command."""


class PolarizationController(Device, ABC):
    """Turns the polarization of light in a fibre. Its safe state is to stand as it stands."""

    settle_timeout: float = 10.0
    """How long a move may take, in s."""
    tolerance: float = 0.5
    """How far from where it was to go a retarder may come to stand, in degrees."""

    scrambling: Setting[bool] = setting(bool)
    """Control whether it turns the polarization at random all the time; see the capability SCRAMBLE."""

    @property
    @abstractmethod
    def retarders(self) -> Sequence[Retarder]:
        """The paddles or squeezers, in the order in which light passes them."""

    @property
    def parts(self) -> Sequence[Part]:
        """The retarders."""
        return self.retarders

    def further_settings(self) -> Mapping[str, FurtherSetting]:
        """Ask where every retarder stands, which is set by a move."""
        from tokaido.hal._further_settings import FurtherSetting  # noqa: PLC0415 - for who saves them

        def of(index: int, retarder: Retarder) -> FurtherSetting:
            return FurtherSetting(
                retarder.position,
                lambda to: self.move_to(*[None] * index, real(to, f"position {index + 1}")),
                lambda to: self._checked(index, real(to, f"position {index + 1}")),
                unit="deg",
                tolerance=2 * self.tolerance,
            )

        return {f"{retarder.path}.position": of(index, retarder) for index, retarder in enumerate(self.retarders)}

    def positions(self) -> tuple[float, ...]:
        """Ask where every retarder stands, in degrees."""
        return tuple(retarder.position for retarder in self.retarders)

    def moving(self) -> bool:
        """Ask whether any retarder moves."""
        return any(retarder.moving() for retarder in self.retarders)

    def move_to(self, *positions: float | None) -> None:
        """Move retarders, and return when they stand where they were to go.

        Args:
            positions: One for each retarder from the first on, in degrees; None, or no number, leaves one as it is.

        Raises:
            ValueTypeError: One is not a number; nothing was sent.
            RangeError: One lies beyond the limits of its retarder, or there are too many; nothing was sent.
            DeviceError: The controller refused, or a retarder does not stand there within `settle_timeout`.
            OutcomeUnknownError: A reply was lost; read the positions.
        """
        retarders = self.retarders
        if len(positions) > len(retarders):
            raise RangeError(
                f"{len(positions)} positions for {len(retarders)} retarders",
                device=self.name,
                remedy="Nothing was sent",
            )
        wanted = {i: real(to, f"position {i + 1}") for i, to in enumerate(positions) if to is not None}
        for i, to in wanted.items():
            self._checked(i, to)
        what = f"move to {', '.join(f'{to:g}' for to in wanted.values())} degrees"
        with LoggedChange(self.name, f"retarders {', '.join(str(i + 1) for i in wanted)}: {what}"):
            for i, to in wanted.items():
                retarders[i]._start(to)
            self._await(
                lambda: all(abs(retarders[i].position - to) <= self.tolerance for i, to in wanted.items()), what
            )

    def _checked(self, index: int, to: float) -> None:
        low, high = self.retarders[index].limits
        if not low <= to <= high:
            raise RangeError(
                f"retarder {index + 1} goes from {low:g} to {high:g} degrees, not to {to:g}",
                device=self.name,
                remedy="Nothing was sent",
            )

    def home(self) -> None:
        """Move every retarder to its home, and return when it is there.

        Raises:
            DeviceError: The controller refused, or a retarder is not there within `settle_timeout`.
            OutcomeUnknownError: A reply was lost; read the positions.
            UnsupportedError: This controller has no home.
        """
        raise self._lacks(PolarizationCapability.HOME)

    def stop(self) -> None:
        """Stop every retarder where it is.

        Raises:
            DeviceError: The controller refused.
            OutcomeUnknownError: A reply was lost; ask whether it moves.
            UnsupportedError: This controller cannot stop.
        """
        raise self._lacks(PolarizationCapability.STOP)

    def apply_safe_state(self) -> None:
        """Leave every retarder as it is."""

    def _await(self, reached: Callable[[], bool], command: str) -> None:
        """Ask until nothing moves and `reached` holds; a lost reply to a question does not end the wait."""
        deadline = Deadline(self._clock, self.settle_timeout)
        while True:
            try:
                if not self.moving() and reached():
                    return
            except WrongDeviceError:
                raise
            except TransportError as error:
                if deadline.passed:
                    raise OutcomeUnknownError(
                        f"a command was sent and the positions could not be read after it ({error.what})",
                        device=self.name,
                        command=command,
                        remedy="It may or may not have been carried out: read the positions, then decide",
                    ) from error
            if deadline.passed:
                raise DeviceError(
                    f"it does not stand where it was to go after {deadline.elapsed_s:.1f} s",
                    device=self.name,
                    command=command,
                    remedy="Read the positions; a retarder may be stuck, or slower than `settle_timeout` allows",
                )
            self._clock.wait(POLL_S)

    def _lacks(self, capability: PolarizationCapability) -> UnsupportedError:
        return UnsupportedError(
            f"this polarization controller cannot {capability.value}", device=self.name, remedy="See its capabilities"
        )
