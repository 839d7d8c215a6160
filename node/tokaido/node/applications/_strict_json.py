"""JSON of requests, taken to the letter: what two readers could understand differently is refused."""

from __future__ import annotations

import json
from typing import Any, NoReturn, TypeVar

import msgspec

T = TypeVar("T")


class MalformedError(Exception):
    """A request is not what it should be; the text says what, and holds nothing of it."""


def decoded(data: bytes, kind: type[T]) -> T:
    """Return JSON in UTF-8 (RFC 8259) as `kind`.

    Raises:
        MalformedError: It is none, has a name twice in an object, a number that JSON does not know, text that is not
            Unicode, nesting without end, or other members or types than `kind`.
    """
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # `\\ud800` alone is half a character
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise MalformedError(str(error)) from None
    except UnicodeError:
        raise MalformedError("the body is not UTF-8") from None
    except RecursionError:
        raise MalformedError("the body is nested too deeply") from None
    except ValueError as error:  # a JSONDecodeError, or an integer of thousands of digits
        text = error.msg if isinstance(error, json.JSONDecodeError) else "an integer is too long"
        raise MalformedError(f"the body is not JSON: {text}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise MalformedError("the body has a name twice in one object")
    return found


def _no_number(name: str) -> NoReturn:
    raise MalformedError(f"the body is not JSON: {name} is not a number")
