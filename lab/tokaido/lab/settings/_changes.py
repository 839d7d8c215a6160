"""What a restore would change, and what it tells when it failed in the middle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokaido.hal import TokaidoError
from tokaido.hal.driver import shown

if TYPE_CHECKING:
    from tokaido.hal.driver import Plain


@dataclass(frozen=True, slots=True)
class Change:
    """One setting whose saved value is not the one in force."""

    device: str
    """Name of the device."""
    path: str
    """Of the setting, such as `detectors[0].bias`."""
    present: Plain | None
    """What is in force; None where nothing is, or the device has no such setting."""
    saved: Plain | None
    """What was saved; None where nothing was."""
    unit: str = ""
    """Unit of measure."""
    hindrance: str = ""
    """Why it cannot be made now; empty where nothing is known to hinder it."""

    def __str__(self) -> str:
        return f"{self.device} {self.path}: {shown(self.present, self.unit)} -> {shown(self.saved, self.unit)}"


class RestoreError(TokaidoError):
    """Settings could not be restored whole. Says what was set and what was not."""

    def __init__(
        self,
        what: str,
        *,
        done: tuple[Change, ...],
        failed: Change | None,
        left: tuple[Change, ...],
        device: str = "",
        remedy: str = "",
    ) -> None:
        super().__init__(what, device=device, remedy=remedy)
        self.done = done
        """What was set and read back, in order."""
        self.failed = failed
        """The one that failed: see the error's cause. None if all were set, and could not be read back together."""
        self.left = left
        """What was not tried, or was refused."""
