"""The S-Fifteen TDC1 on its serial line: docs/protocols/sfifteen.md."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

import tokaido.hal as hal
from tokaido.drivers.sfifteen._words import CHANNELS, TICK_PS, TdcCodec
from tokaido.hal.driver import Answer, Codec, LineDevice, ProtocolError, decode, setting, whole_in

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from tokaido.drivers.sfifteen._gathering import Gathering
    from tokaido.hal.driver import Request
    from tokaido.hal.tags import Tags

V = TypeVar("V")

MODEL: Final = re.compile(r"TDC1\b", re.IGNORECASE)
LEVEL: Final = "level"
TIMESTAMP: Final = "3"
"""What `mode?` answers in the mode of tags."""
LONGEST_S: Final = 65.0
SINGLES: Final = "0"
"""What `mode?` answers in the mode of counts."""
LATE_S: Final = 2.0
QUIET_S: Final = 0.03
"""After so long without a word, past its end, an acquisition has ended."""
PS_PER_MS: Final = 1_000_000_000


class Tagger(hal.TimeTagger, LineDevice):
    """An S-Fifteen TDC1: four channels, times in steps of 2 ns."""

    resource_kinds: ClassVar[Mapping[str, frozenset[str]]] = {"control": frozenset({"serial"})}
    serial_line: ClassVar[Mapping[str, str]] = {"baudrate": "115200"}
    protocol: ClassVar[str] = "S-Fifteen TDC1"
    capabilities = frozenset({hal.TaggerCapability.THRESHOLD})

    threshold = setting(float, LEVEL, unit="V", range=(-2, 3), resolution=0.01)
    """Control the voltage at which a pulse is seen at all channels, -2 to 3 V; below 0 V the pulses are negative."""

    @property
    def channels(self) -> int:
        """Four."""
        return CHANNELS

    @property
    def resolution_ps(self) -> float:
        """2 ns."""
        return float(TICK_PS)

    @property
    def longest(self) -> float:
        """The box counts its time in 16 bits of ms."""
        return LONGEST_S

    def identity(self) -> hal.Identity:
        """Ask `*IDN?`: the box tells its model, and no serial number."""
        return self._read("*IDN?", _named)

    def _codec(self) -> Codec:
        self._turn = threading.RLock()
        self._words = TdcCodec()
        return self._words

    def _greet(self) -> None:
        self._words.leave()  # a line that was opened again says who it is, whatever came before
        super()._greet()

    # --- acquiring ------------------------------------------------------------------------------------------------

    def _count(self, duration: float) -> tuple[int, ...]:
        question = self._question(f"time {_ms(duration)};singles;counts?", _counts)
        with self._own_turn():
            return self._control.exchange(question, duration + self._timeout_s)

    def _tags(self, duration: float, most: int) -> Tags:
        from tokaido.drivers.sfifteen._gathering import Gathering  # noqa: PLC0415 - loads numpy, which tags need
        from tokaido.hal.driver import StreamTransport  # noqa: PLC0415 - likewise

        if not isinstance(self._control, StreamTransport):
            raise hal.UnsupportedError(
                "tags are bytes, and a device server carries lines alone",
                device=self.name,
                remedy="Open the tagger at its own port; nothing was sent",
            )
        duration_ms = _ms(duration)
        gathering = Gathering(most)
        start = self._words.start(f"INPKT;time {duration_ms};timestamp;mode?;counts?", TIMESTAMP, gathering.take)
        with self._own_turn():
            try:
                self._control.exchange(start)
                self._listen(gathering, duration_ms / 1000)
                if not self._words.taking:
                    raise hal.NotConnectedError(
                        "the line was lost while tags came", device=self.name, remedy="Acquire them again"
                    )
            finally:
                self._words.leave()
            if self._words.rest:
                raise ProtocolError(f"{self._words.rest} bytes are left of a word: others were lost", device=self.name)
            self._read("singles;mode?", _singles)
        return gathering.tags(duration_ms * PS_PER_MS)

    def _listen(self, gathering: Gathering, duration: float) -> None:
        """Take words until the time is over and no more come."""
        begun_ns = quiet_ns = self._clock.monotonic_ns()
        end_ns = begun_ns + round(duration * hal.NS_PER_S)
        while True:
            before = gathering.words
            self._control.listen(QUIET_S)
            now_ns = self._clock.monotonic_ns()
            if gathering.words != before:
                quiet_ns = now_ns
            if now_ns >= end_ns and now_ns - quiet_ns >= QUIET_S * hal.NS_PER_S:
                return
            if now_ns >= end_ns + LATE_S * hal.NS_PER_S:
                raise hal.DeviceTimeoutError(
                    f"tags still come {LATE_S:g} s after the end of {duration:g} s",
                    device=self.name,
                    remedy="Send fewer pulses, or tag for a shorter time",
                )

    @contextmanager
    def _own_turn(self) -> Generator[None]:
        """Have the box for oneself, while others wait as long as an exchange may take.

        Raises:
            DeviceBusyError: Another thread counts or tags.
        """
        if not self._turn.acquire(timeout=self._timeout_s):
            raise hal.DeviceBusyError("another thread counts or tags", device=self.name, remedy="Wait until that ended")
        try:
            yield
        finally:
            self._turn.release()

    def _exchange(self, request: Request[bytes, V]) -> V:
        with self._own_turn():
            return super()._exchange(request)

    # --- values as the box writes them ----------------------------------------------------------------------------

    def _ask(self, command: str) -> Answer:
        return Answer(self._read(f"{command}?", _level))

    def _order(self, command: str, text: str) -> Answer:
        volts = float(text)
        return Answer(_first(self._command(f"{'NEG' if volts < 0 else 'POS'} {volts:g};{command}?")))


def _ms(duration: float) -> int:
    return max(round(duration * 1000), 1)


def _named(reply: str) -> hal.Identity:
    if not MODEL.search(reply):
        raise hal.WrongDeviceError(
            f"the answer to *IDN? is {reply[:60]!r}, which names no TDC1", remedy="Check the resource"
        )
    return hal.Identity(vendor="S-Fifteen Instruments", model="TDC1", serial_number="", firmware=reply)


def _counts(reply: str) -> tuple[int, ...]:
    counts = tuple(whole_in(word) for word in reply.split())
    if len(counts) != CHANNELS or min(counts) < 0:
        raise ProtocolError(f"{CHANNELS} counts were to come: {reply[:60]!r}")
    return counts


def _singles(reply: str) -> None:
    if reply != SINGLES:
        raise ProtocolError(f"mode {SINGLES} was to come behind the tags, not {reply[:40]!r}: bytes were lost")


def _first(reply: str) -> str:
    return (reply.split() or [""])[0]


def _level(reply: str) -> str:
    return f"{decode(float, _first(reply), 'threshold'):g}"
