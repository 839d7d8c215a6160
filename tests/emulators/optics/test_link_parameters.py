"""Link parameters and fibres: what is accepted, what is refused and how."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from tokaido.emulators.optics import FIELD_FIBRE, Fibre, preset

T12 = preset("t12", channel_loss_db=14.5)


def test_presets_hold_the_published_numbers() -> None:
    assert T12.intensities == (0.425, 0.044, 0.001)
    assert T12.probabilities[1:] == (2**-7, 2**-8)
    assert T12.key_basis_probability_transmitter == 15 / 16
    short = preset("t12", settings="short-block", channel_loss_db=10.0)
    assert short.probabilities == (0.60, 0.27, 0.13)
    assert short.channel_loss_db == 10.0


@pytest.mark.parametrize("name", ["nec-sspd", "nec-apd"])
def test_nec_style_presets_hold_what_their_units_are_delivered_with(name: str) -> None:
    short = preset(name, settings="short-block", channel_loss_db=22.8)
    assert short.clock_rate_hz == 1.25e9
    assert short.intensities == (0.50, 0.20, 0.001)
    assert short.probabilities == (0.50, 0.40, 0.10)
    assert short.key_basis_probability_transmitter == short.key_basis_probability_receiver == 0.78
    assert preset(name, channel_loss_db=22.8).intensities == (0.40, 0.15, 0.0)


def test_nanowires_and_photodiodes_differ_in_what_makes_their_reach() -> None:
    wire, diode = (preset(name, channel_loss_db=22.8) for name in ("nec-sspd", "nec-apd"))
    assert wire.dark_count_probability * wire.clock_rate_hz == pytest.approx(100)
    assert diode.dark_count_probability == 3e-6
    assert (wire.detector_efficiency, diode.detector_efficiency) == (0.5, 0.15)
    assert (wire.afterpulse_probability, diode.afterpulse_probability) == (0.0, 0.03)
    assert (wire.dead_gates, diode.dead_gates) == (50, 1250)


def test_unknown_presets_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'t13'.*'t12', .*'nec-sspd', 'nec-apd'"):
        preset("t13", channel_loss_db=1.0)
    with pytest.raises(ValueError, match="short-block"):
        preset("t12", settings="fast", channel_loss_db=1.0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("clock_rate_hz", 0.0),
        ("intensities", (0.1, 0.4, 0.0)),
        ("intensities", (0.4, 0.3, 0.2)),
        ("intensities", (0.4, 0.1, -0.1)),
        ("probabilities", (0.5, 0.3, 0.1)),
        ("probabilities", (1.0, 0.0, 0.0)),
        ("key_basis_probability_receiver", 1.0),
        ("channel_loss_db", -1.0),
        ("channel_loss_db", float("nan")),
        ("detector_efficiency", 20.5),
        ("dark_count_probability", -1e-6),
        ("afterpulse_probability", 1.0),
        ("dead_time_s", float("inf")),
        ("misalignment_key", 1.28),
        ("error_correction_efficiency", 0.9),
        ("duty", 0.0),
        ("eps_sec", 0.0),
        ("gate_width_ps", 0.0),
    ],
)
def test_impossible_parameters_are_refused_with_name_and_advice(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"{name} = .* is not possible: \w+"):
        replace(T12, **{name: value})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_parameters_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        T12.channel_loss_db = 3.0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_dead_time_counts_begun_gates() -> None:
    assert T12.dead_gates == 2
    assert replace(T12, dead_time_s=10.2e-9).dead_gates == 11
    assert replace(T12, dead_time_s=0.0).dead_gates == 0


def test_fibre_adds_up_its_loss() -> None:
    assert FIELD_FIBRE.total_loss_db == 14.5
    assert Fibre(length_km=50, loss_db_per_km=0.2, extra_loss_db=1).total_loss_db == pytest.approx(11)
    assert FIELD_FIBRE.delay_s == pytest.approx(220e-6, rel=0.01)


def test_fibre_wants_its_loss_exactly_once() -> None:
    with pytest.raises(ValueError, match="either"):
        Fibre(length_km=1)
    with pytest.raises(ValueError, match="either"):
        Fibre(length_km=1, loss_db=1, loss_db_per_km=1)
    with pytest.raises(ValueError, match="length_km"):
        Fibre(length_km=-1, loss_db=1)
