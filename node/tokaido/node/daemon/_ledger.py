"""What is to be written into the store as soon as one is open: changes of alarms, acts, and other records."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from tokaido.hal import TokaidoError
from tokaido.node.operation import keep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokaido.node.core import Post
    from tokaido.node.operation import AlarmChange
    from tokaido.node.store import AuditRow, Records, SqliteStore, StoreThread

LOG: Final = logging.getLogger("tokaido.node.alarms")
AUDIT: Final = logging.getLogger("tokaido.node.audit")
"""Tells each row with its mark: a person who keeps the journal elsewhere has the whole chain."""
MOST_UNWRITTEN: Final = 10_000
"""Changes of alarms that wait for a store that is closed; older ones are dropped."""


class ActDone(NamedTuple):
    """One act for the audit log."""

    who: str
    place: str
    what: str
    why: str
    at_s: float


class Ledger:
    """Keeps what waits for the store, in order."""

    def __init__(self) -> None:
        self._changes: list[AlarmChange] = []
        self._acts: list[ActDone] = []
        self._records: list[Callable[[Records], object]] = []

    def change(self, change: AlarmChange) -> None:
        """Write a change of an alarm."""
        self._changes = [*self._changes[-MOST_UNWRITTEN:], change]

    def act(self, act: ActDone) -> None:
        """Append an act to the audit log."""
        self._acts.append(act)

    def record(self, write: Callable[[Records], object]) -> None:
        """Write something else; written twice it must change nothing."""
        self._records.append(write)

    async def write(self, store: StoreThread, posts: Sequence[Post] = ()) -> bool:
        """Make durable what waits, and messages for the bus with it, in one transaction; return whether it is.

        What the store does not take goes on waiting, but for `posts`.
        """
        if not (self._changes or self._acts or self._records or posts):
            return True
        changes, acts, records = self._changes, self._acts, self._records
        self._changes, self._acts, self._records = [], [], []
        written: list[AuditRow] = []

        def write(store: SqliteStore) -> None:
            def work() -> None:
                for change in changes:
                    keep(change, store.records)
                for record in records:
                    record(store.records)
                for who, place, what, why, at_s in acts:
                    written.append(store.records.audit(who=who, place=place, what=what, why=why, at_s=at_s))
                for post in posts:
                    store.records.post(post.subject, post.payload, post.state)

            store.records.together(work)

        try:
            await store.call(write)
        except TokaidoError as error:
            LOG.warning("alarms and acts are not written: %s", error)
            self._changes = changes + self._changes  # writing one twice changes nothing
            self._records = records + self._records
            self._acts = acts + self._acts
            return False
        for row in written:
            AUDIT.info("%s %s, %s: %s%s", row.mark, row.who, row.place, row.what, f" ({row.why})" if row.why else "")
        return True
