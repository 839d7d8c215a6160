"""The 1xN MEMS module.

Commands end with CR; a reply stands between LF and CRLF. `I1 n` selects channel n and `PK` parks, both in silence;
`I1?` tells the channel, `CF?` the configuration, `ID?` who it is. Undocumented behaviour is an option.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, ClassVar, Final

from tokaido.emulators._line_model import LineModel
from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from tokaido.emulators._model import BenchSpot
    from tokaido.emulators._secrets import Secrets

SETTLING_NS: Final = 10_000_000
"""How long no light passes after the mirror was told to move, in ns."""
LOSS_DB: Final = (0.8, 1.5)
PARKED: Final = 0
"""The channel that no light leaves by."""
_SELECT = re.compile(r"I1 ([0-9]{1,4})")


class SelectorModel(LineModel):
    """One module: a common input and N channels. It comes up parked.

    Args:
        serial_number: The last field of what `ID?` says.
        seed: Decides the loss of each channel.
        secrets: It has none.
        channels: How many channels, 1 to 9999.
        identity: What `ID?` says, with `{channels}` and `{serial_number}` filled in.
        channel_0: Whether `I1 0` parks it; else it is an error.
        error_reply: What it answers to a line that it does not understand or cannot carry out; empty for silence.
        echo: Whether it sends every byte back as it comes; `EO 0` and `EO 1` change it, `EO?` tells it.

    Raises:
        ConfigurationError: There is no such number of channels.
    """

    SERIAL_NUMBER: ClassVar[str] = "DC000001"
    FAULTS = ("stuck",)  # takes every command and moves nothing
    COMMAND_END = b"\r"
    IGNORED = b"\n"
    REPLY_BEGIN = b"\n"

    def __init__(
        self,
        serial_number: str | None = None,
        *,
        seed: int = 0,
        secrets: Secrets = "os",  # noqa: ARG002 - every model takes it
        channels: int = 16,
        identity: str = "DiCon Fiberoptics Inc, MEMS 1x{channels}, {serial_number}, 1.00",
        channel_0: bool = True,
        error_reply: str = "",
        echo: bool = False,
    ) -> None:
        if not 1 <= channels <= 9999:
            raise ConfigurationError(f"a selector has 1 to 9999 channels, not {channels!r}")
        super().__init__(serial_number)
        self.inputs = 1
        self.outputs = channels
        self.identity = identity.format(channels=channels, serial_number=self.serial_number)
        self.channel_0 = channel_0
        self.error_reply = error_reply
        self.echo = echo
        chance = random.Random(f"{seed}/{self.serial_number}/loss")
        self._loss_db = [round(chance.uniform(*LOSS_DB), 2) for _ in range(channels)]
        self._channel = PARKED
        self._moved_ns = -SETTLING_NS

    # --- light ------------------------------------------------------------------------------------------------------

    @property
    def channel(self) -> int:
        """The channel that the mirror points or goes to, 0 if it is parked."""
        return self._channel

    def take_place(self, spot: BenchSpot) -> None:
        """Be a switch on a bench."""
        spot.switch(self)

    def light_path(self, input: int) -> tuple[int, float] | None:  # noqa: A002 - the word users type
        """Return the output that an input's light leaves by now and the loss in dB, or None while it is dark."""
        if input != 1 or self._channel == PARKED or self._now_ns - self._moved_ns < SETTLING_NS:
            return None
        return self._channel, self._loss_db[self._channel - 1]

    def receive(self, port: str, data: bytes) -> None:
        """Take bytes, and send them back where the echo is on."""
        for start in range(len(data)):  # a command may switch it in the middle
            byte = data[start : start + 1]
            if self.echo:
                self._out += byte
            super().receive(port, byte)

    # --- commands ---------------------------------------------------------------------------------------------------

    def _answer(self, line: str) -> str:
        match line:
            case "ID?":
                return self.identity
            case "CF?":
                return f"{self.inputs},{self.outputs}"
            case "I1?":
                return str(self._channel)
            case "PK":
                return self._move(PARKED)
            case "EO?":
                return str(int(self.echo))
            case "EO 0" | "EO 1":
                self.echo = line == "EO 1"
                return ""
            case _:
                selected = _SELECT.fullmatch(line)
                if selected is None:
                    return self.error_reply
                channel = int(selected[1])
                lowest = PARKED if self.channel_0 else 1
                return self._move(channel) if lowest <= channel <= self.outputs else self.error_reply

    def _move(self, channel: int) -> str:
        if channel != self._channel and "stuck" not in self.provoked:
            self._channel = channel
            self._moved_ns = self._now_ns
        return ""
