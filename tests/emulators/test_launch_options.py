"""`launch` and those who launch for others take the options that a model takes, and say which if it takes none such."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tokaido.hal as hal
from tokaido.emulators import Bench, QkdLink, _option_types, launch
from tokaido.emulators._options import ModelOptions, check_options, keywords_of, model_class
from tokaido_testing.voa import Attenuator

if TYPE_CHECKING:
    from collections.abc import Callable

OPTIONS = {
    "toshiba.transmitter": _option_types.UnitOptions,
    "toshiba.receiver": _option_types.UnitOptions,
    "nec.transmitter": _option_types.NecOptions,
    "nec.receiver": _option_types.NecReceiverOptions,
    "etsi014.source": _option_types.KeyManagersOptions,
    "fiberlabs.amplifier": _option_types.AmplifierOptions,
    "idquantique.detector": _option_types.DetectorOptions,
    "keysight.attenuator": _option_types.AttenuatorOptions,
    "repeater.node": _option_types.RepeaterOptions,
    "sfifteen.tagger": _option_types.TaggerOptions,
    "thorlabs.mpc": _option_types.PaddlesOptions,
    "thorlabs.pm100": _option_types.PowerMeterOptions,
    "polatis.matrix": _option_types.MatrixOptions,
    "dicon.selector": _option_types.SelectorOptions,
    "thorlabs.osw": _option_types.OswOptions,
}


@pytest.mark.parametrize("name", [entry.name for entry in hal.emulators() if entry.distribution == "tokaido"])
def test_a_type_checker_knows_the_options_that_the_constructor_has(name: str) -> None:
    assert OPTIONS[name].__annotations__.keys() == ModelOptions.of(model_class(name)).defaults.keys()


@pytest.mark.parametrize(
    ("launcher", "types"),
    [
        (launch, _option_types.AnyLaunch),
        (Bench.device, _option_types.AnyDevice),
        (QkdLink.launch, _option_types.LinkOptions),
    ],
)
def test_a_type_checker_knows_the_options_that_a_launcher_has(launcher: Callable[..., Any], types: type) -> None:
    assert types.__annotations__.keys() - {"state_directory"} == set(keywords_of(launcher))


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "polatis.matrix",
            {"inputz": 3},
            "polatis.matrix takes no option 'inputz'. Choose from boot_mode, .*, inputs,",
        ),
        ("nec.receiver", {"warms": True, "channels": 2}, "'warms', 'channels'. Choose from detectors, state_dir"),
        ("toshiba.receiver", {"sub_channels": 2}, "or, as for every device, clock, directory, .*wire_end"),
    ],
)
def test_an_unknown_option_is_answered_with_the_right_ones(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(hal.ConfigurationError, match=said):
        launch(name, **options)
    with pytest.raises(hal.ConfigurationError, match=said):
        launch(name, model_options=options)
    with Bench() as bench, pytest.raises(hal.ConfigurationError, match=said.replace("clock, directory, ", "")):
        bench.device("it", name, **options)


def test_a_switch_has_nothing_to_warm() -> None:
    with pytest.raises(hal.ConfigurationError, match="nothing that warms up"):
        launch("dicon.selector", warm=True)


def test_each_unit_of_a_link_is_given_the_options_that_it_takes() -> None:
    with QkdLink.launch("nec", sub_channels=3, detectors="avalanche") as link:
        assert link.transmitter.model.identity()["model"] == "TB-TX3"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        assert link.receiver.model.identity()["model"] == "TB-RX3A"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(hal.ConfigurationError, match="a link of toshiba units takes no option 'sub_channels'"):
        QkdLink.launch("toshiba", sub_channels=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


class Drawer(Attenuator):
    """A third party's model: it has an option of its own and hands the others on to a base that names them."""

    def __init__(self, serial_number: str | None = None, *, slots: int = 4, **options: Any) -> None:
        super().__init__(serial_number, **options)
        self.slots = slots


def anything(serial_number: str | None = None, **options: object) -> Attenuator:
    return Attenuator(serial_number)


def test_the_options_of_a_third_party_are_those_of_its_constructor() -> None:
    found = ModelOptions.of(Drawer)
    assert found.defaults["slots"] == 4
    assert found.unknown(["slots", "slot"]) == ["slot"]
    with pytest.raises(hal.ConfigurationError, match=r"acme\.drawer takes no option 'slot'. Choose from slots; or"):
        check_options("acme.drawer", found, ["slot"], ["wire_end"])
    assert ModelOptions.of(anything).unknown(["whatever"]) == []
