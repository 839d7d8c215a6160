"""Programs that tests have a demonstration start."""

from __future__ import annotations

import json
import os
import sys
import time


def tell() -> int:
    """Say what this process has before it has imported anything, and what it was given."""
    found = {
        "event": "began",
        "modules": sorted({"aiohttp", "numba", "numpy", "tokaido.emulators.bench._bench", "zmq"} & sys.modules.keys()),
        "words": sys.argv,
        "environment": {name: value for name, value in os.environ.items() if name.startswith("TOKAIDO_TOLD_")},
        "session": os.getsid(0) == os.getpid(),
        "drawn": os.urandom(8).hex(),
    }
    print(json.dumps(found), flush=True)
    return 3


def stay() -> int:
    """Say that it runs, and do so for a while."""
    print(json.dumps({"event": "began"}), flush=True)
    print("it is told to stay", file=sys.stderr, flush=True)
    time.sleep(120)
    return 0
