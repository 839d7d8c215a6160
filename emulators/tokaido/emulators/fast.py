"""Compiled kernels, where the extra `fast` (numba) is installed: the same bits as without it, in less time.

The emulators need nothing but numpy. What costs them most (drawing clicks, sifting, error correction, privacy
amplification) is there a second time as plain loops that numba compiles when one is first called for: some seconds once
a machine, since the machine code is kept beside the modules or in the user's cache folder, and a second in every
process after that. So small arrays are left to numpy. The environment variable `TOKAIDO_FAST=0` keeps numba away.
docs/decisions/0011-compiled-core.md says why it is numba.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["compiled", "describe", "enabled", "load", "using"]

_Function = TypeVar("_Function", bound="Callable[..., object]")
_SMALLEST: Final = 1 << 12
"""Elements of an array below which numpy does the work, so that short runs need not wait for numba."""
_KERNELS: Final = (
    "distillation._fast_amplification",
    "distillation._fast_cascade",
    "distillation._fast_sifting",
    "optics._fast_clicks",
)
"""Modules that are compiled kernels."""


class _Choice:
    """What `using` asked for; None leaves it to the environment."""

    wanted: bool | None = None
    smallest = _SMALLEST


def enabled(size: int = _SMALLEST) -> bool:
    """Return whether compiled kernels do the work on an array of so many elements; a first True imports numba."""
    if size < _Choice.smallest or _Choice.wanted is False:
        return False
    if _Choice.wanted is None and os.environ.get("TOKAIDO_FAST") == "0":
        return False
    return not _obstacle()


def describe() -> str:
    """Return what does the work on large arrays: `compiled by numba 0.68.1`, or `numpy` and why."""
    if enabled(_Choice.smallest):
        import numba  # noqa: PLC0415 - takes a third of a second, so only when needed

        return f"compiled by numba {numba.__version__}"
    off = _Choice.wanted is False or os.environ.get("TOKAIDO_FAST") == "0"
    return f"numpy ({'compiled kernels are turned off' if off else _obstacle()})"


def load() -> None:
    """Import all compiled kernels, if they are used at all: in a process that is then forked, for its children."""
    if enabled(_Choice.smallest):
        for module in _KERNELS:
            import_module(f"tokaido.emulators.{module}")


@contextmanager
def using(*, kernels: bool, smallest: int = 0) -> Iterator[None]:
    """Turn compiled kernels on or off for all threads while the context lasts, whatever `TOKAIDO_FAST` says.

    They work on arrays of `smallest` elements or more, where numba is installed.
    """
    before = _Choice.wanted, _Choice.smallest
    _Choice.wanted, _Choice.smallest = kernels, smallest
    try:
        yield
    finally:
        _Choice.wanted, _Choice.smallest = before


def compiled(signature: str) -> Callable[[_Function], _Function]:
    """Return a decorator that compiles a function for one signature in numba's notation. Its threads are not used.

    Compiled code is kept for the next process; where no folder can be written to, it is compiled again in each.
    """
    import numba  # noqa: PLC0415

    def compile_(function: _Function) -> _Function:
        try:
            made = numba.njit(signature, cache=True, nogil=True)(function)
        except (RuntimeError, OSError):  # no folder for the cache, or a full one
            made = numba.njit(signature, nogil=True)(function)
        return cast("_Function", made)

    return compile_


@cache
def _obstacle() -> str:
    """Return why kernels cannot be compiled here; empty where they can."""
    try:
        import numba  # noqa: F401, PLC0415
    except ModuleNotFoundError:
        return "numba is not installed; pip install 'tokaido[fast]' brings it"
    except (ImportError, AttributeError, OSError, SystemError) as error:  # as where numpy is newer than it knows
        return f"numba cannot be imported: {error}"
    return ""
