"""Which contract a driver is held to: that of its roles, from any package."""

from __future__ import annotations

import pytest

import tokaido.hal as hal
from tokaido.emulators.conformance import Contract, SwitchContract, suite
from tokaido_testing import foreign_roles
from tokaido_testing.packages import installed
from tokaido_testing.toys import Toy

HERE = "tokaido_testing.foreign_roles"
ROLES = f"""
[project]
name = "foreign"
version = "1.0"
[project.entry-points."tokaido.roles"]
"foreign.lamp" = "{HERE}:Lamp"
"foreign.plain" = "{HERE}:Plain"
"foreign.special" = "{HERE}:SpecialSwitch"
"foreign.broken" = "{HERE}:NoSuchRole"
[project.entry-points."tokaido.conformance"]
"foreign.lamp" = "{HERE}:LampContract"
"""


def suited(driver: str, conformance: str = "") -> type[object]:
    text = f'{ROLES}{conformance}\n[project.entry-points."tokaido.drivers"]\n"foreign" = "{HERE}:{driver}"\n'
    with installed(text):
        made: type[object] = suite("foreign", emulator="dicon.selector")
    return made


def contract(made: type[object]) -> object:
    return made.__mro__[1]


def test_a_driver_of_two_roles_is_held_to_both() -> None:
    made = suited("SwitchWithLamp")
    found = {name: contract(member) for name, member in vars(made).items() if isinstance(member, type)}
    assert found == {"Test_switch": SwitchContract, "Test_foreign_lamp": foreign_roles.LampContract}


def test_a_role_without_a_contract_has_that_of_the_role_that_it_inherits_from() -> None:
    assert contract(suited("Special")) is SwitchContract


def test_a_driver_of_an_unknown_role_is_held_to_what_every_device_must_keep() -> None:
    assert contract(suited("PlainBox")) is Contract


def test_a_contract_of_a_special_role_takes_the_place_of_the_general_one() -> None:
    assert contract(suited("Special", f'"foreign.special" = "{HERE}:LampContract"')) is foreign_roles.LampContract


@pytest.mark.parametrize(
    ("target", "why"), [("NoSuchContract", "fails to import"), ("Special", "not a class of Contract")]
)
def test_a_contract_that_is_none_is_a_configuration_error(target: str, why: str) -> None:
    with pytest.raises(hal.ConfigurationError, match=why):
        suited("Special", f'"foreign.special" = "{HERE}:{target}"')


def test_the_role_of_a_driver_is_looked_up_and_not_guessed() -> None:
    assert hal.role_name(foreign_roles.Special) == "OpticalSwitch"  # nobody told of its own role
    with installed(ROLES):
        assert hal.role_name(foreign_roles.Special) == "SpecialSwitch"
        assert list(hal.roles_of(foreign_roles.SwitchWithLamp)) == ["switch", "foreign.lamp"]
    assert hal.role_name(Toy) == "Device"
