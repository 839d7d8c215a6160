"""What the commands `node preshared ...` do. No component is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokaido.console._node_status import done
from tokaido.console._output import print_json, print_table

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.node.operation import ControlClient

STDIN: Final = "-"


def make(file: Path, size: int, *, as_json: bool) -> None:
    """Make a component.

    Raises:
        ConfigurationError: The file exists, or no key has that length.
    """
    from tokaido.node.operation import make_component  # noqa: PLC0415

    _tell_value(file, make_component(file, size), as_json=as_json)


def check(file: Path, *, as_json: bool) -> None:
    """Print the check value of a component.

    Raises:
        ConfigurationError: The file is open to others, or holds none.
    """
    from tokaido.node.operation import component_check_value, component_from_file  # noqa: PLC0415

    with component_from_file(file) as component:
        _tell_value(file, component_check_value(component), as_json=as_json)


def enter(node: Path, link: str, file: Path, *, path: str, note: str, as_json: bool) -> None:
    """Enter a component, and tell what became of it.

    Raises:
        TokaidoError: It was not taken, or the unit did not take the key.
    """
    import msgspec  # noqa: PLC0415

    from tokaido.node.operation import component_from_file, component_from_stdin  # noqa: PLC0415

    client = _client(node)
    with component_from_stdin() if str(file) == STDIN else component_from_file(file) as component:
        found = client.enter_component(link, component, path=path, note=note)
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    print(f"component: check value {found.check_value}")
    if found.loaded:
        print(f"the unit has the key: check value {found.key_check_value}, the same at the other end")
    else:
        print(f"it waits until {found.until} for the component of another custodian")


def show(node: Path, *, as_json: bool) -> None:
    """Print what waits, and what was loaded."""
    import msgspec  # noqa: PLC0415

    found = _client(node).preshared_keys()
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    print_table(
        ("link", "path", "component of", "since", "until", "check value"),
        [(one.link, one.path or "-", one.by, one.since, one.until, one.check_value) for one in found.waiting],
        title="Components that wait",
    )
    print_table(
        ("unit", "peer", "path", "since", "loaded by", "check value"),
        [
            (one.device, one.peer or "any", one.path or "-", one.since, one.by or "found there", one.check_value or "-")
            for one in found.keys
        ],
        title="Pre-shared keys",
    )


def discard(node: Path, link: str, *, path: str, note: str, as_json: bool) -> None:
    """Destroy a component that waits."""
    _client(node).discard_component(link, path=path, note=note)
    done("discarded", {"link": link}, as_json=as_json)


def _client(node: Path) -> ControlClient:
    from tokaido.node.node_file import custodians_socket  # noqa: PLC0415
    from tokaido.node.operation import ControlClient  # noqa: PLC0415

    return ControlClient(custodians_socket(node))


def _tell_value(file: Path, value: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"file": str(file), "check_value": value})
    else:
        print(f"{file}: check value {value}")
