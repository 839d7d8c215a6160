"""What a unit has to do with keys: the session, the blocks that end, and their figures."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Protocol

from tokaido.emulators.units._budget import LOW_BLOCKS, Attempts
from tokaido.emulators.units._readings import UnitReading, no_data
from tokaido.emulators.units._session import BlockOutcome, LastBlock, Session
from tokaido.hal import KeyBlockFacts, KeyBlockInfo, KeyMaterial
from tokaido.hal.authentication import PADS_PER_BLOCK

if TYPE_CHECKING:
    from tokaido.emulators.units._alarms import AlarmBook
    from tokaido.emulators.units._faults import ModelFaults, UnitSide
    from tokaido.emulators.units._keystore import KeyStore
    from tokaido.emulators.units._links import UnitLinks
    from tokaido.emulators.units._readings import Noise

QBER_HIGH = 0.06
QBER_FINE = 0.055
REFERENCE_NS = 2_000_000_000
"""How long after the begin of a session the reference of the sifted rate is taken."""
SECOND_NS = 1_000_000_000
IMAGINED_RATE = 650_000.0
_BLOCK_FAULTS = {
    "qber_abort": BlockOutcome("QBER_ABORT", qber=0.25),
    "phase_error_abort": BlockOutcome("PHASE_ERROR_ABORT", qber=0.03, qber_check=0.25),
    "detectors_uneven": BlockOutcome("DETECTOR_MISMATCH", ones=0.3),
    "accept_lost": BlockOutcome("QUARANTINE"),
    "qber_high": BlockOutcome("dropped", qber=0.07),
    "verification_failure": BlockOutcome("EC_FAIL"),
    "few_statistics": BlockOutcome("NO_KEY"),
}


class OtherEnd(Protocol):
    """What the keys of a unit depend on at the other end."""

    imagined: bool

    @property
    def running(self) -> bool:
        """Whether it exchanges keys."""
        ...

    @property
    def store_full(self) -> bool:
        """Whether it begins no new block."""
        ...

    def say_last_words(self, session: Session) -> None:
        """Send what a session that ends still has to say."""
        ...


class KeyingUnit(Protocol):
    """What keys need of the unit that makes them."""

    SIDE: ClassVar[UnitSide]
    serial_number: str
    seed: int
    insecure: bool
    settings: dict[str, float]
    noise: Noise
    store: KeyStore
    alarms: AlarmBook
    faults: ModelFaults
    links: UnitLinks

    @property
    def now_ns(self) -> int:
        """Time in ns."""
        ...

    @property
    def running(self) -> bool:
        """Whether the unit exchanges keys."""
        ...

    @property
    def peer(self) -> OtherEnd:
        """The other end."""
        ...

    def raise_alarm(self, code: str) -> None:
        """Raise an alarm, and enter the state that it leads to."""
        ...

    def add_key_block(self, info: KeyBlockInfo, key: KeyMaterial) -> None:
        """Keep a block and offer it."""
        ...


class Blocks:
    """The part of a unit that holds its keys and knows its session."""

    def __init__(self, unit: KeyingUnit) -> None:
        self._unit = unit
        self.session: Session | None = None
        self.attempts = Attempts()
        """Proofs and blocks that cost authentication key for nothing."""
        self._tags_seen = 0
        self._qber_degrades = False
        self._last: LastBlock | None = None
        self.forget_measurements()

    # --- authentication key ------------------------------------------------------------------------------------------

    @property
    def auth_left(self) -> int:
        """Authentication key that is left for the link in force, in bit."""
        pool = self._unit.links.pool
        if pool is None:
            return 0
        bits = pool.remaining_bits
        return min(bits, 60 * 128) if "authentication_key_low" in self._unit.faults else bits

    @property
    def auth_key_low(self) -> bool:
        """Whether a loaded key lasts for less than 16 blocks or no attempt is left; without one, if a fault says so."""
        if self._unit.links.pool is None:
            return "authentication_key_low" in self._unit.faults
        blocks = self._blocks_left
        return blocks < LOW_BLOCKS or not min(blocks, self.attempts.left(self._unit.now_ns))

    @property
    def _blocks_left(self) -> int:
        """Blocks that this end can authenticate without the reserve."""
        pool = self._unit.links.pool
        blocks = 0 if pool is None else pool.remaining_tags // PADS_PER_BLOCK
        return min(blocks, LOW_BLOCKS - 1) if "authentication_key_low" in self._unit.faults else blocks

    @property
    def attempts_left(self) -> int:
        """Blocks that this unit may try now: as many as there is key for, and as may fail within the hour."""
        return min(self._blocks_left, self.attempts.left(self._unit.now_ns))

    @property
    def can_authenticate(self) -> bool:
        """Whether a session makes sense: there is authentication key for one block, and the hour allows an attempt."""
        return self.attempts_left > 0

    @property
    def store_full(self) -> bool:
        """Whether no new block is begun."""
        return self._unit.store.full or "keystore_full" in self._unit.faults

    # --- the session ------------------------------------------------------------------------------------------------

    def session_settings(self) -> tuple[int, tuple[float, float, float], tuple[float, float, float]] | None:
        """Return what a transmitter proposes: block length, intensities, probabilities; None for a receiver."""
        if self._unit.SIDE != "transmitter":
            return None
        settings = self._unit.settings
        signal, decoy, vacuum = (settings[f"{state}_mean_photon_number"] for state in ("signal", "decoy", "vacuum"))
        decoys, vacuums = settings["decoy_probability"], settings["vacuum_probability"]
        return int(settings["block_bits"]), (signal, decoy, vacuum), (1 - decoys - vacuums, decoys, vacuums)

    def begin_session(self, session: Session) -> None:
        """Begin a session that the peer agreed to. Figures of blocks of an earlier one are told no more."""
        self.session = session
        self._measured.clear()
        self._last = None
        if self._unit.links.pool is not None:
            self._unit.links.pool.forget_claims()
            self._tags_seen = self._unit.links.pool.tags_spent
        self._sifted.clear()
        self._sifted.append((session.began_ns, 0))

    def end_session(self) -> None:
        """End the session, if there is one; its open block dies with it."""
        session, self.session = self.session, None
        if session is not None:
            self._measured.pop("secret_key_rate", None)  # no key is made now
            self._unit.peer.say_last_words(session)
            self._note_tags(in_vain=True)

    def give_up_session(self, why: str) -> None:
        """End the session, if there is one, and say why: the peer's messages make no sense. A new one may follow."""
        if self.session is not None:
            self._unit.alarms.raise_("EC_FAIL", self._unit.now_ns, why)
            self.end_session()

    def imagine_session(self) -> None:
        """Be in a session with an imagined peer."""
        session = Session("0" * 16, self._unit.now_ns, int(self._unit.settings["block_bits"]), (0, 0, 0), (0, 0, 0))
        session.name(f"{self._unit.seed}")
        self.begin_session(session)
        self._reference = IMAGINED_RATE

    def note_sifted(self, now_ns: int, bits: int) -> None:
        """Note that so many key-basis bits were sifted since the last note; a pause of sifting is noted at its end."""
        self._sifted.append((now_ns, bits))

    # --- blocks -----------------------------------------------------------------------------------------------------

    def block_ended(self, session: Session, outcome: BlockOutcome) -> None:
        """Take over what became of a block: its key, or its alarm. Blocks of an older session are erased."""
        if session is not self.session or session.id is None:
            if outcome.key is not None:
                outcome.key.wipe()
            return
        now_ns = self._unit.now_ns
        late = self._last is not None and outcome.number <= self._last.number  # locked away after it was accepted
        self._note_tags(in_vain=outcome.verdict != "accepted")
        key, pool = outcome.key, self._unit.links.pool
        if key is not None and pool is not None:
            key = pool.claim(key)
        if key is not None and outcome.facts is not None:
            self._store(session.id, outcome.facts, key)
        if late:
            self._locked_away(outcome.number)
        else:
            self._note_figures(session, outcome, key.bits if key is not None else 0)
        if outcome.verdict == "accepted":
            self._unit.alarms.clear("EC_FAIL")
            self._unit.alarms.clear("NO_KEY")
        elif outcome.verdict == "ended":
            self.end_session()
        elif outcome.verdict != "dropped":
            if outcome.verdict == "QUARANTINE":
                self._unit.store.lock_away((session.id, outcome.number))
            self._unit.raise_alarm(outcome.verdict)
        if not self.attempts.left(now_ns):
            self.end_session()

    def _note_figures(self, session: Session, outcome: BlockOutcome, bits: int) -> None:
        """Tell the figures of the block that ended now, and none of another one."""
        now_ns = self._unit.now_ns
        rate = session.secret_key_rate(now_ns, bits)
        if outcome.key is not None or "secret_key_rate" in self._measured:  # a block without a key lowers it
            self._measured["secret_key_rate"] = now_ns, rate
        self._measured["qber"] = now_ns, outcome.qber
        self._measured["qber_check"] = now_ns, outcome.qber_check
        self._measured["reconciliation_efficiency"] = now_ns, outcome.efficiency
        self._measured["ones_share"] = now_ns, outcome.ones
        self._last = LastBlock.of(session, outcome, bits, now_ns)
        self._follow_qber(outcome.qber)

    def _locked_away(self, number: int) -> None:
        """Take note that an accepted block is locked away; the figures are those of the last block, which it may be."""
        if self._last is not None and self._last.number == number:
            self._last = replace(self._last, outcome="QUARANTINE", bits=0)

    def _note_tags(self, *, in_vain: bool) -> None:
        """Note the tags that were made since the last block; without a key, they are an attempt that failed."""
        pool = self._unit.links.pool
        spent = 0 if pool is None else pool.tags_spent
        if in_vain and spent > self._tags_seen:
            self.attempts.note(self._unit.now_ns)
        self._tags_seen = spent

    def _store(self, session: str, facts: KeyBlockFacts, key: KeyMaterial) -> None:
        """Offer a key under the unit's own name for the session, with what is left of it after the pool's share."""
        link = self._unit.links.in_force
        facts = replace(facts, session=session, bits=key.bits, insecure=key.insecure or self._unit.insecure)
        peer, path = link if link.named else ("", "")
        self._unit.add_key_block(KeyBlockInfo.of(facts, self._unit.serial_number, peer=peer, path=path), key)

    def _follow_qber(self, qber: float) -> None:
        if math.isnan(qber):
            return
        if qber > QBER_HIGH:
            self._qber_degrades = True
            self._unit.alarms.raise_("QBER_HIGH", self._unit.now_ns)
        elif qber < QBER_FINE:
            self._qber_degrades = False
            self._unit.alarms.clear("QBER_HIGH")

    def fault_begun(self, name: str) -> None:
        """Begin a fault of one block."""
        if name == "block_altered":
            self._alter_oldest()
        if name in _BLOCK_FAULTS:
            if self.session is None:
                self.imagine_session()
            session = self.session
            if session is not None:
                session.name(f"{self._unit.seed}")
                number = 1 if self._last is None else self._last.number + 1
                self.block_ended(session, replace(_BLOCK_FAULTS[name], number=number))

    def _alter_oldest(self) -> None:
        """Let the memory of the oldest block fail; without one, of an imagined block."""
        store = self._unit.store
        if not store.waiting:
            facts = KeyBlockFacts("0" * 16, 0, 256, "lim2014", "chernoff", 1.0, insecure=True, emulated=True)
            store.add(KeyBlockInfo.of(facts, self._unit.serial_number), KeyMaterial(bytes(32), insecure=True))
        store.alter()

    # --- limits -----------------------------------------------------------------------------------------------------

    def alignment_done(self) -> None:
        """Measure the reference of the sifted rate again, and let the error rate of the past be."""
        self._reference = 0.0
        self._qber_degrades = False
        self._unit.alarms.clear("RATE_LOW")

    def follow_rate(self) -> None:
        """Take the reference of the sifted rate, and raise or clear RATE_LOW."""
        unit = self._unit
        if not unit.running or self.session is None or not unit.peer.running:
            return
        if unit.now_ns - self.session.began_ns < REFERENCE_NS:
            return
        rate = self.sifted_key_rate
        if not self._reference:
            self._reference = rate
        low = self._reference * (0.2 if "RATE_LOW" in unit.alarms else 0.1)
        idle = self.store_full or unit.peer.store_full
        unit.alarms.follow("RATE_LOW", not idle and rate < low, unit.now_ns)

    def out_of_limits(self) -> set[str]:
        """Return the codes of alarms that degrade a running unit."""
        codes = {"QBER_HIGH"} if self._qber_degrades else set()
        return codes | ({"RATE_LOW"} if "RATE_LOW" in self._unit.alarms else set())

    # --- figures ----------------------------------------------------------------------------------------------------

    @property
    def sifted_key_rate(self) -> float:
        """Sifted key-basis bits of the last second, in bit/s."""
        if not self._unit.running or self.session is None:
            return 0.0
        if self._unit.peer.imagined:
            rate = self._unit.noise.around("sifted_key_rate", IMAGINED_RATE, 0.01 * IMAGINED_RATE, self._unit.now_ns)
        else:
            rate = self._rate_of_notes()
        return rate * (0.01 if "rate_drop" in self._unit.faults else 1.0)

    def _rate_of_notes(self) -> float:
        """Bits of the notes that cover the last second, over the time that they cover."""
        notes = self._sifted
        while len(notes) > 2 and notes[-1][0] - notes[1][0] >= SECOND_NS:
            notes.popleft()
        if len(notes) < 2:
            return 0.0
        return sum(bits for _, bits in list(notes)[1:]) / ((notes[-1][0] - notes[0][0]) / SECOND_NS)

    def forget_measurements(self) -> None:
        """Know nothing of earlier blocks: the unit was switched on."""
        self._measured: dict[str, tuple[int, float]] = {}
        self._last = None
        self._sifted: deque[tuple[int, int]] = deque()
        self._reference = 0.0

    def reading(self, name: str) -> UnitReading:
        """Return a reading of keys and blocks.

        Raises:
            KeyError: There is none of this name.
            Refusal: NO_DATA, before the first block.
        """
        match name:
            case "sifted_key_rate":
                return UnitReading(self.sifted_key_rate)
            case "authentication_key_remaining":
                return UnitReading(float(self.auth_left))
            case "preshared_key_loaded":
                return UnitReading(float(self._unit.links.pool is not None))
            case "qber" | "qber_check" | "secret_key_rate" | "reconciliation_efficiency" | "ones_share":
                if name not in self._measured:
                    raise no_data("no block was finished yet")
                measured_ns, value = self._measured[name]
                if math.isnan(value):
                    raise no_data("the last block ended before it was measured")
                return UnitReading(value, (self._unit.now_ns - measured_ns) / 1e9)
            case "last_block":
                if self._last is None:
                    raise no_data("no block was finished yet")
                return UnitReading(self._last.text, (self._unit.now_ns - self._last.ended_ns) / 1e9)
            case _:
                raise KeyError(name)

    @property
    def takes_detections(self) -> bool:
        """Whether raw data of this moment belong to a block: a session, running, and room in both stores."""
        unit = self._unit
        return unit.running and self.session is not None and not self.store_full and not unit.peer.store_full
