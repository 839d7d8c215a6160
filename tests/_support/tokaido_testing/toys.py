"""A device of no vendor, without any wire, to test what every device inherits."""

from __future__ import annotations

from collections.abc import Mapping

import tokaido.hal as hal
from tokaido.hal.driver import Answer, StreamTransport, measured, query, setting, unsupported


class ToyPart(hal.Part):
    """A part with one value."""

    level = measured(float, "LEV", unit="dB")


class Toy(hal.Device):
    """Answers from a dictionary of texts, by command; None is a value that it cannot give."""

    power = measured(float, "POW", unit="dBm", operational=(-3, 1), absolute=(-6, 3), stale_after_s=10)
    count = measured(int, "CNT", unit="")
    label = measured(str, "LAB")
    attenuation = setting(float, "ATT", unit="dB", range=(0, 60))
    shutter = setting(hal.Shutter, "SHT")
    gain = unsupported(float, "this model has no amplifier")
    ready = query(bool, "RDY")
    step = query(str, "STP", field=1)

    def __init__(self, answers: dict[str, str | None]) -> None:
        super().__init__({}, name="toy")
        self._answers = answers
        self._sent: list[str] = []

    def _connect(self, timeout: float | None = None) -> None:
        """There is nothing to connect."""

    def close(self) -> None:
        """There is nothing to close."""

    def identity(self) -> hal.Identity:
        """Who it is."""
        return hal.Identity("TOY", "T1", "TOY0001", "1")

    def apply_safe_state(self) -> None:
        """It is always safe."""

    @property
    def transport(self) -> StreamTransport:
        """It has none."""
        raise hal.UnsupportedError("a toy has no transport")

    @property
    def parts(self) -> tuple[ToyPart, ...]:
        """Two parts."""
        return ToyPart(self, "parts[0]", "P0:"), ToyPart(self, "parts[1]", "P1:")

    def _ask(self, command: str) -> Answer:
        text = self._answers[command]
        if text is None:
            raise hal.NoDataError("nothing measured yet")
        value, _, age = text.partition("@")
        return Answer(value, float(age or 0))

    def _order(self, command: str, text: str) -> Answer:
        self._sent.append(f"{command} {text}")
        return Answer(self._answers.get(f"{command}!") or text)

    def _ask_all(self) -> Mapping[str, Answer | hal.TokaidoError]:
        def answer(command: str) -> Answer | hal.TokaidoError:
            try:
                return self._ask(command)
            except hal.TokaidoError as error:
                return error

        return {command: answer(command) for command in self._answers}
