"""What the operation of a node keeps beside its keys: alarms, audit log, outbox, devices, attempts to start, moves.

None of it is sealed, and none of it may hold a key. Times are in s since 1970-01-01 UTC; attempts are
counted by the node's age, which no clock that is set can change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from tokaido.hal import Severity
from tokaido.node.store._record_rows import (
    AlarmRow,
    CommandRow,
    DeviceRow,
    MaintenanceRow,
    OutboxRow,
    PresharedKeyRow,
    ServiceRow,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tokaido.node.store._audit import AuditFinding, AuditLog, AuditMark, AuditRow
    from tokaido.node.store._file import StoreFile

T = TypeVar("T")


_DEVICE: Final = "name, serial_number, accepted, vendor, model, firmware, at_s, by"


class Records:
    """Tables alarm, audit, outbox, command, device, preshared_key, topology, attempt and move.

    Each call is a durable transaction; all raise StoreError if it fails.
    """

    def __init__(self, file: StoreFile, age_s: Callable[[], float], audit: AuditLog) -> None:
        self._file = file
        self._age_s = age_s
        self._audit = audit

    def together(self, work: Callable[[], T]) -> T:
        """Do `work`, and all calls of this object in it, in one durable transaction."""
        return self._file.transact(work)

    # --- alarms -----------------------------------------------------------------------------------------------------

    def raise_alarm(
        self, code: str, of: str, severity: Severity, text: str, *, raised_s: float, latched: bool = False
    ) -> AlarmRow:
        """Raise an alarm. While one of that code and object lasts, it is that one, with the new text and severity."""

        def work() -> AlarmRow:
            found = self._select_alarms("code = ? AND of = ? AND cleared_s IS NULL", code, of)
            number = found[0].id if found else None
            if number is None:
                number = self._execute(
                    "INSERT INTO alarm (code, of, severity, text, latched, raised_s) VALUES (?, ?, ?, ?, ?, ?)",
                    *(code, of, severity.value, text, int(latched), float(raised_s)),
                )
            else:
                self._execute(
                    "UPDATE alarm SET severity = ?, text = ?, latched = ? WHERE id = ?",
                    *(severity.value, text, int(latched), number),
                )
            return self._select_alarms("id = ?", number)[0]

        return self._file.transact(work)

    def clear_alarm(self, code: str, of: str, *, cleared_s: float) -> bool:
        """Note that an alarm is over; return whether one was on."""

        def work() -> bool:
            found = self._select_alarms("code = ? AND of = ? AND cleared_s IS NULL", code, of)
            for alarm in found:
                self._execute("UPDATE alarm SET cleared_s = ? WHERE id = ?", float(cleared_s), alarm.id)
            return bool(found)

        return self._file.transact(work)

    def acknowledge_alarm(self, number: int, *, by: str, note: str, at_s: float) -> bool:
        """Note who has seen an alarm, and what they say of it; return whether there is one of that id.

        The first acknowledgement stays.
        """

        def work() -> bool:
            found = self._select_alarms("id = ?", number)
            if found and found[0].acknowledged_s is None:
                self._execute(
                    "UPDATE alarm SET acknowledged_s = ?, acknowledged_by = ?, note = ? WHERE id = ?",
                    *(float(at_s), by, note, number),
                )
            return bool(found)

        return self._file.transact(work)

    def alarms(self, *, standing: bool = True) -> tuple[AlarmRow, ...]:
        """Return alarms, the oldest first.

        Args:
            standing: Only those that last, or are latched and nobody has acknowledged.
        """
        which = "cleared_s IS NULL OR (latched AND acknowledged_s IS NULL)" if standing else "1"
        return self._file.transact(lambda: tuple(self._select_alarms(which)))

    # --- audit log --------------------------------------------------------------------------------------------------

    def audit(self, *, who: str, place: str, what: str, why: str, at_s: float) -> AuditRow:
        """Append an act to the audit log."""
        return self._file.transact(lambda: self._audit.append((float(at_s), who, place, what, why)))

    def audit_log(self, *, above: int = 0, most: int = -1) -> tuple[AuditRow, ...]:
        """Return rows of the log as they stand in the file; `check_audit` says whether they fit.

        Args:
            above: Only rows with a higher number.
            most: How many, at most; -1: all.
        """
        return self._file.transact(lambda: self._audit.rows(above=above, most=most))

    def audit_end(self) -> AuditMark:
        """Return the mark of the row that was written last."""
        return self._file.transact(lambda: self._audit.end)

    def check_audit(self, kept: Iterable[AuditMark] = ()) -> AuditFinding:
        """Return whether the log is whole, and which row is the first that does not fit.

        Args:
            kept: Marks that were kept elsewhere: what they stand for must still be there.
        """
        return self._file.transact(lambda: self._audit.check(kept))

    # --- outbox -----------------------------------------------------------------------------------------------------

    def post(self, subject: str, payload: bytes, state: str = "waiting") -> int:
        """Put a message into the outbox; return its id."""
        return self._file.transact(lambda: self.post_within(subject, payload, state))

    def post_within(self, subject: str, payload: bytes, state: str) -> int:
        """Put a message into the outbox, within a transaction of another one."""
        return self._execute("INSERT INTO outbox (subject, payload, state) VALUES (?, ?, ?)", subject, payload, state)

    def outbox(self, *, most: int = 100, state: str | None = None) -> tuple[OutboxRow, ...]:
        """Return messages, the oldest first.

        Args:
            most: How many, at most.
            state: Only those in it; None: all.
        """
        where, values = ("1", ()) if state is None else ("state = ?", (state,))
        ask = f"SELECT id, subject, payload, state FROM outbox WHERE {where} ORDER BY id LIMIT ?"  # noqa: S608 - our words
        return self._file.transact(lambda: tuple(OutboxRow(*row) for row in self._rows(ask, *values, most)))

    def set_outbox_state(self, ids: Sequence[int], state: str) -> None:
        """Let messages be in another state."""

        def work() -> None:
            for number in ids:
                self._execute("UPDATE outbox SET state = ? WHERE id = ?", state, number)

        self._file.transact(work)

    def take_from_outbox(self, ids: Sequence[int]) -> None:
        """Delete messages that arrived."""

        def work() -> None:
            for number in ids:
                self._execute("DELETE FROM outbox WHERE id = ?", number)

        self._file.transact(work)

    def outbox_count(self) -> int:
        """Return how many messages there are."""
        return int(self._file.transact(lambda: self._rows("SELECT count(*) FROM outbox"))[0][0])

    def trim_outbox(self, most: int, states: Sequence[str]) -> int:
        """Drop the oldest messages in these states, state after state, until `most` are left; return how many."""

        def work() -> int:
            ((found,),) = self._rows("SELECT count(*) FROM outbox")
            left = found
            for state in states:
                if left > most:
                    oldest = "SELECT id FROM outbox WHERE state = ? ORDER BY id LIMIT ?"
                    left -= self._file.database.execute(
                        f"DELETE FROM outbox WHERE id IN ({oldest})",  # noqa: S608 - our words
                        (state, left - most),
                    ).rowcount
            return int(found - left)

        return self._file.transact(work)

    # --- commands ---------------------------------------------------------------------------------------------------

    def begin_command(self, identifier: str, by: str, *, now_s: float, until_s: float) -> CommandRow | None:
        """Note that a command begins, and return None; return what is known of it if it came before.

        Args:
            identifier: Its id.
            by: Who gave it.
            now_s: The time, in s since 1970-01-01 UTC; what was to be known until then is forgotten.
            until_s: Until when its id is to be known.
        """

        def work() -> CommandRow | None:
            self._execute("DELETE FROM command WHERE until_s < ?", float(now_s))
            found = self._rows("SELECT by, answer FROM command WHERE id = ?", identifier)
            if found:
                return CommandRow(*found[0])
            self._execute("INSERT INTO command VALUES (?, ?, ?, NULL)", identifier, by, float(until_s))
            return None

        return self._file.transact(work)

    def answer_command(self, identifier: str, answer: bytes) -> None:
        """Note what a command was answered."""
        self._file.transact(lambda: self._execute("UPDATE command SET answer = ? WHERE id = ?", answer, identifier))

    # --- devices ----------------------------------------------------------------------------------------------------

    def set_device(self, row: DeviceRow) -> None:
        """Note which device stands under a name, and whether it was accepted there."""
        ask = f"INSERT OR REPLACE INTO device ({_DEVICE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - our words
        named = row.name, row.serial_number, int(row.accepted), row.vendor, row.model, row.firmware, row.at_s, row.by
        self._file.transact(lambda: self._execute(ask, *named))

    def drop_device(self, name: str) -> None:
        """Forget the device of that name."""
        self._file.transact(lambda: self._execute("DELETE FROM device WHERE name = ?", name))

    def devices(self) -> tuple[DeviceRow, ...]:
        """Return all devices, by name."""
        ask = f"SELECT {_DEVICE} FROM device ORDER BY name"  # noqa: S608 - our words
        return self._file.transact(
            lambda: tuple(
                DeviceRow(name, serial, bool(accepted), *rest) for name, serial, accepted, *rest in self._rows(ask)
            )
        )

    # --- maintenance ------------------------------------------------------------------------------------------------

    def begin_maintenance(self, row: MaintenanceRow) -> None:
        """Note that a person took an end of a link."""
        ask = "INSERT OR REPLACE INTO maintenance VALUES (?, ?, ?)"
        self._file.transact(lambda: self._execute(ask, row.link, row.by, float(row.until_s)))

    def end_maintenance(self, link: str) -> None:
        """Note that they gave it back."""
        self._file.transact(lambda: self._execute("DELETE FROM maintenance WHERE link = ?", link))

    def maintenance(self) -> tuple[MaintenanceRow, ...]:
        """Return what is taken, by link."""
        ask = "SELECT link, by, until_s FROM maintenance ORDER BY link"
        return self._file.transact(lambda: tuple(MaintenanceRow(*row) for row in self._rows(ask)))

    def set_service(self, rows: Iterable[ServiceRow]) -> None:
        """Keep for how long links gave keys."""

        def work() -> None:
            for row in rows:
                named = row.link, row.up_s, row.down_s, row.maintenance_s, row.at_s
                self._execute("INSERT OR REPLACE INTO service VALUES (?, ?, ?, ?, ?)", *named)

        self._file.transact(work)

    def service(self) -> tuple[ServiceRow, ...]:
        """Return for how long links gave keys, by link."""
        ask = "SELECT link, up_s, down_s, maintenance_s, at_s FROM service ORDER BY link"
        return self._file.transact(lambda: tuple(ServiceRow(*row) for row in self._rows(ask)))

    # --- pre-shared keys --------------------------------------------------------------------------------------------

    def set_preshared_key(self, row: PresharedKeyRow) -> None:
        """Note since when a unit has the pre-shared key of a link."""
        named = row.device, row.peer, row.path, float(row.since_s), row.by, row.check_value
        ask = "INSERT OR REPLACE INTO preshared_key VALUES (?, ?, ?, ?, ?, ?)"
        self._file.transact(lambda: self._execute(ask, *named))

    def drop_preshared_key(self, device: str, peer: str, path: str) -> None:
        """Note that a unit has the pre-shared key of a link no more."""
        ask = "DELETE FROM preshared_key WHERE device = ? AND peer = ? AND path = ?"
        self._file.transact(lambda: self._execute(ask, device, peer, path))

    def preshared_keys(self) -> tuple[PresharedKeyRow, ...]:
        """Return since when units have pre-shared keys, by device, peer and path."""
        ask = "SELECT device, peer, path, since_s, by, check_value FROM preshared_key ORDER BY device, peer, path"
        return self._file.transact(lambda: tuple(PresharedKeyRow(*row) for row in self._rows(ask)))

    # --- topologies -------------------------------------------------------------------------------------------------

    def take_topology(self, network: str, serial: int) -> int:
        """Note that a topology of a network is taken; return the highest serial that ever was, this one included."""

        def work() -> int:
            self._execute(
                "INSERT INTO topology VALUES (?, ?) ON CONFLICT (network) DO UPDATE SET serial = max(serial, ?)",
                *(network, serial, serial),
            )
            ((highest,),) = self._rows("SELECT serial FROM topology WHERE network = ?", network)
            return int(highest)

        return self._file.transact(work)

    # --- attempts ---------------------------------------------------------------------------------------------------

    def set_attempts(self, device: str, ago_s: Iterable[float]) -> None:
        """Keep how many s ago a device was ordered what may cost it authentication key, in place of what was kept."""
        age_s = self._age_s()
        times = tuple(age_s - one_s for one_s in ago_s)

        def work() -> None:
            self._execute("DELETE FROM attempt WHERE device = ?", device)
            for time_s in times:
                self._execute("INSERT INTO attempt VALUES (?, ?)", device, float(time_s))

        self._file.transact(work)

    def attempts(self) -> dict[str, tuple[float, ...]]:
        """Return how many s of the node's age ago each device was ordered that, the first time first."""
        age_s = self._age_s()

        def work() -> dict[str, tuple[float, ...]]:
            found: dict[str, tuple[float, ...]] = {}
            for device, at_s in self._rows("SELECT device, at_s FROM attempt ORDER BY device, at_s"):
                ago_s = max(age_s - at_s, 0.0)  # the age of a node that died may have stayed behind
                found[device] = (*found.get(device, ()), ago_s)
            return found

        return self._file.transact(work)

    # --- moves of links ---------------------------------------------------------------------------------------------

    def set_move(self, link: str, record: bytes) -> None:
        """Keep what is noted of the last move of a link, in place of what was kept."""
        self._file.transact(lambda: self._execute("INSERT OR REPLACE INTO move VALUES (?, ?)", link, record))

    def moves(self) -> dict[str, bytes]:
        """Return what is noted of the last move of each link."""
        return self._file.transact(lambda: dict(self._rows("SELECT link, record FROM move ORDER BY link")))

    # ----------------------------------------------------------------------------------------------------------------

    def _select_alarms(self, where: str, *values: object) -> list[AlarmRow]:
        columns = "id, code, of, severity, text, latched, raised_s, cleared_s, acknowledged_s, acknowledged_by, note"
        found = self._rows(f"SELECT {columns} FROM alarm WHERE {where} ORDER BY id", *values)  # noqa: S608 - our words
        return [
            AlarmRow(number, code, of, Severity(severity), text, bool(latched), *rest)
            for number, code, of, severity, text, latched, *rest in found
        ]

    def _rows(self, ask: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]
        return self._file.database.execute(ask, values).fetchall()

    def _execute(self, statement: str, *values: object) -> int:
        return self._file.database.execute(statement, values).lastrowid or 0
