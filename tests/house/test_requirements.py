"""What an install brings: nothing heavy that a user of the core did not ask for (ADR 4)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
NOT_IN_THE_CORE = {
    *(
        "bluesky",
        "dask",
        "distributed",
        "llvmlite",
        "matplotlib",
        "numba",
        "p4p",
        "pandas",
        "pint",
        "pyarrow",
        "pydantic",
        "pydantic-core",
        "qcodes",
        "scipy",
        "xarray",
    )
}


def pinned(name: str) -> set[str]:
    """Return the names of the distributions that a file pins."""
    text = (REQUIREMENTS / name).read_text(encoding="utf-8")
    return set(re.findall(r"(?m)^([a-z0-9._-]+)==", text))


@pytest.mark.parametrize("name", ["runtime.txt", "example.txt"])
def test_the_core_brings_nothing_heavy(name: str) -> None:
    found = pinned(name)
    assert {"numpy", "pyserial", "pyvisa", "pyzmq", "typer"} <= found  # it is read rightly
    assert not found & NOT_IN_THE_CORE


def test_no_file_names_an_index() -> None:
    for file in REQUIREMENTS.iterdir():
        assert "://" not in file.read_text(encoding="utf-8"), file.name
