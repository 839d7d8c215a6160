"""Why the order that is being given may overrule an interlock, for what carries it to where the interlock is."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Order = TypeVar("Order", bound="Callable[..., Any]")

_why: ContextVar[str] = ContextVar("why", default="")


def why_forced() -> str:
    """Return the reason under which this thread gives an order now; empty: none."""
    return _why.get()


@contextmanager
def forced(why: str) -> Iterator[None]:
    """Give the orders of a `with` block for this reason."""
    before = _why.set(why)
    try:
        yield
    finally:
        _why.reset(before)


def forcible(order: Order) -> Order:
    """Return an order of a device that takes its reason as `force`, which is told to what carries it."""
    if getattr(order, "is_forcible", False) or getattr(order, "__isabstractmethod__", False):
        return order

    @wraps(order)
    def given(device: Any, *args: Any, **kwargs: Any) -> Any:
        why = kwargs.get("force", "")
        if not why or not isinstance(why, str):
            return order(device, *args, **kwargs)
        with forced(why):
            return order(device, *args, **kwargs)

    given.is_forcible = True  # type: ignore[attr-defined]
    return given  # type: ignore[return-value]
