"""The command `node pki`: certificates of a test authority."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import tokaido.hal as hal
from tokaido.console._output import print_json, print_table
from tokaido.node import pki as library

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Wanted(NamedTuple):
    """For whom certificates are made, as the command line has them."""

    nodes: Sequence[str] = ()
    saes: Sequence[str] = ()
    operators: Sequence[str] = ()
    hubs: Sequence[str] = ()


def pki(folder: Path, wanted: Wanted, days: float, revoked: Sequence[str], *, as_json: bool) -> None:
    """Make certificates and print their files, or revoke some and print the list's.

    Raises:
        ConfigurationError: Nothing is asked for, or what is asked for cannot be.
    """
    if revoked and any(wanted):
        raise hal.ConfigurationError("certificates are made or revoked, not both at once", remedy="Say it in two steps")
    if revoked:
        path = library.revoke(folder, revoked)
        if as_json:
            print_json({"revoked": list(revoked), "list": str(path)})
            return
        print(f"{path}  tells that {', '.join(revoked)} is believed no more")
        print("Nodes whose file names this list take it when they get SIGHUP")
        return
    if not any(wanted):
        raise hal.ConfigurationError(
            "no name is given", remedy="Say --node NAME, --sae ID, --operator NAME, --hub NAME or --revoke NAME"
        )
    issued = library.issue(
        folder,
        nodes=_hosts("node", wanted.nodes),
        saes=wanted.saes,
        operators=wanted.operators,
        hubs=_hosts("hub", wanted.hubs),
        days=days,
    )
    if as_json:
        print_json(
            {
                "authority": str(issued[0].files.authority),
                "revoked": str(issued[0].files.revoked),
                "certificates": [
                    {
                        "name": one.name,
                        "certificate": str(one.files.certificate),
                        "key": str(one.files.key),
                        "not_after": one.not_after.isoformat(),
                    }
                    for one in issued
                ],
            }
        )
        return
    rows = [(one.name, str(one.files.certificate), f"{one.not_after:%Y-%m-%d %H:%M} UTC") for one in issued]
    print_table(("certificate", "file (its key: .key)", "good until"), rows)
    print(f"{issued[0].files.authority}  authority: everybody needs it. It is for tests: its own key lies beside it")
    print(f"{issued[0].files.revoked}  revocation list: nodes name it in their file")


def _hosts(kind: str, texts: Sequence[str]) -> dict[str, list[str]]:
    named = [_named(kind, text) for text in texts]
    if len(hosts := dict(named)) < len(named):
        raise hal.ConfigurationError(
            f"a {kind} is given twice", remedy=f"Give all of its hosts in one --{kind} NAME=HOST,HOST"
        )
    return hosts


def _named(kind: str, text: str) -> tuple[str, list[str]]:
    name, equals, hosts = text.partition("=")
    found = [host.strip() for host in hosts.split(",") if host.strip()]
    if equals and not found:
        raise hal.ConfigurationError(
            f"--{kind} {text} names no host", remedy=f"Write --{kind} NAME=HOST,HOST or --{kind} NAME"
        )
    return name, found
