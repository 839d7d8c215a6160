"""What a move of a link tells afterwards."""

from __future__ import annotations

from dataclasses import dataclass


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
    fence: int
    """Fencing number that both units hold now."""
    steps: tuple[MoveStep, ...]
    """In order: check, prepare, fence, switch, verify, light, align, and start if keys are exchanged again."""

    @property
    def seconds(self) -> float:
        """How long all steps took, in s."""
        return sum(step.seconds for step in self.steps)

    def __str__(self) -> str:
        steps = ", ".join(f"{step.name} {step.seconds:.3f} s" for step in self.steps)
        return f"link {self.link} from {self.from_path or 'no path'} to {self.to_path}, number {self.fence}: {steps}"
