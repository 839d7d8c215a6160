"""The settings of an optical switch: its map, the shutters of its ports, its boot mode."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tokaido.hal._errors import ValueTypeError
from tokaido.hal._further_settings import FurtherSetting, Plain
from tokaido.hal._numbers import flag, whole
from tokaido.hal.roles._switch_values import BootMode, PortState, SwitchCapability, SwitchPort

if TYPE_CHECKING:
    from tokaido.hal.roles._switch import OpticalSwitch


def settings_of(switch: OpticalSwitch) -> dict[str, FurtherSetting]:
    """Ask a switch for its settings, by path: `ports[in 3].enabled`, `connections`, `boot_mode`."""
    found: dict[str, FurtherSetting] = {}
    if SwitchCapability.PORT_STATES in switch.capabilities:
        for port, state in switch.port_states().items():
            if state is not PortState.FAILED:
                found[f"ports[{port}].enabled"] = FurtherSetting(
                    state is PortState.ENABLED,
                    partial(_shut_or_open, switch, port),
                    lambda to: flag(to, "enabled"),
                    light="more",
                )
    connections: Plain = {str(source): target for source, target in sorted(switch.connections().items())}
    found["connections"] = FurtherSetting(connections, partial(_join, switch), partial(_checked_map, switch))
    if SwitchCapability.BOOT_MODE in switch.capabilities:
        found["boot_mode"] = FurtherSetting(
            switch.boot_mode().value, lambda to: switch.set_boot_mode(_boot_mode(to)), _boot_mode
        )
    return found


def _shut_or_open(switch: OpticalSwitch, port: SwitchPort, to: Plain) -> None:
    switch.set_port_enabled(port, flag(to, "enabled"))


def _checked_map(switch: OpticalSwitch, to: Plain) -> dict[int, int]:
    if not isinstance(to, dict) or not all(source.isascii() and source.isdecimal() for source in to):
        raise ValueTypeError(f"a map is {{ input = output }}, not {to!r}", remedy="Nothing was sent")
    wanted = switch._pairs({int(source): whole(target, "an output") for source, target in to.items()})
    switch._check_outputs_once(wanted)
    return wanted


def _join(switch: OpticalSwitch, to: Plain) -> None:
    """Make the map what it was, by one command; the interlocks look at the pairs that are new."""
    wanted = _checked_map(switch, to)
    changed = [source for source, target in switch.connections().items() if wanted.get(source) != target]
    switch.reroute(disconnect=changed, connect=wanted)


def _boot_mode(to: Plain) -> BootMode:
    try:
        return BootMode(to)
    except ValueError:
        known = ", ".join(mode.value for mode in BootMode)
        raise ValueTypeError(f"a boot mode is one of {known}, not {to!r}", remedy="Nothing was sent") from None
