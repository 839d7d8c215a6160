"""What a program changes in devices, told to `logging`: which device, what, from what, to what.

Nothing is asked of a device for it. `logging` is not imported for it either: where nobody did, nobody listens.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import TracebackType

LOGGER: Final = "tokaido.hal.changes"
DEBUG, INFO, WARNING = 10, 20, 30
"""Levels of `logging`."""


class _Thread(threading.local):
    changing = False
    """Whether a change is under way here: commands that belong to it are told at DEBUG."""


_thread = _Thread()


class LoggedChange:
    """A change under way: `with LoggedChange("alice", "attenuation", 20.0, 30.0, "dB"): ...`.

    It is told at INFO when it is made, and at WARNING when it failed; at DEBUG where it is a part of another one.

    Args:
        device: Name of the device.
        what: The setting, by its path, or the command.
        before: What was in force when this program last looked; None: not known, or nothing to tell.
        after: What is to be in force; None: nothing to tell.
        unit: Unit of measure of the two.
    """

    __slots__ = ("_after", "_before", "_device", "_outermost", "_unit", "_what")

    def __init__(self, device: str, what: str, before: object = None, after: object = None, unit: str = "") -> None:
        self._device = device
        self._what = what
        self._before = before
        self._after = after
        self._unit = unit

    def __enter__(self) -> None:
        self._outermost = not _thread.changing
        _thread.changing = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._outermost:
            _thread.changing = False
        logger = _logger()
        level = (INFO if error is None else WARNING) if self._outermost else DEBUG
        if logger is not None and logger.isEnabledFor(level):
            failed = "" if error is None else f" failed: {error or type(error).__name__}"
            logger.log(level, "%s: %s%s", self._device, self, failed)

    def __str__(self) -> str:
        if self._after is None:
            return self._what
        from tokaido.hal._shown import shown  # noqa: PLC0415 - where somebody listens

        before = "" if self._before is None else f"{shown(self._before)} "
        return f"{self._what}: {before}-> {shown(self._after, self._unit)}"


def _logger() -> Any:
    """Return the logger, if `logging` is loaded. Without a handler of the program's it prints nothing."""
    logging = sys.modules.get("logging")
    if logging is None or not hasattr(logging, "NullHandler"):  # not, or not yet
        return None
    logger = logging.getLogger(LOGGER)
    if not logger.handlers:  # what failed is raised as well, and need not be printed beside that
        logger.addHandler(logging.NullHandler())
    return logger
