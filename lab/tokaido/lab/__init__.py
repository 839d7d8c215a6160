"""What a laboratory does with devices: sharing them, settings, sweeps, logs, and bridges to QCoDeS, Bluesky and EPICS.

Its packages have all of it, and the names in most use are here, too: `import tokaido.lab as lab`, `lab.sweep(...)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal.lazy import lazily

__all__ = ["Connection", "Knob", "LogSummary", "Probe", "log_telemetry", "settings", "sweep"]

if TYPE_CHECKING:
    from tokaido.lab import settings
    from tokaido.lab.logs import LogSummary, log_telemetry
    from tokaido.lab.sweeps import Connection, Knob, Probe, sweep
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "LogSummary": "tokaido.lab.logs",
            "log_telemetry": "tokaido.lab.logs",
            "Connection": "tokaido.lab.sweeps",
            "Knob": "tokaido.lab.sweeps",
            "Probe": "tokaido.lab.sweeps",
            "sweep": "tokaido.lab.sweeps",
            "settings": "tokaido.lab.settings",
        },
        __all__,
    )
