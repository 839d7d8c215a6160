"""Words for light that device models and the bench share."""

from __future__ import annotations

from typing import Literal, Protocol

Band = Literal["quantum", "clock"]
"""Which light: single photons, or the bright light that carries the clock."""


class SwitchModel(Protocol):
    """What a device model must have to stand on the bench as a switch."""

    inputs: int
    outputs: int

    def light_path(self, input: int) -> tuple[int, float] | None:  # noqa: A002 - the word users type
        """Return the output (from 1) that an input's light leaves by now and the loss in dB, or None while dark."""
        ...
