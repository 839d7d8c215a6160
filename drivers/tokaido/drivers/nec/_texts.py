"""What the replies of the control port say: docs/protocols/nec.md, sections 2 and 4."""

from __future__ import annotations

import re

from tokaido.hal import AlarmEvent, Identity, NoDataError, ProtocolError, Severity, TokaidoError
from tokaido.hal.driver import Answer, is_no_value, not_negative

_FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",]*))(,|$)')


def quoted(text: str) -> str:
    """Return a text as a parameter: in double quotes."""
    return '"' + text.replace('"', '""') + '"'


def fields_of(text: str) -> list[str]:
    """Return the fields that commas part; texts without their quotes.

    Raises:
        ProtocolError: A text does not end.
    """
    if '"' not in text:
        return text.split(",")
    fields: list[str] = []
    position = 0
    while True:
        found = _FIELD.match(text, position)
        if found is None:
            raise ProtocolError(f"not a list of fields: {text[:80]!r}")
        fields.append(found[2] if found[1] is None else found[1].replace('""', '"'))
        position = found.end()
        if not found[3]:
            return fields


def plain(text: str) -> str:
    """Return a text without its quotes, "-" for an empty one; anything else as it is."""
    return (text[1:-1] or "-") if len(text) > 1 and text[0] == text[-1] == '"' else text


def identity(text: str) -> Identity:
    """Return what `NEC-STYLE,TB-TX8,TKNT0001,1.0.0` says.

    Raises:
        ProtocolError: It has not four fields.
    """
    fields = [field.strip() for field in text.split(",")]
    if len(fields) != 4 or not all(fields):
        raise ProtocolError(f"an identity has four fields: {text[:80]!r}")
    return Identity(vendor=fields[0], model=fields[1], serial_number=fields[2], firmware=fields[3])


def answer(text: str) -> Answer:
    """Return a reading that may carry its age: `0.0312,12.5`.

    Raises:
        ProtocolError: The text behind the comma is not an age.
    """
    if text[:1] == '"':
        value, *rest = fields_of(text)
        return Answer(value, not_negative(float, ",".join(rest), "age")) if rest else Answer(value)
    value, comma, age = text.partition(",")
    aged = comma and not is_no_value(value)
    return Answer(value, not_negative(float, age, "age")) if aged else Answer(value)


def report(text: str) -> dict[str, Answer | TokaidoError]:
    """Return what `FETC:ALL?` lists, `name,value,age` again and again: by name, a value or why there is none.

    A malformed age makes the value of that name BAD, and no other.

    Raises:
        ProtocolError: It is not such a list.
    """
    fields = fields_of(text)
    if len(fields) % 3:
        raise ProtocolError(f"a report of {len(fields)} fields: {text[:80]!r}")
    found: dict[str, Answer | TokaidoError] = {}
    ages: dict[str, float] = {}  # most are alike
    no_data = NoDataError("the unit gives none", code="-230")
    for name, value, age in zip(*[iter(fields)] * 3, strict=True):
        if name in found:
            raise ProtocolError(f"a report that says {name[:40]!r} twice")
        if is_no_value(value):
            found[name] = no_data
            continue
        try:
            if age not in ages:
                ages[age] = not_negative(float, age, "age")
            found[name] = Answer(value, ages[age])
        except ProtocolError as error:  # which spoils no other value
            none = is_no_value(age) and age[-1].isdigit()
            found[name] = no_data if none else error
    return found


def last_change(text: str) -> int:
    """Return the number of the last change of an alarm, which `3,LOS,MAJOR,12.5,0` begins with.

    Raises:
        ProtocolError: It is not a number.
    """
    return not_negative(int, fields_of(text)[0], "number of a change")


def alarm_log(text: str) -> tuple[int, tuple[AlarmEvent, ...]]:
    """Return the number of the last change and the changes: `3,3,RAISED,LOS,MAJOR,"no clock light"`.

    Raises:
        ProtocolError: It is not such a list.
    """
    last, *fields = fields_of(text)
    if len(fields) % 5:
        raise ProtocolError(f"a log of {len(fields)} fields: {text[:80]!r}")
    return not_negative(int, last, "number of a change"), tuple(
        AlarmEvent(
            sequence=not_negative(int, number, "number of a change"),
            raised={"RAISED": True, "CLEARED": False}[change],
            code=code,
            severity=Severity(severity),
            text=why,
        )
        for number, change, code, severity, why in zip(*[iter(fields)] * 5, strict=True)
    )
