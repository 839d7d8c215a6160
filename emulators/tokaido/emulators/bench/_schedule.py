"""What is to happen on a bench, and when."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from tokaido.emulators.bench._orders import Order
from tokaido.hal import NS_PER_S, ConfigurationError
from tokaido.hal.tables import Check, number, of_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokaido.emulators._launch import Emulator
    from tokaido.emulators._model import DeviceModel
    from tokaido.emulators.bench._elements import FibreOnBench
    from tokaido.hal.tables import Mistakes

logger = logging.getLogger("tokaido.emulators.bench")
AT: Final = Check(number(0, 1e9), "a time in s since the bench began")
FIRST: Final[Mapping[str, tuple[str, ...]]] = {
    "cut": (),
    "bend": ("loss_db",),
    "light": ("chance",),
    "misalign": ("chance",),
    "attack": ("kind",),
    "fault": ("kind",),
    "unplug": (),
    "replug": (),
    "darken": (),
    "power": (),
    "mend": (),
}
"""What an event of a station file may do, and which further keys are words of the order, in turn."""
_TEXT: Final = Check(of_kind(str), "a name in quotes")


class Schedule:
    """Orders, each with its emulated time. Safe to use from any thread."""

    def __init__(self) -> None:
        self.listener: Callable[[float, str], None] | None = None
        """Told of every order that was carried out at its time: emulated s, and the order or why it failed."""
        self._lock = threading.Lock()
        self._counter = itertools.count()
        self._waiting: list[tuple[int, int, Order]] = []

    def add(self, at_ns: int, order: Order) -> None:
        """Have an order carried out at an emulated time, in ns; orders of one time in the order of their adding."""
        with self._lock:
            heapq.heappush(self._waiting, (at_ns, next(self._counter), order))

    @property
    def next_ns(self) -> int | None:
        """When the next order is due, in ns of emulated time; None if there is none."""
        with self._lock:
            return self._waiting[0][0] if self._waiting else None

    def carry_out(self, now_ns: int, fibres: Mapping[str, FibreOnBench], devices: Mapping[str, Emulator]) -> None:
        """Do all that is due by `now_ns`. An order that fails is told with its reason, and the rest goes on."""
        while True:
            with self._lock:
                if not self._waiting or self._waiting[0][0] > now_ns:
                    return
                _, _, order = heapq.heappop(self._waiting)
            told = order.text
            try:
                order.carry_out(fibres, devices)
            except ConfigurationError as error:
                told = f"{order.text}: {error}"
            logger.info("%.3f s: %s", now_ns / NS_PER_S, told)
            if self.listener is not None:
                self.listener(now_ns / NS_PER_S, told)


def read_events(
    events: object, fibres: Mapping[str, object], models: Mapping[str, DeviceModel], mistakes: Mistakes
) -> list[tuple[float, Order]]:
    """Return the events of a station file, each with its time in s, and note every mistake in them."""
    if not isinstance(events, list):
        mistakes.note("bench.events", f"must be tables [[bench.events]], not {events!r}")
        return []
    found: list[tuple[float, Order]] = []
    for position, table in enumerate(events, 1):
        try:
            at_s, order = _event(table)
            order.check(fibres, models)
            found.append((at_s, order))
        except ConfigurationError as error:
            mistakes.append(f"bench.events, number {position}: {error}")
    return found


def _event(table: Any) -> tuple[float, Order]:
    if not isinstance(table, dict):
        raise ConfigurationError(f"must be a table, not {table!r}")
    if not AT.accepts(table.get("at_s")):
        raise ConfigurationError(f"at_s must be {AT.must_be}, not {table.get('at_s')!r}")
    verbs = [key for key in table if key in FIRST]
    if len(verbs) != 1:
        raise ConfigurationError(f"does one thing: give one of {', '.join(FIRST)}")
    (verb,) = verbs
    if not _TEXT.accepts(table[verb]):
        raise ConfigurationError(f"{verb} must be {_TEXT.must_be}, not {table[verb]!r}")
    rest = {key: value for key, value in table.items() if key not in ("at_s", verb)}
    words = [verb, table[verb]]
    for key in FIRST[verb]:
        if key not in rest:
            raise ConfigurationError(f"{verb} needs {key}")
        words.append(_word(key, rest.pop(key)))
    if verb == "mend" and "kind" in rest:
        words.append(_word("kind", rest.pop("kind")))
    return float(table["at_s"]), Order([*words, *(f"{key}={_word(key, value)}" for key, value in rest.items())])


def _word(key: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, list):
        return "/".join(_word(key, item) for item in value)
    if isinstance(value, str) and value and not any(character.isspace() for character in value):
        return value
    raise ConfigurationError(f"{key} must be a number, a word, true, false or a list of numbers, not {value!r}")
