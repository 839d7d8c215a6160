"""Where secret bytes come from: the operating system, or a seed in tests. And which seed a run has."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Secrets = Literal["os", "seeded"]


def seed_of_run(seed: int | None, secrets: Secrets = "os") -> int:
    """Return the seed of a run: the one that was given, or else a new one; 0 for secrets that a seed decides."""
    if seed is not None:
        return seed
    return 0 if secrets == "seeded" else int.from_bytes(os.urandom(4), "big")


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
