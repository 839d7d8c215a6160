"""Types of messages, learned before threads use them."""

from __future__ import annotations

import msgspec


def learn(*kinds: object) -> None:
    """Have msgspec look through the fields of types now: a module calls it at its end, with those that it decodes.

    msgspec (0.22) looks through a `Struct` when it first decodes one. Where two threads are the first to do so, one of
    them takes what the other has half done, and the process crashes. Modules are imported by one thread.

    Args:
        kinds: Types with fields: a `msgspec.Struct`, a data class, a named tuple, or a union of them. Those in their
            fields are learned with them.
    """
    for kind in kinds:
        msgspec.json.Decoder(kind)
