"""Ask devices at the same time with asyncio: python examples/with_asyncio.py [STATION.toml]."""

import asyncio
import sys
from pathlib import Path

import tokaido.hal as hal
from tokaido.emulators import EmulatedStation

LAB = Path(__file__).with_name("lab.toml")


async def main(station: hal.Station) -> None:
    """Ask two devices, each in a thread of its own."""
    async with (
        hal.aio.open(station.device, "meter", hal.PowerMeter) as meter,
        hal.aio.open(station.device, "bob", hal.Receiver) as bob,
    ):
        power, state = await asyncio.gather(meter.get(hal.PowerMeter.power), bob.ask(hal.Receiver.state))
        print(f"{power:.1f} dBm at the meter; bob is in {state.value}")


real = hal.Station.from_file(sys.argv[1]) if sys.argv[1:] else None
with real or EmulatedStation.from_file(LAB, clock=hal.SYSTEM_CLOCK) as opened:  # there are threads: time is real
    asyncio.run(main(opened))
