"""The same program on both vendors' units: examples/two_vendors.py."""

from __future__ import annotations

import importlib.util
import inspect
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tokaido.emulators import QkdLink
from tokaido.emulators.demonstrations import demonstration

EXAMPLE = Path(__file__).parents[2] / "examples" / "two_vendors.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("two_vendors", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("vendor", "parts"),
    [("toshiba", "0 sub-channels, 2 detectors biased in V"), ("nec", "8 sub-channels, 16 detectors biased in uA")],
)
def test_the_same_program_makes_keys_on_both(
    example: ModuleType, vendor: str, parts: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The example as it stands, on links that hurry and deliver short blocks, with optics that suit these."""
    optics = demonstration(vendor).parameters(example.FIBRE.total_loss_db)
    launch = partial(QkdLink.launch, speed=50.0, parameters=optics, block_bits=400_000)
    monkeypatch.setattr(example, "QkdLink", SimpleNamespace(launch=launch))
    assert example.run_vendor(vendor, seed=2) is True
    shown = capsys.readouterr().out
    assert parts in shown
    assert "the same keys" in shown


def test_the_program_names_no_vendor(example: ModuleType) -> None:
    for function in (example.describe, example.bring_up, example.draw, example.watch, example.run):
        source = inspect.getsource(function).lower()
        assert "toshiba" not in source
        assert "nec." not in source
