"""Settings as they were saved: taken from devices, held in a file, compared and restored."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from tokaido.hal import ConfigurationError, Device
from tokaido.lab.settings._slots import slots_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from tokaido.hal import Station
    from tokaido.hal.driver import Plain
    from tokaido.lab.settings._changes import Change


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """The settings of one device."""

    driver: str
    """Name in the registry."""
    vendor: str
    """As the device said, as the three that follow."""
    model: str
    serial_number: str
    firmware: str
    utc_ns: int
    """When they were saved: ns since 1970-01-01 UTC, by the host's clock."""
    values: Mapping[str, Plain]
    """By path, such as `detectors[0].bias`, in the units of measure of the driver."""
    units: Mapping[str, str] = field(default_factory=dict[str, str], compare=False)
    """Units of measure by path, for people; a file has them in its comments."""
    missing: Mapping[str, str] = field(default_factory=dict[str, str], compare=False)
    """Settings that the device could not tell, and why; a file has them in its comments."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one device, or of the devices of a station."""

    devices: Mapping[str, DeviceSettings]
    """By name of the device."""

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Self:
        """Read settings from a file that `to_file` wrote.

        Raises:
            ConfigurationError: With every mistake in it.
        """
        from tokaido.lab.settings._file import devices_in  # noqa: PLC0415 - for files alone

        return cls(devices_in(path))

    def to_text(self) -> str:
        """Return what `to_file` writes."""
        from tokaido.lab.settings._file import text_of  # noqa: PLC0415 - for files alone

        return text_of(self.devices)

    def to_file(self, path: str | PathLike[str]) -> None:
        """Write the settings to a TOML file, over what was there; it is whole or as it was.

        Raises:
            TokaidoError: It could not be written.
        """
        from tokaido.hal.files import path_of, write_whole  # noqa: PLC0415 - for files alone

        write_whole(path_of(path, "the file of settings"), self.to_text().encode("utf-8", "replace"))

    def diff(self, target: Device | Station) -> tuple[Change, ...]:
        """Return where a device, or the devices of a station that were saved, differ from these settings.

        What only one of the two has is told, too. Another device than was saved may be compared.

        Raises:
            ConfigurationError: These are the settings of other devices.
            TokaidoError: A device could not be asked.
        """
        from tokaido.lab.settings._plan import differences  # noqa: PLC0415 - for who compares

        with ExitStack() as stack:
            return tuple(
                change
                for device, saved in self._of(target, stack).items()
                for change in differences(device.name, slots_of(device), saved)
            )

    def restore(
        self,
        target: Device | Station,
        *,
        dry_run: bool = False,
        other_device: bool = False,
        on_set: Callable[[Change], None] | None = None,
    ) -> tuple[Change, ...]:
        """Set what differs, in a safe order, read all of it back, and return the changes in that order.

        Settings that make less light come first, over all devices of a station, and those that make more last. Before
        anything is sent, everything is checked: whose settings these are, what the devices take, and whether the state
        of each device allows what would be set. Interlocks are asked when their turn comes.

        Args:
            target: A device, or a station, of which the devices are restored that were saved.
            dry_run: Send nothing; a change that could not be made now says why in its `hindrance`.
            other_device: Restore to a device of another driver, model or serial number than was saved.
            on_set: Called with each change that was made.

        Raises:
            ConfigurationError: These are the settings of other devices, or a device does not take them; nothing was
                sent.
            StateError: A device is in a state that does not allow it; nothing was sent.
            RestoreError: A device refused, failed or was lost in the middle: `done`, `failed` and `left` say how far
                it went.
            TokaidoError: A device could not be asked; nothing was sent.
        """
        from tokaido.lab.settings._plan import plan  # noqa: PLC0415 - for who restores
        from tokaido.lab.settings._restore import carry_out  # noqa: PLC0415 - as above

        with ExitStack() as stack:
            steps = plan(self._of(target, stack), other_device=other_device)
            if not dry_run:
                carry_out(steps, on_set)
            return tuple(step.change for step in steps)

    def _of(self, target: Device | Station, stack: ExitStack) -> dict[Device, DeviceSettings]:
        """Return the devices, opened for as long as the stack lasts, with the settings that were saved of each."""
        if not isinstance(target, Device):
            return {stack.enter_context(target.visit(name)): saved for name, saved in self.devices.items()}
        saved = self.devices.get(target.name)
        if saved is None and len(self.devices) == 1:
            (saved,) = self.devices.values()
        if saved is None:
            raise ConfigurationError(
                f"there are no settings of {target.name}", remedy=f"There are of {', '.join(self.devices) or 'none'}"
            )
        return {target: saved}


def save(target: Device | Station) -> Settings:
    """Ask a device, or every device of a station, for its settings.

    Devices of a station that are not open are opened for this alone and left as they are.

    Raises:
        TokaidoError: A device could not be asked, or gave an answer that is none.
    """
    if isinstance(target, Device):
        return Settings({target.name: _saved(target)})
    found: dict[str, DeviceSettings] = {}
    for name in target.devices:
        with target.visit(name) as device:
            found[name] = _saved(device)
    return Settings(found)


def _saved(device: Device) -> DeviceSettings:
    identity = device.identity()
    slots = slots_of(device)
    return DeviceSettings(
        driver=device.driver,
        vendor=identity.vendor,
        model=identity.model,
        serial_number=identity.serial_number,
        firmware=identity.firmware,
        utc_ns=device._clock.utc_ns(),
        values={path: slot.present for path, slot in slots.items() if slot.present is not None},
        units={path: slot.unit for path, slot in slots.items() if slot.unit},
        missing={path: slot.why_none for path, slot in slots.items() if slot.present is None},
    )
