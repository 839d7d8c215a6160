"""What holds for every test."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, Any

import pytest

from tokaido_testing import bytecode
from tokaido_testing.isolation import leaves_nothing_behind
from tokaido_testing.patience import patient

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["leaves_nothing_behind"]

bytecode.keep()  # before workers start, which inherit it, and before pytest rewrites what it rewrites

os.environ.setdefault("TOKAIDO_FAST", "0")  # numpy, here and in processes begun here; tests of kernels turn them on


def pytest_configure() -> None:
    """Let an example of a property take its time, which says how busy the machine is."""
    from hypothesis import settings  # once bytecode is kept: pytest rewrites all of it, 1 s a process

    settings.register_profile("house", deadline=None)
    settings.load_profile("house")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while tests are collected, which makes none, and pass over the ten thousand ever after."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> Any:
    """Give a test as much more time as the machine is slow when it begins."""
    plugin: Any = item.config.pluginmanager.get_plugin("timeout")
    return plugin.pytest_timeout_set_timer(item, settings._replace(timeout=patient(settings.timeout)))
