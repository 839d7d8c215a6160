"""What is asked of a polarization controller: its retarders stand where the driver says, and go where they are told."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, cast

import pytest

import tokaido.hal as hal
from tokaido.emulators.conformance._contract import Contract
from tokaido.emulators.conformance._questions import Order, Question
from tokaido.emulators.conformance._rig import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokaido.emulators.conformance._rig import Rig

NEAR_DEG = 1.0


class PolarizationContract(Contract):
    """Positions are set and read back, and compared with the model.

    A model of a polarization controller tells by `positions_deg` where its retarders stand.
    """

    @staticmethod
    def prepare(device: hal.Device, timeout: float) -> None:
        """Give a move no more time than a suite can wait."""
        cast("hal.PolarizationController", device).settle_timeout = max(6 * timeout, 1.0)

    def questions(self, rig: Rig) -> list[Question]:
        """Identity, and where the first and the last retarder stand."""
        device = opened(rig)
        self._apart(rig)
        return [
            Question("retarders[0].position", lambda: rounded(device.retarders[0].position), lambda: places(rig)[0]),
            *super().questions(rig),
            Question("retarders[-1].position", lambda: rounded(device.retarders[-1].position), lambda: places(rig)[-1]),
        ]

    def _apart(self, rig: Rig) -> None:
        """Let no two retarders stand alike, so that no answer is like another."""
        if len(set(places(rig))) < len(places(rig)):
            opened(rig).move_to(*(low + 20.0 * (i + 1) for i, (low, _) in enumerate(limits(rig))))

    def orders(self, rig: Rig) -> Iterator[Order]:
        """Positions of all retarders, in whole degrees, each other than before."""
        device = opened(rig)
        chance = random.Random(f"positions/{self.plan.seed}")
        while True:
            wanted = tuple(float(chance.randint(round(low), round(high))) for low, high in limits(rig))
            if wanted == whole(rig):
                continue
            yield Order(
                f"move_to{wanted}",
                lambda wanted=wanted: device.move_to(*wanted),  # type: ignore[misc]
                wanted,
                lambda: whole(rig),
                once="",
                exchanges=4 * len(wanted) + round(device.settle_timeout / rig.plan.timeout),
            )

    def truth_after(self, rig: Rig, order: Order) -> object:
        """Return where the retarders stand once none moves any more."""
        self._wait(rig)
        return order.truth()

    def state(self, rig: Rig) -> object:
        """Where the retarders stand."""
        return places(rig)

    def out_of_range(self, rig: Rig) -> list[tuple[Callable[[], object], type[Exception]]]:
        """Positions beyond the limits, too many of them, and a text."""
        device, ends = opened(rig), limits(rig)
        low, high = ends[-1]
        others = [None] * (len(ends) - 1)
        return [
            *super().out_of_range(rig),
            (lambda: device.move_to(*others, low - 1), hal.RangeError),
            (lambda: device.move_to(*others, high + 1), hal.RangeError),
            (lambda: device.move_to(*others, float("nan")), hal.RangeError),
            (lambda: device.move_to(*others, None, low), hal.RangeError),
            (lambda: device.move_to(cast("float", "x")), hal.ValueTypeError),
        ]

    def test_it_reaches_both_limits_of_every_retarder(self, rig: Rig) -> None:
        """Each retarder goes to either end of its declared way, and says that it is there."""
        device = opened(rig)
        rig.unhurry()
        for end in (0, 1):
            wanted = [of[end] for of in limits(rig)]
            device.move_to(*wanted)
            assert places(rig) == pytest.approx(wanted, abs=NEAR_DEG)
            assert device.positions() == pytest.approx(places(rig), abs=0.01)

    def test_a_retarder_that_is_not_named_stays(self, rig: Rig) -> None:
        """A position of None, and one that is left out, move nothing."""
        device = opened(rig)
        device.move_to(*([30.0] * len(device.retarders)))
        before = places(rig)
        device.move_to(60.0)
        assert places(rig)[0] == pytest.approx(60.0, abs=NEAR_DEG)
        assert places(rig)[1:] == before[1:]
        device.move_to(*([None] * (len(before) - 1)), 90.0)
        assert places(rig)[-1] == pytest.approx(90.0, abs=NEAR_DEG)
        assert places(rig)[1:-1] == before[1:-1]

    def test_it_says_whether_it_moves(self, rig: Rig) -> None:
        """It moves between the order and the arrival, and stands before and after."""
        device = opened(rig)
        device.move_to(*(low for low, _ in limits(rig)))
        assert device.moving() is False
        device.retarders[0]._start(limits(rig)[0][1])
        seen = device.moving(), places(rig)[0]
        assert seen[0] is True or seen[1] == pytest.approx(limits(rig)[0][1], abs=NEAR_DEG), seen
        self._wait(rig)
        assert device.moving() is device.retarders[0].moving() is False

    def test_it_stops_or_cannot(self, rig: Rig) -> None:
        """A retarder on its way stops where it is, and says so, where that is declared."""
        device = opened(rig)
        device.move_to(*(low for low, _ in limits(rig)))
        if hal.PolarizationCapability.STOP not in device.capabilities:
            assert isinstance(rig.call(device.stop), hal.UnsupportedError)
            return
        device.retarders[0]._start(limits(rig)[0][1])
        device.stop()
        stopped = places(rig)[0]
        rig.clock.wait(0.1)
        assert places(rig)[0] == stopped
        assert device.moving() is False
        assert device.retarders[0].position == pytest.approx(stopped, abs=0.01)

    def test_it_goes_home_or_has_none(self, rig: Rig) -> None:
        """From two places it comes home to the same one, where a home is declared."""
        device = opened(rig)
        if hal.PolarizationCapability.HOME not in device.capabilities:
            assert isinstance(rig.call(device.home), hal.UnsupportedError)
            return
        homes: list[tuple[float, ...]] = []
        for away in (50.0, 80.0):
            device.move_to(*([away] * len(device.retarders)))
            device.home()
            assert places(rig) != pytest.approx([away] * len(device.retarders), abs=NEAR_DEG)
            homes.append(places(rig))
        assert homes[0] == homes[1]

    def test_a_scrambler_is_there_or_unsupported(self, rig: Rig) -> None:
        """Scrambling is switched on and off where it is declared."""
        device = opened(rig)
        if hal.PolarizationCapability.SCRAMBLE not in device.capabilities:
            assert isinstance(rig.call(lambda: device.scrambling), hal.UnsupportedError)
            return
        for on in (True, False):
            device.scrambling = on
            assert device.scrambling is on

    def test_its_safe_state_is_the_one_it_is_in(self, rig: Rig) -> None:
        """A controller that moved for safety would take the light away: its safe state sends nothing."""
        with rig.listening() as written:
            opened(rig).apply_safe_state()
        assert written == []

    def _wait(self, rig: Rig) -> None:
        seen = [places(rig)]

        def still() -> bool:
            seen.append(places(rig))
            return len(seen) > 20 and len(set(seen[-20:])) == 1

        until(still, opened(rig).settle_timeout, rig.clock)


def opened(rig: Rig) -> hal.PolarizationController:
    """Return the driver as the polarization controller that it is."""
    return cast("hal.PolarizationController", rig.device)


def limits(rig: Rig) -> list[tuple[float, float]]:
    """Return the limits of every retarder, in degrees."""
    return [retarder.limits for retarder in opened(rig).retarders]


def places(rig: Rig) -> tuple[float, ...]:
    """Return where the model's retarders stand, in degrees."""
    return tuple(rounded(at) for at in rig.witness(lambda model: model.positions_deg))


def whole(rig: Rig) -> tuple[float, ...]:
    """Return the same in whole degrees."""
    return tuple(float(round(at)) for at in places(rig))


def rounded(degrees: float) -> float:
    """Return a position to 0.01 degrees."""
    return round(degrees, 2)
