"""The audit log of a node that runs, asked at its control socket, or of one at rest, read from its store."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import tokaido.hal as hal
from tokaido.console._output import print_error, print_json, print_table

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.node.operation import AuditLine, AuditVerdict

FITS: Final = 0
DOES_NOT_FIT: Final = 1
UNREADABLE: Final = 3
END_UNKNOWN: Final = 4


def verify(node: Path, kept: tuple[str, ...], key_file: Path | None, *, as_json: bool) -> int:
    """Print whether the log of a node is whole, and return the exit code that goes with it."""
    import msgspec  # noqa: PLC0415

    from tokaido.node.operation import marks  # noqa: PLC0415

    try:
        marks(kept)
        found = _verdict(node, kept, key_file)
    except hal.TokaidoError as error:
        print_error(error, as_json=as_json)
        return UNREADABLE
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        _tell(found)
    if not found.fits:
        return DOES_NOT_FIT
    return FITS if found.end_checked else END_UNKNOWN


def show(node: Path, key_file: Path | None, *, above: int, most: int, as_json: bool) -> None:
    """Print rows of the log."""
    import msgspec  # noqa: PLC0415

    rows = _rows(node, key_file, above, most)
    if as_json:
        print_json({"rows": msgspec.to_builtins(rows)})
        return
    print_table(
        ("row", "when", "who", "from", "what", "why"),
        [(str(row.number), row.utc, row.who, row.place, row.what, row.why or "-") for row in rows],
        title="Audit log",
    )


def _tell(found: AuditVerdict) -> None:
    if found.fits:
        print(f"All {found.rows} rows of the audit log fit.")
    else:
        print(f"The audit log does not fit, from row {found.first_wrong} on: {found.why}.")
        print(f"The rows before fit: {found.rows}.")
    if found.fits and not found.end_checked:
        print(f"Whether rows are missing at the end is not known: {found.end_unknown}.")
    if found.mark:
        print(f"mark, to keep elsewhere: {found.mark}")


def _verdict(node: Path, kept: tuple[str, ...], key_file: Path | None) -> AuditVerdict:
    from tokaido.console._node_status import client_of  # noqa: PLC0415
    from tokaido.node.store import is_store  # noqa: PLC0415

    if not is_store(node):
        try:
            return client_of(node).check_audit(kept)
        except hal.NotConnectedError:
            if node.is_socket():
                raise
    return _at_rest(node, kept, key_file)[1]


def _rows(node: Path, key_file: Path | None, above: int, most: int) -> tuple[AuditLine, ...]:
    from tokaido.console._node_status import client_of  # noqa: PLC0415
    from tokaido.node.store import is_store  # noqa: PLC0415

    if not is_store(node):
        try:
            return client_of(node).audit_log(above=above, most=most)
        except hal.NotConnectedError:
            if node.is_socket():
                raise
    return tuple(row for row in _at_rest(node, (), key_file)[0] if row.number > above)[-most:]


def _at_rest(node: Path, kept: tuple[str, ...], key_file: Path | None) -> tuple[tuple[AuditLine, ...], AuditVerdict]:
    """Read the store of a node that does not run. The end of its log takes its wrapping key."""
    import msgspec  # noqa: PLC0415

    from tokaido.node.node_file import store_files  # noqa: PLC0415
    from tokaido.node.operation import at_rest  # noqa: PLC0415
    from tokaido.node.store import is_store, wrapping_key_from_credential, wrapping_key_from_file  # noqa: PLC0415

    store, wrapping = (node, "") if is_store(node) else store_files(node)
    wrapping, why = key_file or wrapping, ""
    with ExitStack() as held:
        key = None
        try:
            if not isinstance(wrapping, str):
                key = held.enter_context(wrapping_key_from_file(wrapping))
            elif wrapping:
                key = held.enter_context(wrapping_key_from_credential(wrapping))
        except hal.ConfigurationError as error:
            if key_file is not None:
                raise
            why = error.what
        rows, found = at_rest(store, key, kept)
        return rows, msgspec.structs.replace(found, end_unknown=why) if why else found
