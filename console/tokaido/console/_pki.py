"""The command `node pki`: certificates of a test authority."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tokaido.hal as hal
from tokaido.console._output import print_json, print_table
from tokaido.node import pki as library

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def pki(
    folder: Path, nodes: Sequence[str], saes: Sequence[str], days: float, revoked: Sequence[str], *, as_json: bool
) -> None:
    """Make certificates and print their files, or revoke some and print the list's.

    Raises:
        ConfigurationError: Nothing is asked for, or what is asked for cannot be.
    """
    if revoked and (nodes or saes):
        raise hal.ConfigurationError("certificates are made or revoked, not both at once", remedy="Say it in two steps")
    if revoked:
        path = library.revoke(folder, revoked)
        if as_json:
            print_json({"revoked": list(revoked), "list": str(path)})
            return
        print(f"{path}  tells that {', '.join(revoked)} is believed no more")
        print("Nodes whose file names this list take it when they get SIGHUP")
        return
    if not nodes and not saes:
        raise hal.ConfigurationError("no name is given", remedy="Say --node NAME, --sae ID or --revoke NAME")
    named = [_node(text) for text in nodes]
    if len(hosts := dict(named)) < len(named):
        raise hal.ConfigurationError(
            "a node is given twice", remedy="Give all of its hosts in one --node NAME=HOST,HOST"
        )
    issued = library.issue(folder, nodes=hosts, saes=saes, days=days)
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


def _node(text: str) -> tuple[str, list[str]]:
    name, equals, hosts = text.partition("=")
    found = [host.strip() for host in hosts.split(",") if host.strip()]
    if equals and not found:
        raise hal.ConfigurationError(
            f"--node {text} names no host", remedy="Write --node NAME=HOST,HOST or --node NAME"
        )
    return name, found
