"""The options of Tokaido's own emulated devices, for type checkers: what `launch`, `Bench.device` and
`QkdLink.launch` take by name.

A type checker knows no third party's options by their names. They are given as `model_options`, or by name where no
checker looks, and are checked against the constructor of the model when the device is launched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tokaido.emulators._secrets import Secrets
    from tokaido.emulators.ends.hislip import Profile
    from tokaido.emulators.optics import Fibre, LinkParameters, PresetSettings
    from tokaido.hal import Clock


ToshibaUnitName = Literal["toshiba.transmitter", "toshiba.receiver"]

# --- what the models take ---------------------------------------------------------------------------------------------


class UnitOptions(TypedDict, total=False):
    """A QKD unit's."""

    state_directory: Path | str | None


class NecOptions(UnitOptions, total=False):
    """An NEC-style unit's."""

    sub_channels: int


class NecReceiverOptions(NecOptions, total=False):
    """An NEC-style receiver's."""

    detectors: Literal["nanowire", "avalanche"]


class MatrixOptions(TypedDict, total=False):
    """A matrix switch's."""

    inputs: int
    outputs: int
    product: str
    firmware: str
    on_conflict: Literal["error", "steal"]
    unconnected: Literal["", "0"]
    input_detectors: bool
    failed_power: str
    boot_mode: Literal["DARK", "RESTORE", "AUTOSAVE"]
    min_gap: float
    terminator: str | None
    replies: Literal["joined", "lines"]


class SelectorOptions(TypedDict, total=False):
    """A fibre selector's."""

    channels: int
    identity: str
    channel_0: bool
    error_reply: str
    echo: bool


class OswOptions(TypedDict, total=False):
    """A small switch's."""

    model: str
    firmware: str
    board_type: str
    state: int
    stale: Literal["first", "time", "never"]
    error_reply: str


class AmplifierOptions(TypedDict, total=False):
    """A FiberLabs amplifier's."""

    model: str
    line_end: Literal["cr", "lf"]
    blanks: bool


class AttenuatorOptions(TypedDict, total=False):
    """A Keysight attenuator's."""

    vendor: str
    model: str
    blocked: bool
    power_unit: str
    dark_power_dbm: float


class KeyManagersOptions(TypedDict, total=False):
    """A pair of ETSI GS QKD 014 key managers'."""

    key_size: int
    min_key_size: int
    max_key_size: int
    max_key_per_request: int
    max_key_count: int
    stored: int
    rate_per_s: float
    sae: str
    peer_sae: str
    far_id: str
    slow_s: float
    slips: str


class DetectorOptions(TypedDict, total=False):
    """An ID Quantique detector's."""

    vendor: str
    model: str
    running: bool
    bias_voltage: float
    efficiency: float
    dark_count_rate: float
    afterpulse_probability: float
    jitter_ps: float


class PaddlesOptions(TypedDict, total=False):
    """A Thorlabs polarization controller's."""

    model: Literal["MPC320", "MPC220"]
    velocity: int
    completion: Literal["long", "short", "status"]


class PowerMeterOptions(TypedDict, total=False):
    """A Thorlabs power meter's."""

    model: str
    dark_w: float
    power_unit: str


class RepeaterOptions(TypedDict, total=False):
    """A repeater node's."""

    neighbours: str
    preset: str
    distance_km: float
    demand: float
    stock: int
    relaying: bool
    roles: str
    utc_s: float


class TaggerOptions(TypedDict, total=False):
    """An S-Fifteen time tagger's."""

    threshold: float
    jitter_ps: float
    dummies: bool


# --- what `launch` takes besides --------------------------------------------------------------------------------------


class LaunchOptions(TypedDict, total=False):
    """What every device is launched with; see `launch`."""

    wire_end: str | None
    resources: Mapping[str, str] | None
    serial_number: str | None
    seed: int | None
    speed: float
    secrets: Secrets
    pace_baud: int | None
    hislip_profile: Profile
    directory: Path | str | None
    clock: Clock
    model_options: Mapping[str, object] | None


class AnyLaunch(LaunchOptions, UnitOptions, total=False):
    """What a device of a third party is launched with; options of its own are `model_options`."""

    warm: bool


class UnitLaunch(LaunchOptions, UnitOptions, total=False):
    """What a unit is launched with."""

    warm: bool


class NecLaunch(UnitLaunch, NecOptions, total=False):
    """What an NEC-style unit is launched with."""


class NecReceiverLaunch(NecLaunch, NecReceiverOptions, total=False):
    """What an NEC-style receiver is launched with."""


class MatrixLaunch(LaunchOptions, MatrixOptions, total=False):
    """What a matrix switch is launched with."""


class SelectorLaunch(LaunchOptions, SelectorOptions, total=False):
    """What a fibre selector is launched with."""


class OswLaunch(LaunchOptions, OswOptions, total=False):
    """What a small switch is launched with."""


class AmplifierLaunch(LaunchOptions, AmplifierOptions, total=False):
    """What an amplifier is launched with."""


class AttenuatorLaunch(LaunchOptions, AttenuatorOptions, total=False):
    """What an attenuator is launched with."""


class KeyManagersLaunch(LaunchOptions, KeyManagersOptions, total=False):
    """What a pair of key managers is launched with."""


class DetectorLaunch(LaunchOptions, DetectorOptions, total=False):
    """What a single-photon detector is launched with."""


class PaddlesLaunch(LaunchOptions, PaddlesOptions, total=False):
    """What a polarization controller is launched with."""


class PowerMeterLaunch(LaunchOptions, PowerMeterOptions, total=False):
    """What a power meter is launched with."""


class RepeaterLaunch(LaunchOptions, RepeaterOptions, total=False):
    """What a repeater node is launched with."""


class TaggerLaunch(LaunchOptions, TaggerOptions, total=False):
    """What a time tagger is launched with."""


# --- what `Bench.device` takes besides --------------------------------------------------------------------------------


class DeviceOptions(TypedDict, total=False):
    """What every device is put on a bench with; see `Bench.device`."""

    serial_number: str | None
    wire_end: str | None
    resources: Mapping[str, str] | None
    model_options: Mapping[str, object] | None


class AnyDevice(DeviceOptions, UnitOptions, total=False):
    """What a device of a third party is put on a bench with; options of its own are `model_options`."""

    warm: bool


class UnitDevice(DeviceOptions, UnitOptions, total=False):
    """What a unit is put on a bench with."""

    warm: bool


class NecDevice(UnitDevice, NecOptions, total=False):
    """What an NEC-style unit is put on a bench with."""


class NecReceiverDevice(NecDevice, NecReceiverOptions, total=False):
    """What an NEC-style receiver is put on a bench with."""


class MatrixDevice(DeviceOptions, MatrixOptions, total=False):
    """What a matrix switch is put on a bench with."""


class SelectorDevice(DeviceOptions, SelectorOptions, total=False):
    """What a fibre selector is put on a bench with."""


class OswDevice(DeviceOptions, OswOptions, total=False):
    """What a small switch is put on a bench with."""


class AmplifierDevice(DeviceOptions, AmplifierOptions, total=False):
    """What an amplifier is put on a bench with."""


class AttenuatorDevice(DeviceOptions, AttenuatorOptions, total=False):
    """What an attenuator is put on a bench with."""


class DetectorDevice(DeviceOptions, DetectorOptions, total=False):
    """What a single-photon detector is put on a bench with."""


class PaddlesDevice(DeviceOptions, PaddlesOptions, total=False):
    """What a polarization controller is put on a bench with."""


class PowerMeterDevice(DeviceOptions, PowerMeterOptions, total=False):
    """What a power meter is put on a bench with."""


class TaggerDevice(DeviceOptions, TaggerOptions, total=False):
    """What a time tagger is put on a bench with."""


# --- what `QkdLink.launch` takes besides ------------------------------------------------------------------------------


class LinkOptions(TypedDict, total=False):
    """What every link is launched with; see `QkdLink.launch`."""

    fibre: Fibre
    settings: PresetSettings
    parameters: LinkParameters | None
    block_bits: int | None
    serial_numbers: tuple[str | None, str | None]
    seed: int | None
    speed: float
    warm: bool
    secrets: Secrets
    load_preshared_key: bool
    directory: Path | str | None
    clock: Clock
    model_options: Mapping[str, object] | None


class ToshibaLink(LinkOptions, UnitOptions, total=False):
    """What a link of Toshiba-style units is launched with."""


class NecLink(LinkOptions, NecReceiverOptions, total=False):
    """What a link of NEC-style units is launched with; each unit is given the options that it takes."""
