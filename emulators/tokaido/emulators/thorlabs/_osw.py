"""The 1x2 and 2x2 switches OSW12-E and OSW22-E.

Commands end with LF, replies with CRLF: `S 1` and `S 2` choose the state and say nothing, `S?` tells it, `T?` the type
of the board, `I?` its name and firmware. An error is told as `Error nn,text`; which number is for what is an option.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from tokaido.emulators._line_model import LineModel
from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from tokaido.emulators._model import BenchSpot
    from tokaido.emulators._secrets import Secrets

SETTLING_NS: Final = 1_000_000
"""How long no light passes after the mirrors were told to move, in ns."""
STALE_NS: Final = 100_000_000
"""How long after a change a reply to `S?` may still be the old state, in ns: what drivers in the field wait for."""
LOSS_DB: Final = (0.8, 1.5)
BAR: Final = 1
"""State in which input 1 leads to output 1."""

_PATHS: Final[dict[int, dict[int, dict[int, int]]]] = {
    1: {1: {1: 1}, 2: {1: 2}},
    2: {1: {1: 1, 2: 2}, 2: {1: 2, 2: 1}},
}
"""Output by input, by state, by number of inputs."""
_MODEL = re.compile(r"OSW([12])2-\d{3,4}E")


class OswSwitchModel(LineModel):
    """One OSW-E. It holds its state without power, so it comes up as it was left.

    Args:
        serial_number: It stands in the USB descriptor and is never told on the wire.
        seed: Decides the loss of each path.
        secrets: It has none.
        model: Such as OSW12-1550E (1x2) or OSW22-1310E (2x2).
        firmware: What `I?` says behind the model.
        board_type: What `T?` says.
        state: 1 (bar) or 2 (cross).
        stale: What `S?` says for 100 ms after a change: "first": the old state once; "time": the old state all the
            time; "never": the new state.
        error_reply: What it answers to a line that it does not understand, as `Error nn,text`; empty for silence.

    Raises:
        ConfigurationError: There is no such model, state or staleness.
    """

    SERIAL_NUMBER: ClassVar[str] = "OSW000001"
    FAULTS = ("stuck",)  # takes every command and moves nothing
    COMMAND_END = b"\n"

    def __init__(
        self,
        serial_number: str | None = None,
        *,
        seed: int = 0,
        secrets: Secrets = "os",  # noqa: ARG002 - every model takes it
        model: str = "OSW12-1550E",
        firmware: str = "V1.2",
        board_type: str = "",
        state: int = BAR,
        stale: Literal["first", "time", "never"] = "first",
        error_reply: str = "Error 01,Unknown command",
    ) -> None:
        found = _MODEL.fullmatch(model)
        if found is None or state not in (1, 2) or stale not in ("first", "time", "never"):
            raise ConfigurationError(
                f"there is no {model!r} in state {state!r} with stale={stale!r}",
                remedy="Choose OSW12-1550E, OSW22-1310E and the like; 1 or 2; first, time or never",
            )
        super().__init__(serial_number)
        self.model = model
        self.firmware = firmware
        self.inputs = int(found[1])
        self.outputs = 2
        self.board_type = board_type or found[1]
        self.stale = stale
        self.error_reply = error_reply
        chance = random.Random(f"{seed}/{self.serial_number}/loss")
        self._loss_db = {(i, o): round(chance.uniform(*LOSS_DB), 2) for i in range(1, self.inputs + 1) for o in (1, 2)}
        self._state = state
        self._state_before = state
        self._moved_ns = -STALE_NS

    # --- light ------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> int:
        """The state that the mirrors have or go to: 1 bar, 2 cross."""
        return self._state

    def take_place(self, spot: BenchSpot) -> None:
        """Be a switch on a bench."""
        spot.switch(self)

    def light_path(self, input: int) -> tuple[int, float] | None:  # noqa: A002 - the word users type
        """Return the output that an input's light leaves by now and the loss in dB, or None while it is dark."""
        output = _PATHS[self.inputs][self._state].get(input)
        if output is None or self._now_ns - self._moved_ns < SETTLING_NS:
            return None
        return output, self._loss_db[input, output]

    # --- commands ---------------------------------------------------------------------------------------------------

    def _answer(self, line: str) -> str:
        match line:
            case "S 1" | "S 2":
                self._move(int(line[2:]))
                return ""
            case "S?":
                return str(self._told_state())
            case "T?":
                return self.board_type
            case "I?":
                return f"{self.model} {self.firmware}"
            case _:
                return self.error_reply

    def _move(self, state: int) -> None:
        if state == self._state or "stuck" in self.provoked:
            return
        self._state_before, self._state = self._state, state
        self._moved_ns = self._now_ns

    def _told_state(self) -> int:
        if self._now_ns - self._moved_ns >= STALE_NS or self.stale == "never":
            return self._state
        told = self._state_before
        if self.stale == "first":
            self._state_before = self._state
        return told
