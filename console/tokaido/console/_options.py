"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from tokaido.console._completion import complete_device, complete_target
from tokaido.console._number_types import number, whole_number

DeviceArgument = Annotated[
    str,
    typer.Argument(
        metavar="DEVICE",
        autocompletion=complete_device,
        help="lab.toml#alice, or toshiba.transmitter@serial:/dev/qkd/TKTX0001 with ,keys=zmq:... behind it if needed.",
        show_default=False,
    ),
]
ValuesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="VALUE", help="For example laser_power or detectors[0].bias; all if none is named."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LinesOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
TraceOption = Annotated[bool, typer.Option("--trace", help="Print the bytes on the wire to stderr.")]
UnitsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="UNIT...",
        autocompletion=complete_device,
        help="Units, or a link of a station file for both of its units: lab.toml#field.",
        show_default=False,
    ),
]
WaitOption = Annotated[float, typer.Option(parser=number(0), help="Seconds that they may take; 0 waits for nothing.")]
TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        autocompletion=complete_target,
        help="lab.toml for every device of a station, lab.toml#alice for one, or DRIVER@RESOURCE.",
        show_default=False,
    ),
]
ForceOption = Annotated[
    str, typer.Option("--force", metavar="WHY", help="Overrule an interlock; the reason is logged.")
]
LinkArgument = Annotated[
    str,
    typer.Argument(
        metavar="LINK",
        autocompletion=complete_device,
        help="lab.toml#field; or of a device server, zmq:tcp://lab-host:5570?server_key_file=...#field.",
        show_default=False,
    ),
]

SeedOption = Annotated[
    int | None,
    typer.Option(
        parser=whole_number(0),
        help="Seed of the emulated physics, with bases and intensities; no key bit depends on it. Default: a new one.",
        show_default=False,
    ),
]
