"""Presets: what they hold, where each value comes from, what they refuse."""

from __future__ import annotations

import dataclasses

import pytest

from tokaido.emulators.optics import (
    DpsParameters,
    LinkParameters,
    OneDecoyParameters,
    PresetSettings,
    link_rate,
    maximum_loss_db,
    preset,
    preset_info,
    presets,
    protocol_preset,
)

SETTINGS: tuple[PresetSettings, ...] = ("published", "short-block")
FORMS = {"decoy-bb84": LinkParameters, "one-decoy": OneDecoyParameters, "dps": DpsParameters}


def test_presets_are_there_by_name_and_protocol() -> None:
    assert set(presets()) == {
        "t12",
        "t12-even",
        "t12-cold",
        "nec-sspd",
        "nec-apd",
        "nec-2008",
        "gys",
        "commercial",
        "dps-2007",
        "boaron-2018",
    }
    assert presets("dps") == ("dps-2007",)
    assert presets("one-decoy") == ("boaron-2018",)
    assert len(presets("decoy-bb84")) == 8
    with pytest.raises(ValueError, match=r"'cow'.*'dps'"):
        presets("cow")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", presets())
def test_every_value_of_a_preset_has_a_source(name: str) -> None:
    info = preset_info(name)
    assert info.name == name
    assert info.description
    assert 0.1 < info.db_per_km < 1
    assert info.fibre_source
    assert "published" in info.settings
    form = FORMS[info.protocol]
    required = {f.name for f in dataclasses.fields(form) if f.default is dataclasses.MISSING} - {"channel_loss_db"}
    for settings in info.settings:
        fields = info.fields[settings]
        made = protocol_preset(name, settings=settings, channel_loss_db=7.0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert isinstance(made, form)
        assert made.channel_loss_db == 7.0
        assert required <= set(fields)
        for field, entry in fields.items():
            assert getattr(made, field) == entry.value
            assert len(entry.source) > 5


def test_what_was_fitted_can_be_asked_for() -> None:
    assert set(preset_info("t12").fitted) == {"receiver_loss_db", "misalignment_key", "misalignment_check"}
    assert "4.812e-3" in preset_info("t12").fitted["receiver_loss_db"]
    assert preset_info("gys").fitted == {}


def test_a_distance_is_as_good_as_a_loss() -> None:
    assert preset("t12", distance_km=50) == preset("t12", channel_loss_db=10.0)
    assert preset("gys", distance_km=100).channel_loss_db == pytest.approx(21.0)
    assert protocol_preset("dps-2007", distance_km=200).channel_loss_db == 42.1
    assert protocol_preset("dps-2007", distance_km=105).channel_loss_db == 21.0  # a spool of its own, not 22.1 dB
    assert protocol_preset("dps-2007", distance_km=100).channel_loss_db == pytest.approx(21.05)
    assert preset_info("t12").spools == {}
    for nothing_or_both in ({}, {"channel_loss_db": 1.0, "distance_km": 5.0}):
        with pytest.raises(ValueError, match="loss once"):
            preset("t12", **nothing_or_both)  # type: ignore[arg-type]
    for impossible in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"distance_km = .* is not possible"):
            preset("t12", distance_km=impossible)


@pytest.mark.parametrize(("name", "protocol"), [("dps-2007", "dps"), ("boaron-2018", "one-decoy")])
def test_a_link_of_another_protocol_is_no_decoy_bb84_link(name: str, protocol: str) -> None:
    with pytest.raises(ValueError, match=rf"{protocol}.*protocol_preset\('{name}'"):
        preset(name, channel_loss_db=10.0)


def test_settings_that_a_preset_does_not_have_are_refused() -> None:
    assert preset_info("t12").settings == ("published", "short-block", "megabit-block")
    with pytest.raises(ValueError, match="'gys' has no settings 'short-block': choose 'published'"):
        preset("gys", settings="short-block", channel_loss_db=1.0)
    with pytest.raises(ValueError, match="no link preset 't13'"):
        preset_info("t13")


def test_t12_even_differs_in_its_bases_alone() -> None:
    even = preset("t12-even", channel_loss_db=10.0)
    same = dataclasses.replace(even, key_basis_probability_transmitter=15 / 16, key_basis_probability_receiver=15 / 16)
    assert same == preset("t12", channel_loss_db=10.0)
    assert even.key_basis_probability_receiver == 0.5


def test_cold_detectors_reach_spans_that_t12_does_not() -> None:
    for settings in SETTINGS:
        link = preset("t12-cold", settings=settings, channel_loss_db=28.6)
        rate = link_rate(link)
        assert (rate.method, rate.secure_against) == ("lim", "general attacks")
        assert rate.secret_bps > 2.8e3
        assert link_rate(preset("t12", settings=settings, channel_loss_db=28.6)).secret_bps == 0
        reach = maximum_loss_db(link)
        assert reach is not None
        assert 36 < reach < 40
    assert link_rate(preset("t12-cold", settings="short-block", channel_loss_db=28.6)).block_s == pytest.approx(
        86, abs=2
    )
    assert preset_info("t12-cold").fitted.keys() == preset_info("t12").fitted.keys()  # the detectors are assumed


def test_gys_is_the_experiment_of_ma_2005() -> None:
    gys = preset("gys", channel_loss_db=0.0)
    assert gys.transmittance == pytest.approx(0.045)
    assert gys.background_probability == pytest.approx(1.7e-6)
    assert gys.intensities == (0.48, 0.05, 0.0)
    assert gys.error_correction_efficiency == 1.22


def test_commercial_units_are_limited_by_more_than_their_optics() -> None:
    unit = preset("commercial", channel_loss_db=0.0)
    assert 3e6 <= unit.max_secret_bps <= 4e6
    assert 0.4 <= unit.duty <= 0.8


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("dps-2007", "intensity", 0.5),
        ("dps-2007", "background_probability", 1.0),
        ("dps-2007", "window_efficiency", 64),
        ("dps-2007", "misalignment", 2.3),
        ("dps-2007", "clock_rate_hz", 0.0),
        ("boaron-2018", "intensities", (0.1, 0.4)),
        ("boaron-2018", "probabilities", (0.5, 0.4)),
        ("boaron-2018", "block_sifted_bits", 0.0),
        ("boaron-2018", "misalignment_check", 1.0),
        ("boaron-2018", "eps_sec", 1.0),
        ("t12", "keyed_bases", "all"),
        ("t12", "rate_method", "dps"),
        ("t12", "block_sifted_bits", -1.0),
        ("t12", "block_time_s", 0.0),
        ("t12", "max_secret_bps", 0.0),
    ],
)
def test_impossible_values_are_refused_with_name_and_advice(name: str, field: str, value: object) -> None:
    link = protocol_preset(name, channel_loss_db=10.0)
    with pytest.raises(ValueError, match=rf"{field} = .* is not possible: \w+"):
        dataclasses.replace(link, **{field: value})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_megabit_blocks_give_key_where_settings_for_longer_ones_give_none() -> None:
    def rate(settings: PresetSettings) -> float:
        link = dataclasses.replace(preset("t12", settings=settings, channel_loss_db=14.5), block_sifted_bits=1e6)
        return link_rate(link, method="lim").secret_bps

    assert rate("short-block") == 0
    assert rate("megabit-block") > 45e3
