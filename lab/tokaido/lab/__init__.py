"""What a laboratory does with devices: sharing them, sweeps, logs.

Its packages have all of it, and the names in most use are here, too: `import tokaido.lab as lab`, `lab.sweep(...)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokaido.hal.lazy import lazily

__all__ = ["Connection", "Knob", "Probe", "sweep"]

if TYPE_CHECKING:
    from tokaido.lab.sweeps import Connection, Knob, Probe, sweep
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "Connection": "tokaido.lab.sweeps",
            "Knob": "tokaido.lab.sweeps",
            "Probe": "tokaido.lab.sweeps",
            "sweep": "tokaido.lab.sweeps",
        },
        __all__,
    )
