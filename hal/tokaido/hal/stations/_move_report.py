"""What a move of a link tells afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokaido.hal._errors import TokaidoError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class MoveStep:
    """One step of a move."""

    name: str
    """One of check, prepare, fence, switch, verify, light, align, start."""
    seconds: float
    """How long it took by the station's clock, in s."""


@dataclass(frozen=True, slots=True)
class MoveReport:
    """A move that succeeded."""

    link: str
    """Name of the link."""
    from_path: str | None
    """The path that the switches joined before; None if not exactly one."""
    to_path: str
    """The path that the link is on now."""
    fencing_token: int
    """Fencing token that both units hold now."""
    steps: tuple[MoveStep, ...]
    """In order: check, prepare, fence, switch, verify, light, align, and start if keys are exchanged again."""

    @property
    def seconds(self) -> float:
        """How long all steps took, in s."""
        return sum(step.seconds for step in self.steps)

    def __str__(self) -> str:
        steps = ", ".join(f"{step.name} {step.seconds:.3f} s" for step in self.steps)
        paths = f"from {self.from_path or 'no path'} to {self.to_path}"
        return f"link {self.link} {paths}, fencing token {self.fencing_token}: {steps}"


class MoveError(TokaidoError):
    """A link could not be moved to another path. Says at which step, and whether everything is as it was before."""

    def __init__(
        self,
        what: str,
        *,
        step: str,
        steps: tuple[MoveStep, ...],
        fencing_token: int,
        rolled_back: bool,
        unrestored: Mapping[str, str],
        restarted: bool | None,
        remedy: str = "",
    ) -> None:
        super().__init__(what, remedy=remedy)
        self.step = step
        """The step that failed."""
        self.steps = steps
        """The steps that were begun, with the seconds that each took; the last one failed."""
        self.fencing_token = fencing_token
        """Fencing token of the move."""
        self.rolled_back = rolled_back
        """Whether the switches join what they joined before, and both units are set to what they were set to."""
        self.unrestored = dict(unrestored)
        """What could not be brought back, by device."""
        self.restarted = restarted
        """Whether keys are known to be exchanged again; None if they were not exchanged before."""
