"""What the replies of the control port say: docs/protocols/nec.md, sections 2 and 4."""

from __future__ import annotations

import re
from typing import Final

from tokaido.hal import (
    Alarm,
    AlarmEvent,
    Identity,
    LinkKey,
    LinkSelection,
    NoDataError,
    ProtocolError,
    Severity,
    TokaidoError,
)
from tokaido.hal.driver import Answer

NOT_A_NUMBER: Final = 9.91e37
"""What SCPI-99 (volume 1, 7.2.1.5) has an instrument say where there is no number."""

_FIELD = re.compile(r'(?:"((?:[^"]|"")*)"|([^",]*))(,|$)')


def quoted(text: str) -> str:
    """Return a text as a parameter: in double quotes."""
    return '"' + text.replace('"', '""') + '"'


def fields_of(text: str) -> list[str]:
    """Return the fields that commas part; texts without their quotes.

    Raises:
        ProtocolError: A text does not end.
    """
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
    value, comma, age = text.partition(",")
    return Answer(value, _number(age, "an age")) if comma else Answer(value)


def report(text: str) -> dict[str, Answer | TokaidoError]:
    """Return what `FETC:ALL?` lists, `name,value,age` again and again: by name, a value or why there is none.

    Raises:
        ProtocolError: It is not such a list.
    """
    fields = fields_of(text)
    if len(fields) % 3:
        raise ProtocolError(f"a report of {len(fields)} fields: {text[:80]!r}")
    found: dict[str, Answer | TokaidoError] = {}
    for name, value, age in zip(*[iter(fields)] * 3, strict=True):
        if name in found:
            raise ProtocolError(f"a report that says {name[:40]!r} twice")
        seconds = _number(age, "an age")
        given = seconds < NOT_A_NUMBER and not _is_not_a_number(value)
        found[name] = Answer(value, seconds) if given else NoDataError("the unit gives none", code="-230")
    return found


def alarms(text: str) -> tuple[int, tuple[Alarm, ...]]:
    """Return the number of the last change and the active alarms: `3,LOS,MAJOR,12.5,0`.

    Raises:
        ProtocolError: It is not such a list.
    """
    last, *fields = fields_of(text)
    return _whole(last), tuple(
        Alarm(code=code, severity=_severity(severity), latched=_flag(latched), age_s=_number(age, "an age"))
        for code, severity, age, latched in _groups(fields, 4, text)
    )


def alarm_log(text: str) -> tuple[int, tuple[AlarmEvent, ...]]:
    """Return the number of the last change and the changes: `3,3,RAISED,LOS,MAJOR,"no clock light"`.

    Raises:
        ProtocolError: It is not such a list.
    """
    last, *fields = fields_of(text)
    return _whole(last), tuple(
        AlarmEvent(
            sequence=_whole(number),
            raised={"RAISED": True, "CLEARED": False}[change],
            code=code,
            severity=_severity(severity),
            text=why,
        )
        for number, change, code, severity, why in _groups(fields, 5, text)
    )


def selection(text: str) -> LinkSelection:
    """Return what `"TKNR0001","west",3` selects.

    Raises:
        ProtocolError: It is not a selection.
    """
    fields = fields_of(text)
    if len(fields) != 3:
        raise ProtocolError(f"{text[:80]!r} is not a selection of a link")
    return LinkSelection(fields[0], fields[1], _whole(fields[2]))


def link_keys(text: str) -> tuple[LinkKey, ...]:
    """Return what `"TKNR0001","west",1048576` lists; an empty text lists none.

    Raises:
        ProtocolError: It is not such a list.
    """
    fields = fields_of(text)
    if fields == [""]:
        return ()
    return tuple(LinkKey(peer, path, _whole(bits)) for peer, path, bits in _groups(fields, 3, text))


def watchdog_remaining(text: str) -> float:
    """Return the s that are left of a watchdog: `30,28.5`.

    Raises:
        ProtocolError: It has not two fields.
    """
    fields = fields_of(text)
    if len(fields) != 2:
        raise ProtocolError(f"{text[:80]!r} is not a watchdog")
    return _number(fields[1], "a watchdog")


def _groups(fields: list[str], size: int, text: str) -> list[list[str]]:
    if len(fields) % size:
        raise ProtocolError(f"a list of other than {size} fields each: {text[:80]!r}")
    return [fields[start : start + size] for start in range(0, len(fields), size)]


def _severity(word: str) -> Severity:
    return Severity(word)  # a ValueError, which a transport takes for a garbled reply


def _flag(word: str) -> bool:
    return {"0": False, "1": True}[word]


def _whole(text: str) -> int:
    number = _number(text, "a whole number")
    if not number.is_integer() or number < 0:
        raise ProtocolError(f"{text[:80]!r} is not a whole number")
    return int(text) if text.isdigit() else int(number)


def _number(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ProtocolError(f"{text[:80]!r} is not {name}") from None
    if not 0 <= number <= NOT_A_NUMBER:  # NaN and infinities are none either
        raise ProtocolError(f"{text[:80]!r} is not {name}")
    return number


def _is_not_a_number(text: str) -> bool:
    try:
        return float(text) == NOT_A_NUMBER
    except ValueError:
        return False  # a word
