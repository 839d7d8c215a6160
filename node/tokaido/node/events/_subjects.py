"""Subjects and streams of a network on the bus: docs/protocols/events.md, section 1."""

from __future__ import annotations

from typing import Final, NamedTuple

ROOT: Final = "tokaido"
COMMAND: Final = "command"
TOPOLOGY: Final = "topology"
RESERVED: Final = frozenset({COMMAND, TOPOLOGY})
"""Names that no node may have."""
KINDS: Final = ("telemetry", "alarm", "act", "relay")
"""What a node publishes to everybody."""


def token(name: str) -> str:
    """Return a name as one part of a subject."""
    return name.replace(".", "%2E")


def name_of(part: str) -> str:
    """Return the name that a part of a subject stands for."""
    return part.replace("%2E", ".")


class Subjects(NamedTuple):
    """The subjects of one network."""

    network: str

    @property
    def everything(self) -> str:
        """All of them."""
        return f"{ROOT}.{token(self.network)}.>"

    @property
    def topology(self) -> str:
        """Where topologies are published."""
        return f"{ROOT}.{token(self.network)}.{TOPOLOGY}"

    def of(self, node: str, kind: str) -> str:
        """Return where a node publishes what it tells everybody; `*` stands for all nodes."""
        return f"{ROOT}.{token(self.network)}.{token(node)}.{kind}"

    def answer(self, node: str, who: str) -> str:
        """Return where a node answers a person."""
        return f"{ROOT}.{token(self.network)}.{token(node)}.answer.{token(who)}"

    def command(self, node: str, who: str) -> str:
        """Return where a person gives a node commands."""
        return f"{ROOT}.{token(self.network)}.{COMMAND}.{token(node)}.{token(who)}"

    @property
    def telemetry_stream(self) -> str:
        """Name of the stream of telemetry."""
        return f"{token(self.network)}-telemetry"

    @property
    def records_stream(self) -> str:
        """Name of the stream of all else."""
        return f"{token(self.network)}-records"

    def stream_of(self, subject: str) -> str:
        """Return the stream that keeps a subject."""
        return self.telemetry_stream if subject.endswith(".telemetry") else self.records_stream

    def node_of(self, subject: str) -> str:
        """Return the node that a subject belongs to; empty: it is not one of a node of this network."""
        parts = subject.split(".")
        mine = len(parts) > 3 and parts[:2] == [ROOT, token(self.network)] and parts[2] not in RESERVED
        return name_of(parts[2]) if mine else ""


def inbox(who: str) -> str:
    """Return what begins the inboxes of one user: nobody else may hear them."""
    return f"_INBOX_{token(who)}"


def operator_user(who: str) -> str:
    """Return the name by which a person's inboxes are told from those of a node that is called the same."""
    return f"operator-{who}"


def node_user(node: str) -> str:
    """Return the name by which a node's inboxes are told from those of a person who is called the same."""
    return f"node-{node}"
