"""The helper that lets deadlines grow with the load: it grows with it, forgets slowly, and has an end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tokaido_testing import patience


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What is measured, as [slowness]; every call measures again."""
    measured = [1.0]
    monkeypatch.setattr(patience, "_known", (1.0, -1e9))
    monkeypatch.setattr(patience, "FRESH_S", -1.0)
    monkeypatch.setattr(patience, "measure", lambda: measured[0])
    return measured


def test_deadlines_grow_with_what_is_measured_and_not_without_end(at: list[float]) -> None:
    assert patience.patient(0.5) == 0.5
    at[0] = 3.0
    assert patience.patient(0.5) == pytest.approx(1.5)
    at[0] = 1000.0
    assert patience.patient(0.5) == 0.5 * patience.MOST


def test_a_machine_that_is_quicker_than_usual_shortens_no_deadline(at: list[float]) -> None:
    at[0] = 0.1
    assert patience.slowness() == 1.0


def test_what_was_measured_is_forgotten_slowly(at: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_known", (4.0, time.monotonic() - patience.HALF_LIFE_S))
    assert patience.slowness() == pytest.approx(2.0, rel=0.05)


def test_a_measurement_is_used_again_while_it_is_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_known", (2.5, time.monotonic()))
    monkeypatch.setattr(patience, "measure", lambda: pytest.fail("it was measured"))
    assert patience.slowness() == 2.5


def test_a_bound_is_as_strict_as_ever_on_a_machine_that_is_not_slow(at: list[float]) -> None:
    start_s = time.monotonic() - 1.0
    assert not patience.in_time(start_s, 0.9)
    assert patience.in_time(start_s, 2.0)
    at[0] = 3.0
    assert patience.in_time(start_s, 0.9)
    assert not patience.in_time(start_s, 0.3)


class Settings(NamedTuple):
    timeout: float


def test_a_test_itself_gets_as_much_more_time(
    at: list[float], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Settings] = []
    plugins = request.config.pluginmanager

    def note(item: pytest.Item, settings: Settings) -> bool:
        given.append(settings)
        return True

    monkeypatch.setattr(plugins.get_plugin("timeout"), "pytest_timeout_set_timer", note)
    root = str(Path(__file__).parents[1] / "conftest.py")
    (ours,) = (plugin for plugin in plugins.get_plugins() if getattr(plugin, "__file__", "") == root)
    at[0] = 2.5
    assert ours.pytest_timeout_set_timer(request.node, Settings(60.0))  # what pytest-timeout asks first
    assert given == [Settings(150.0)]
