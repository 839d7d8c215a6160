"""A TDC1-style time tagger: it counts the pulses at four inputs, or sends a word for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from tokaido.emulators._line_model import LineModel
from tokaido.hal import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from tokaido.emulators._secrets import Secrets

    Times = NDArray[np.int64]

CHANNELS: Final = 4
TICK_PS: Final = 2_000
SILENCE_TICKS: Final = 1 << 26
"""After half a turn of the clock without an event a word tells the time, so that no turn goes unseen."""
MOST_WORDS_PER_MS: Final = 4_000
TICKS_PER_MS: Final = 500_000
MOST_WAITING: Final = 1 << 24
"""Most bytes that wait for a host that does not read."""
STEP_NS: Final = 5_000_000
"""How often it counts and sends."""
LOWEST_V: Final = -2.0
HIGHEST_V: Final = 3.0
PULSE_V: Final = 2.0
"""Height of the pulses at its inputs."""
MODES: Final = {"singles": 0, "pairs": 1, "timestamp": 3}


class TaggerModel(LineModel):
    """A TDC1-style tagger of four channels. Pulses of 2 V come from `feed`, or from what `plug_in` takes.

    Times are rounded down to 2 ns, after their jitter. It sends 4 million words per second at most; faster pulses
    are lost, and counted in `lost`.

    Args:
        serial_number: It tells none.
        seed: Decides its jitter.
        secrets: It has none.
        threshold: At which voltage it sees a pulse when it comes up, in V.
        jitter_ps: Standard deviation of a time, in ps.
        dummies: Whether it sends a word that tells the time when nothing else comes for long.

    Raises:
        ConfigurationError: The threshold is not -2 to 3 V, or the jitter is below 0.
    """

    SERIAL_NUMBER: ClassVar[str] = "TDC1_0001"
    FAULTS = ("deaf",)  # the comparators see nothing
    COMMAND_END = b"\n"
    IGNORED = b"\r"

    def __init__(
        self,
        serial_number: str | None = None,
        *,
        seed: int = 0,
        secrets: Secrets = "os",
        threshold: float = 1.0,
        jitter_ps: float = 50.0,
        dummies: bool = True,
    ) -> None:
        del secrets
        if not LOWEST_V <= threshold <= HIGHEST_V or jitter_ps < 0:
            raise ConfigurationError(f"a threshold is -2 to 3 V, not {threshold!r}; jitter 0 ps or more")
        super().__init__(serial_number)
        self.threshold_v = threshold
        self.jitter_ps = jitter_ps
        self.dummies = dummies
        self.lost = 0
        """Events that were not sent, because too many came or the host did not read."""
        self._rngs = [np.random.default_rng([seed, 0x7DC1, channel]) for channel in range(CHANNELS)]
        self._mode = MODES["singles"]
        self._time_ms = 1000
        self._pulses: dict[int, list[Times]] = {}
        self._sources: list[tuple[int, Callable[[bool], Times]]] = []
        self._begun_ns: int | None = None  # of the acquisition that runs
        self._end_ns = self._next_ns = 0
        self._counts = [0] * CHANNELS
        self._early: list[tuple[Times, NDArray[np.uint8]]] = []  # events whose moment has not come
        self._last_tick = 0
        self._ms, self._words_in_ms = 0, 0

    # --- pulses -----------------------------------------------------------------------------------------------------

    def feed(self, channel: int, times_ps: Sequence[int] | Times) -> None:
        """Let pulses come to a channel, from 1, at these times in ps of `now_ns`, of which none has passed."""
        self._pulses.setdefault(channel, []).append(np.sort(np.asarray(times_ps, np.int64)))

    def plug_in(self, channel: int, source: Callable[[bool], Times]) -> None:
        """Plug a source into a channel: told whether pulses are wanted from now on, it returns those since it was told.

        Times are in ps of `now_ns`, rising. A source may give what lies ahead by as much as it is ahead of this model.

        Raises:
            ConfigurationError: The channel does not exist, or something is plugged in there.
        """
        if not 1 <= channel <= CHANNELS or any(channel == taken for taken, _ in self._sources):
            raise ConfigurationError(f"channel {channel!r} is taken, or not 1 to {CHANNELS}")
        self._sources.append((channel, source))

    def advance(self, to_ns: int) -> None:
        """Let time pass, and count or send what came in it."""
        super().advance(to_ns)
        if self._begun_ns is None or to_ns < self._next_ns:
            return
        events = self._come(to_ns)
        until_ns = min(to_ns, self._end_ns)
        self._next_ns = min(until_ns + STEP_NS, self._end_ns)
        times, channels = self._between(events, until_ns)
        if self._mode == MODES["timestamp"]:
            self._send(times, channels, until_ns)
        else:
            for channel in range(CHANNELS):
                self._counts[channel] += int(np.count_nonzero(channels == channel))
        if to_ns >= self._end_ns:
            self._finish()

    def due_ns(self) -> int | None:
        """Return when it sends next while it acquires."""
        return None if self._begun_ns is None else self._next_ns

    def _come(self, to_ns: int) -> tuple[Times, NDArray[np.uint8]]:
        """Return the pulses that came until now, and their channels from 0; nothing while it does not acquire."""
        wanted = self._begun_ns is not None
        came = [(channel, source(wanted)) for channel, source in self._sources]
        until_ps = to_ns * 1000
        for channel, waiting in self._pulses.items():
            times = np.concatenate(waiting)
            split = int(np.searchsorted(times, until_ps))
            came.append((channel, times[:split]))
            waiting[:] = [times[split:]]
        sees = "deaf" not in self.provoked and 0 < self.threshold_v < PULSE_V
        if not wanted or not sees:
            came = []
        times = np.concatenate([np.empty(0, np.int64), *(self._jittered(channel, times) for channel, times in came)])
        channels = np.concatenate(
            [np.empty(0, np.uint8), *(np.full(times.size, channel - 1, np.uint8) for channel, times in came)]
        )
        return times, channels

    def _jittered(self, channel: int, times: Times) -> Times:
        drawn = self._rngs[channel - 1].normal(0.0, self.jitter_ps, times.size)
        late: Times = times + np.rint(drawn).astype(np.int64)
        return late

    def _between(self, events: tuple[Times, NDArray[np.uint8]], until_ns: int) -> tuple[Times, NDArray[np.uint8]]:
        """Return the events of the acquisition until then, in order, in ps since it began; later ones wait."""
        begun_ps = (self._begun_ns or 0) * 1000
        times = np.concatenate([early for early, _ in (*self._early, (events[0] - begun_ps, events[1]))])
        channels = np.concatenate([early for _, early in (*self._early, events)])
        order = np.argsort(times, kind="stable")
        times, channels = times[order], channels[order]
        until_ps = until_ns * 1000 - begun_ps
        split = int(np.searchsorted(times, until_ps - until_ps % TICK_PS))  # pulses of one step go together
        self._early = [(times[split:], channels[split:])]
        after = int(np.searchsorted(times, 0))  # what jitter put before the beginning was not in it
        return times[after:split], channels[after:split]

    # --- acquiring --------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._begun_ns, self._end_ns = self._now_ns, self._now_ns + self._time_ms * 1_000_000
        self._next_ns = min(self._now_ns + STEP_NS, self._end_ns)
        self._come(self._now_ns)  # and throw it away
        self._counts = [0] * CHANNELS
        self._early = []
        self._last_tick = 0
        self._ms, self._words_in_ms = 0, 0

    def _finish(self) -> None:
        self._begun_ns = None
        self._early = []
        if self._mode != MODES["timestamp"]:
            self._out += (" ".join(str(count) for count in self._counts)).encode("ascii") + self.REPLY_END
        self._come(self._now_ns)

    def _send(self, times: Times, channels: NDArray[np.uint8], until_ns: int) -> None:
        """Send a word for every moment at which something came, and one that tells the time when nothing did."""
        ticks, first = np.unique(times // TICK_PS, return_index=True)
        patterns = np.bitwise_or.reduceat(1 << channels, first) if ticks.size else channels
        sent = self._fitting(ticks)
        self.lost += int(np.count_nonzero(~sent[np.searchsorted(ticks, times // TICK_PS)])) if ticks.size else 0
        words = (ticks[sent] % (1 << 27) << 5) | patterns[sent]
        ticks = ticks[sent]
        if self.dummies:
            end = (until_ns - (self._begun_ns or 0)) * 1000 // TICK_PS
            ticks, words = self._with_dummies(ticks, words, end)
        if ticks.size:
            self._last_tick = int(ticks[-1])
        if len(self._out) + 4 * words.size > MOST_WAITING:
            self.lost += times.size
            return
        self._out += words.astype("<u4").tobytes()

    def _fitting(self, ticks: Times) -> NDArray[np.bool_]:
        """Return which events the line carries: so many in each ms."""
        fits = np.ones(ticks.size, np.bool_)
        begins = np.flatnonzero(np.diff(ticks // TICKS_PER_MS, prepend=-1))
        for begin, end in zip(begins, np.append(begins[1:], ticks.size), strict=False):
            ms = int(ticks[begin] // TICKS_PER_MS)
            if ms != self._ms:
                self._ms, self._words_in_ms = ms, 0
            room = MOST_WORDS_PER_MS - self._words_in_ms
            fits[begin + room : end] = False
            self._words_in_ms += min(int(end - begin), room)
        return fits

    def _with_dummies(self, ticks: Times, words: Times, end: int) -> tuple[Times, Times]:
        """Put words that tell the time where nothing comes for long."""
        marks = np.concatenate([[self._last_tick], ticks, [end]])
        added: list[int] = []
        for place in np.flatnonzero(np.diff(marks) >= SILENCE_TICKS):
            added += range(int(marks[place]) + SILENCE_TICKS, int(marks[place + 1]) + 1, SILENCE_TICKS)
        extra = np.array(added, np.int64)
        every = np.concatenate([ticks, extra])
        order = np.argsort(every, kind="stable")
        return every[order], np.concatenate([words, (extra % (1 << 27) << 5) | 0x10])[order]

    # --- commands ---------------------------------------------------------------------------------------------------

    def _answer(self, line: str) -> str:
        replies = [self._do(part.strip().lower()) for part in line.split(";")]
        return "\r\n".join(reply for reply in replies if reply)

    def _do(self, command: str) -> str:
        word, _, rest = command.partition(" ")
        if word in MODES:
            self._mode = MODES[word]
        elif word == "*idn?":
            return "S-Fifteen TDC1 4 channel timestamp unit"
        elif word == "mode?":
            return str(self._mode)
        elif word == "time?":
            return str(self._time_ms)
        elif word == "time":
            self._time_ms = min(max(int(rest), 1), 65_535) if rest.isdecimal() else self._time_ms
        elif word == "level?":
            return f"{self.threshold_v:.3f} V"
        elif word in ("pos", "neg"):
            self._set_level(word, rest)
        elif word in ("ttl", "nim"):
            self.threshold_v = 1.0 if word == "ttl" else -0.5
        elif word == "counts?":
            self._begin()
        elif word in ("abort", "*rst"):
            self._begun_ns = None
        return ""

    def _set_level(self, word: str, rest: str) -> None:
        try:
            volts = float(rest)
        except ValueError:
            return
        if LOWEST_V <= volts <= HIGHEST_V and (volts < 0) == (word == "neg"):
            self.threshold_v = round(volts, 2)
