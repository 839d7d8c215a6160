"""Names of a package that are imported when they are first used (PEP 562), so that importing the package is cheap."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def lazily(
    package: str, homes: Mapping[str, str], names: Iterable[str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for `package`.

    A package hides the call from type checkers, so that they refuse a misspelt name, and shows them plain imports:

    ```python
    if TYPE_CHECKING:
        from acme._bench import Bench
    else:
        __getattr__, __dir__ = lazily(__name__, {"Bench": "acme._bench"}, __all__)
    ```

    Args:
        package: Name of the package: its `__name__`.
        homes: The module that has it, by name. A name whose module is `package.name` stands for that module itself.
        names: What `dir` shows: the package's `__all__`.
    """
    shown = sorted(names)

    def get(name: str) -> object:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(home)
        value: object = module if home == f"{package}.{name}" else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: list(shown)
