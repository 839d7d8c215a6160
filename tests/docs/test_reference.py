"""The API reference has a page for every public module, and no other. `make docs` builds them and checks links."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIRECTIVE = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)
NO_READER = {"tokaido.hal.roles", "tokaido.hal.stations", "tokaido.emulators.ends.urlhandler"}
"""Packages whose names users find elsewhere, or that pyserial alone imports."""


def public_modules() -> set[str]:
    names: set[str] = set()
    for room in ("hal", "drivers", "emulators", "lab", "node", "console"):
        for path in (ROOT / room / "tokaido").rglob("*.py"):
            parts = path.relative_to(ROOT / room).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            if not any(part.startswith("_") for part in parts):
                names.add(".".join(parts))
    return {name for name in names if not any(name == own or name.startswith(f"{own}.") for own in NO_READER)}


def test_every_public_module_is_in_the_reference() -> None:
    pages = (ROOT / "docs" / "reference" / "api").glob("*.md")
    described = [name for page in pages for name in DIRECTIVE.findall(page.read_text(encoding="utf-8"))]
    assert sorted(described) == sorted(public_modules())
