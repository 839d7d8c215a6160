"""The commands about keys: `keys`, of which none ever shows, and `curve-keys`, the identity of a unit or a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tokaido.hal as hal
from tokaido.console._devices import opened
from tokaido.console._orders import in_role, waiting_blocks
from tokaido.console._output import number, print_json, print_table

if TYPE_CHECKING:
    from pathlib import Path


def show_keys(text: str, *, names: bool, as_json: bool, trace: bool) -> None:
    """Print how many keys a unit holds, and what its pre-shared keys have left; with `names`, of which blocks.

    To learn the names, the blocks are drawn, wiped here and not committed: the unit offers them again.

    Raises:
        ConfigurationError: It is not a unit, or its names cannot be asked without losing keys.
    """
    with opened(text, trace=trace) as device:
        unit = in_role(device, hal.Unit)
        if names and hal.Capability.PUSHED_KEYS in unit.capabilities:
            raise hal.ConfigurationError(
                f"{unit.name} sends each key block once, so that to list them is to lose them",
                remedy="Leave --names out",
            )
        waiting = waiting_blocks(unit)
        committed = unit.queries().get("key_blocks_committed")
        found: dict[str, Any] = {
            "key_blocks_waiting": waiting,
            "key_blocks_committed": None if committed is None else unit.ask(committed),
            "session": unit.session(),
            "preshared_key_loaded": unit.preshared_key_loaded(),
            "links": [
                {"peer": key.peer, "path": key.path, "remaining_bits": key.remaining_bits} for key in unit.link_keys()
            ],
        }
        if names:
            found["key_blocks"] = _names(unit, waiting)
    if as_json:
        print_json(found)
        return
    for name in ("key_blocks_waiting", "key_blocks_committed", "session", "preshared_key_loaded"):
        told = found[name]
        print(f"{name.replace('_', ' ')}\t{'unknown' if told is None else number(told)}")
    if found["links"]:
        rows = [(key["peer"] or "any", key["path"] or "-", f"{key['remaining_bits']} bit") for key in found["links"]]
        print_table(("pre-shared key for", "path", "left"), rows)
    if names:
        shown = [
            (f"{key['session']}/{key['number']}", f"{key['bits']} bit", key["peer"]) for key in found["key_blocks"]
        ]
        print_table(("key block", "length", "peer"), shown)


def _names(unit: hal.Unit, most: int | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for block in unit.key_blocks(timeout=0, limit=most):
        block.key.wipe()
        info = block.info
        found.append(
            {"session": info.session, "number": info.number, "bits": info.bits, "peer": info.peer, "path": info.path}
        )
    return found


def curve_keys(name: str, directory: Path, *, as_json: bool) -> None:
    """Make a CURVE key pair and print which file is whose."""
    if not name or "/" in name or name.startswith("."):
        raise hal.ConfigurationError(f"{name!r} is not a name for a key", remedy="Take a plain name, such as alice")
    files = hal.create_curve_keys(directory, name)
    if as_json:
        print_json({"public": str(files.public), "secret": str(files.secret)})
        return
    print(f"{files.public}  public: give it to the other side, as its server_key_file or on its list of clients")
    print(f"{files.secret}  secret: keep it here (mode 0600), as this side's client_key_file")
