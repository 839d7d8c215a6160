"""One suite per role that every driver must pass, on every wire end of its emulator and under every fault on the wire.

A driver's author imports it into a test module, and pytest collects it:

```python
from tokaido.emulators.conformance import suite

TestAcme = suite("acme.switch")
```

Each role has a contract, which its package registers (entry points `tokaido.roles` and `tokaido.conformance`, by one
name); `Contract` is what contracts are made on.

It needs an emulator that is registered under the driver's name, and pytest.
"""

from __future__ import annotations

try:
    import pytest
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "tokaido.emulators.conformance is made for pytest, which is not installed: pip install pytest", name="pytest"
    ) from error

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{name}"
        for name in (
            "_rig",
            "_questions",
            "_faulty",
            "_contract",
            "_amplifier",
            "_attenuator",
            "_photon_detector",
            "_polarization",
            "_power_meter",
            "_repeater",
            "_switch",
            "_time_tagger",
            "_unit",
            "_key_rig",
            "_keys",
            "_key_source",
        )
    )
)

from tokaido.emulators.conformance._amplifier import AmplifierContract  # noqa: E402 - their asserts are to explain
from tokaido.emulators.conformance._attenuator import AttenuatorContract  # noqa: E402
from tokaido.emulators.conformance._contract import Contract  # noqa: E402
from tokaido.emulators.conformance._key_rig import HasKeys  # noqa: E402
from tokaido.emulators.conformance._key_source import HasDeliveries, KeySourceContract  # noqa: E402
from tokaido.emulators.conformance._photon_detector import PhotonDetectorContract  # noqa: E402
from tokaido.emulators.conformance._plan import FAULTS, Plan, Summary, WireFault  # noqa: E402
from tokaido.emulators.conformance._polarization import PolarizationContract  # noqa: E402
from tokaido.emulators.conformance._power_meter import PowerMeterContract  # noqa: E402
from tokaido.emulators.conformance._questions import Order, Question  # noqa: E402
from tokaido.emulators.conformance._repeater import HasNode, RepeaterNodeContract  # noqa: E402
from tokaido.emulators.conformance._rig import HasLight, Rig, until  # noqa: E402
from tokaido.emulators.conformance._suite import suite  # noqa: E402
from tokaido.emulators.conformance._switch import SwitchContract  # noqa: E402
from tokaido.emulators.conformance._time_tagger import TimeTaggerContract  # noqa: E402
from tokaido.emulators.conformance._unit import UnitContract  # noqa: E402

__all__ = [
    "FAULTS",
    "AmplifierContract",
    "AttenuatorContract",
    "Contract",
    "HasDeliveries",
    "HasKeys",
    "HasLight",
    "HasNode",
    "KeySourceContract",
    "Order",
    "PhotonDetectorContract",
    "Plan",
    "PolarizationContract",
    "PowerMeterContract",
    "Question",
    "RepeaterNodeContract",
    "Rig",
    "Summary",
    "SwitchContract",
    "TimeTaggerContract",
    "UnitContract",
    "WireFault",
    "suite",
    "until",
]
