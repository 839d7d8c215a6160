"""Packages that are not installed, and can be found as if they were."""

from __future__ import annotations

import importlib
import sys
import tempfile
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = Path(__file__).parents[2] / "packages"


def write_metadata(pyproject: str, folder: Path) -> None:
    """Leave the metadata in a folder that installing a project there would leave."""
    project = tomllib.loads(pyproject)["project"]
    installed = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    installed.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (installed / "METADATA").write_text(metadata, encoding="utf-8")
    lines: list[str] = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    (installed / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


@contextmanager
def installed(pyproject: str) -> Iterator[None]:
    """Let the entry points of a project be found within the context."""
    with tempfile.TemporaryDirectory() as folder:
        write_metadata(pyproject, Path(folder))
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path.remove(folder)
            importlib.invalidate_caches()
