"""The command line: what can be said, and where it leads. Rooms are imported by the commands that need them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tokaido.console._alarm_app import alarm_commands
from tokaido.console._demo_app import demo
from tokaido.console._examples import examples
from tokaido.console._link_app import links, move
from tokaido.console._log_app import log
from tokaido.console._network_app import networks
from tokaido.console._node_app import nodes
from tokaido.console._number_types import number, whole_number
from tokaido.console._options import (
    DeviceArgument,
    ForceOption,
    JsonOption,
    LinesOption,
    SeedOption,
    TraceOption,
    UnitsArgument,
    ValuesArgument,
    WaitOption,
)
from tokaido.console._plan_app import plan
from tokaido.console._plot_app import plots
from tokaido.console._rate_options import (
    PRESET_HELP,
    AttackOption,
    BoundOption,
    ChangesOption,
    DistanceOption,
    LossOption,
    MethodOption,
    PulsesOption,
    SettingsOption,
)
from tokaido.console._settings_app import settings

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Drive quantum key distribution units, and emulate them. The unit protocols are Tokaido's own inventions.",
)
app.add_typer(plots, name="plot")
app.add_typer(settings, name="settings")
app.add_typer(links, name="link")
app.add_typer(nodes, name="node")
app.add_typer(networks, name="network")
app.add_typer(alarm_commands)
app.command()(log)
app.command()(demo)
app.command()(plan)
app.command()(examples)
app.command(hidden=True)(move)
"""As it was called before there was `link`."""


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - 30 ms

        print(f"tokaido {version('tokaido')}")
        raise typer.Exit


MISUSE: Final[Any] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""What a command line that cannot be understood raises; Typer has no public name for it."""


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version, and end.")
    ] = False,
) -> None:
    """Take what can stand before the command."""
    del version  # its callback has ended it


@app.command()
def drivers(as_json: JsonOption = False) -> None:
    """List the drivers that are installed."""
    from tokaido.console._drivers import list_drivers  # noqa: PLC0415

    list_drivers(as_json=as_json)


@app.command()
def discover(
    identify: Annotated[bool, typer.Option("--identify", help="Open each port and ask who is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the serial ports and what udev knows about them; opens nothing unless told to identify."""
    from tokaido.console import _discover  # noqa: PLC0415

    _discover.discover(identify=identify, as_json=as_json)


@app.command()
def identify(device: DeviceArgument, as_json: JsonOption = False, trace: TraceOption = False) -> None:
    """Ask a device who it is."""
    from tokaido.console import _values  # noqa: PLC0415

    _values.identify(device, as_json=as_json, trace=trace)


@app.command()
def read(
    device: DeviceArgument, values: ValuesArgument = None, as_json: JsonOption = False, trace: TraceOption = False
) -> None:
    """Read values of a device, with unit of measure, limits and quality."""
    from tokaido.console import _values  # noqa: PLC0415

    raise typer.Exit(_values.read(device, values or [], as_json=as_json, trace=trace))


@app.command("set", context_settings={"ignore_unknown_options": True})  # so that a negative number is not an option
def set_value(
    device: DeviceArgument,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="For example attenuation or detectors[0].bias.")],
    to: Annotated[str, typer.Argument(metavar="TO", help="In the value's own unit of measure.")],
    *,
    force: ForceOption = "",
    as_json: JsonOption = False,
    trace: TraceOption = False,
) -> None:
    """Set one value of a device and read it back."""
    from tokaido.console import _values  # noqa: PLC0415

    _values.set_value(device, value, to, force=force, as_json=as_json, trace=trace)


@app.command(context_settings={"ignore_unknown_options": True})
def connect(
    device: DeviceArgument,
    source: Annotated[
        int, typer.Argument(parser=whole_number(), metavar="IN", help="Input, from 1.", show_default=False)
    ],
    target: Annotated[
        int, typer.Argument(parser=whole_number(), metavar="OUT", help="Output, from 1.", show_default=False)
    ],
    *,
    force: ForceOption = "",
    as_json: JsonOption = False,
    trace: TraceOption = False,
) -> None:
    """Join an input of an optical switch to an output, verify it, and print the map."""
    from tokaido.console import _orders  # noqa: PLC0415

    _orders.connect(device, source, target, force=force, as_json=as_json, trace=trace)


@app.command()
def disconnect(
    device: DeviceArgument,
    inputs: Annotated[
        list[int] | None, typer.Argument(parser=whole_number(), metavar="IN", help="Inputs, from 1.")
    ] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Part every pair.")] = False,
    as_json: JsonOption = False,
    trace: TraceOption = False,
) -> None:
    """Part inputs of an optical switch from their outputs, verify it, and print the map."""
    from tokaido.console import _orders  # noqa: PLC0415

    _orders.disconnect(device, inputs or [], everything=everything, as_json=as_json, trace=trace)


@app.command()
def start(
    units: UnitsArgument,
    *,
    wait: WaitOption = 60,
    force: ForceOption = "",
    as_json: JsonOption = False,
    trace: TraceOption = False,
) -> None:
    """Have units exchange keys, and wait until they do."""
    from tokaido.console import _orders  # noqa: PLC0415

    _orders.order_units("start", units, wait=wait, force=force, as_json=as_json, trace=trace)


@app.command()
def stop(units: UnitsArgument, wait: WaitOption = 60, as_json: JsonOption = False, trace: TraceOption = False) -> None:
    """Have units end the key session, and wait until they stand by."""
    from tokaido.console import _orders  # noqa: PLC0415

    _orders.order_units("stop", units, wait=wait, force="", as_json=as_json, trace=trace)


@app.command()
def align(
    units: UnitsArgument,
    *,
    wait: WaitOption = 180,
    force: ForceOption = "",
    as_json: JsonOption = False,
    trace: TraceOption = False,
) -> None:
    """Have units repeat the alignment, and wait until they stand by again."""
    from tokaido.console import _orders  # noqa: PLC0415

    _orders.order_units("align", units, wait=wait, force=force, as_json=as_json, trace=trace)


@app.command()
def monitor(
    device: DeviceArgument,
    values: ValuesArgument = None,
    *,
    interval: Annotated[float, typer.Option(parser=number(0.05), help="Seconds from one reading to the next.")] = 1.0,
    count: Annotated[
        int | None, typer.Option(parser=whole_number(1), help="Stop after so many readings.", show_default=False)
    ] = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="Draw them over time, in a window. Needs the extra `plot`.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="With --plot: the picture, .png or .svg, in the end.",
            show_default=False,
        ),
    ] = None,
    sparklines: Annotated[
        bool, typer.Option("--sparklines", help="Draw them over time in the terminal's table.")
    ] = False,
    as_json: LinesOption = False,
    trace: TraceOption = False,
) -> None:
    """Watch values of a device until Ctrl-C."""
    from tokaido.console import _monitor  # noqa: PLC0415

    raise typer.Exit(
        _monitor.monitor(
            device,
            values or [],
            interval=interval,
            count=count,
            plot=plot,
            output=output,
            sparklines=sparklines,
            as_json=as_json,
            trace=trace,
        )
    )


@app.command()
def snapshot(
    device: DeviceArgument,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to a file.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say in JSON, too, which file was written.")] = False,
    trace: TraceOption = False,
) -> None:
    """Record all that a device tells, as JSON."""
    from tokaido.console import _values  # noqa: PLC0415

    _values.snapshot(device, output, as_json=as_json, trace=trace)


SecondsOption = Annotated[float | None, typer.Option(parser=number(0), help="Stop by itself.", show_default=False)]
LinkOption = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Where the terminal appears. Default: a new folder.", show_default=False),
]


@app.command()
def record(
    device: DeviceArgument,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The transcript; a new file.")],
    *,
    serve: Annotated[
        bool, typer.Option("--serve", help="Stand between the device's serial line and any program, until Ctrl-C.")
    ] = False,
    link: LinkOption = None,
    seconds: SecondsOption = None,
    as_json: LinesOption = False,
) -> None:
    """Write down what goes over a device's wire while its driver asks everything. Keys are not recorded."""
    from tokaido.console import _transcripts  # noqa: PLC0415

    _transcripts.record(device, output, serve=serve, link=link, seconds=seconds, as_json=as_json)


class ReplayOrder(StrEnum):
    """Which exchanges a replay may answer by."""

    ANY = "any"
    STRICT = "strict"


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A transcript.", show_default=False)],
    *,
    link: LinkOption = None,
    order: Annotated[
        ReplayOrder, typer.Option(help="any: what was asked, wherever it stands; strict: the very next alone.")
    ] = ReplayOrder.ANY,
    paced: Annotated[bool, typer.Option("--paced", help="Answer as slowly as the device did.")] = False,
    seconds: SecondsOption = None,
    as_json: LinesOption = False,
) -> None:
    """Serve a transcript as the device, until Ctrl-C."""
    from tokaido.console import _transcripts  # noqa: PLC0415

    _transcripts.replay(file, link=link, order=order.value, paced=paced, seconds=seconds, as_json=as_json)


@app.command()
def emulate(
    stations: Annotated[
        list[Path],
        typer.Argument(
            metavar="STATION.toml...",
            help="A station file, or those of all ends of its half-links.",
            show_default=False,
        ),
    ],
    seconds: SecondsOption = None,
    seed: SeedOption = None,
    back_door: Annotated[
        Path | None,
        typer.Option(metavar="SOCKET", help="Take orders at a Unix socket of mode 0600, too.", show_default=False),
    ] = None,
    as_json: LinesOption = False,
) -> None:
    """Serve the devices of station files, emulated, at exactly their resources, until Ctrl-C."""
    from tokaido.console._emulate import run_emulation  # noqa: PLC0415

    run_emulation(stations, seconds, seed, back_door, as_json=as_json)


@app.command()
def keys(
    unit: DeviceArgument,
    *,
    names: Annotated[
        bool, typer.Option("--names", help="Name the key blocks that wait. Needs keys=zmq:...; no other may draw then.")
    ] = False,
    as_json: JsonOption = False,
    trace: TraceOption = False,
) -> None:
    """Show how many keys a unit holds, and for which links. No key is ever shown."""
    from tokaido.console import _keys  # noqa: PLC0415

    _keys.show_keys(unit, names=names, as_json=as_json, trace=trace)


@app.command("curve-keys")
def curve_keys(
    name: Annotated[str, typer.Argument(help="Whose keys, for example alice.", show_default=False)],
    directory: Annotated[Path, typer.Option(help="Where the two files go.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Make a CURVE key pair: NAME.key to give away and NAME.key_secret to keep."""
    from tokaido.console import _keys  # noqa: PLC0415

    _keys.curve_keys(name, directory, as_json=as_json)


@app.command()
def rate(
    preset: Annotated[str | None, typer.Option(metavar="NAME", help=PRESET_HELP, show_default=False)] = None,
    file: Annotated[
        Path | None,
        typer.Option(metavar="PARAMETERS.toml", help="A link of your own, by its parameters.", show_default=False),
    ] = None,
    *,
    settings: SettingsOption = "published",
    distance: DistanceOption = None,
    loss: LossOption = None,
    changes: ChangesOption = None,
    pulses: PulsesOption = None,
    method: MethodOption = None,
    bound: BoundOption = None,
    attack: AttackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Calculate what a link gives: gains, error rates, key."""
    from tokaido.console._rate import RateRequest, show_rate  # noqa: PLC0415

    request = RateRequest(
        preset=preset,
        file=file,
        settings=settings,
        distance_km=distance,
        loss_db=loss,
        changes=tuple(changes or ()),
        pulses=pulses,
        method=method,
        bound=bound,
        attack=attack,
    )
    show_rate(request, as_json=as_json)


@app.command()
def serve(
    station: Annotated[
        Path, typer.Argument(metavar="STATION", help="A station file with a table `server`.", show_default=False)
    ],
    *,
    endpoint: Annotated[
        str, typer.Option(metavar="tcp://HOST:PORT", help="Where to listen, in place of what the file says.")
    ] = "",
    seconds: Annotated[
        float | None, typer.Option(parser=number(0), help="End after so many seconds.", show_default=False)
    ] = None,
    as_json: LinesOption = False,
) -> None:
    """Serve the devices of a station file to other programs, under CURVE, until Ctrl-C."""
    from tokaido.console import _serve  # noqa: PLC0415

    _serve.serve(station, endpoint, seconds, as_json=as_json)


@app.command()
def epics(
    station: Annotated[Path, typer.Argument(metavar="STATION", help="A station file.", show_default=False)],
    *,
    insecure_pvaccess: Annotated[
        bool,
        typer.Option(
            "--insecure-pvaccess", help="Say that pvAccess neither encrypts nor proves who asks. Must be given."
        ),
    ] = False,
    interface: Annotated[str, typer.Option(metavar="IPV4", help="Address of this machine to listen at.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(parser=whole_number(0), metavar="N", help="TCP port; 0 takes a free one.")
    ] = 5075,
    search_port: Annotated[
        int, typer.Option(parser=whole_number(0), metavar="N", help="UDP port where clients search for names.")
    ] = 5076,
    prefix: Annotated[str, typer.Option(metavar="TEXT", help="What names begin with. Default: the station's.")] = "",
    writable: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DEVICE.SETTING",
            help="What can be put, as voa.attenuation or voa.*; repeat it.",
            show_default=False,
        ),
    ] = None,
    period: Annotated[float, typer.Option(parser=number(0), help="Read each device every so many seconds.")] = 1.0,
    seconds: Annotated[
        float | None, typer.Option(parser=number(0), help="End after so many seconds.", show_default=False)
    ] = None,
    as_json: LinesOption = False,
) -> None:
    """Publish the values of a station's devices as EPICS PVs, until Ctrl-C. Read-only, unless told."""
    from tokaido.console import _epics  # noqa: PLC0415

    _epics.publish(
        station,
        insecure=insecure_pvaccess,
        interface=interface,
        port=port,
        search_port=search_port,
        prefix=prefix,
        writable=writable or [],
        period_s=period,
        seconds=seconds,
        as_json=as_json,
    )


@app.command()
def holders(
    server: Annotated[
        str,
        typer.Argument(
            metavar="SERVER",
            help="zmq:tcp://lab-host:5570?server_key_file=lab.key&client_key_file=me.key_secret",
            show_default=False,
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """List the devices of a device server, and who holds them."""
    from tokaido.console import _serve  # noqa: PLC0415

    _serve.holders(server, as_json=as_json)
