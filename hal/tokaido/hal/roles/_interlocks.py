"""Interlocks between devices: no classical light onto a single-photon receiver that is not shuttered."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokaido.hal._errors import InterlockError, TokaidoError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger("tokaido.hal.interlock")


@dataclass(frozen=True, slots=True)
class LightInterlock:
    """No classical power onto a single-photon port: declared once, enforced where the command is given."""

    name: str
    classical_inputs: frozenset[int]
    """Inputs that may carry classical light."""
    shuttered: Mapping[int, Callable[[], bool]]
    """For each output that leads to a single-photon receiver, whether that receiver is shuttered now. One that raises a
    `TokaidoError` cannot tell, which counts as not shuttered."""

    def check(self, switch: str, pairs: Mapping[int, int], force: str) -> None:
        """Let these pairs of `switch` pass, or pass them for the reason `force`, which is logged.

        Raises:
            InterlockError: One of them would bring classical light onto a single-photon receiver.
        """
        for source, target in pairs.items():
            is_shuttered = self.shuttered.get(target)
            if source not in self.classical_inputs or is_shuttered is None:
                continue
            why = "that is not shuttered"
            try:
                if is_shuttered():
                    continue
            except TokaidoError as error:
                why = f"whose shutter cannot be read and so counts as open ({error})"
            what = (
                f"input {source} may carry classical light and output {target} leads to a single-photon receiver {why}"
            )
            if not force.strip():
                raise InterlockError(
                    f"interlock {self.name}: {what}; nothing was sent",
                    device=switch,
                    remedy="Close the receiver's shutter, or force it with a reason",
                )
            logger.warning("%s: interlock %s FORCED (%s): %s", switch, self.name, force, what)
