"""The last five minutes of each span, so that a page that is loaded again shows them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tokaido.console.page._state import PageState

PERIOD_S: Final = 5.0
SAMPLES: Final = 60
MOST_SPANS: Final = 256
VALUES: Final = ("qber", "secret_key_rate", "stock_bits")


class History:
    """Keeps a sample of every span each 5 s."""

    def __init__(self) -> None:
        self._spans: dict[str, deque[tuple[float | None, ...]]] = {}
        self._taken_s: float | None = None

    def take(self, state: PageState | None, now_s: float) -> None:
        """Take a sample if it is time.

        Args:
            state: Now; None: nothing is known.
            now_s: On a monotonic clock.
        """
        if self._taken_s is not None and now_s - self._taken_s < PERIOD_S:
            return
        late = 0.0 if self._taken_s is None else now_s - self._taken_s - PERIOD_S
        self._taken_s = now_s - (late if late < PERIOD_S else 0.0)  # a beat, whatever a look takes
        spans = {} if state is None else {span.name: span for span in state.spans[:MOST_SPANS]}
        if state is not None:
            self._spans = {name: self._spans.get(name, deque(maxlen=SAMPLES)) for name in spans}
        for name, samples in self._spans.items():
            span = spans.get(name)
            samples.append(tuple(None if span is None else _short(getattr(span, value)) for value in VALUES))

    def told(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        spans = {
            name: {value: [sample[number] for sample in samples] for number, value in enumerate(VALUES)}
            for name, samples in self._spans.items()
        }
        return {"period_s": PERIOD_S, "samples": SAMPLES, "spans": spans}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
