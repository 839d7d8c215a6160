"""Where secret bytes come from: the operating system, or a seed in tests."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Secrets = Literal["os", "seeded"]


def secret_source(secrets: Secrets, *name: object) -> Callable[[int], bytes]:
    """Return a source of n secret bytes: `os.urandom`, or one that the parts of `name` fix (its keys are insecure).

    Raises:
        ValueError: `secrets` is neither "os" nor "seeded".
    """
    if secrets == "os":
        return os.urandom
    if secrets == "seeded":
        return random.Random("/".join(map(str, name))).randbytes
    raise ValueError(f"secrets must be 'os' or 'seeded', not {secrets!r}")
