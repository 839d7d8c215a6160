"""The seed of a run: a new one unless it is said, told so that it can be repeated, and fixed for seeded secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest

from tokaido.emulators import Bench, QkdLink, bench_from_station, launch
from tokaido.emulators.optics import QuantumChannel
from tokaido.emulators.toshiba import ReceiverModel, TransmitterModel
from tokaido.hal import Station
from tokaido_testing.pairs import Pair

if TYPE_CHECKING:
    from pathlib import Path

    from tokaido.emulators.optics import Conditions, Exposure


def seeds_of(secrets: Literal["os", "seeded"]) -> set[int]:
    """Return the seeds of a bench, a link and a launched device for which none was said, twice."""
    found: set[int] = set()
    for _ in range(2):
        link = QkdLink(TransmitterModel(), ReceiverModel(), secrets=secrets)
        with (
            launch("toshiba.transmitter", wire_end="emu", secrets=secrets) as unit,
            link,
            Bench(secrets=secrets) as bench,
        ):
            found |= {unit.seed, link.seed, bench.seed}
    return found


def test_every_run_has_a_seed_of_its_own() -> None:
    assert len(seeds_of("os")) == 6


def test_seeded_secrets_are_the_same_in_every_run() -> None:
    assert seeds_of("seeded") == {0}


def test_a_launched_link_says_its_seed() -> None:
    with QkdLink.launch() as one, QkdLink.launch(seed=41) as other:
        assert one.seed == one.bench.seed == one.transmitter.seed != 41
        assert other.seed == other.receiver.seed == 41
        assert "seed 41" in repr(other.receiver)


@pytest.mark.parametrize(("said", "given", "has"), [("seed = 5", None, 5), ("seed = 5", 6, 6), ("", 6, 6)])
def test_a_station_has_the_seed_of_its_file_unless_another_one_is_said(
    tmp_path: Path, said: str, given: int | None, has: int
) -> None:
    text = f"""
    [bench]
    speed = 2
    {said}
    [devices.west]
    driver = "thorlabs.osw"
    control = "serial:{tmp_path}/west"
    """
    with bench_from_station(Station.from_text(text, base=tmp_path), seed=given) as bench:
        assert bench.seed == has


def test_in_mode_os_the_seed_fixes_bases_intensities_and_clicks_and_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the docs say of it: who knows the seed of a run knows all of the light but the bits."""
    exposures: list[Exposure] = []
    expose = QuantumChannel.expose

    def note(channel: QuantumChannel, pulses: int, conditions: Conditions) -> Exposure:
        exposures.append(expose(channel, pulses, conditions))
        return exposures[-1]

    monkeypatch.setattr(QuantumChannel, "expose", note)
    runs: list[list[Exposure]] = []
    for _ in range(2):
        exposures.clear()
        Pair("toshiba", secrets="os").run()
        runs.append(exposures[:2])
    for first, second in zip(*runs, strict=True):
        sent, got, sent_again, got_again = first.transmitter, first.receiver, second.transmitter, second.receiver
        assert sent.slots.size > 1000
        for one, other in (
            (sent.slots, sent_again.slots),
            (sent.basis, sent_again.basis),
            (sent.intensity, sent_again.intensity),
            (got.basis, got_again.basis),
        ):
            assert np.array_equal(one, other)
        assert 0.45 < np.mean(sent.bit != sent_again.bit) < 0.55
        same_errors = (sent.bit ^ got.bit) == (sent_again.bit ^ got_again.bit)
        assert np.mean(same_errors) > 0.9  # errors are physics, but an afterpulse fires the detector that clicked
