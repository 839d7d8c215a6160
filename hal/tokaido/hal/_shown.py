"""Values as people read them."""

from __future__ import annotations

from tokaido.hal._value_texts import encode


def shown(value: object, unit: str = "") -> str:
    """Return a setting as people read it: with its unit of measure, a map as `1:3 2:4`, `-` for none."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{source}:{target}" for source, target in value.items()) or "empty"
    return f"{encode(value)} {unit}".rstrip()
