"""The tables `[[alarms.hooks]]` of a station file, and every mistake in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tokaido.hal._errors import TokaidoError
from tokaido.hal.roles._alarms import Severity
from tokaido.hal.stations._alarm_hooks import AlarmHook, MailHook, ProgramHook, WebHook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tokaido.hal.tables import Mistakes

_COMMON: Final = ("severity", "timeout")
_KEYS: Final = {
    "program": (),
    "web": ("token_file", "ca_file"),
    "mail": ("sender", "server", "tls", "user", "password_file", "ca_file"),
}
"""What each kind of hook takes besides; its name is the key that makes it one."""
_FILES: Final = ("token_file", "password_file", "ca_file")
_TEXTS: Final = ("web", "sender", "server", "tls", "user", *_FILES)


def read_hooks(alarms: Mapping[str, Any], base: Path | None, mistakes: Mistakes) -> tuple[AlarmHook, ...]:
    """Read the list `hooks` of the table `alarms`, noting every mistake in it.

    Args:
        alarms: The table.
        base: Folder that files are taken relative to.
        mistakes: Where mistakes go.
    """
    mistakes.only(("alarms",), alarms, ("hooks",))
    hooks = alarms.get("hooks", [])
    if not isinstance(hooks, list) or not all(isinstance(hook, dict) for hook in hooks):
        mistakes.note(("alarms", "hooks"), "must be tables [[alarms.hooks]]")
        return ()
    found = (_hook(f"hooks[{number}]", hook, base, mistakes) for number, hook in enumerate(hooks))
    return tuple(hook for hook in found if hook is not None)


def _hook(place: str, table: Mapping[str, Any], base: Path | None, mistakes: Mistakes) -> AlarmHook | None:
    path, before = ("alarms", place), len(mistakes)
    kinds = [kind for kind in _KEYS if kind in table]
    if len(kinds) != 1:
        mistakes.note(path, f"must have one of {', '.join(_KEYS)}, not {' and '.join(kinds) or 'none'}")
        return None
    kind = kinds[0]
    mistakes.only(path, table, (kind, *_KEYS[kind], *_COMMON))
    for key in _TEXTS:
        if key in table and not isinstance(table[key], str):
            mistakes.note((*path, key), f"must be text in quotes, not {table[key]!r}")
    severity = table.get("severity")
    if severity is not None and severity not in Severity.__members__:
        mistakes.note((*path, "severity"), f"must be one of {', '.join(Severity.__members__)}, not {severity!r}")
    for key in ("sender", "server") if kind == "mail" else ():
        if key not in table:
            mistakes.note(path, f"{key} is missing; a mail has sender and server")
    if kind != "web" and not isinstance(table[kind], list):
        mistakes.note((*path, kind), f"must be a list of texts, not {table[kind]!r}")
    if len(mistakes) > before:
        return None
    options = {key: table[key] for key in (*_KEYS[kind], *_COMMON) if key in table}
    if severity is not None:
        options["severity"] = Severity[severity]
    for key in _FILES:
        if key in options and base is not None:
            options[key] = base / options[key]
    make: Any = {"program": ProgramHook, "web": WebHook, "mail": MailHook}[kind]
    try:
        hook: AlarmHook = make(table[kind], **options)
    except TokaidoError as error:
        mistakes.note(path, str(error))
        return None
    return hook
