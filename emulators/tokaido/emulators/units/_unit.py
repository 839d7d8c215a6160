"""The state machine of a unit, with what it owns: alarms, settings, keys, and its two ports."""

from __future__ import annotations

from pathlib import Path

from tokaido.emulators._secrets import Secrets, secret_source
from tokaido.emulators.units._alarms import AlarmBook, Latch
from tokaido.emulators.units._blocks import Blocks
from tokaido.emulators.units._faults import ModelFaults
from tokaido.emulators.units._keychannel import KeyServer
from tokaido.emulators.units._keyholder import KeyHolder
from tokaido.emulators.units._keystore import KeyStore
from tokaido.emulators.units._links import SERIAL_NUMBER, UnitLinks
from tokaido.emulators.units._orders import Orders
from tokaido.emulators.units._peer import Peer
from tokaido.emulators.units._readings import Noise, UnitReading
from tokaido.emulators.units._scene import prepare
from tokaido.emulators.units._states import (
    ALIGNING,
    DEGRADED_S,
    IN_RANGE_S,
    POWERED,
    RUNNING_STATES,
    SELFTEST_S,
    ZEROIZE_S,
    State,
)
from tokaido.emulators.units._thermal import Body
from tokaido.emulators.units._watchdog import Watchdog
from tokaido.hal import NS_PER_S, ConfigurationError
from tokaido.hal.authentication import PadLedger

TICK_NS = 50_000_000
"""The state machine looks around this often; a command or a message takes effect at once."""
REST_NS = 1_000_000_000
"""Wire ends let a unit at rest look around this often, so that what it has to catch up with never becomes much."""
SERVO_EVERY_S = 20.0
SERVO_S = 1.0
_RESTING = (State.OFF, State.AUTH, State.STANDBY, State.FAULT, State.SECURITY_HOLD)
_LASTS_S = {State.RUN: SERVO_EVERY_S, State.TRACK: SERVO_S, State.DEGRADED: DEGRADED_S}
_SAFE_STATES = (State.OFF, State.FAULT, State.SECURITY_HOLD, State.ZEROIZE)


class UnitModel(KeyHolder):
    """One box: its state, its alarms, its settings, its keys.

    Args:
        serial_number: 4 to 24 of `A-Z0-9-`.
        seed: Decides the noise of the readings, and the secrets if they are "seeded".
        secrets: "os", or "seeded" for keys that are marked insecure.
        state_directory: Folder for what must outlive the process: which one-time pads were spent. Without one that is
            forgotten, and a pre-shared key must not be loaded into another process again.

    Raises:
        ConfigurationError: The serial number has another form.
    """

    def __init__(
        self,
        serial_number: str | None = None,
        *,
        seed: int = 0,
        secrets: Secrets = "os",
        state_directory: Path | str | None = None,
    ) -> None:
        serial = self.SERIAL_NUMBER if serial_number is None else serial_number
        if not SERIAL_NUMBER.fullmatch(serial):
            raise ConfigurationError(f"{serial!r} is not a serial number", remedy="Give 4 to 24 of A-Z, 0-9 and -")
        self.serial_number = serial
        self.seed = seed
        self.secret = secret_source(secrets, seed, serial)
        self.insecure = secrets == "seeded"
        self.settings = self._delivery()
        """The settings in force, by their neutral name."""
        self.noise = Noise(f"{seed}/{serial}")
        self._now_ns = 0
        self._state = State.OFF
        self._since_ns = 0
        self._in_range_since_ns: int | None = None
        self.goal = State.STANDBY
        self._step = 0
        self._step_ns = 0
        self._rests = False
        """Whether nothing changed since the last look, and nothing will by itself."""
        self._still_until_ns = 0  # until then a tick moves temperatures and nothing else
        self.watchdog = Watchdog()
        """Its dead-man timer; `set_watchdog` sets it."""
        self.aligned = False
        self.warmed = False
        """Whether a warm-up was completed since the unit was switched on."""
        self.chassis = Body(31.0, 600.0, settled_within=20.0)
        self.store = KeyStore()
        self.orders = Orders(self)
        self.control = self._build_control()
        self.keychannel = KeyServer(self, self.KEY_FORMAT)
        self.alarms = AlarmBook(self.ALARMS, self.control.tell_alarm, self.keychannel.tell_alarm)
        self.faults = ModelFaults(self.SIDE, self.MODEL_FAULTS, self._fault_begun, self._fault_ended)
        self.pads = PadLedger(state_directory and Path(state_directory) / f"{serial}.pads")
        """How far the one-time pads of its links were spent."""
        self.links = UnitLinks(self.SIDE, insecure=self.insecure, ledger=self.pads)
        self.blocks = Blocks(self)
        self.peer = Peer(self, self.secret)

    # --- DeviceModel ------------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        """Time in ns since the box came up."""
        return self._now_ns

    def advance(self, to_ns: int) -> None:
        """Let time pass until `to_ns`; raises ValueError for the past."""
        if to_ns < self._now_ns:
            raise ValueError(f"{to_ns} ns lies in the past of {self._now_ns} ns")
        calm_until_ns = 0  # nothing comes from outside before `to_ns`
        for tick_ns in range((self._now_ns // TICK_NS + 1) * TICK_NS, to_ns + 1, TICK_NS):
            self._now_ns = tick_ns
            if tick_ns < self._still_until_ns or tick_ns < calm_until_ns:
                self._drift()
            else:
                self._tick()
                self._still_until_ns = self.due_ns() if self._rests and self.peer.silent else 0
                calm_until_ns = self._calm_until_ns()
        self._now_ns = to_ns

    def due_ns(self) -> int:
        """Return when the unit has to look around: at the next tick, unless it is at rest and nobody waits for it."""
        if not self._rests:
            return self._now_ns - self._now_ns % TICK_NS + TICK_NS
        due_ns = self._now_ns - self._now_ns % REST_NS + REST_NS
        for other_ns in (self.watchdog.ends_ns, self.keychannel.due_ns()):
            if other_ns is not None and other_ns < due_ns:
                due_ns = max(-(-other_ns // TICK_NS) * TICK_NS, self._now_ns - self._now_ns % TICK_NS + TICK_NS)
        return due_ns

    def touch(self) -> None:
        """Take note that something came from outside: the next look at the state machine must not wait."""
        self._rests = False
        self._still_until_ns = 0

    def watch_light(self) -> None:
        """Let the monitors act on the light as it is now. Call it before anything of that light is detected."""
        if self._state in POWERED:
            self._watch_light()

    def add_fault(self, fault: str) -> None:
        """Begin a fault of the unit at once."""
        self.faults.add(fault)

    # --- what others see --------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """State of the unit."""
        return self._state

    @property
    def step(self) -> str:
        """Step of the alignment, or an empty text."""
        return self._steps[self._step] if self._state in ALIGNING else ""

    @property
    def _steps(self) -> tuple[str, ...]:
        return tuple(self.ALIGNMENT)

    @property
    def running(self) -> bool:
        """Whether the unit exchanges keys: RUN, TRACK or DEGRADED."""
        return self._state in RUNNING_STATES

    @property
    def session_id(self) -> str | None:
        """Session id, 16 hexadecimal digits, if there is a session."""
        return self.blocks.session.id if self.blocks.session else None

    @property
    def watchdog_left_s(self) -> float:
        """Time after which the unit goes to its safe state unless it is renewed, in s; 0 when there is no watchdog."""
        return self.watchdog.left_s(self._now_ns)

    # --- for the one who sets up a scene ----------------------------------------------------------------------------

    def warm(self) -> None:
        """Be as a unit that has long been on: temperatures settled, state AUTH."""
        for body in self.bodies():
            body.settle()
        self.enter(State.AUTH)

    def lose_power(self) -> None:
        """Be off at once; stored keys stay, and temperatures go where the room's is."""
        self.enter(State.OFF)

    def prepare(self, state: State | str) -> None:
        """Be in a state at once, temperatures settled, with an imagined peer, key and light that suit it."""
        prepare(self, State(state))

    # --- time -------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._rests = self._may_rest()
        self._drift()
        if self._state in POWERED:
            self._follow_alarms()
        elif "cover_opened" in self.faults:
            self.raise_alarm("TAMPER")
        self.peer.tick()
        self._progress()
        if self.watchdog.ended(self._now_ns):
            self._watchdog_expired()
        self.keychannel.tick()

    def _drift(self) -> None:
        """Let the temperatures go on for one tick."""
        regulated = self._state in POWERED
        for body in self.bodies():
            body.advance(TICK_NS / 1e9, regulated=regulated)
        self.chassis.advance(TICK_NS / 1e9, regulated=regulated or self.chassis.offset > 0)

    def _may_rest(self) -> bool:
        """Whether nothing changes by itself: a state that lasts, no fault that works, no peer or alarm that may go."""
        if self._state not in _RESTING or self.faults or "CHASSIS_TEMP" in self.alarms or "AUTH_KEY_LOW" in self.alarms:
            return False
        if self._state is State.STANDBY:
            return self.peer.imagined
        return self._state is not State.AUTH or self.links.pool is None

    def _calm_until_ns(self) -> int:
        """Return until when a unit that runs without a fault need not look around, unless something comes from outside.

        What only time brings is met at its tick; temperatures and rates are looked at every second.
        """
        lasts_s = _LASTS_S.get(self._state)
        if lasts_s is None or self.faults or self._since_ns == self._now_ns:
            return 0
        due_ns = [self._now_ns - self._now_ns % REST_NS + REST_NS, self._since_ns + round(lasts_s * NS_PER_S)]
        due_ns += [ns for ns in (self.watchdog.ends_ns, self.keychannel.due_ns()) if ns is not None]
        return min(due_ns)

    def _spent_s(self) -> float:
        return (self._now_ns - self._since_ns) / 1e9

    def _progress(self) -> None:
        match self._state:
            case State.SELFTEST if self._spent_s() >= SELFTEST_S:
                self.enter(State.WARMUP)
            case State.WARMUP:
                self._warm_up()
            case State.AUTH if self.links.pool is not None and (self.peer.proved or self.peer.imagined):
                self.begin_alignment(State.ALIGN, State.STANDBY)
            case State.ALIGN | State.REALIGN:
                self._align()
            case State.RUN | State.TRACK | State.DEGRADED:
                self._run()
            case State.ZEROIZE if self._spent_s() >= ZEROIZE_S:
                self.enter(State.OFF)
            case _:
                pass

    def _warm_up(self) -> None:
        if not all(body.in_range for body in self.bodies()):
            self._in_range_since_ns = None
            if self._spent_s() > self.WARMUP_LIMIT_S:
                self.raise_alarm(self.TEMPERATURE_ALARM)
            return
        if self._in_range_since_ns is None:
            self._in_range_since_ns = self._now_ns
        if (self._now_ns - self._in_range_since_ns) / 1e9 >= IN_RANGE_S:
            self.warmed = True
            self.enter_checked(State.AUTH)

    def _align(self) -> None:
        step = self._steps[self._step]
        if self._step_possible(step):
            self._step_ns += TICK_NS
        if self._step_ns < self.ALIGNMENT[step] * 1e9:
            return
        self.step_done(step)
        self._step_ns = 0
        if self._step + 1 < len(self.ALIGNMENT):
            self._step += 1
            return
        self.aligned = True
        self.blocks.alignment_done()
        self.enter(self.goal)

    def _run(self) -> None:
        out_of_limits = bool(self._out_of_limits())
        if self._state is State.DEGRADED:
            if not out_of_limits:
                self.enter(State.RUN)
            elif self._spent_s() >= DEGRADED_S:
                self.begin_alignment(State.REALIGN, State.RUN)
        elif out_of_limits:
            self.enter(State.DEGRADED)
        elif self._state is State.RUN and self._spent_s() >= SERVO_EVERY_S:
            self.enter(State.TRACK)
        elif self._state is State.TRACK and self._spent_s() >= SERVO_S:
            self._servo_moved()
            self.enter(State.RUN)

    # --- changes of state -------------------------------------------------------------------------------------------

    def enter(self, state: State) -> None:
        """Enter a state, and leave behind what must not last into it."""
        self.touch()
        if state not in RUNNING_STATES:
            self.blocks.end_session()
        if state in _SAFE_STATES:
            self.make_safe()
        if state is State.SELFTEST:
            self.blocks.forget_measurements()
        if state in (State.OFF, State.SELFTEST):
            self.warmed = False
        self._state = state
        self._since_ns = self._now_ns
        self._in_range_since_ns = None
        if state is State.AUTH:
            self.warmed = True
            self.peer.forget_proof()
        if state not in (*RUNNING_STATES, State.REALIGN):
            self.alarms.clear("RATE_LOW")

    def enter_checked(self, state: State) -> None:
        """Enter a state unless a latched alarm holds the unit."""
        if [code for code in self.alarms.latched(Latch.SECURITY) if code != "QUARANTINE"]:
            state = State.SECURITY_HOLD
        elif self.alarms.latched(Latch.FAULT):
            state = State.FAULT
        self.enter(state)

    def begin_alignment(self, state: State, goal: State) -> None:
        """Enter ALIGN or REALIGN, to go on to `goal`."""
        self.aligned = False
        self.goal = goal
        self._step = 0
        self._step_ns = 0
        self.enter(state)
        self.arm()

    def make_safe(self) -> None:
        """Take the safe state, whatever the state; the unit is not aligned any more."""
        self.aligned = False
        self._go_safe()

    def go_safe(self) -> None:
        """Go to the safe state; a running or aligning unit goes to STANDBY, not aligned."""
        self.make_safe()
        if self._state in RUNNING_STATES or self._state in ALIGNING:
            self.enter(State.STANDBY)

    def set_watchdog(self, seconds: float, holder: str) -> None:
        """Begin the watchdog for a holder; 0 ends it.

        Raises:
            Refusal: REFUSED when another's is to be ended.
        """
        self.watchdog.set(seconds, holder, self._now_ns)
        self.alarms.clear("LEASE_EXPIRED")

    def keep_watchdog(self, holder: str) -> None:
        """Begin the watchdog again for its holder.

        Raises:
            Refusal: REFUSED when there is none, or it is another's.
        """
        self.watchdog.keep(holder, self._now_ns)

    def put(self, name: str, value: float | str) -> None:
        """Put a setting into force; a unit with rules of its own checks them first.

        Raises:
            Refusal: REFUSED, with the rule.
        """
        self.settings[name] = float(value)

    def _watchdog_expired(self) -> None:
        self.watchdog.end()
        self.go_safe()
        self.alarms.raise_("LEASE_EXPIRED", self._now_ns)

    # --- alarms -----------------------------------------------------------------------------------------------------

    def raise_alarm(self, code: str, detail: str = "") -> None:
        """Raise an alarm, with a detail behind its text, and enter the state that it leads to."""
        self.alarms.raise_(code, self._now_ns, detail)
        latch = self.ALARMS[code].latch
        if code == "QUARANTINE" or latch is Latch.NONE or self._state not in POWERED:
            return
        if latch is Latch.SECURITY and self._state is not State.SECURITY_HOLD:
            self.enter(State.SECURITY_HOLD)
        elif latch is Latch.FAULT and self._state not in (State.SECURITY_HOLD, State.FAULT):
            self.enter(State.FAULT)

    def cause_lasts(self, code: str) -> bool:
        """Whether the cause of a latched alarm is still there."""
        if code == self.TEMPERATURE_ALARM and self._too_far_off():
            return True
        return any(self.faults.alarm(name) == code for name in self.faults)

    def _too_far_off(self) -> bool:
        return any(abs(body.deviation) > self.TEMPERATURE_LIMIT for body in self._critical_bodies())

    def _follow_alarms(self) -> None:
        if "cover_opened" in self.faults:
            self.raise_alarm("TAMPER")
        if self.warmed and self._state is not State.FAULT and self._too_far_off():
            self.raise_alarm(self.TEMPERATURE_ALARM)
        self._watch_light()
        self._follow_hardware()
        warm = self.chassis.temperature > (43.0 if "CHASSIS_TEMP" in self.alarms else 45.0)
        self.alarms.follow("CHASSIS_TEMP", warm, self._now_ns)
        self.alarms.follow("PEER_UNREACHABLE", self.peer.overdue, self._now_ns)
        self.alarms.follow("SETTINGS_MISMATCH", self.peer.disagrees, self._now_ns)
        low = self.blocks.auth_key_low
        told = f"{self.blocks.attempts_left} attempts are left" if low else ""
        self.alarms.follow("AUTH_KEY_LOW", low, self._now_ns, told)
        self.alarms.follow("KEYSTORE_FULL", self.blocks.store_full, self._now_ns)
        self.blocks.follow_rate()

    def _fault_begun(self, name: str) -> None:
        self.touch()
        if name == "chassis_hot":
            self.chassis.offset, self.chassis.tau_s = 19.0, 20.0
        elif name == "cover_opened":
            self.raise_alarm("TAMPER")
        elif name == "wrong_tag":
            self.raise_alarm("AUTH_MISMATCH")
        elif name == "watchdog_expired":
            self._watchdog_expired()
        else:
            self.blocks.fault_begun(name)
            self._hardware_fault(name, present=True)

    def _fault_ended(self, name: str) -> None:
        self.touch()
        if name == "chassis_hot":
            self.chassis.offset = 0.0
        self._hardware_fault(name, present=False)

    # --- readings ---------------------------------------------------------------------------------------------------

    def value(self, name: str) -> UnitReading:
        """Return a setting or a reading by its neutral name.

        Raises:
            KeyError: There is none of this name.
            Refusal: NO_DATA.
        """
        if name in self.settings:
            return UnitReading(self.settings[name])
        return self.reading(name)

    def reading(self, name: str) -> UnitReading:
        """Return a reading that every unit has; transmitter, receiver and vendor add theirs.

        Raises:
            KeyError: There is none of this name.
            Refusal: NO_DATA.
        """
        match name:
            case "uptime":
                return UnitReading(self._now_ns / 1e9)
            case "chassis_temperature":
                return UnitReading(self.noise.around(name, self.chassis.temperature, 0.05, self._now_ns))
            case "session":
                return UnitReading(self.session_id or "-")
            case _:
                return self.blocks.reading(name)

    def _out_of_limits(self) -> set[str]:
        """Return the codes of alarms that degrade a running unit."""
        return self.blocks.out_of_limits()
